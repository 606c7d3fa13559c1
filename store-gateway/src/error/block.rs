//! What can go wrong with one block.

use bucket::BucketError;

/// Why a block gives no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlockError {
    /// The request would cost more than it may.
    #[error("exceeded {name} limit: limit {limit} violated (got {got})")]
    Limit {
        /// `series`, `samples` or `bytes`.
        name: &'static str,
        /// What is allowed.
        limit: u64,
        /// What the request has come to.
        got: u64,
    },
    /// A file of a TSDB block is damaged, or of an unknown version.
    #[error("{root}/{source}")]
    Tsdb {
        /// Where the block lies; `source` names the file below it.
        root: String,
        /// What is wrong.
        source: tsdb::Error,
    },
    /// The header of a TSDB block's index is damaged, though it has just been made; the error names the file.
    #[error("{0}")]
    Header(tsdb::Error),
    /// A file of a Parquet block is damaged; the error names the object.
    #[error(transparent)]
    Parquet(#[from] parquet_block::Error),
    /// The block has not all its files.
    #[error("{key}: expected an object, found none")]
    Missing {
        /// The object.
        key: String,
    },
    /// The object is shorter than it was when it was listed.
    #[error("{key} at byte {offset}: expected {expected} bytes, found {found}")]
    Cut {
        /// The object.
        key: String,
        /// Where the bytes start.
        offset: u64,
        /// How many were asked for.
        expected: u64,
        /// How many came.
        found: u64,
    },
    /// A part is said to be longer than any in its place is.
    #[error("{key} at byte {offset}: {what} of {size} bytes, at most {limit} are read")]
    TooLarge {
        /// The object.
        key: String,
        /// Where the part starts.
        offset: u64,
        /// What it is.
        what: &'static str,
        /// The size that is stated for it.
        size: u64,
        /// The largest size.
        limit: u64,
    },
    /// The bucket refused.
    #[error(transparent)]
    Fetch(#[from] BucketError),
    /// The program is shutting down.
    #[error("stopped while reading a block")]
    Stopped,
}
