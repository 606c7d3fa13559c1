//! Matchers of which this file decides by itself what they match.

use model::{Labels, MatchOp, Matcher};
use proptest::prelude::*;

use super::{NAMES, any_value};

/// A matcher, and the same by other means.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) matcher: Matcher,
    condition: Condition,
    /// Whether the condition has to hold, or must not.
    holds: bool,
}

/// A condition on a value that this file decides by itself, and the pattern that states it.
#[derive(Clone, Debug)]
enum Condition {
    Is(String),
    OneOf(Vec<String>),
    /// Is this, stated by a pattern in which all of it is quoted.
    Quoted(String),
    /// Begins with the one, ends with the other, and has something between them where told.
    Between(String, Gap, String),
    Anything,
    Something,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Gap {
    Maybe,
    Some,
}

impl Condition {
    fn holds(&self, value: &str) -> bool {
        match self {
            Self::Is(wanted) | Self::Quoted(wanted) => value == wanted,
            Self::OneOf(wanted) => wanted.iter().any(|wanted| value == wanted),
            Self::Between(start, gap, end) => value
                .strip_prefix(start.as_str())
                .and_then(|rest| rest.strip_suffix(end.as_str()))
                .is_some_and(|between| *gap == Gap::Maybe || !between.is_empty()),
            Self::Anything => true,
            Self::Something => !value.is_empty(),
        }
    }

    /// The operator that states it, or its opposite, and the operator's operand.
    fn state(&self, holds: bool) -> (MatchOp, String) {
        let pattern = match self {
            Self::Is(value) => {
                let op = if holds {
                    MatchOp::Equal
                } else {
                    MatchOp::NotEqual
                };
                return (op, value.clone());
            }
            Self::OneOf(values) => values.join("|"),
            Self::Quoted(value) => format!("\\Q{value}\\E"),
            Self::Between(start, Gap::Maybe, end) => format!("{start}.*{end}"),
            Self::Between(start, Gap::Some, end) => format!("{start}.+{end}"),
            Self::Anything => ".*".to_owned(),
            Self::Something => ".+".to_owned(),
        };
        let op = if holds {
            MatchOp::Regex
        } else {
            MatchOp::NotRegex
        };
        (op, pattern)
    }
}

impl Question {
    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.matcher.name).unwrap_or_default();
        self.condition.holds(str::from_utf8(value).unwrap()) == self.holds
    }
}

pub(crate) fn any_question() -> impl Strategy<Value = Question> {
    let name = prop_oneof![
        5 => prop::sample::select(&NAMES[..]),
        1 => Just("missing"),
    ];
    (name, any_condition(), any::<bool>()).prop_map(|(name, condition, holds)| {
        let (op, value) = condition.state(holds);
        let matcher = Matcher::new(op, name, value).unwrap();
        Question {
            matcher,
            condition,
            holds,
        }
    })
}

fn any_condition() -> impl Strategy<Value = Condition> {
    let part = || {
        prop_oneof![
            "[a-c]{0,2}",
            Just("a very".to_owned()),
            Just("a very long common prefix a".to_owned())
        ]
    };
    let gap = prop_oneof![Just(Gap::Maybe), Just(Gap::Some)];
    prop_oneof![
        4 => any_value().prop_map(Condition::Is),
        2 => prop::collection::vec(any_value(), 2..5).prop_map(Condition::OneOf),
        // A dot that is a dot.
        1 => "[a-c]".prop_map(|letter| Condition::Quoted(format!("{letter}.*"))),
        3 => (part(), gap, part()).prop_map(|(start, gap, end)| Condition::Between(start, gap, end)),
        1 => Just(Condition::Anything),
        1 => Just(Condition::Something),
    ]
}
