//! A series as text for people and as JSON for programs.

use model::{Labels, METRIC_NAME, Rfc3339, Timestamp, shown};
use serde_json::{Map, Value as Json, json};

use super::answer::{Series, Value};
use crate::sparkline::sparkline;

/// Columns of the curve.
const CURVE: usize = 48;

/// The labels, and below them a summary of the samples; on a terminal with their curve.
pub(super) fn text(series: &Series, terminal: bool) -> String {
    let mut out = name(&series.labels);
    let (Some(first), Some(last)) = (series.samples.first(), series.samples.last()) else {
        return out + "\n    no samples\n";
    };
    let count = series.samples.len();
    let plural = if count == 1 { "sample" } else { "samples" };
    out += &format!("\n    {count} {plural}, {}", sample(*first));
    if count > 1 {
        out += &format!(" to {}", sample(*last));
    }
    if terminal {
        let curve: Vec<(i64, f64)> = series
            .samples
            .iter()
            .map(|(t, v)| (*t, height(*v)))
            .collect();
        out += &format!("\n    {}", sparkline(&curve, CURVE));
    }
    out + "\n"
}

/// One object on one line. Values are strings, as in Prometheus's API, since JSON has no NaN.
pub(super) fn json(series: &Series) -> String {
    let labels = series.labels.iter();
    let labels: Map<String, Json> = labels
        .map(|(n, v)| (shown(n).into_owned(), shown(v).into()))
        .collect();
    let sample = |sample: Option<&(i64, Value)>| match sample {
        Some((millis, Value::Float(value))) => {
            json!({ "time": time(*millis), "value": number(*value) })
        }
        Some((millis, Value::Histogram { count, sum })) => json!({
            "time": time(*millis),
            "histogram": { "count": number(*count), "sum": number(*sum) },
        }),
        None => Json::Null,
    };
    let object = json!({
        "labels": labels,
        "samples": series.samples.len(),
        "first": sample(series.samples.first()),
        "last": sample(series.samples.last()),
    });
    format!("{object}\n")
}

/// As in PromQL, the metric's name before the other labels.
fn name(labels: &Labels) -> String {
    let metric = labels
        .get(METRIC_NAME)
        .and_then(|name| str::from_utf8(name).ok());
    let Some(metric) = metric.filter(|name| is_plain(name)) else {
        return labels.to_string();
    };
    let rest = labels
        .iter()
        .filter(|(name, _)| *name != METRIC_NAME.as_bytes());
    let rest = Labels::from_sorted(rest);
    match rest.is_empty() {
        true => metric.to_owned(),
        false => format!("{metric}{rest}"),
    }
}

/// Whether a metric's name needs no quotes.
fn is_plain(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn sample((millis, value): (i64, Value)) -> String {
    let value = match value {
        Value::Float(value) => number(value),
        Value::Histogram { count, sum } => {
            format!("{{count: {}, sum: {}}}", number(count), number(sum))
        }
    };
    format!("{value} at {}", time(millis))
}

/// The value of the curve: a float, or a histogram's count.
const fn height(value: Value) -> f64 {
    match value {
        Value::Float(value) => value,
        Value::Histogram { count, .. } => count,
    }
}

/// RFC 3339 in UTC, milliseconds if there are any; the bare number outside of the calendar.
fn time(millis: i64) -> String {
    let time = Rfc3339(Timestamp(millis));
    let text = match millis % 1000 {
        0 => format!("{time:.0}"),
        _ => format!("{time:.3}"),
    };
    text.trim_end_matches(" ms").to_owned()
}

/// As Prometheus writes it.
fn number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    // Beyond these, digits alone would be mostly zeros.
    let size = value.abs();
    if size != 0.0 && !(1e-5..1e21).contains(&size) {
        return format!("{value:e}");
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(pairs: &[(&str, &str)], samples: &[(i64, Value)]) -> Series {
        Series {
            labels: Labels::from_pairs(pairs.iter().copied()),
            samples: samples.to_vec(),
        }
    }

    #[test]
    fn a_series_is_shown_as_promql_writes_it_with_its_ends() {
        let series = series(
            &[("__name__", "up"), ("job", "node")],
            &[
                (0, Value::Float(1.0)),
                (60_500, Value::Float(f64::NEG_INFINITY)),
            ],
        );
        assert_eq!(
            text(&series, false),
            "up{job=\"node\"}\n    \
             2 samples, 1 at 1970-01-01T00:00:00Z to -Inf at 1970-01-01T00:01:00.500Z\n"
        );
    }

    #[test]
    fn a_terminal_gets_a_curve() {
        let samples: Vec<_> = (0..96)
            .map(|i| (i * 1000, Value::Float(i as f64)))
            .collect();
        let text = text(&series(&[("a", "1")], &samples), true);
        let curve = text.lines().nth(2).unwrap().trim();
        assert_eq!(curve.chars().count(), CURVE);
        assert!(curve.starts_with('▁') && curve.ends_with('█'), "{curve}");
    }

    #[test]
    fn names_that_are_no_plain_words_stay_among_the_labels() {
        assert_eq!(
            text(&series(&[("__name__", "a b")], &[]), true),
            "{__name__=\"a b\"}\n    no samples\n"
        );
        assert_eq!(
            text(&series(&[("__name__", "a:b")], &[]), true),
            "a:b\n    no samples\n"
        );
    }

    #[test]
    fn json_is_one_object_on_a_line_and_has_every_value() {
        let series = series(
            &[("__name__", "up")],
            &[
                (0, Value::Float(f64::NAN)),
                (
                    1,
                    Value::Histogram {
                        count: 3.0,
                        sum: 0.5,
                    },
                ),
            ],
        );
        assert_eq!(
            json(&series),
            "{\"labels\":{\"__name__\":\"up\"},\"samples\":2,\
             \"first\":{\"time\":\"1970-01-01T00:00:00Z\",\"value\":\"NaN\"},\
             \"last\":{\"time\":\"1970-01-01T00:00:00.001Z\",\
             \"histogram\":{\"count\":\"3\",\"sum\":\"0.5\"}}}\n"
        );
    }

    #[test]
    fn times_that_no_calendar_knows_stay_numbers() {
        assert_eq!(time(-1), "-1");
        assert_eq!(time(i64::MAX), i64::MAX.to_string());
        assert_eq!(time(253_402_300_799_999), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn very_large_and_small_numbers_are_short() {
        assert_eq!(number(1e30), "1e30");
        assert_eq!(number(-1.5e-9), "-1.5e-9");
        assert_eq!(number(0.0), "0");
        assert_eq!(number(1_700_000_000.25), "1700000000.25");
    }
}
