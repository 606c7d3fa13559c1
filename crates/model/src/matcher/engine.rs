//! What the regex engine compiles, and how much memory that may take.
//!
//! The limits are on one automaton. The engine keeps a second one for reading backwards, so a pattern at
//! [`MAX_COMPILED`] may take twice as much, and each thread that matches keeps a few MiB of states beside it.

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, Look, print::Printer};

use super::pattern::PatternError;

/// In bytes, of all that a pattern compiles to.
const MAX_COMPILED: usize = 64 << 20;

/// In bytes, of one regex that has several alternatives of a pattern.
const MAX_PART: usize = 8 << 20;

/// In bytes; the least that a regex is taken to need.
const MIN_PART: usize = 1 << 20;

/// How many alternatives a regex has.
const MAX_ALTERNATIVES: usize = 4096;

/// How deep Rust's parser may go; it meets only what [`super::re2`] has limited already.
const MAX_NESTING: u32 = 10_000;

/// An expression that matches all of a value or nothing.
pub(super) fn compile(hir: Hir) -> Result<Regex, PatternError> {
    let text = printed(hir)?;
    match build(&text, MAX_PART)? {
        Some(regex) => Ok(regex),
        None => build(&text, MAX_COMPILED)?.ok_or_else(too_large),
    }
}

/// Expressions of which one matches all of a value if one of `alternatives` does.
pub(super) fn compile_all(alternatives: &[Hir]) -> Result<Vec<Regex>, PatternError> {
    let mut left = MAX_COMPILED;
    let mut regexes = Vec::new();
    let mut parts: Vec<&[Hir]> = alternatives.chunks(MAX_ALTERNATIVES).collect();
    while let Some(part) = parts.pop() {
        let text = printed(Hir::alternation(part.to_vec()))?;
        let max = if part.len() > 1 { MAX_PART } else { left }.min(left);
        let sizes = std::iter::successors(Some(MIN_PART), |size| size.checked_mul(2));
        let mut built = None;
        for size in sizes.take_while(|size| *size <= max) {
            if let Some(regex) = build(&text, size)? {
                built = Some((regex, size));
                break;
            }
        }
        match built {
            Some((regex, size)) => {
                left = left.saturating_sub(size);
                regexes.push(regex);
            }
            None if part.len() > 1 && left > 0 => {
                let (head, tail) = part.split_at(part.len() / 2);
                parts.extend([tail, head]);
            }
            None => return Err(too_large()),
        }
    }
    Ok(regexes)
}

fn too_large() -> PatternError {
    PatternError::Size {
        limit: MAX_COMPILED,
    }
}

fn printed(hir: Hir) -> Result<String, PatternError> {
    let whole = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
    let mut text = String::new();
    Printer::new()
        .print(&whole, &mut text)
        .map_err(|e| PatternError::Engine(regex::Error::Syntax(e.to_string())))?;
    Ok(text)
}

/// Nothing if the expression takes more than `limit` bytes.
fn build(text: &str, limit: usize) -> Result<Option<Regex>, PatternError> {
    let built = RegexBuilder::new(text)
        .size_limit(limit)
        .nest_limit(MAX_NESTING)
        .build();
    match built {
        Ok(regex) => Ok(Some(regex)),
        Err(regex::Error::CompiledTooBig(_)) => Ok(None),
        Err(other) => Err(PatternError::Engine(other)),
    }
}
