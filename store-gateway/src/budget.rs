//! What one request has used of its limits, over all blocks.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    config::Limits,
    error::BlockError,
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
    usage: Arc<Usage>,
    /// Whether series and chunks were counted before.
    rereads: bool,
    /// Bytes of series that wait to be sorted.
    held: AtomicU64,
    /// The most of them at any time.
    #[cfg(test)]
    most_held: AtomicU64,
}

/// Bytes of series that one sorter holds.
#[derive(Debug)]
pub(crate) struct HeldBytes {
    budget: Arc<RequestBudget>,
    bytes: u64,
}

impl RequestBudget {
    /// A budget of which nothing is used.
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            series: AtomicU64::new(0),
            chunks: AtomicU64::new(0),
            bytes: Arc::default(),
            usage: Arc::default(),
            rereads: false,
            held: AtomicU64::new(0),
            #[cfg(test)]
            most_held: AtomicU64::new(0),
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
            usage: Arc::clone(&self.usage),
            rereads: true,
            held: AtomicU64::new(0),
            #[cfg(test)]
            most_held: AtomicU64::new(0),
        };
        Arc::new(budget)
    }

    /// A sorter that holds nothing yet.
    pub(crate) fn hold(self: &Arc<Self>) -> HeldBytes {
        HeldBytes {
            budget: Arc::clone(self),
            bytes: 0,
        }
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
    /// Bytes that are held now.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// The most bytes that were held at once.
    pub(crate) fn most_held(&self) -> u64 {
        self.most_held.load(Ordering::Relaxed)
    }
}

impl HeldBytes {
    /// Sets the bytes that are held now.
    pub(crate) fn set(&mut self, bytes: usize) {
        let before = std::mem::replace(&mut self.bytes, bytes as u64);
        let held = &self.budget.held;
        held.fetch_add(self.bytes, Ordering::Relaxed);
        held.fetch_sub(before, Ordering::Relaxed);
        #[cfg(test)]
        self.budget
            .most_held
            .fetch_max(held.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.set(0);
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
        let budget = RequestBudget::new(Limits {
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
        let budget = RequestBudget::new(Limits {
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
