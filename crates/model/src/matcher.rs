//! Label matchers, with the meaning they have in PromQL.

use regex::Regex;

/// How a matcher compares.
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
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label's name.
    pub name: String,
    /// How it compares.
    pub op: MatchOp,
    /// The value or pattern, as written.
    pub value: String,
    regex: Option<Regex>,
}

/// A matcher that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum MatcherError {
    /// The pattern is no regular expression as Go's RE2 knows them.
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
    /// When a pattern is no regular expression.
    pub fn new(
        op: MatchOp,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<Self, MatcherError> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(
                Regex::new(&format!("^(?s:{value})$")).map_err(|e| MatcherError::Regex {
                    matcher: format!("{name}=~{value:?}"),
                    reason: e.to_string(),
                })?,
            ),
        };
        Ok(Self {
            name,
            op,
            value,
            regex,
        })
    }

    /// Whether a series whose label has `value` (empty: has no such label) is meant.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        let regex = || self.regex.as_ref().is_some_and(|r| r.is_match(value));
        match self.op {
            MatchOp::Equal => self.value == value,
            MatchOp::NotEqual => self.value != value,
            MatchOp::Regex => regex(),
            MatchOp::NotRegex => !regex(),
        }
    }

    /// Whether series without the label are meant too.
    #[must_use]
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    /// The only values that can match, if they are few: of `=`, and of `=~` with alternatives.
    #[must_use]
    pub fn set_matches(&self) -> Option<&[String]> {
        (self.op == MatchOp::Equal).then_some(std::slice::from_ref(&self.value))
    }

    /// The prefix that each matching value has, if a `=~` tells one.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        None
    }
}
