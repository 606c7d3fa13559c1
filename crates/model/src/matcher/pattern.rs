//! A compiled pattern: a regular expression, or something cheaper that means the same.

use std::{io, panic, thread};

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{
    Hir, HirKind, Look,
    literal::{ExtractKind, Extractor, Seq},
    print::Printer,
};

use super::{glob::Glob, re2};

/// In bytes, of a compiled expression and of what the engine caches beside it.
const MAX_COMPILED: usize = 10 << 20;

/// How deep Rust's parser may go; it meets only what [`re2`] has limited already.
const MAX_NESTING: u32 = 10_000;

/// With more parentheses than this an expression may nest too deeply for the stack of an ordinary thread.
const MAX_SHALLOW: usize = 64;

/// Ample for [`re2`]'s limit of nesting.
const DEEP_STACK: usize = 32 << 20;

/// How many values a set may have that is not written out as one.
const MAX_SET: usize = 256;

/// Which values match, all of each value being meant.
#[derive(Debug)]
pub(super) struct Pattern {
    program: Program,
    /// Each matching value begins with it.
    prefix: String,
}

#[derive(Debug)]
enum Program {
    /// Ascending, each once.
    Set(Vec<Vec<u8>>),
    Glob(Glob),
    Regex {
        suffix: String,
        regex: Regex,
    },
}

/// A pattern that cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub(super) enum PatternError {
    #[error("regular expression: {0}")]
    Syntax(#[from] re2::SyntaxError),
    #[error("regular expression: byte {at}: invalid UTF-8")]
    Utf8 { at: usize },
    #[error("regular expression takes more than {limit} bytes when compiled")]
    Size { limit: usize },
    #[error("regular expression: {0}")]
    Engine(#[source] regex::Error),
    #[error("regular expression: no thread to compile it: {0}")]
    Thread(#[source] io::Error),
}

impl Pattern {
    pub(super) fn compile(pattern: &[u8]) -> Result<Self, PatternError> {
        let pattern = str::from_utf8(pattern).map_err(|e| PatternError::Utf8 {
            at: e.valid_up_to(),
        })?;
        if pattern.matches('(').count() <= MAX_SHALLOW {
            return Self::compile_here(pattern);
        }
        // The engine's compiler recurses, and patterns come from strangers.
        thread::scope(|scope| {
            let thread = thread::Builder::new().stack_size(DEEP_STACK);
            let compiling = thread.spawn_scoped(scope, || Self::compile_here(pattern));
            let compiled = compiling.map_err(PatternError::Thread)?.join();
            compiled.unwrap_or_else(|payload| panic::resume_unwind(payload))
        })
    }

    fn compile_here(pattern: &str) -> Result<Self, PatternError> {
        let hir = without_anchors(re2::parse(pattern)?);
        let prefix = common_prefix(&hir);
        let program = if let Some(values) = finite(&hir) {
            Program::Set(values.into_iter().map(String::into_bytes).collect())
        } else if let Some(glob) = Glob::of(&hir) {
            Program::Glob(glob)
        } else {
            Program::Regex {
                suffix: common_suffix(&hir),
                regex: compile(hir)?,
            }
        };
        Ok(Self { program, prefix })
    }

    pub(super) fn matches(&self, value: &[u8]) -> bool {
        if let Program::Set(values) = &self.program {
            let found = values.binary_search_by(|known| known.as_slice().cmp(value));
            return found.is_ok();
        }
        value.starts_with(self.prefix.as_bytes())
            && match str::from_utf8(value) {
                Ok(text) => self.program.matches(text),
                Err(_) => self.program.matches(&as_go_reads(value)),
            }
    }

    /// The only values that match, ascending, if they are few.
    pub(super) fn set(&self) -> Option<&[Vec<u8>]> {
        match &self.program {
            Program::Set(values) => Some(values),
            Program::Glob(_) | Program::Regex { .. } => None,
        }
    }

    pub(super) fn prefix(&self) -> Option<&[u8]> {
        Some(self.prefix.as_bytes()).filter(|prefix| !prefix.is_empty())
    }
}

impl Program {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Set(values) => values.iter().any(|known| known == text.as_bytes()),
            Self::Glob(glob) => glob.matches(text),
            Self::Regex { suffix, regex } => text.ends_with(suffix) && regex.is_match(text),
        }
    }
}

/// A value that is no UTF-8, as Go's engine sees it: each byte that belongs to no character is one, U+FFFD.
fn as_go_reads(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    for chunk in value.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// An expression that matches all of a value or nothing.
fn compile(hir: Hir) -> Result<Regex, PatternError> {
    let whole = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
    let mut text = String::new();
    Printer::new()
        .print(&whole, &mut text)
        .map_err(|e| PatternError::Engine(regex::Error::Syntax(e.to_string())))?;
    RegexBuilder::new(&text)
        .size_limit(MAX_COMPILED)
        .nest_limit(MAX_NESTING)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => PatternError::Size { limit },
            other => PatternError::Engine(other),
        })
}

/// `hir` without anchors that a match of all of a value meets anyway.
fn without_anchors(hir: Hir) -> Hir {
    let HirKind::Concat(items) = hir.kind() else {
        return hir;
    };
    let is = |hir: &Hir, look| matches!(hir.kind(), HirKind::Look(found) if *found == look);
    let mut items = items.as_slice();
    while let [first, rest @ ..] = items
        && is(first, Look::Start)
    {
        items = rest;
    }
    while let [rest @ .., last] = items
        && is(last, Look::End)
    {
        items = rest;
    }
    Hir::concat(items.to_vec())
}

/// All that `hir` matches, ascending, if it is not too much. Alternatives that are written out are never too
/// much: whoever wrote them has paid for them.
pub(super) fn finite(hir: &Hir) -> Option<Vec<String>> {
    let literals = match hir.kind() {
        HirKind::Alternation(items) => items.iter().map(literal).collect::<Option<Vec<_>>>(),
        _ => None,
    };
    let values = match literals {
        Some(literals) => literals,
        // An assertion would be dropped from what is extracted.
        None if !hir.properties().look_set().is_empty() => return None,
        None => {
            let seq = extracted(hir, ExtractKind::Prefix);
            let literals = seq.literals().filter(|_| seq.is_exact())?;
            literals
                .iter()
                .map(|literal| literal.as_bytes().to_vec())
                .collect()
        }
    };
    let values = values.into_iter().map(String::from_utf8);
    let mut values = values.collect::<Result<Vec<_>, _>>().ok()?;
    values.sort_unstable();
    values.dedup();
    Some(values)
}

fn literal(hir: &Hir) -> Option<Vec<u8>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(literal.0.to_vec()),
        HirKind::Empty => Some(Vec::new()),
        _ => None,
    }
}

fn common_prefix(hir: &Hir) -> String {
    let seq = extracted(hir, ExtractKind::Prefix);
    let bytes = seq.longest_common_prefix().unwrap_or_default();
    // The values may part within a character.
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(e) => {
            String::from_utf8_lossy(bytes.get(..e.valid_up_to()).unwrap_or_default()).into_owned()
        }
    }
}

fn common_suffix(hir: &Hir) -> String {
    let seq = extracted(hir, ExtractKind::Suffix);
    let bytes = seq.longest_common_suffix().unwrap_or_default();
    let is_inside = |byte: &&u8| (0x80..0xC0).contains(*byte);
    let inside = bytes.iter().take_while(is_inside).count();
    std::str::from_utf8(bytes.get(inside..).unwrap_or_default())
        .unwrap_or_default()
        .to_owned()
}

fn extracted(hir: &Hir, kind: ExtractKind) -> Seq {
    Extractor::new()
        .kind(kind)
        .limit_class(MAX_SET)
        .limit_repeat(MAX_SET)
        .limit_literal_len(1024)
        .limit_total(MAX_SET)
        .extract(hir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_no_regex_for_fixed_texts_with_anything_between() {
        for pattern in [
            ".*",
            ".+",
            "a.*",
            ".*a",
            ".+a",
            ".*a.*",
            "a.+b.*c",
            "(a|b).*",
            ".*(ab|b).+c",
            "^a.*$",
            ".*.+a",
            "a.{2,}",
            "(?i)ab.*",
            r"[\s\S]*a",
            "(?:a.*)",
            ".*?a",
        ] {
            let program = Pattern::compile(pattern.as_bytes()).unwrap().program;
            assert!(
                matches!(program, Program::Glob(_)),
                "{pattern}: {program:?}"
            );
        }
        for pattern in [
            "a+",
            "(?-s).*a",
            "a.*|b.*",
            "[a-z]{2}.*",
            r"\ba.*",
            ".?a",
            "(a.*)?",
        ] {
            let program = Pattern::compile(pattern.as_bytes()).unwrap().program;
            assert!(
                matches!(program, Program::Regex { .. }),
                "{pattern}: {program:?}"
            );
        }
    }

    #[test]
    fn asks_the_engine_only_of_values_with_the_right_ends() {
        let pattern = Pattern::compile(b"node-[0-9]+(:9100|:19100)").unwrap();
        assert_eq!(pattern.prefix(), Some(&b"node-"[..]));
        assert!(matches!(&pattern.program, Program::Regex { suffix, .. } if suffix == "9100"));
        // The ends of the four letters are the bytes 0xA9 and 0xA8, so what is common is within a character.
        let pattern = Pattern::compile("[0-9]+(é|©)".as_bytes()).unwrap();
        assert!(matches!(&pattern.program, Program::Regex { suffix, .. } if suffix.is_empty()));
        assert!(["1é", "1©"].iter().all(|v| pattern.matches(v.as_bytes())));
    }
}
