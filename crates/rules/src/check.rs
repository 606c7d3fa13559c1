//! What a rule file must say.

use std::{collections::BTreeMap, fmt};

use crate::{
    expression,
    file::{File, Group, Rule, RuleDuration, Text},
    template::parse_template,
};

/// Why a rule file cannot be loaded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleFileError {
    /// It is not YAML of the fields that rules have.
    #[error("{0}")]
    Yaml(String),
    /// Rules or groups cannot be used.
    #[error("{}", lines(.0))]
    Rules(Vec<RuleProblem>),
}

/// What is wrong with a rule or a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleProblem {
    /// The group.
    pub group: String,
    /// The rule, counted from 1, and its name; none for the group itself.
    pub rule: Option<(usize, String)>,
    /// What is wrong.
    pub reason: String,
}

/// Checks the text of a rule file; returns how many rules it has.
///
/// # Errors
/// When it is not such YAML, or with everything that is wrong with its groups and rules.
pub fn check(yaml: &str) -> Result<usize, RuleFileError> {
    let file: Result<Option<File>, _> = serde_saphyr::from_str(yaml);
    let file = file.map_err(|error| RuleFileError::Yaml(error.to_string()))?;
    let groups = file.unwrap_or_default().groups.unwrap_or_default();
    let mut problems = Vec::new();
    let mut count = 0;
    for group in groups {
        let group = group.unwrap_or_default();
        let name = text(group.name.as_ref()).to_owned();
        if name.is_empty() {
            problems.push(RuleProblem {
                group: String::new(),
                rule: None,
                reason: "Groupname should not be empty".to_owned(),
            });
        }
        count += group.rules.as_ref().map_or(0, Vec::len);
        check_group(&name, group, &mut problems);
    }
    match problems.is_empty() {
        true => Ok(count),
        false => Err(RuleFileError::Rules(problems)),
    }
}

fn check_group(name: &str, group: Group, problems: &mut Vec<RuleProblem>) {
    for (number, rule) in group.rules.into_iter().flatten().enumerate() {
        let rule = rule.unwrap_or_default();
        let mut named = text(rule.alert.as_ref());
        if named.is_empty() {
            named = text(rule.record.as_ref());
        }
        let reasons = rule_problems(&rule).into_iter();
        problems.extend(reasons.map(|reason| RuleProblem {
            group: name.to_owned(),
            rule: Some((number + 1, named.to_owned())),
            reason,
        }));
    }
}

/// What is wrong with a rule, in the order of Prometheus's checks.
fn rule_problems(rule: &Rule) -> Vec<String> {
    let (record, alert) = (text(rule.record.as_ref()), text(rule.alert.as_ref()));
    let mut problems: Vec<String> = Vec::new();
    match (record, alert) {
        ("", "") => problems.push("one of 'record' or 'alert' must be set".to_owned()),
        ("", _) | (_, "") => {}
        _ => problems.push("only one of 'record' and 'alert' must be set".to_owned()),
    }
    match text(rule.expr.as_ref()) {
        "" => problems.push("field 'expr' must be set in rule".to_owned()),
        expr => {
            if let Err(error) = expression::parse(expr) {
                problems.push(format!("could not parse expression: {error}"));
            }
        }
    }
    let annotations = rule.annotations.as_ref();
    if !record.is_empty() {
        let is_set = |duration: Option<RuleDuration>| duration.is_some_and(|d| d.0 > 0);
        for (field, given) in [
            ("annotations", annotations.is_some_and(|a| !a.is_empty())),
            ("for", is_set(rule.hold)),
            ("keep_firing_for", is_set(rule.keep_firing_for)),
        ] {
            if given {
                problems.push(format!("invalid field '{field}' in recording rule"));
            }
        }
        if record.contains(['{', '}']) {
            problems.push(format!(
                "braces present in the recording rule name; should it be in expr?: {record}"
            ));
        }
    }
    for name in rule.labels.iter().flat_map(BTreeMap::keys) {
        if name.0.is_empty() || name.0 == "__name__" {
            problems.push(format!("invalid label name: {name}"));
        }
    }
    for name in annotations.into_iter().flat_map(BTreeMap::keys) {
        if name.0.is_empty() {
            problems.push(format!("invalid annotation name: {name}"));
        }
    }
    if !alert.is_empty() {
        templates("label", rule.labels.as_ref(), &mut problems);
        templates("annotation", annotations, &mut problems);
    }
    problems
}

/// Parses the templates of an alert.
fn templates(what: &str, texts: Option<&BTreeMap<Text, Option<Text>>>, problems: &mut Vec<String>) {
    for (name, value) in texts.into_iter().flatten() {
        if let Err(error) = parse_template(text(value.as_ref())) {
            problems.push(format!("{what} {:?}: {error}", name.0));
        }
    }
}

/// The text, empty if there is none.
fn text(text: Option<&Text>) -> &str {
    text.map_or("", |text| &text.0)
}

fn lines(problems: &[RuleProblem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl fmt::Display for RuleProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() && self.rule.is_none() {
            return f.write_str(&self.reason);
        }
        write!(f, "group {:?}, ", self.group)?;
        if let Some((number, name)) = &self.rule {
            write!(f, "rule {number}, {name:?}: ")?;
        }
        f.write_str(&self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(yaml: &str) -> String {
        match check(yaml) {
            Ok(rules) => format!("{rules} rules"),
            Err(error) => error.to_string(),
        }
    }

    /// A file with one rule of these fields.
    fn rule(fields: &str) -> String {
        told(&format!("groups: [{{name: g, rules: [{{{fields}}}]}}]"))
    }

    #[test]
    fn files_that_prometheus_loads_are_counted() {
        for (yaml, rules) in [
            ("", 0),
            ("groups:", 0),
            ("groups: []", 0),
            ("groups: [{name: a}]", 0),
            (
                "groups:\n- name: a\n  interval: 1m\n  query_offset: 30s\n  limit: 5\n  labels: {team: 1}\n  partial_response_strategy: WARN\n  rules:\n  - record: a:b:sum\n    expr: sum by (job) (rate(x[5m]))\n    labels: {a: b}\n  - alert: A\n    expr: up == 0\n    for: 5m\n    keep_firing_for: 1h30m\n    labels: {severity: 1}\n    annotations: {summary: '{{ $labels.job }} is down'}\n- name: b\n  rules:\n  - record: one\n    expr: 1\n",
                3,
            ),
        ] {
            assert_eq!(check(yaml), Ok(rules), "{yaml}");
        }
    }

    #[test]
    fn each_rule_that_cannot_be_used_is_named_with_all_that_is_wrong() {
        let of = |name: &str, reason: &str| format!("group \"g\", rule 1, {name:?}: {reason}");
        for (fields, expected) in [
            ("expr: up", of("", "one of 'record' or 'alert' must be set")),
            (
                "record: a, alert: b, expr: up",
                of("b", "only one of 'record' and 'alert' must be set"),
            ),
            ("record: a", of("a", "field 'expr' must be set in rule")),
            (
                "record: a, expr: up, for: 5m, keep_firing_for: 0s, annotations: {a: b}",
                [
                    of("a", "invalid field 'annotations' in recording rule"),
                    of("a", "invalid field 'for' in recording rule"),
                ]
                .join("\n"),
            ),
            (
                "record: 'a{b=\"c\"}', expr: up",
                of(
                    "a{b=\"c\"}",
                    "braces present in the recording rule name; should it be in expr?: a{b=\"c\"}",
                ),
            ),
            (
                "alert: a, expr: up, labels: {__name__: b}",
                of("a", "invalid label name: __name__"),
            ),
            (
                "alert: a, expr: up, annotations: {b: '{{ $label.job }}'}",
                of("a", "annotation \"b\": undefined variable \"$label\""),
            ),
        ] {
            assert_eq!(rule(fields), expected, "{fields}");
        }
        let error = rule("record: a, expr: 'sum(rate(x))'");
        let expected = of("a", "could not parse expression: ");
        assert!(error.starts_with(&expected), "{error}");
        assert_eq!(
            told("groups: [{rules: []}]"),
            "Groupname should not be empty"
        );
    }

    #[test]
    fn fields_and_values_that_do_not_exist_are_errors_of_the_file() {
        for (yaml, part) in [
            ("group: []", "group"),
            ("groups: [{name: a, rule: []}]", "rule"),
            ("groups: [{name: a, rules: [{alerts: b}]}]", "alerts"),
            ("groups: [{name: a, interval: 1.5m}]", "found \"1.5m\""),
            ("groups: [{name: a, limit: many}]", "many"),
            (
                "groups: [{name: a, partial_response_strategy: maybe}]",
                "expected warn or abort, found \"maybe\"",
            ),
            ("groups: [{name: a, name: b}]", "name"),
            ("groups: [", ""),
        ] {
            let Err(RuleFileError::Yaml(error)) = check(yaml) else {
                panic!("{yaml} is taken");
            };
            assert!(error.contains(part), "{yaml}: {error}");
        }
    }
}
