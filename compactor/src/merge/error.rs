//! Why a merge cannot be done.

use std::{
    io,
    path::{Path, PathBuf},
};

use model::{BlockId, Resolution, TimeRange, Timestamp};
use tsdb::ChunkError;

use crate::{
    DownsampleError,
    blame::{Blame, Damage},
};

/// A merge that cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// The `meta.json` of a source cannot be read, so the block is not known.
    #[error("block in {}: {source}", dir.display())]
    Meta {
        /// The block's folder.
        dir: PathBuf,
        /// What is wrong.
        source: tsdb::Error,
    },
    /// A source block cannot be read.
    #[error("block {block}: {source}")]
    Block {
        /// The block.
        block: BlockId,
        /// What is wrong, and where.
        source: tsdb::Error,
    },
    /// A Parquet source cannot be read.
    #[error("block {block}: {source}")]
    Parquet {
        /// The block.
        block: BlockId,
        /// What is wrong, and where.
        source: parquet_block::Error,
    },
    /// A chunk of a source block does not decode.
    #[error("block {block}: {source}")]
    Chunk {
        /// The block.
        block: BlockId,
        /// What is wrong.
        source: ChunkError,
    },
    /// The chunks of a source block cannot be downsampled.
    #[error("block {block}: {source}")]
    Downsample {
        /// The block.
        block: BlockId,
        /// What is wrong.
        source: DownsampleError,
    },
    /// A series names a symbol that the block does not have.
    #[error("block {block}: index: symbol {found}, the table has {symbols}")]
    Symbol {
        /// The block.
        block: BlockId,
        /// The reference in the series.
        found: u32,
        /// How many symbols there are.
        symbols: usize,
    },
    /// The series of a block are not in order, or one occurs twice.
    #[error("block {block}: series {series} is not after the one before it")]
    Order {
        /// The block.
        block: BlockId,
        /// The second series: its reference in the index, or the number of its row.
        series: u64,
    },
    /// Too many series of a block are equal once labels with empty values are left out.
    #[error("block {block}: series {series} and {} others are the same without their empty labels, expected at most {most}", alike - 1)]
    Alike {
        /// The block.
        block: BlockId,
        /// The first: its reference in the index.
        series: u64,
        /// How many there are.
        alike: usize,
        /// How many there may be.
        most: usize,
    },
    /// The chunks that several blocks hold of a series cannot be combined. Which block is at fault is not known.
    #[error("series {series} of {} blocks: {reason}", blocks.len())]
    Series {
        /// The labels.
        series: String,
        /// The blocks.
        blocks: Vec<BlockId>,
        /// What is wrong.
        reason: String,
    },
    /// A block holds samples outside of the times that its `meta.json` states.
    #[error("block {block}: chunk from {min} to {max} ms lies outside of {} to {} ms", range.min, range.max)]
    Outside {
        /// The block.
        block: BlockId,
        /// First sample.
        min: Timestamp,
        /// Last sample.
        max: Timestamp,
        /// The times of the output.
        range: TimeRange,
    },
    /// Tombstones delete a part of a chunk of aggregates. Its samples are not known, so the rest cannot be computed.
    #[error(
        "block {block}: tombstones delete a part of the aggregates from {} to {} ms, expected all or nothing",
        times.min, times.max
    )]
    Divided {
        /// The block.
        block: BlockId,
        /// The times of the chunk, both ends included.
        times: TimeRange,
    },
    /// Two blocks have aggregates of the same series for the same time, and these are not the same.
    #[error(
        "block {block}: aggregates from {} to {} ms, block {other}: others from {} to {} ms",
        times.min, times.max, other_times.min, other_times.max
    )]
    Overlap {
        /// The first block.
        block: BlockId,
        /// The times of its chunk.
        times: TimeRange,
        /// The other block, which may be the same.
        other: BlockId,
        /// The times of the other chunk.
        other_times: TimeRange,
    },
    /// The blocks are not of one resolution.
    #[error("block {block}: resolution {} ms, expected {} ms", found.millis(), expected.millis())]
    Resolution {
        /// The block.
        block: BlockId,
        /// That of the blocks before.
        expected: Resolution,
        /// Its own.
        found: Resolution,
    },
    /// The requested output is finer than the inputs.
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
    /// Whose fault it is.
    pub(crate) fn blame(&self) -> Blame {
        match self {
            Self::Block { block, source } => Blame::of_tsdb(*block, source),
            Self::Parquet { block, source } => Blame::of_parquet(*block, source),
            Self::Chunk { block, source } => Blame::block(*block, Damage::of_chunk(source)),
            Self::Downsample { block, source } => {
                Blame::block(*block, Damage::of_downsampling(source))
            }
            Self::Symbol { block, .. }
            | Self::Order { block, .. }
            | Self::Alike { block, .. }
            | Self::Divided { block, .. }
            | Self::Outside { block, .. } => Blame::block(*block, Damage::Lasting),
            Self::Resolution { block, .. } => Blame::block(*block, Damage::Transient),
            // Of two that contradict one another the later one steps back.
            Self::Overlap { block, other, .. } => Blame::contradiction(*other, *block),
            Self::Series { .. } => Blame::Unknown,
            Self::Meta { source, .. } | Self::WriteBlock(source) => Blame::of_tsdb_output(source),
            Self::Write(source) => Blame::of_parquet_output(source),
            Self::Finer { .. } | Self::Io { .. } => Blame::Nobody,
        }
    }

    pub(crate) fn block(block: BlockId) -> impl Fn(tsdb::Error) -> Self {
        move |source| Self::Block { block, source }
    }

    pub(crate) fn parquet(block: BlockId) -> impl Fn(parquet_block::Error) -> Self {
        move |source| Self::Parquet { block, source }
    }

    pub(crate) fn chunk(block: BlockId) -> impl Fn(ChunkError) -> Self {
        move |source| Self::Chunk { block, source }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self::Io {
            path: path.to_path_buf(),
            source,
        }
    }
}
