//! Requests in the vocabulary of `model`. [`crate::api`] makes them of the messages of the wire.

use std::collections::BTreeSet;

use model::{AggregateSet, Matcher, TimeRange};

use series::Shard;

/// A request for series.
#[derive(Clone, Debug)]
pub(crate) struct SeriesRequest {
    /// Which blocks and series.
    pub(crate) selector: Selector,
    /// The coarsest resolution that may answer, in milliseconds between samples.
    pub(crate) max_resolution: i64,
    /// The requested aggregates of downsampled blocks.
    pub(crate) aggregates: AggregateSet,
    /// Whether only labels are requested. The series still have a chunk in the range.
    pub(crate) skip_chunks: bool,
    /// The requested share of all series.
    pub(crate) shard: Option<Shard>,
}

/// A request for label names.
#[derive(Clone, Debug)]
pub(crate) struct NamesRequest {
    /// The series whose labels are requested.
    pub(crate) selector: Selector,
}

/// A request for the values of a label.
#[derive(Clone, Debug)]
pub(crate) struct ValuesRequest {
    /// The label.
    pub(crate) label: String,
    /// The series whose labels are requested.
    pub(crate) selector: Selector,
}

/// The fields of all requests.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    /// All must match a series' final labels.
    pub(crate) matchers: Vec<Matcher>,
    /// Both ends are inclusive.
    pub(crate) range: TimeRange,
    /// All must match a block's external labels and its `__block_id`.
    pub(crate) block_matchers: Vec<Matcher>,
    /// Labels that are removed from the answer.
    pub(crate) without: BTreeSet<Vec<u8>>,
    /// The most series, names or values; 0 for all.
    pub(crate) limit: usize,
    /// What to do about a block that cannot be read.
    pub(crate) on_failure: OnFailure,
}

impl Selector {
    /// The same request within the served times. It selects nothing if the first time lies after the last.
    pub(crate) fn within(&self, bounds: TimeRange) -> Self {
        let range = TimeRange {
            min: self.range.min.max(bounds.min),
            max: self.range.max.min(bounds.max),
        };
        Self {
            range,
            ..self.clone()
        }
    }
}

/// What to do about a block that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// Warn, and answer from the others.
    Warn,
    /// Answer with an error.
    Abort,
}
