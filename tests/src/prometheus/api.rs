//! The HTTP API, as far as a sidecar asks it.

use std::collections::BTreeSet;

use axum::{
    extract::{Query, State},
    http::{StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use model::{Matcher, TimeRange, Timestamp, parse_selector};
use serde_json::{Map, Value, json};

use super::{Content, Shared};

type Pairs = Vec<(String, String)>;

/// What the parameters of a request select.
struct Selected {
    matchers: Vec<Matcher>,
    range: TimeRange,
    limit: usize,
}

pub(super) async fn api(
    State(content): State<Shared>,
    uri: Uri,
    Query(pairs): Query<Pairs>,
) -> Response {
    let path = uri.path().trim_start_matches('/');
    match path {
        "metrics" => format!(
            "prometheus_tsdb_lowest_timestamp_seconds {}\n",
            content.lowest()
        )
        .into_response(),
        "api/v1/status/buildinfo" => data(&json!({"version": "3.9.1"}), false),
        "api/v1/status/config" => data(&json!({"yaml": content.yaml()}), false),
        "api/v1/status/flags" => data(
            &json!({
                "storage.tsdb.min-block-duration": "2h",
                "storage.tsdb.max-block-duration": "2h",
            }),
            false,
        ),
        _ => match selected(&pairs) {
            Ok(selected) => content.labels(path, &selected),
            Err(error) => {
                let body = json!({"status": "error", "errorType": "bad_data", "error": error});
                (StatusCode::BAD_REQUEST, body.to_string()).into_response()
            }
        },
    }
}

fn data(data: &Value, truncated: bool) -> Response {
    let body = match truncated {
        false => json!({"status": "success", "data": data}),
        true => json!({
            "status": "success",
            "data": data,
            "warnings": ["results truncated due to limit"],
        }),
    };
    body.to_string().into_response()
}

fn selected(pairs: &Pairs) -> Result<Selected, String> {
    let mut selected = Selected {
        matchers: Vec::new(),
        range: TimeRange::ALL,
        limit: usize::MAX,
    };
    let wrong = |value: &str| format!("cannot parse {value:?}");
    for (name, value) in pairs {
        match name.as_str() {
            "match[]" => {
                selected.matchers = parse_selector(value).map_err(|error| error.to_string())?;
            }
            "start" => selected.range.min = time(value).ok_or_else(|| wrong(value))?,
            "end" => selected.range.max = time(value).ok_or_else(|| wrong(value))?,
            "limit" => selected.limit = value.parse().map_err(|_| wrong(value))?,
            _ => return Err(wrong(name)),
        }
    }
    if selected.range.min > selected.range.max {
        return Err("end timestamp must not be before start time".to_owned());
    }
    Ok(selected)
}

/// Seconds with three decimals.
fn time(text: &str) -> Option<Timestamp> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text),
    };
    let digits: String = text.split('.').collect();
    digits.parse::<i64>().ok().map(|ms| Timestamp(sign * ms))
}

impl Content {
    fn lowest(&self) -> f64 {
        let chunks = self.series.values().flatten();
        let first = chunks.map(|chunk| chunk.min).min();
        first.unwrap_or(Timestamp(0)).as_secs_f64()
    }

    fn yaml(&self) -> String {
        let labels = self.external.iter().map(|(name, value)| {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            (text(name), Value::String(text(value)))
        });
        let labels: Map<String, Value> = labels.collect();
        json!({"global": {"external_labels": labels}}).to_string()
    }

    fn labels(&self, path: &str, selected: &Selected) -> Response {
        let series = self.select(&selected.matchers, selected.range);
        let series = series.map(|(labels, _)| labels);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let label = path.strip_prefix("api/v1/label/");
        let label = label.and_then(|rest| rest.strip_suffix("/values"));
        let all: Vec<Value> = match (path, label) {
            ("api/v1/series", _) => series
                .map(|labels| {
                    let pairs = labels.iter().map(|(n, v)| (text(n), text(v).into()));
                    Value::Object(pairs.collect())
                })
                .collect(),
            ("api/v1/labels", _) => {
                let names = series.flat_map(|labels| labels.iter().map(|(name, _)| text(name)));
                let names: BTreeSet<String> = names.collect();
                names.into_iter().map(Value::from).collect()
            }
            (_, Some(label)) => {
                let values = series.filter_map(|labels| labels.get(label).map(text));
                let values: BTreeSet<String> = values.collect();
                values.into_iter().map(Value::from).collect()
            }
            _ => return (StatusCode::NOT_FOUND, "404 page not found\n").into_response(),
        };
        let truncated = all.len() > selected.limit;
        let some: Vec<Value> = all.into_iter().take(selected.limit).collect();
        data(&some.into(), truncated)
    }
}
