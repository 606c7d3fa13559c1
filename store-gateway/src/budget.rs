//! What one request has used of its limits, and of the memory, over all blocks.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    config::Limits,
    error::BlockError,
    memory::{HeldBytes, HeldFor, RequestMemory},
    usage::{Amount, DataKind, Usage},
};

/// How many samples a chunk counts for.
const SAMPLES_PER_CHUNK: u64 = 120;

/// Counts what a request uses, and fails what exceeds its limits.
#[derive(Debug)]
pub(crate) struct RequestBudget {
    limits: Limits,
    series: AtomicU64,
    chunks: AtomicU64,
    bytes: Arc<AtomicU64>,
    memory: Arc<RequestMemory>,
    usage: Arc<Usage>,
    /// Whether series and chunks were counted before.
    rereads: bool,
}

impl RequestBudget {
    /// A budget of which nothing is used.
    pub(crate) fn new(limits: Limits, memory: Arc<RequestMemory>) -> Arc<Self> {
        Arc::new(Self {
            limits,
            series: AtomicU64::new(0),
            chunks: AtomicU64::new(0),
            bytes: Arc::default(),
            memory,
            usage: Arc::default(),
            rereads: false,
        })
    }

    /// For data that are read again: series and chunks are counted already, bytes count each time.
    pub(crate) fn for_rereading(&self) -> Arc<Self> {
        let budget = Self {
            limits: Limits {
                request_series: 0,
                request_samples: 0,
                ..self.limits
            },
            series: AtomicU64::new(0),
            chunks: AtomicU64::new(0),
            bytes: Arc::clone(&self.bytes),
            memory: Arc::clone(&self.memory),
            usage: Arc::clone(&self.usage),
            rereads: true,
        };
        Arc::new(budget)
    }

    /// A part of the request's memory, of which nothing is held yet.
    pub(crate) fn hold(&self, held_for: HeldFor) -> HeldBytes {
        self.memory.hold(held_for)
    }

    /// Whether there is memory for more than what is needed to go on.
    pub(crate) fn has_room(&self) -> bool {
        self.memory.has_room()
    }

    /// Whether to read ahead: there is memory, and requests are few.
    pub(crate) fn reads_ahead(&self) -> bool {
        self.memory.reads_ahead()
    }

    /// Counts matching series, before they are read.
    pub(crate) fn add_series(&self, count: u64) -> Result<(), BlockError> {
        let got = add(&self.series, count);
        self.touch_once(DataKind::Series, count);
        within("series", self.limits.request_series, got)
    }

    /// Counts chunks to be sent.
    pub(crate) fn add_chunks(&self, count: u64) -> Result<(), BlockError> {
        let got = add(&self.chunks, count).saturating_mul(SAMPLES_PER_CHUNK);
        self.touch_once(DataKind::Chunks, count);
        within("samples", self.limits.request_samples, got)
    }

    /// Counts bytes of so many ranges, to be read from memory or the bucket.
    pub(crate) fn add_bytes(
        &self,
        kind: DataKind,
        ranges: u64,
        bytes: u64,
    ) -> Result<(), BlockError> {
        // Series and chunks are counted one by one, not by the ranges that hold them.
        let items = match kind {
            DataKind::Postings | DataKind::Header => ranges,
            DataKind::Series | DataKind::Chunks => 0,
        };
        self.touch(kind, items, bytes);
        let got = add(&self.bytes, bytes);
        within("bytes", self.limits.downloaded_bytes, got)
    }

    /// What was read, by its kind.
    pub(crate) fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Counts items, unless they were counted before.
    fn touch_once(&self, kind: DataKind, items: u64) {
        if !self.rereads {
            self.touch(kind, items, 0);
        }
    }

    fn touch(&self, kind: DataKind, items: u64, bytes: u64) {
        self.usage.touch(kind, Amount { items, bytes });
    }
}

#[cfg(test)]
impl RequestBudget {
    /// One without limits on memory.
    pub(crate) fn of_test(limits: Limits) -> Arc<Self> {
        Self::new(limits, RequestMemory::unbounded())
    }

    /// Bytes that are held for the order of series.
    pub(crate) fn held(&self) -> u64 {
        self.memory.sorted().0
    }

    /// The most of them at once.
    pub(crate) fn most_held(&self) -> u64 {
        self.memory.sorted().1
    }
}

fn add(counter: &AtomicU64, count: u64) -> u64 {
    // The counts order no other memory.
    let before = counter.fetch_add(count, Ordering::Relaxed);
    before.saturating_add(count)
}

fn within(name: &'static str, limit: u64, got: u64) -> Result<(), BlockError> {
    if limit > 0 && got > limit {
        return Err(BlockError::Limit { name, limit, got });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_violated_by_the_first_that_goes_past_it() {
        let budget = RequestBudget::of_test(Limits {
            request_series: 3,
            request_samples: 250,
            downloaded_bytes: 0,
        });
        budget.add_series(2).unwrap();
        budget.add_series(1).unwrap();
        let error = budget.add_series(1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "exceeded series limit: limit 3 violated (got 4)"
        );
        budget.add_chunks(2).unwrap();
        assert!(matches!(
            budget.add_chunks(1),
            Err(BlockError::Limit {
                name: "samples",
                limit: 250,
                got: 360
            })
        ));
        budget.add_bytes(DataKind::Chunks, 1, u64::MAX).unwrap();
    }

    #[test]
    fn what_is_read_again_counts_its_bytes_alone() {
        let budget = RequestBudget::of_test(Limits {
            request_series: 1,
            request_samples: 120,
            downloaded_bytes: 10,
        });
        budget.add_series(1).unwrap();
        budget.add_bytes(DataKind::Chunks, 1, 6).unwrap();
        let again = budget.for_rereading();
        again.add_series(5).unwrap();
        again.add_chunks(5).unwrap();
        again.add_bytes(DataKind::Chunks, 1, 4).unwrap();
        assert!(budget.add_bytes(DataKind::Chunks, 1, 1).is_err());
    }
}
