//! What can be wrong with an expression, in the words of Go's own errors.

pub(super) type Result<T> = std::result::Result<T, SyntaxError>;

/// How much of an expression an error shows.
const SHOWN: usize = 80;

/// A text that is no regular expression.
#[derive(Debug, thiserror::Error)]
#[error("byte {at}: {problem}: {found:?}")]
pub(crate) struct SyntaxError {
    /// In the expression.
    pub(crate) at: usize,
    problem: Problem,
    found: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("invalid character class range")]
    ClassRange,
    #[error("invalid escape sequence")]
    Escape,
    #[error("invalid named capture, expected letters, digits and underscores")]
    CaptureName,
    #[error("invalid or unsupported Perl syntax, expected flags of imsU")]
    PerlSyntax,
    #[error("invalid nested repetition operator")]
    RepeatOfRepeat,
    #[error("invalid repeat count, expected at most 1000 in all")]
    RepeatCount,
    #[error("missing closing ]")]
    MissingBracket,
    #[error("missing closing )")]
    MissingParen,
    #[error("missing argument to repetition operator")]
    MissingRepeatArgument,
    #[error("trailing backslash at end of expression")]
    TrailingBackslash,
    #[error("unexpected )")]
    UnexpectedParen,
    #[error("expression nests too deeply, expected at most 1000 levels")]
    Depth,
    #[error("expression too large")]
    Large,
}

impl SyntaxError {
    pub(super) fn new(problem: Problem, at: usize, found: &str) -> Self {
        Self {
            at,
            problem,
            found: found.chars().take(SHOWN).collect(),
        }
    }
}
