//! What can go wrong in an export.

use std::{io, path::PathBuf};

use arrow_schema::ArrowError;
use model::{Labels, TimeRange};
use parquet::errors::ParquetError;
use tsdb::ChunkError;

/// Why an export fails.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A chunk cannot be decoded.
    #[error("series {series}: chunk from {min} to {max} ms: {source}", min = range.min, max = range.max)]
    Chunk {
        /// The labels of its series.
        series: Labels,
        /// Its time range as the block states it; both ends are inclusive.
        range: TimeRange,
        /// What is wrong with it.
        source: ChunkError,
    },
    /// A chunk holds samples outside of the time range that its block states.
    #[error(
        "series {series}: chunk from {min} to {max} ms: expected a sample after {after} ms, found one at {found} ms",
        min = range.min, max = range.max
    )]
    Order {
        /// The labels of its series.
        series: Labels,
        /// Its time range as the block states it; both ends are inclusive.
        range: TimeRange,
        /// The time of the sample, in ms.
        found: i64,
        /// The time of the sample before it, in ms.
        after: i64,
    },
    /// A file cannot be written.
    #[error("writing {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A Parquet file cannot be written.
    #[error("writing {}: {source}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ParquetError,
    },
    /// A record batch cannot be made or written.
    #[error("writing {}: {source}", path.display())]
    Arrow {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ArrowError,
    },
}
