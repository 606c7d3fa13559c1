//! What the regex engine compiles, and how much memory that may take.
//!
//! The limits are on one automaton. The engine keeps a second one for reading backwards, so a pattern at
//! [`MAX_COMPILED`] may take twice as much, and each thread that matches keeps a few MiB of states beside it. What
//! does not fit goes character by character instead ([`Nfa`]), which takes less memory and more time.

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind, Look, print::Printer};

use super::{nfa::Nfa, pattern::PatternError};

/// In bytes, of the one regex that a pattern has at most.
const MAX_COMPILED: usize = 16 << 20;

/// Parts and ranges of an expression that the engine is given: it reads it as a text, and takes a few hundred bytes for
/// each of them until it has.
const MAX_PARTS: usize = 64 << 10;

/// How deep Rust's parser may go; it meets only what [`super::re2`] has limited already.
const MAX_NESTING: u32 = 10_000;

/// Whether all of a text matches.
#[derive(Debug)]
pub(super) enum Engine {
    Regex(Regex),
    Nfa(Box<Nfa>),
}

impl Engine {
    /// An expression that matches all of a value or nothing.
    pub(super) fn compile(hir: Hir) -> Result<Self, PatternError> {
        if parts(&hir) > MAX_PARTS {
            return Ok(Self::Nfa(Box::new(Nfa::of(&hir)?)));
        }
        let whole = Hir::concat(vec![
            Hir::look(Look::Start),
            hir.clone(),
            Hir::look(Look::End),
        ]);
        let mut text = String::new();
        Printer::new()
            .print(&whole, &mut text)
            .map_err(|e| PatternError::Engine(regex::Error::Syntax(e.to_string())))?;
        let compiled = RegexBuilder::new(&text)
            .size_limit(MAX_COMPILED)
            .nest_limit(MAX_NESTING)
            .build();
        match compiled {
            Ok(regex) => Ok(Self::Regex(regex)),
            Err(regex::Error::CompiledTooBig(_)) => Ok(Self::Nfa(Box::new(Nfa::of(&hir)?))),
            Err(other) => Err(PatternError::Engine(other)),
        }
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        match self {
            Self::Regex(regex) => regex.is_match(text),
            Self::Nfa(nfa) => nfa.is_match(text),
        }
    }
}

/// How many parts an expression has, and ranges in its classes, as it is written.
fn parts(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Literal(literal) => 1 + literal.0.len() / 8,
        HirKind::Class(Class::Unicode(class)) => 1 + class.ranges().len(),
        kind => 1 + kind.subs().iter().map(parts).sum::<usize>(),
    }
}
