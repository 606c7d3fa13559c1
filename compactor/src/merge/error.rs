//! Why a merge cannot be done.

use std::{
    io,
    path::{Path, PathBuf},
};

use model::{Resolution, TimeRange, Timestamp};

use crate::DownsampleError;

/// A merge that cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A source block cannot be read.
    #[error("block {}: {source}", dir.display())]
    Block {
        /// The block's folder.
        dir: PathBuf,
        /// What is wrong, and where.
        source: tsdb::Error,
    },
    /// A Parquet source cannot be read.
    #[error("block {}: {source}", dir.display())]
    Parquet {
        /// The block's folder.
        dir: PathBuf,
        /// What is wrong, and where.
        source: parquet_block::Error,
    },
    /// A chunk of a source block does not decode.
    #[error("block {}: {source}", dir.display())]
    Chunk {
        /// The block's folder.
        dir: PathBuf,
        /// What is wrong.
        source: tsdb::ChunkError,
    },
    /// The chunks of a source block cannot be downsampled.
    #[error("block {}: {source}", dir.display())]
    Downsample {
        /// The block's folder.
        dir: PathBuf,
        /// What is wrong.
        source: DownsampleError,
    },
    /// A series names a symbol that the block does not have.
    #[error("block {}: index: symbol {found}, the table has {symbols}", dir.display())]
    Symbol {
        /// The block's folder.
        dir: PathBuf,
        /// The reference in the series.
        found: u32,
        /// How many symbols there are.
        symbols: usize,
    },
    /// The series of a block are not in order, or one occurs twice.
    #[error("block {}: series {series} is not after the one before it", dir.display())]
    Order {
        /// The block's folder.
        dir: PathBuf,
        /// The second series: its reference in the index, or the number of its row.
        series: u64,
    },
    /// Series of a block are the same without their labels whose values are empty, too many of them.
    #[error("block {}: series {series} and {} others are one without their empty labels, at most {most} expected", dir.display(), alike - 1)]
    Alike {
        /// The block's folder.
        dir: PathBuf,
        /// The first: its reference in the index.
        series: u64,
        /// How many there are.
        alike: usize,
        /// How many there may be.
        most: usize,
    },
    /// What several blocks hold of a series cannot be put together. Which of them is to blame does not show.
    #[error("series {series} of {} blocks: {reason}", dirs.len())]
    Series {
        /// The labels.
        series: String,
        /// The folders of the blocks.
        dirs: Vec<PathBuf>,
        /// What is wrong.
        reason: String,
    },
    /// A block holds samples outside of the times that its `meta.json` states.
    #[error("block {}: chunk from {min} to {max} ms lies outside of {} to {} ms", dir.display(), range.min, range.max)]
    Outside {
        /// The block's folder.
        dir: PathBuf,
        /// First sample.
        min: Timestamp,
        /// Last sample.
        max: Timestamp,
        /// The times of the output.
        range: TimeRange,
    },
    /// Tombstones delete a part of a chunk of aggregates. Which samples a window has is not known, so neither is what would
    /// be left of it.
    #[error(
        "block {}: tombstones delete a part of the aggregates from {} to {} ms, expected all or nothing",
        dir.display(), times.min, times.max
    )]
    Divided {
        /// The block's folder.
        dir: PathBuf,
        /// The times of the chunk, both ends included.
        times: TimeRange,
    },
    /// Two blocks have aggregates of the same series for the same time, and these are not the same.
    #[error(
        "block {}: aggregates from {} to {} ms, block {}: others from {} to {} ms",
        dir.display(), times.min, times.max, other.display(), other_times.min, other_times.max
    )]
    Overlap {
        /// The folder of the first block.
        dir: PathBuf,
        /// The times of its chunk.
        times: TimeRange,
        /// The folder of the other block, which may be the same.
        other: PathBuf,
        /// The times of the other chunk.
        other_times: TimeRange,
    },
    /// The blocks are not of one resolution.
    #[error("block {}: resolution {} ms, expected {} ms", dir.display(), found.millis(), expected.millis())]
    Resolution {
        /// The block's folder.
        dir: PathBuf,
        /// That of the blocks before.
        expected: Resolution,
        /// Its own.
        found: Resolution,
    },
    /// The output is to be finer than the inputs.
    #[error("output of {} ms, inputs of {} ms", output.millis(), inputs.millis())]
    Finer {
        /// What is to be made.
        output: Resolution,
        /// What there is.
        inputs: Resolution,
    },
    /// The output cannot be written.
    #[error("writing parquet: {0}")]
    Write(#[from] parquet_block::Error),
    /// The output cannot be written.
    #[error("writing a block: {0}")]
    WriteBlock(#[from] tsdb::Error),
    /// A file of the output cannot be made.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl MergeError {
    pub(crate) fn block(dir: &Path) -> impl Fn(tsdb::Error) -> Self + '_ {
        |source| Self::Block {
            dir: dir.to_path_buf(),
            source,
        }
    }

    pub(crate) fn parquet(dir: &Path) -> impl Fn(parquet_block::Error) -> Self + '_ {
        |source| Self::Parquet {
            dir: dir.to_path_buf(),
            source,
        }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self::Io {
            path: path.to_path_buf(),
            source,
        }
    }
}
