//! What the regex engine compiles, and how much memory that may take.
//!
//! The limits are on one automaton. The engine keeps a second one for reading backwards, so a pattern at
//! [`MAX_COMPILED`] may take twice as much, and each thread that matches keeps a few MiB of states beside it.

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, Look, print::Printer};

use super::pattern::PatternError;

/// In bytes, of the one regex that a pattern has at most.
const MAX_COMPILED: usize = 64 << 20;

/// How deep Rust's parser may go; it meets only what [`super::re2`] has limited already.
const MAX_NESTING: u32 = 10_000;

/// An expression that matches all of a value or nothing.
pub(super) fn compile(hir: Hir) -> Result<Regex, PatternError> {
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
