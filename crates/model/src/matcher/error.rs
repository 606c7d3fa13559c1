//! Why a pattern cannot be compiled.

use std::io;

use super::re2;

/// A pattern that cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub(super) enum PatternError {
    #[error("regular expression: {0}")]
    Syntax(#[from] re2::SyntaxError),
    #[error("regular expression: byte {at}: invalid UTF-8")]
    Utf8 { at: usize },
    #[error("regular expression has more than {limit} states")]
    States { limit: usize },
    #[error("regular expression: {0}")]
    Engine(#[source] regex::Error),
    #[error("regular expression: {0}")]
    Keys(#[source] aho_corasick::BuildError),
    #[error("regular expression: no thread to compile it: {0}")]
    Thread(#[source] io::Error),
}
