//! Prometheus's relabeling: rules that change, keep and drop labels.

use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

use crate::{Labels, LabelsBuilder, MatchOp, Matcher, matcher::Captures, quote::shown};

/// A rule as Prometheus's YAML has it; in JSON it is as Thanos writes it into `meta.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelabelConfig {
    /// The labels whose values are joined.
    #[serde(
        rename(serialize = "sourceLabels"),
        skip_serializing_if = "Vec::is_empty"
    )]
    pub source_labels: Vec<String>,
    /// What stands between the values.
    pub separator: String,
    /// A pattern of Go's, anchored at both ends.
    pub regex: String,
    /// The number of shares of [`RelabelAction::HashMod`].
    #[serde(skip_serializing_if = "is_zero")]
    pub modulus: u64,
    /// The label that is set.
    #[serde(
        rename(serialize = "targetLabel"),
        skip_serializing_if = "String::is_empty"
    )]
    pub target_label: String,
    /// What it is set to, with `$1` for a group of the pattern.
    pub replacement: String,
    /// What is done.
    pub action: RelabelAction,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelabelAction {
    /// Sets a label to the replacement, if the pattern matches.
    #[default]
    Replace,
    /// Keeps what the pattern matches.
    Keep,
    /// Drops what the pattern matches.
    Drop,
    /// Keeps what has the value in the target label.
    KeepEqual,
    /// Drops what has the value in the target label.
    DropEqual,
    /// Sets a label to a hash of the value, modulo a number.
    HashMod,
    /// Copies labels whose names match to new names.
    LabelMap,
    /// Removes labels whose names match.
    LabelDrop,
    /// Removes labels whose names do not match.
    LabelKeep,
    /// Sets a label to the value in lower case.
    Lowercase,
    /// Sets a label to the value in upper case.
    Uppercase,
}

/// A rule that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("relabel config: rule {number}: {reason}")]
pub struct RelabelError {
    /// The number of the rule, from 1.
    pub number: usize,
    /// What was expected and found.
    pub reason: String,
}

/// Rules, ready to be applied.
#[derive(Clone, Debug, Default)]
pub struct Relabeling(Vec<Rule>);

#[derive(Clone, Debug)]
struct Rule {
    config: RelabelConfig,
    /// For whether a value matches, whatever its bytes.
    matcher: Matcher,
    /// For what its groups are.
    captures: Captures,
}

impl Default for RelabelConfig {
    fn default() -> Self {
        Self {
            source_labels: Vec::new(),
            separator: ";".to_owned(),
            regex: "(.*)".to_owned(),
            modulus: 0,
            target_label: String::new(),
            replacement: "$1".to_owned(),
            action: RelabelAction::default(),
        }
    }
}

impl Relabeling {
    /// Compiles rules.
    ///
    /// # Errors
    /// When a pattern is invalid, or a rule lacks what its action needs.
    pub fn new(rules: &[RelabelConfig]) -> Result<Self, RelabelError> {
        let numbered = rules.iter().zip(1..);
        let compiled = numbered.map(|(config, number)| {
            Rule::new(config).map_err(|reason| RelabelError { number, reason })
        });
        Ok(Self(compiled.collect::<Result<_, _>>()?))
    }

    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels after all rules; none if a rule drops them or no label is left.
    #[must_use]
    pub fn apply(&self, labels: &Labels) -> Option<Labels> {
        let mut labels = labels.clone();
        for rule in &self.0 {
            labels = rule.apply(labels)?;
        }
        (!labels.is_empty()).then_some(labels)
    }
}

impl Rule {
    fn new(config: &RelabelConfig) -> Result<Self, String> {
        use RelabelAction as Action;
        let needs_target = matches!(
            config.action,
            Action::Replace
                | Action::KeepEqual
                | Action::DropEqual
                | Action::HashMod
                | Action::Lowercase
                | Action::Uppercase
        );
        if needs_target && config.target_label.is_empty() {
            return Err("target_label: expected a label, found none".to_owned());
        }
        if config.action == Action::HashMod && config.modulus == 0 {
            return Err("modulus: expected more than 0, found 0".to_owned());
        }
        let matcher = Matcher::new(MatchOp::Regex, "regex", config.regex.as_str());
        Ok(Self {
            matcher: matcher.map_err(|error| error.to_string())?,
            captures: Captures::compile(&config.regex)?,
            config: config.clone(),
        })
    }

    fn apply(&self, labels: Labels) -> Option<Labels> {
        use RelabelAction as Action;
        let config = &self.config;
        let value = self.value(&labels);
        let target = || labels.get(&config.target_label).unwrap_or_default();
        let kept = |keep: bool| keep.then(|| labels.clone());
        match config.action {
            Action::Keep => kept(self.matcher.matches(&value)),
            Action::Drop => kept(!self.matcher.matches(&value)),
            Action::KeepEqual => kept(target() == value),
            Action::DropEqual => kept(target() != value),
            Action::Replace => Some(self.replace(&labels, &value)),
            Action::HashMod => {
                let hash: [u8; 16] = Md5::digest(&value).into();
                let [.., a, b, c, d, e, f, g, h] = hash;
                let share = u64::from_be_bytes([a, b, c, d, e, f, g, h]) % config.modulus.max(1);
                Some(set(&labels, &config.target_label, share.to_string()))
            }
            Action::Lowercase => {
                let text = shown_text(&value).to_lowercase();
                Some(set(&labels, &config.target_label, text))
            }
            Action::Uppercase => {
                let text = shown_text(&value).to_uppercase();
                Some(set(&labels, &config.target_label, text))
            }
            Action::LabelMap => {
                let mut builder = builder_of(&labels);
                for (name, value) in labels.iter() {
                    let name = shown(name);
                    if let Some([to]) = self.captures.expand(&name, [&config.replacement]) {
                        builder.set(to, value);
                    }
                }
                Some(builder.finish())
            }
            Action::LabelDrop | Action::LabelKeep => {
                let keeps = config.action == Action::LabelKeep;
                let pairs = labels.iter();
                let kept = pairs.filter(|(name, _)| self.captures.matches(&shown(name)) == keeps);
                Some(Labels::from_sorted(kept))
            }
        }
    }

    /// The values of the source labels, joined.
    fn value(&self, labels: &Labels) -> Vec<u8> {
        let values = self.config.source_labels.iter();
        let values: Vec<&[u8]> = values
            .map(|name| labels.get(name).unwrap_or_default())
            .collect();
        values.join(self.config.separator.as_bytes())
    }

    fn replace(&self, labels: &Labels, value: &[u8]) -> Labels {
        let config = &self.config;
        let templates = [config.target_label.as_str(), config.replacement.as_str()];
        let text = String::from_utf8_lossy(value);
        match self.captures.expand(&text, templates) {
            Some([target, value]) if !target.is_empty() => set(labels, &target, value),
            _ => labels.clone(),
        }
    }
}

/// Bytes as text; each that is not UTF-8 is U+FFFD, as in Go.
fn shown_text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

fn builder_of(labels: &Labels) -> LabelsBuilder {
    let mut builder = LabelsBuilder::default();
    for (name, value) in labels.iter() {
        builder.set(name, value);
    }
    builder
}

/// The labels with another value of one; an empty value removes it.
fn set(labels: &Labels, name: &str, value: String) -> Labels {
    let mut builder = builder_of(labels);
    builder.set(name, value);
    builder.finish()
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(action: RelabelAction, sources: &[&str], regex: &str, target: &str) -> RelabelConfig {
        RelabelConfig {
            source_labels: sources.iter().map(|s| (*s).to_owned()).collect(),
            regex: regex.to_owned(),
            target_label: target.to_owned(),
            action,
            ..RelabelConfig::default()
        }
    }

    fn applied(rules: &[RelabelConfig]) -> Option<String> {
        let labels = Labels::from_pairs([("__name__", "up"), ("a", "foo"), ("b", "bar")]);
        let relabeling = Relabeling::new(rules).unwrap();
        relabeling.apply(&labels).map(|labels| labels.to_string())
    }

    /// Cases of Prometheus's own tests, and what they give there.
    #[test]
    fn each_action_does_what_prometheus_does() {
        use RelabelAction as Action;
        let with = |rule: RelabelConfig, replacement: &str| RelabelConfig {
            replacement: replacement.to_owned(),
            ..rule
        };
        for (rules, expected) in [
            (
                vec![with(
                    rule(Action::Replace, &["a"], "f(.*)", "d"),
                    "ch${1}-ch${1}",
                )],
                Some(r#"{__name__="up", a="foo", b="bar", d="choo-choo"}"#),
            ),
            (
                vec![with(
                    rule(Action::Replace, &["a", "b"], "f(.*);(.*)r", "a"),
                    "b${1}${2}m",
                )],
                Some(r#"{__name__="up", a="boobam", b="bar"}"#),
            ),
            (
                vec![rule(Action::Replace, &["a"], "no", "d")],
                Some(r#"{__name__="up", a="foo", b="bar"}"#),
            ),
            // The name of the target may have groups too, and an empty value removes it.
            (
                vec![with(rule(Action::Replace, &["a"], "(f).*", "x_$1"), "1")],
                Some(r#"{__name__="up", a="foo", b="bar", x_f="1"}"#),
            ),
            (
                vec![with(rule(Action::Replace, &["a"], ".*", "b"), "")],
                Some(r#"{__name__="up", a="foo"}"#),
            ),
            (vec![rule(Action::Drop, &["a"], ".*o.*", "")], None),
            (vec![rule(Action::Keep, &["a"], "no-match", "")], None),
            (
                vec![rule(Action::Keep, &["a"], "fo+", "")],
                Some(r#"{__name__="up", a="foo", b="bar"}"#),
            ),
            (vec![rule(Action::KeepEqual, &["a"], "(.*)", "b")], None),
            (vec![rule(Action::DropEqual, &["a"], "(.*)", "a")], None),
            (
                vec![RelabelConfig {
                    modulus: 1000,
                    ..rule(Action::HashMod, &["b"], "(.*)", "d")
                }],
                Some(r#"{__name__="up", a="foo", b="bar", d="922"}"#),
            ),
            (
                vec![with(rule(Action::LabelMap, &[], "(b.*)", ""), "bar_${1}")],
                Some(r#"{__name__="up", a="foo", b="bar", bar_b="bar"}"#),
            ),
            (
                vec![rule(Action::LabelDrop, &[], "a|__.*", "")],
                Some(r#"{b="bar"}"#),
            ),
            (
                vec![rule(Action::LabelKeep, &[], "a", "")],
                Some(r#"{a="foo"}"#),
            ),
            (vec![rule(Action::LabelDrop, &[], ".*", "")], None),
            (
                vec![
                    rule(Action::Uppercase, &["a"], "(.*)", "c"),
                    rule(Action::Lowercase, &["c"], "(.*)", "d"),
                ],
                Some(r#"{__name__="up", a="foo", b="bar", c="FOO", d="foo"}"#),
            ),
        ] {
            assert_eq!(applied(&rules).as_deref(), expected, "{rules:?}");
        }
    }

    #[test]
    fn a_rule_that_lacks_what_it_needs_is_named() {
        let good = rule(RelabelAction::Keep, &["a"], "a", "");
        for (bad, reason) in [
            (
                rule(RelabelAction::Replace, &["a"], "a", ""),
                "target_label: expected a label, found none",
            ),
            (
                rule(RelabelAction::HashMod, &["a"], "a", "b"),
                "modulus: expected more than 0, found 0",
            ),
        ] {
            let error = Relabeling::new(&[good.clone(), bad]).unwrap_err();
            assert_eq!((error.number, error.reason.as_str()), (2, reason));
        }
        let error = Relabeling::new(&[rule(RelabelAction::Keep, &[], "(", "")]).unwrap_err();
        assert!(error.reason.contains("missing closing )"), "{error}");
    }
}
