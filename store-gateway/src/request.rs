//! What is asked, in the vocabulary of `model`: what [`crate::api`] makes of the messages of the wire.

use std::collections::BTreeSet;

use model::{AggregateSet, Matcher, TimeRange};

use series::Shard;

/// Asks for series.
#[derive(Clone, Debug)]
pub(crate) struct SeriesRequest {
    /// Which blocks and series.
    pub(crate) selector: Selector,
    /// The coarsest resolution that may answer, in milliseconds between samples.
    pub(crate) max_resolution: i64,
    /// What is wanted of downsampled blocks.
    pub(crate) aggregates: AggregateSet,
    /// Whether labels are enough; the series given still have a chunk in the range.
    pub(crate) skip_chunks: bool,
    /// The share of all series that is wanted.
    pub(crate) shard: Option<Shard>,
}

/// Asks for names of labels.
#[derive(Clone, Debug)]
pub(crate) struct NamesRequest {
    /// Of which series.
    pub(crate) selector: Selector,
}

/// Asks for the values of a label.
#[derive(Clone, Debug)]
pub(crate) struct ValuesRequest {
    /// The label.
    pub(crate) label: String,
    /// Of which series.
    pub(crate) selector: Selector,
}

/// What all requests have.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    /// All must match a series' final labels.
    pub(crate) matchers: Vec<Matcher>,
    /// Both ends included.
    pub(crate) range: TimeRange,
    /// All must match a block's external labels and its `__block_id`.
    pub(crate) block_matchers: Vec<Matcher>,
    /// Labels that are removed from the answer.
    pub(crate) without: BTreeSet<Vec<u8>>,
    /// The most series, names or values wanted; 0 for all.
    pub(crate) limit: usize,
    /// What to do about a block that cannot be read.
    pub(crate) on_failure: OnFailure,
}

impl Selector {
    /// The same within the times that are served. Nothing is left where the first time lies after the last.
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
    /// Say so, and answer from the others.
    Warn,
    /// Answer with an error.
    Abort,
}
