//! What can go wrong in a tool.

use bucket::BucketError;
use model::BlockId;

/// Why a tool failed.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The bucket failed.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The bucket has no such block.
    #[error("block {block}: expected {block}/ or parquet/{block}/ in the bucket, found neither")]
    NoBlock {
        /// The block.
        block: BlockId,
    },
    /// An object is not what was sent.
    #[error("{key}: expected the bytes that were sent, found others")]
    Copy {
        /// The object.
        key: String,
    },
    /// The backup bucket has another block of that name.
    #[error(
        "block {block}: expected none or the same in the backup bucket, found one with another meta.json"
    )]
    BackedUp {
        /// The block.
        block: BlockId,
    },
    /// A TSDB block and a Parquet block have the same name, so it does not say which is meant.
    #[error("block {block}: expected one of {block}/ and parquet/{block}/, found both")]
    Ambiguous {
        /// The block.
        block: BlockId,
    },
}
