//! What can go wrong with one block.

use bucket::BucketError;

/// Why a block cannot answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlockError {
    /// The request exceeds a limit.
    #[error("exceeded {name} limit: limit {limit} violated (got {got})")]
    Limit {
        /// `series`, `samples` or `bytes`.
        name: &'static str,
        /// The limit.
        limit: u64,
        /// What the request has used.
        got: u64,
    },
    /// A file of a TSDB block is damaged, or of an unknown version.
    #[error("{root}/{source}")]
    Tsdb {
        /// The block's folder; `source` names the file below it.
        root: String,
        /// What is wrong.
        source: tsdb::Error,
    },
    /// The header of a TSDB block's index is damaged although it was just built; the error names the file.
    #[error("{0}")]
    Header(tsdb::Error),
    /// A file of a Parquet block is damaged; the error names the object.
    #[error(transparent)]
    Parquet(#[from] parquet_block::Error),
    /// A file of the block is missing.
    #[error("{key}: expected an object, found none")]
    Missing {
        /// The object.
        key: String,
    },
    /// The object is shorter than the listing says.
    #[error("{key} at byte {offset}: expected {expected} bytes, found {found}")]
    Cut {
        /// The object.
        key: String,
        /// Where the bytes start.
        offset: u64,
        /// How many were requested.
        expected: u64,
        /// How many arrived.
        found: u64,
    },
    /// A part is longer than such a part can be.
    #[error("{key} at byte {offset}: {what}: expected at most {limit} bytes, found {size}")]
    TooLarge {
        /// The object.
        key: String,
        /// Where the part starts.
        offset: u64,
        /// The kind of the part.
        what: &'static str,
        /// Its stated size.
        size: u64,
        /// The largest size.
        limit: u64,
    },
    /// Reading the bucket failed.
    #[error(transparent)]
    Fetch(#[from] BucketError),
    /// The program is shutting down.
    #[error("stopped while reading a block")]
    Stopped,
}
