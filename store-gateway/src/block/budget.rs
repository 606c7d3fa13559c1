//! What one request has taken from all blocks, and may take.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::BlockError;
use crate::config::Limits;

/// How many samples a chunk counts for.
const SAMPLES_PER_CHUNK: u64 = 120;

/// Counts what a request takes, and refuses what goes past its limits.
#[derive(Debug)]
pub(crate) struct RequestBudget {
    limits: Limits,
    series: AtomicU64,
    chunks: AtomicU64,
    bytes: AtomicU64,
}

impl RequestBudget {
    /// Nothing has been taken yet.
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            series: AtomicU64::new(0),
            chunks: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        })
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
}
