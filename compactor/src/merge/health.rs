//! What is wrong with the contents of one block, counted as Thanos counts it.

use std::{fmt, path::Path};

use model::SeriesOrder;
use serde::Serialize;
use tsdb::Chunk;

use super::{
    MergeError,
    input::{Inputs, read_meta},
};

/// What a block holds, and what of it is not as it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Series.
    pub series: u64,
    /// Chunks.
    pub chunks: u64,
    /// Samples, deleted ones too.
    pub samples: u64,
    /// Samples that `meta.json` states and that are not there.
    pub missing_samples: u64,
    /// Series with such chunks.
    pub out_of_order_series: u64,
    /// Chunks that begin before the one before them ends.
    pub out_of_order_chunks: u64,
    /// Those with the times of the one before them.
    pub duplicated_chunks: u64,
    /// Chunks with times outside of those that `meta.json` states.
    pub outside_chunks: u64,
}

impl Health {
    /// Whether all is as it should be.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.missing_samples == 0
            && self.out_of_order_chunks == 0
            && self.duplicated_chunks == 0
            && self.outside_chunks == 0
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut faults = Vec::new();
        if self.missing_samples > 0 {
            faults.push(format!("{} samples are missing", self.missing_samples));
        }
        if self.out_of_order_chunks + self.duplicated_chunks > 0 {
            faults.push(format!(
                "{} of {} series have {} out-of-order chunks, of which {} are duplicates",
                self.out_of_order_series,
                self.series,
                self.out_of_order_chunks + self.duplicated_chunks,
                self.duplicated_chunks
            ));
        }
        if self.outside_chunks > 0 {
            faults.push(format!(
                "{} chunks lie outside of the block's times",
                self.outside_chunks
            ));
        }
        match faults.is_empty() {
            true => write!(f, "good"),
            false => write!(f, "{}", faults.join("; ")),
        }
    }
}

/// Reads the block in a folder, each series and each chunk of it.
///
/// # Errors
/// When something cannot be read.
pub(crate) fn health(dir: &Path) -> Result<Health, MergeError> {
    let meta = read_meta(dir)?;
    let inputs = Inputs::open(&[dir.to_owned()], SeriesOrder::ByLabels, 0)?;
    let mut health = Health::default();
    for input in &inputs.all {
        let mut cursor = input.cursor(0..input.len())?;
        while cursor.key().is_some() {
            health.series += 1;
            let mut before: Option<Chunk> = None;
            let mut is_ordered = true;
            cursor.stored(|chunk, _| {
                health.chunks += 1;
                health.samples += u64::from(chunk.num_samples()?);
                // The end of a block is excluded, but Thanos takes a sample at it for an old bug of Prometheus.
                let is_outside = chunk.min < meta.min_time || chunk.max > meta.max_time;
                health.outside_chunks += u64::from(is_outside);
                if let Some(before) = &before
                    && chunk.min <= before.max
                {
                    is_ordered = false;
                    match (chunk.min, chunk.max) == (before.min, before.max) {
                        true => health.duplicated_chunks += 1,
                        false => health.out_of_order_chunks += 1,
                    }
                }
                before = Some(chunk);
                Ok(())
            })?;
            health.out_of_order_series += u64::from(!is_ordered);
            cursor.advance()?;
        }
    }
    health.missing_samples = meta.stats.num_samples.saturating_sub(health.samples);
    Ok(health)
}
