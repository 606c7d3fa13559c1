//! What Prometheus's API tells besides series: rules, targets, metadata, exemplars and statistics, as it spells them.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error as _};

/// Labels or annotations.
pub(crate) type Texts = BTreeMap<String, String>;

/// `/api/v1/rules`.
#[derive(Debug, Deserialize)]
pub(crate) struct Rules {
    #[serde(default)]
    pub(crate) groups: Vec<RuleGroup>,
}

/// A group of rules.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RuleGroup {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) file: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) rules: Vec<Rule>,
    /// Seconds.
    #[serde(default)]
    pub(crate) interval: f64,
    #[serde(default)]
    pub(crate) limit: i64,
    /// Seconds.
    #[serde(default)]
    pub(crate) evaluation_time: f64,
    #[serde(default)]
    pub(crate) last_evaluation: Time,
}

/// A rule of either kind.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Rule {
    Alerting(AlertingRule),
    Recording(RecordingRule),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AlertingRule {
    /// `firing`, `pending`, `inactive` or `unknown`.
    pub(crate) state: String,
    pub(crate) name: String,
    pub(crate) query: String,
    /// Seconds.
    #[serde(default)]
    pub(crate) duration: f64,
    /// Seconds.
    #[serde(default)]
    pub(crate) keep_firing_for: f64,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) labels: Texts,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) annotations: Texts,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) alerts: Vec<Alert>,
    #[serde(default)]
    pub(crate) health: String,
    #[serde(default)]
    pub(crate) last_error: String,
    /// Seconds.
    #[serde(default)]
    pub(crate) evaluation_time: f64,
    #[serde(default)]
    pub(crate) last_evaluation: Time,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Alert {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) labels: Texts,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) annotations: Texts,
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) active_at: Option<Time>,
    #[serde(default)]
    pub(crate) value: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecordingRule {
    pub(crate) name: String,
    pub(crate) query: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) labels: Texts,
    #[serde(default)]
    pub(crate) health: String,
    #[serde(default)]
    pub(crate) last_error: String,
    /// Seconds.
    #[serde(default)]
    pub(crate) evaluation_time: f64,
    #[serde(default)]
    pub(crate) last_evaluation: Time,
}

/// `/api/v1/targets`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Targets {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) active_targets: Vec<ActiveTarget>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) dropped_targets: Vec<DroppedTarget>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActiveTarget {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) discovered_labels: Texts,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) labels: Texts,
    #[serde(default)]
    pub(crate) scrape_pool: String,
    #[serde(default)]
    pub(crate) scrape_url: String,
    #[serde(default)]
    pub(crate) global_url: String,
    #[serde(default)]
    pub(crate) last_error: String,
    #[serde(default)]
    pub(crate) last_scrape: Time,
    /// Seconds.
    #[serde(default)]
    pub(crate) last_scrape_duration: f64,
    /// `up`, `down` or `unknown`.
    pub(crate) health: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DroppedTarget {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) discovered_labels: Texts,
}

/// One saying of `/api/v1/metadata`.
#[derive(Debug, Deserialize)]
pub(crate) struct Meta {
    #[serde(default, rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) help: String,
    #[serde(default)]
    pub(crate) unit: String,
}

/// One series of `/api/v1/query_exemplars`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SeriesExemplars {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) series_labels: Texts,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) exemplars: Vec<Exemplar>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Exemplar {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) labels: Texts,
    /// A float as text.
    #[serde(deserialize_with = "float")]
    pub(crate) value: f64,
    /// Seconds, as a number.
    #[serde(deserialize_with = "milliseconds")]
    pub(crate) timestamp: i64,
}

/// `/api/v1/status/tsdb`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TsdbStatus {
    pub(crate) head_stats: HeadStats,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) series_count_by_metric_name: Vec<Count>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) label_value_count_by_label_name: Vec<Count>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) memory_in_bytes_by_label_name: Vec<Count>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) series_count_by_label_value_pair: Vec<Count>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HeadStats {
    #[serde(default)]
    pub(crate) num_series: u64,
    #[serde(default)]
    pub(crate) num_label_pairs: i64,
    #[serde(default)]
    pub(crate) chunk_count: i64,
    #[serde(default)]
    pub(crate) min_time: i64,
    #[serde(default)]
    pub(crate) max_time: i64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Count {
    pub(crate) name: String,
    pub(crate) value: u64,
}

/// A time as Go writes it, in RFC 3339; not known where it is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time {
    /// Seconds since 1970.
    pub(crate) seconds: i64,
    /// Nanoseconds behind them.
    pub(crate) nanos: i32,
}

impl Default for Time {
    /// Go's zero time, the first second of the year 1.
    fn default() -> Self {
        Self {
            seconds: -62_135_596_800,
            nanos: 0,
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        time(&text).ok_or_else(|| {
            let expected = "a time such as 2026-01-31T00:00:00.123456789+01:00";
            D::Error::custom(format!("expected {expected}, found {text:?}"))
        })
    }
}

fn time(text: &str) -> Option<Time> {
    let (seconds, nanos) = model::parse_rfc3339(text)?;
    Some(Time { seconds, nanos })
}

/// Go writes an empty list or map as `null`.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn float<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let number = text.parse();
    number.map_err(|_| D::Error::custom(format!("expected a float, found {text:?}")))
}

fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounded; what is out of range becomes the nearest"
    )]
    Ok((seconds * 1000.0).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_that_go_writes() {
        let of = |text: &str| time(text).map(|t| (t.seconds, t.nanos));
        assert_eq!(of("1970-01-01T00:00:00Z"), Some((0, 0)));
        assert_eq!(
            of("2026-08-22T10:00:00.123456789Z"),
            Some((1_787_392_800, 123_456_789))
        );
        assert_eq!(
            of("2026-08-22T12:00:00.5+02:00"),
            Some((1_787_392_800, 500_000_000))
        );
        assert_eq!(of("2026-08-22T04:30:00-05:30"), Some((1_787_392_800, 0)));
        let zero = Time::default();
        assert_eq!(of("0001-01-01T00:00:00Z"), Some((zero.seconds, 0)));
        assert_eq!(of("2024-02-29T00:00:00Z"), Some((1_709_164_800, 0)));
        for wrong in [
            "",
            "2026",
            "2026-13-01T00:00:00Z",
            "2026-08-22T10:00:00",
            "2026-08-22T10:00:00.5",
            "ÄÖÜÄÖ-08-22T10:00:00Z",
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
