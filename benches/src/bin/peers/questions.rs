//! What is asked of a store.

use benches::{BLOCK, START};
use model::{MatchOp, Matcher, TimeRange};
use proto::thanos::{Aggr, SeriesRequest};

/// A question, and what it is called in the table.
pub(crate) struct Question {
    pub(crate) name: &'static str,
    pub(crate) request: SeriesRequest,
}

/// Five minutes, in ms.
const FIVE_MINUTES: i64 = 300_000;

/// The name of the question that many clients ask at once.
pub(crate) const SHARED: &str = "1 metric, 48 h";

/// The twelve questions over two days of a cluster that has a pod called so.
pub(crate) fn questions(pod: &str) -> anyhow::Result<Vec<Question>> {
    let matcher = |op, name: &str, value: &str| Matcher::new(op, name, value);
    let named = |metric: &str| matcher(MatchOp::Equal, model::METRIC_NAME, metric);
    let like = |metric: &str| matcher(MatchOp::Regex, model::METRIC_NAME, metric);
    let gauge = || named("container_gauge_07");
    let counter = || named("container_counter_07_total");
    let histogram = || named("http_request_duration_1_seconds_bucket");
    let one = || anyhow::Ok(vec![gauge()?, matcher(MatchOp::Equal, "pod", pod)?]);
    let two_hours = TimeRange::new(START, START + BLOCK - 1);
    let two_days = TimeRange::new(START, START + 24 * BLOCK - 1);
    let question = |name, range: TimeRange, matchers: Vec<Matcher>| Question {
        name,
        request: SeriesRequest {
            min_time: range.min.0,
            max_time: range.max.0,
            matchers: matchers.iter().map(Into::into).collect(),
            aggregates: vec![Aggr::Raw.into()],
            ..SeriesRequest::default()
        },
    };
    let downsampled = |name, matchers, aggregates: &[Aggr]| {
        let mut question = question(name, two_days, matchers);
        question.request.max_resolution_window = FIVE_MINUTES;
        question.request.aggregates = aggregates.iter().map(|one| (*one).into()).collect();
        question
    };
    let mut labels_only = question("labels only, 48 h", two_days, vec![gauge()?]);
    labels_only.request.skip_chunks = true;
    let five = [Aggr::Count, Aggr::Sum, Aggr::Min, Aggr::Max, Aggr::Counter];
    Ok(vec![
        question("1 series, 2 h", two_hours, one()?),
        question("1 series, 48 h", two_days, one()?),
        question("1 metric, 2 h", two_hours, vec![gauge()?]),
        question(SHARED, two_days, vec![gauge()?]),
        question("histogram, 2 h", two_hours, vec![histogram()?]),
        question("histogram, 48 h", two_days, vec![histogram()?]),
        question(
            "namespace + regex, 2 h",
            two_hours,
            vec![
                matcher(MatchOp::Equal, "namespace", "team-03")?,
                like("container_.+")?,
            ],
        ),
        question(
            "20 metrics by regex, !=, 2 h",
            two_hours,
            vec![
                like("container_gauge_.+")?,
                matcher(MatchOp::NotEqual, "namespace", "team-03")?,
            ],
        ),
        labels_only,
        downsampled("5 m COUNTER, 48 h", vec![counter()?], &[Aggr::Counter]),
        downsampled("5 m five aggregates, 48 h", vec![gauge()?], &five),
        question("everything, 2 h", two_hours, vec![like(".+")?]),
    ])
}
