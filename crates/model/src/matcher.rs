//! Label matchers, with the meaning they have in PromQL.

mod captures;
mod engine;
mod error;
mod glob;
mod literals;
mod nfa;
mod pattern;
mod re2;
mod split;
mod subject;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use crate::quote::{Quoted, is_plain_name};
pub(crate) use captures::Captures;
use pattern::Pattern;

/// The operator of a matcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

/// A condition on one label. A series without the label has the empty value.
///
/// Displayed as in PromQL, so that it can be read back.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label's name.
    pub name: String,
    /// The operator.
    pub op: MatchOp,
    /// The value or pattern, as written. Bytes, as values of labels are.
    pub value: Vec<u8>,
    /// Of [`MatchOp::Regex`] and [`MatchOp::NotRegex`].
    pattern: Option<Arc<Pattern>>,
}

/// An invalid matcher.
#[derive(Debug, thiserror::Error)]
pub enum MatcherError {
    /// The pattern is not a regular expression of Go's RE2, or too large.
    #[error("matcher {matcher}: {reason}")]
    Regex {
        /// The matcher as written.
        matcher: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Matcher {
    /// A matcher; patterns are anchored at both ends, as in PromQL.
    ///
    /// # Errors
    /// When a pattern is not a regular expression, or takes more than 64 MiB when compiled. Texts with any characters
    /// between, such as `a.*|.*b.*`, do not count; only what needs the regex engine does. The engine may take twice as
    /// much in all, as it also reads backwards.
    pub fn new(
        op: MatchOp,
        name: impl Into<String>,
        value: impl Into<Vec<u8>>,
    ) -> Result<Self, MatcherError> {
        let mut matcher = Self {
            name: name.into(),
            op,
            value: value.into(),
            pattern: None,
        };
        if matches!(op, MatchOp::Regex | MatchOp::NotRegex) {
            let pattern = Pattern::compile(&matcher.value).map_err(|e| MatcherError::Regex {
                matcher: shortened(matcher.to_string()),
                reason: e.to_string(),
            })?;
            matcher.pattern = Some(Arc::new(pattern));
        }
        Ok(matcher)
    }

    /// Whether a series with this `value` of the label matches; empty is no such label.
    ///
    /// Each byte that is not UTF-8 is a character, U+FFFD, to a pattern, as in Go.
    #[must_use]
    pub fn matches(&self, value: impl AsRef<[u8]>) -> bool {
        let value = value.as_ref();
        let pattern = || self.pattern.as_ref().is_some_and(|p| p.matches(value));
        match self.op {
            MatchOp::Equal => self.value == value,
            MatchOp::NotEqual => self.value != value,
            MatchOp::Regex => pattern(),
            MatchOp::NotRegex => !pattern(),
        }
    }

    /// Whether series without the label match.
    #[must_use]
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    /// The only values that can match, if they are few: of `=`, and of `=~` with alternatives. Ascending, each once.
    #[must_use]
    pub fn set_matches(&self) -> Option<&[Vec<u8>]> {
        match self.op {
            MatchOp::Equal => Some(std::slice::from_ref(&self.value)),
            MatchOp::Regex => self.pattern.as_ref()?.set(),
            MatchOp::NotEqual | MatchOp::NotRegex => None,
        }
    }

    /// The common prefix of all matching values, if a `=~` has one.
    #[must_use]
    pub fn prefix(&self) -> Option<&[u8]> {
        match self.op {
            MatchOp::Regex => self.pattern.as_ref()?.prefix(),
            MatchOp::Equal | MatchOp::NotEqual | MatchOp::NotRegex => None,
        }
    }
}

impl fmt::Display for MatchOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        })
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_plain_name(&self.name) {
            f.write_str(&self.name)?;
        } else {
            Quoted(self.name.as_bytes()).fmt(f)?;
        }
        write!(f, "{}{}", self.op, Quoted(&self.value))
    }
}

/// The text of a matcher in an error; a pattern may have megabytes.
fn shortened(mut matcher: String) -> String {
    const SHOWN: usize = 200;
    if let Some((end, _)) = matcher.char_indices().nth(SHOWN) {
        matcher.truncate(end);
        matcher.push('…');
    }
    matcher
}
