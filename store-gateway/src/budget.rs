//! What one request has taken from all blocks, and may take.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{config::Limits, error::BlockError};

/// How many samples a chunk counts for.
const SAMPLES_PER_CHUNK: u64 = 120;

/// Counts what a request takes, and refuses what goes past its limits.
#[derive(Debug)]
pub(crate) struct RequestBudget {
    limits: Limits,
    series: AtomicU64,
    chunks: AtomicU64,
    bytes: Arc<AtomicU64>,
    /// Bytes of series that are held to be sorted.
    held: AtomicU64,
    /// The most that were held at once.
    #[cfg(test)]
    most_held: AtomicU64,
}

/// Bytes of series that somebody holds to sort them.
#[derive(Debug)]
pub(crate) struct HeldBytes {
    budget: Arc<RequestBudget>,
    bytes: u64,
}

impl RequestBudget {
    /// Nothing has been taken yet.
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            series: AtomicU64::new(0),
            chunks: AtomicU64::new(0),
            bytes: Arc::default(),
            held: AtomicU64::new(0),
            #[cfg(test)]
            most_held: AtomicU64::new(0),
        })
    }

    /// For reading again what has been read: series and chunks have been counted, bytes count each time.
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
            held: AtomicU64::new(0),
            #[cfg(test)]
            most_held: AtomicU64::new(0),
        };
        Arc::new(budget)
    }

    /// Somebody who holds nothing yet.
    pub(crate) fn hold(self: &Arc<Self>) -> HeldBytes {
        HeldBytes {
            budget: Arc::clone(self),
            bytes: 0,
        }
    }

    /// Counts series that match, before they are read.
    pub(crate) fn add_series(&self, count: u64) -> Result<(), BlockError> {
        let got = add(&self.series, count);
        within("series", self.limits.request_series, got)
    }

    /// Counts chunks that are to be sent.
    pub(crate) fn add_chunks(&self, count: u64) -> Result<(), BlockError> {
        let got = add(&self.chunks, count).saturating_mul(SAMPLES_PER_CHUNK);
        within("samples", self.limits.request_samples, got)
    }

    /// Counts bytes that are to be fetched.
    pub(crate) fn add_bytes(&self, count: u64) -> Result<(), BlockError> {
        let got = add(&self.bytes, count);
        within("bytes", self.limits.downloaded_bytes, got)
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
    /// What is held now.
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
    // Counts do not order anything else.
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
        budget.add_bytes(u64::MAX).unwrap();
    }

    #[test]
    fn what_is_read_again_counts_its_bytes_alone() {
        let budget = RequestBudget::new(Limits {
            request_series: 1,
            request_samples: 120,
            downloaded_bytes: 10,
        });
        budget.add_series(1).unwrap();
        budget.add_bytes(6).unwrap();
        let again = budget.for_rereading();
        again.add_series(5).unwrap();
        again.add_chunks(5).unwrap();
        again.add_bytes(4).unwrap();
        assert!(budget.add_bytes(1).is_err());
    }
}
