//! Why a series cannot be downsampled.

use model::Timestamp;
use tsdb::{Chunk, ChunkError, DownsampledChunk};

/// Why a series cannot be downsampled.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DownsampleError {
    /// Chunks overlap or are out of order; they must be merged first.
    #[error("expected chunks that do not overlap, found one from {next} after one to {end}")]
    Overlap {
        /// Where a chunk ends.
        end: Timestamp,
        /// Where the next one begins.
        next: Timestamp,
    },
    /// A chunk cannot be read.
    #[error("chunk from {min} to {max}: {source}")]
    Chunk {
        /// Where the chunk begins.
        min: Timestamp,
        /// Where it ends.
        max: Timestamp,
        /// What is wrong with it.
        source: ChunkError,
    },
    /// A chunk would have more windows than it can count.
    #[error("expected at most 65535 samples in a downsampled chunk from {min}, found {found}")]
    TooMany {
        /// Time of the first.
        min: Timestamp,
        /// How many.
        found: usize,
    },
}

impl DownsampleError {
    pub(super) fn of(chunk: &Chunk) -> impl FnOnce(ChunkError) -> Self {
        let (min, max) = (chunk.min, chunk.max);
        move |source| Self::Chunk { min, max, source }
    }

    pub(super) fn of_downsampled(chunk: &DownsampledChunk) -> impl FnOnce(ChunkError) -> Self {
        let (min, max) = (chunk.min, chunk.max);
        move |source| Self::Chunk { min, max, source }
    }
}
