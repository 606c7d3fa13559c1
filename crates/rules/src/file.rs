//! The YAML of a rule file, as Prometheus and Thanos read it.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, de};

/// A rule file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct File {
    pub(crate) groups: Option<Vec<Option<Group>>>,
}

/// A group of rules. Fields that are not looked at are read for their type alone.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Group {
    pub(crate) name: Option<Text>,
    #[serde(rename = "interval")]
    _interval: Option<RuleDuration>,
    #[serde(rename = "query_offset")]
    _query_offset: Option<RuleDuration>,
    #[serde(rename = "limit")]
    _limit: Option<i64>,
    pub(crate) rules: Option<Vec<Option<Rule>>>,
    #[serde(rename = "labels")]
    _labels: Option<BTreeMap<Text, Option<Text>>>,
    #[serde(rename = "partial_response_strategy")]
    _strategy: Option<Strategy>,
}

/// An alerting or recording rule.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rule {
    pub(crate) record: Option<Text>,
    pub(crate) alert: Option<Text>,
    pub(crate) expr: Option<Text>,
    #[serde(rename = "for")]
    pub(crate) hold: Option<RuleDuration>,
    pub(crate) keep_firing_for: Option<RuleDuration>,
    pub(crate) labels: Option<BTreeMap<Text, Option<Text>>>,
    pub(crate) annotations: Option<BTreeMap<Text, Option<Text>>>,
}

/// A text; a number or a word of YAML is one too, as in Go.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Text(pub(crate) String);

/// A duration as Prometheus writes it, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuleDuration(pub(crate) u64);

/// Thanos's answer to a store that fails: `warn`, `abort`, or nothing.
#[derive(Clone, Copy, Debug)]
struct Strategy;

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for RuleDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let millis = millis(&text).ok_or_else(|| {
            let expected = "expected a duration of whole numbers from the largest unit to the smallest, as in 1h30m";
            de::Error::custom(format!("{expected}, found {text:?}"))
        })?;
        Ok(Self(millis))
    }
}

impl<'de> Deserialize<'de> for Strategy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.to_ascii_lowercase().as_str() {
            "" | "warn" | "abort" => Ok(Self),
            _ => Err(de::Error::custom(format!(
                "partial_response_strategy: expected warn or abort, found {text:?}"
            ))),
        }
    }
}

/// Units of Prometheus's durations in milliseconds, in the order in which they must stand.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The milliseconds of a duration of Prometheus, of 2^63 nanoseconds at most.
fn millis(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let (mut rest, mut sum) = (text, 0_u64);
    for (unit, scale) in UNITS {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let word = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (found, next) = tail.split_at(word);
        if !number.is_empty() && found == unit {
            let part = number.parse::<u64>().ok()?.checked_mul(scale)?;
            sum = sum.checked_add(part)?;
            rest = next;
        }
    }
    let most = i64::MAX as u64 / 1_000_000;
    (rest.is_empty() && !text.is_empty() && sum <= most).then_some(sum)
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_prometheus_own() {
        for (text, expected) in [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("5m", Some(300_000)),
            ("1h30m", Some(5_400_000)),
            (
                "1y2w3d4h5m6s7ms",
                Some(31_536_000_000 + 14 * 86_400_000 + 273_906_007),
            ),
            ("", None),
            ("5", None),
            ("1.5h", None),
            ("30m1h", None),
            ("1m1m", None),
            ("-5m", None),
            ("5 m", None),
            ("293y", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(millis(text), expected, "{text}");
        }
    }
}
