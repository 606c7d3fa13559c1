//! The order of the series of one answer.
//!
//! Prometheus sends series in the order of its own labels, and merges its external labels into each afterwards. So a
//! label with the name and value of an external one counts as that, and is ignored in the order of the series. If
//! Prometheus's own series have such labels, the two cannot be told apart, and a whole metric is sorted at a time.

use std::{collections::BTreeSet, mem};

use model::{Labels, METRIC_NAME};
use series::{Budget, FinalLabels, FinalOrder, OrderError, SeriesChunk};

use crate::view::View;

/// The chunks of a series, or of a part of one.
pub(super) type Chunks = Vec<SeriesChunk>;

/// The limit of series that wait to be sorted.
pub(super) const SORT_BYTES: &str = "store.limits.request-sort-bytes";
/// Bytes that a chunk takes besides its data.
const CHUNK_OVERHEAD: usize = 96;

/// Sorts series.
pub(super) enum Order {
    /// Series come in the order of their own labels.
    Known(FinalOrder<Chunks>),
    /// Series are known to ascend only by their labels up to `__name__`.
    ByMetric {
        /// The current metric.
        series: FinalOrder<Chunks>,
        /// The labels of its last series.
        last: Option<Labels>,
        labels: FinalLabels,
        budget: Budget,
    },
}

impl Order {
    /// Sorts the series of the Prometheus `view` by their labels without those of `without`. At most `bytes` of them
    /// wait.
    pub(super) fn new(view: &View, without: &BTreeSet<Vec<u8>>, bytes: usize) -> Self {
        let labels = FinalLabels::new(&view.labels, without);
        let budget = Budget {
            name: SORT_BYTES,
            bytes,
        };
        let blurred = view.labels.iter().any(|(name, _)| view.may_have(name));
        if !blurred {
            let may_have = |name: &[u8]| view.may_have(name);
            return Self::Known(FinalOrder::new(labels, may_have, Some(budget), size));
        }
        let is_early = |name: &[u8]| name <= METRIC_NAME.as_bytes();
        let external_early = view.labels.iter().any(|(name, _)| is_early(name));
        let removed_early = without
            .iter()
            .any(|name| is_early(name) && view.may_have(name));
        if external_early || removed_early {
            return Self::Known(FinalOrder::unsorted(labels, Some(budget), size));
        }
        Self::ByMetric {
            series: FinalOrder::unsorted(labels.clone(), Some(budget), size),
            last: None,
            labels,
            budget,
        }
    }

    /// Sorts series that come in no order.
    pub(super) fn of_unsorted(labels: FinalLabels) -> Self {
        Self::Known(FinalOrder::unsorted(labels, None, size))
    }

    /// Takes the next series with their own labels, and gives those that no later one can precede, with the final
    /// labels.
    pub(super) fn push(
        &mut self,
        batch: Vec<(Labels, Chunks)>,
    ) -> Result<Vec<(Labels, Chunks)>, OrderError> {
        match self {
            Self::Known(series) => series.push(batch),
            Self::ByMetric {
                series,
                last,
                labels,
                budget,
            } => {
                let mut ready = Vec::new();
                for (own, chunks) in batch {
                    if last
                        .as_ref()
                        .is_some_and(|last| !metric(last).eq(metric(&own)))
                    {
                        let next = FinalOrder::unsorted(labels.clone(), Some(*budget), size);
                        ready.append(&mut mem::replace(series, next).finish()?);
                    }
                    *last = Some(own.clone());
                    ready.append(&mut series.push([(own, chunks)])?);
                }
                Ok(ready)
            }
        }
    }

    /// The rest.
    pub(super) fn finish(self) -> Result<Vec<(Labels, Chunks)>, OrderError> {
        match self {
            Self::Known(series) | Self::ByMetric { series, .. } => series.finish(),
        }
    }
}

/// The labels up to and including `__name__`.
fn metric(labels: &Labels) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pairs = labels.iter();
    pairs.take_while(|(name, _)| *name <= METRIC_NAME.as_bytes())
}

fn size(chunks: &Chunks) -> usize {
    let size = |chunk: &SeriesChunk| chunk.size() + CHUNK_OVERHEAD;
    chunks.iter().map(size).sum()
}
