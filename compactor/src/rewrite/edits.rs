//! What is changed in a block: rules for labels, then deletions, as Thanos applies them.
//!
//! ```yaml
//! - matchers: '{job="node",instance=~"a.*"}'   # a series needs each of these labels
//!   intervals:                                 # without them the series is deleted whole
//!     - {mint: 1700000000000, maxt: 1700003600000}   # milliseconds, both ends included
//!   request_id: my-request
//! ```

use model::{Labels, MatchOp, Matcher, RelabelConfig, RelabelError, Relabeling, TimeRange, shown};
use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned};
use tsdb::Intervals;

/// The changes of a rewrite.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    deletions: Vec<Deletion>,
    rules: Vec<RelabelConfig>,
    relabeling: Relabeling,
}

/// Samples that are to be deleted. In JSON it is as Thanos writes it into `meta.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Deletion {
    #[serde(serialize_with = "as_thanos")]
    matchers: Vec<Matcher>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    intervals: Vec<Interval>,
    #[serde(skip_serializing_if = "String::is_empty")]
    request_id: String,
}

/// Times in milliseconds, both ends included.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Interval {
    #[serde(rename(serialize = "Mint"))]
    mint: i64,
    #[serde(rename(serialize = "Maxt"))]
    maxt: i64,
}

/// A deletion as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    matchers: String,
    #[serde(default)]
    intervals: Vec<Interval>,
    #[serde(default)]
    request_id: String,
}

/// Changes that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The text is not such YAML.
    #[error("{what}: {reason}")]
    Yaml {
        /// Which of the texts.
        what: &'static str,
        /// What was expected and found.
        reason: String,
    },
    /// A deletion is invalid.
    #[error("deletions: entry {number}: {reason}")]
    Deletion {
        /// Its number, from 1.
        number: usize,
        /// What was expected and found.
        reason: String,
    },
    /// A rule is invalid.
    #[error(transparent)]
    Relabel(#[from] RelabelError),
}

/// What becomes of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is deleted whole.
    Deleted,
    /// It has these labels from now on, and loses the samples of these times.
    Kept(Labels, Intervals),
}

impl Edits {
    /// Reads the changes; an empty text has none.
    ///
    /// # Errors
    /// For an unknown field, an invalid selector, rule or interval.
    pub fn from_yaml(deletions: &str, relabeling: &str) -> Result<Self, EditError> {
        let written: Vec<Written> = yaml("deletions", deletions)?;
        let written = written.into_iter().zip(1..);
        let deletions = written.map(|(written, number)| {
            let deletion = Deletion::try_from(written);
            deletion.map_err(|reason| EditError::Deletion { number, reason })
        });
        let rules: Vec<RelabelConfig> = yaml("relabel config", relabeling)?;
        Ok(Self {
            deletions: deletions.collect::<Result<_, _>>()?,
            relabeling: Relabeling::new(&rules)?,
            rules,
        })
    }

    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deletions.is_empty() && self.relabeling.is_empty()
    }

    /// The deletions.
    pub(crate) fn deletions(&self) -> &[Deletion] {
        &self.deletions
    }

    /// The rules.
    pub(crate) fn rules(&self) -> &[RelabelConfig] {
        &self.rules
    }

    /// What becomes of a series. Deletions see its new labels.
    pub(crate) fn fate(&self, labels: &Labels) -> Fate {
        let labels = match self.relabeling.is_empty() {
            true => Some(labels.clone()),
            false => self.relabeling.apply(labels),
        };
        let Some(labels) = labels else {
            return Fate::Deleted;
        };
        let mut deleted = Intervals::default();
        for deletion in self.deletions.iter().filter(|d| d.selects(&labels)) {
            if deletion.intervals.is_empty() {
                return Fate::Deleted;
            }
            for interval in &deletion.intervals {
                deleted.add(TimeRange::new(interval.mint, interval.maxt));
            }
        }
        Fate::Kept(labels, deleted)
    }
}

impl Deletion {
    /// Whether a series has each of the labels with such a value. As with Thanos, one that lacks the label does not
    /// match, whatever the matcher.
    fn selects(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| {
            let value = labels.get(&matcher.name);
            value.is_some_and(|value| matcher.matches(value))
        })
    }
}

impl TryFrom<Written> for Deletion {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        if let Some(wrong) = written.intervals.iter().find(|i| i.mint > i.maxt) {
            let Interval { mint, maxt } = wrong;
            return Err(format!("expected mint up to maxt, found {mint} and {maxt}"));
        }
        Ok(Self {
            matchers: model::parse_selector(&written.matchers).map_err(|e| e.to_string())?,
            intervals: written.intervals,
            request_id: written.request_id,
        })
    }
}

fn yaml<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<Vec<T>, EditError> {
    let options = serde_saphyr::options! { with_snippet: false };
    let read: Result<Option<Vec<T>>, _> = serde_saphyr::from_str_with_options(text, options);
    let read = read.map_err(|error| EditError::Yaml {
        what,
        reason: error.to_string(),
    })?;
    Ok(read.unwrap_or_default())
}

/// A matcher as Go's encoder writes Prometheus's.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ThanosMatcher<'a> {
    r#type: u8,
    name: &'a str,
    value: String,
}

fn as_thanos<S: Serializer>(matchers: &[Matcher], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(matchers.iter().map(|matcher| ThanosMatcher {
        r#type: match matcher.op {
            MatchOp::Equal => 0,
            MatchOp::NotEqual => 1,
            MatchOp::Regex => 2,
            MatchOp::NotRegex => 3,
        },
        name: &matcher.name,
        value: shown(&matcher.value).into_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied())
    }

    fn kept(fate: Fate) -> (String, Vec<(i64, i64)>) {
        match fate {
            Fate::Kept(labels, deleted) => {
                let ranges = deleted.ranges().iter();
                let ranges = ranges.map(|range| (range.min.0, range.max.0)).collect();
                (labels.to_string(), ranges)
            }
            Fate::Deleted => panic!("deleted"),
        }
    }

    #[test]
    fn a_series_loses_what_all_matchers_of_a_deletion_select() {
        let yaml = r#"
- matchers: '{job="a",pod=~"x.*"}'
  intervals: [{mint: 5, maxt: 9}]
- matchers: 'up{job="a"}'
  intervals: [{mint: 8, maxt: 20}, {mint: 30, maxt: 30}]
- matchers: '{job="b",pod!="y"}'
"#;
        let edits = Edits::from_yaml(yaml, "").unwrap();
        let up = labels(&[("__name__", "up"), ("job", "a"), ("pod", "x1")]);
        assert_eq!(kept(edits.fate(&up)).1, [(5, 20), (30, 30)]);
        let other = labels(&[("__name__", "down"), ("job", "a"), ("pod", "y")]);
        assert_eq!(kept(edits.fate(&other)).1, []);
        let whole = labels(&[("job", "b"), ("pod", "z")]);
        assert_eq!(edits.fate(&whole), Fate::Deleted);
        // It has no such label, so it does not match.
        let lacks = labels(&[("job", "b")]);
        assert_eq!(kept(edits.fate(&lacks)).1, []);
    }

    #[test]
    fn deletions_see_the_labels_after_the_rules() {
        let rules = r"
- action: labeldrop
  regex: pod
- action: drop
  source_labels: [job]
  regex: c
";
        let deletions = r#"[{matchers: '{pod="x"}'}]"#;
        let edits = Edits::from_yaml(deletions, rules).unwrap();
        let fate = edits.fate(&labels(&[("job", "a"), ("pod", "x")]));
        assert_eq!(kept(fate).0, r#"{job="a"}"#);
        assert_eq!(edits.fate(&labels(&[("job", "c")])), Fate::Deleted);
        assert_eq!(edits.fate(&labels(&[("pod", "x")])), Fate::Deleted);
        assert!(!edits.is_empty());
        assert!(Edits::from_yaml("", "").unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (deletions, rules, expected) in [
            (
                "[{matchers: 'a{'}]",
                "",
                "deletions: entry 1: selector, byte 2",
            ),
            (
                "[{matchers: a, intervals: [{mint: 2, maxt: 1}]}]",
                "",
                "deletions: entry 1: expected mint up to maxt, found 2 and 1",
            ),
            ("[{matcher: a}]", "", "deletions: "),
            (
                "",
                "[{action: keep, regex: '('}]",
                "relabel config: rule 1: ",
            ),
            ("", "[{actions: keep}]", "relabel config: "),
        ] {
            let error = Edits::from_yaml(deletions, rules).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn meta_json_gets_what_thanos_writes_there() {
        let yaml = r#"[{matchers: 'up{a!~"b"}', intervals: [{mint: 1, maxt: 2}], request_id: r}]"#;
        let rules = "[{action: labeldrop, regex: pod}]";
        let edits = Edits::from_yaml(yaml, rules).unwrap();
        assert_eq!(
            serde_json::to_string(edits.deletions()).unwrap(),
            r#"[{"matchers":[{"Type":0,"Name":"__name__","Value":"up"},{"Type":3,"Name":"a","Value":"b"}],"intervals":[{"Mint":1,"Maxt":2}],"request_id":"r"}]"#
        );
        assert_eq!(
            serde_json::to_string(edits.rules()).unwrap(),
            r#"[{"separator":";","regex":"pod","replacement":"$1","action":"labeldrop"}]"#
        );
    }
}
