//! The constraint that matchers put on one label, and what bounds tell of it before a value is read.

use model::{MatchOp, Matcher};

use crate::format::page_index::PageBounds;

/// All matchers on one label.
#[derive(Clone, Debug)]
pub(crate) struct Constraint {
    pub(crate) name: String,
    matchers: Vec<Matcher>,
    /// Whether rows without the label match.
    pub(crate) matches_null: bool,
    /// Whether all values match, so that only the presence of the label counts.
    pub(crate) any_value: bool,
    /// The only values that can match, ascending, if they are known.
    set: Option<Vec<Vec<u8>>>,
    /// A common prefix of all matching values, if one is known.
    prefix: Option<Vec<u8>>,
}

/// The cost of deciding a constraint, cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cost {
    /// A few values of the label that rows are sorted by.
    SortedSet,
    /// A few values.
    Set,
    /// Values with a prefix.
    Prefix,
    /// Any pattern.
    Pattern,
    /// Rows without the label match, so most rows do.
    Absent,
}

/// What is known of rows without reading them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    None,
    Some,
    All,
}

impl Constraint {
    /// The constraints of `matchers`, one for each label.
    pub(crate) fn of(matchers: &[Matcher]) -> Vec<Self> {
        let mut constraints: Vec<Self> = Vec::new();
        for matcher in matchers {
            match constraints.iter_mut().find(|c| c.name == matcher.name) {
                Some(same) => same.matchers.push(matcher.clone()),
                None => constraints.push(Self {
                    name: matcher.name.clone(),
                    matchers: vec![matcher.clone()],
                    matches_null: false,
                    any_value: false,
                    set: None,
                    prefix: None,
                }),
            }
        }
        for constraint in &mut constraints {
            constraint.derive();
        }
        constraints
    }

    fn derive(&mut self) {
        self.matches_null = self.matches("");
        self.any_value = self.matchers.iter().all(any_value);
        let smallest = self
            .matchers
            .iter()
            .filter_map(Matcher::set_matches)
            .min_by_key(|set| set.len());
        let set = smallest.map(|set| {
            let mut set: Vec<Vec<u8>> = set.iter().filter(|v| self.matches(v)).cloned().collect();
            set.sort_unstable();
            set.dedup();
            set
        });
        self.set = set;
        let prefixes = self.matchers.iter().filter_map(Matcher::prefix);
        self.prefix = prefixes
            .max_by_key(|prefix| prefix.len())
            .map(<[u8]>::to_vec);
    }

    /// Whether a row matches whose label has `value`; it is empty without the label.
    pub(crate) fn matches(&self, value: impl AsRef<[u8]>) -> bool {
        let value = value.as_ref();
        self.matchers.iter().all(|matcher| matcher.matches(value))
    }

    /// The only values that can match, ascending, if they are known and rows without the label do not match.
    pub(crate) fn values(&self) -> Option<&[Vec<u8>]> {
        self.set.as_deref().filter(|_| !self.matches_null)
    }

    pub(crate) fn cost(&self) -> Cost {
        if self.matches_null {
            Cost::Absent
        } else if self.set.is_some() {
            if self.name == model::METRIC_NAME {
                Cost::SortedSet
            } else {
                Cost::Set
            }
        } else if self.prefix.is_some() {
            Cost::Prefix
        } else {
            Cost::Pattern
        }
    }

    /// What the bounds of rows tell of them.
    pub(crate) fn judge(&self, bounds: &PageBounds<'_>) -> Verdict {
        if bounds.all_null {
            return if self.matches_null {
                Verdict::All
            } else {
                Verdict::None
            };
        }
        let null = match bounds.nulls {
            Some(0) => None,
            _ => Some(self.matches_null),
        };
        match (self.judge_values(bounds.min, bounds.max), null) {
            (Verdict::All, None | Some(true)) => Verdict::All,
            (Verdict::None, None | Some(false)) => Verdict::None,
            _ => Verdict::Some,
        }
    }

    /// What bounds tell of the values between them. Bounds may be cut to a prefix.
    fn judge_values(&self, min: &[u8], max: &[u8]) -> Verdict {
        // Rows without the label are null; an empty value counts as one too.
        if self.any_value && !min.is_empty() {
            return Verdict::All;
        }
        // Some writers keep no bounds and leave them empty.
        if max.is_empty() {
            return Verdict::Some;
        }
        if let Some(only) = only_value(min, max) {
            return if self.matches(only) {
                Verdict::All
            } else {
                Verdict::None
            };
        }
        let may_match = match (&self.set, &self.prefix) {
            (Some(set), _) => {
                let from = set.partition_point(|value| value.as_slice() < min);
                set.get(from).is_some_and(|value| not_above(value, max))
            }
            (None, Some(prefix)) => not_above(prefix, max) && not_above(min, prefix),
            (None, None) => true,
        };
        if may_match {
            Verdict::Some
        } else {
            Verdict::None
        }
    }
}

/// Whether `value`, cut to the length of `bound`, is not above it. A cut upper bound may not have been rounded up, so
/// longer values count as within.
fn not_above(value: &[u8], bound: &[u8]) -> bool {
    value.get(..bound.len()).unwrap_or(value) <= bound
}

/// The value of all rows between equal bounds. Bounds of 16 bytes and more may be cut.
fn only_value<'a>(min: &'a [u8], max: &[u8]) -> Option<&'a [u8]> {
    (min == max && min.len() < 16).then_some(min)
}

/// Whether a matcher matches every value, or every value but the empty one.
fn any_value(matcher: &Matcher) -> bool {
    match matcher.op {
        MatchOp::NotEqual | MatchOp::NotRegex => matcher.value.is_empty(),
        MatchOp::Regex => matches!(matcher.value.as_slice(), b".+" | b".*"),
        MatchOp::Equal => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constraint(matchers: &[(MatchOp, &str)]) -> Constraint {
        let matchers: Vec<_> = matchers
            .iter()
            .map(|(op, value)| Matcher::new(*op, "a", *value).unwrap())
            .collect();
        Constraint::of(&matchers).remove(0)
    }

    fn judge(op: MatchOp, value: &str, min: &str, max: &str, nulls: Option<u64>) -> Verdict {
        constraint(&[(op, value)]).judge(&PageBounds {
            all_null: false,
            min: min.as_bytes(),
            max: max.as_bytes(),
            nulls,
        })
    }

    #[test]
    fn bounds_rule_values_out_but_never_one_that_may_be_there() {
        use MatchOp::{Equal, NotEqual, Regex};
        for (op, value, min, max, nulls, expected) in [
            (Equal, "m", "a", "z", Some(0), Verdict::Some),
            (Equal, "A", "a", "z", Some(0), Verdict::None),
            (Equal, "zz", "a", "zy", Some(0), Verdict::None),
            // The upper bound may be a prefix that was not rounded up.
            (Equal, "zz", "a", "z", Some(0), Verdict::Some),
            (Equal, "b", "b", "b", Some(0), Verdict::All),
            (Equal, "b", "b", "b", Some(1), Verdict::Some),
            (Equal, "b", "b", "b", None, Verdict::Some),
            (Equal, "c", "b", "b", Some(1), Verdict::None),
            (NotEqual, "c", "b", "b", Some(1), Verdict::All),
            (NotEqual, "b", "b", "b", Some(0), Verdict::None),
            (NotEqual, "b", "b", "b", Some(1), Verdict::Some),
            (NotEqual, "", "a", "z", Some(0), Verdict::All),
            (NotEqual, "", "a", "z", Some(1), Verdict::Some),
            (Regex, ".*", "a", "z", Some(1), Verdict::All),
            (Equal, "", "a", "z", Some(0), Verdict::None),
            (Equal, "", "a", "z", Some(1), Verdict::Some),
            (Equal, "m", "", "", Some(0), Verdict::Some),
            // Bounds this long may have been cut to the same prefix.
            (
                Equal,
                "0123456789abcdefg",
                "0123456789abcdef",
                "0123456789abcdef",
                Some(0),
                Verdict::Some,
            ),
        ] {
            assert_eq!(
                judge(op, value, min, max, nulls),
                expected,
                "{op:?} {value:?} in {min:?}..={max:?} with {nulls:?} nulls"
            );
        }
    }

    #[test]
    fn a_page_of_nulls_is_decided_by_the_empty_value() {
        let nulls = PageBounds {
            all_null: true,
            min: b"",
            max: b"",
            nulls: None,
        };
        assert_eq!(
            constraint(&[(MatchOp::NotEqual, "x")]).judge(&nulls),
            Verdict::All
        );
        assert_eq!(
            constraint(&[(MatchOp::Regex, "x|")]).judge(&nulls),
            Verdict::All
        );
        assert_eq!(
            constraint(&[(MatchOp::Regex, ".+")]).judge(&nulls),
            Verdict::None
        );
        assert_eq!(
            constraint(&[(MatchOp::NotRegex, ".+")]).judge(&nulls),
            Verdict::All
        );
    }

    #[test]
    fn matchers_on_one_label_are_one_constraint() {
        let both = constraint(&[(MatchOp::NotEqual, "x"), (MatchOp::Equal, "x")]);
        assert!(!both.matches("x") && !both.matches("y") && !both.matches_null);
        assert_eq!(both.cost(), Cost::Set);
        let between = PageBounds {
            all_null: false,
            min: b"a",
            max: b"z",
            nulls: Some(0),
        };
        assert_eq!(both.judge(&between), Verdict::None);
    }
}
