//! What can go wrong in the compactor.

use std::{
    io,
    path::{Path, PathBuf},
};

use bucket::BucketError;
use model::BlockId;

use crate::{MergeError, plan::Bytes};

/// Why a merge, or all of them, cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// The bucket refused.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The merge refused.
    #[error("merge: {0}")]
    Merge(#[from] MergeError),
    /// A local file or folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The work folder has no room.
    #[error("{}: {} of disk needed, {} available", dir.display(), Bytes(*needed), Bytes(*available))]
    Disk {
        /// The work folder.
        dir: PathBuf,
        /// Bytes that the task needs.
        needed: u64,
        /// Bytes that there are.
        available: u64,
    },
    /// A block is not in the bucket as the plan has it.
    #[error("block {block}: {reason}")]
    Block {
        /// The block.
        block: BlockId,
        /// What was expected and found.
        reason: String,
    },
    /// What was uploaded is not what was to be uploaded.
    #[error("{key}: {reason}")]
    Differs {
        /// The object.
        key: String,
        /// What was expected and found.
        reason: String,
    },
    /// The output cannot be read back.
    #[error("reading back: {0}")]
    ReadBack(#[from] parquet_block::Error),
    /// The output does not hold what the sources hold.
    #[error("output of {what}: expected {expected}, found {found}")]
    Output {
        /// What was counted or compared.
        what: &'static str,
        /// What the sources, or the merge, say.
        expected: String,
        /// What the output says.
        found: String,
    },
    /// No task has this id now.
    #[error("no task {id:?} is planned now")]
    NoTask {
        /// The id that was asked for.
        id: String,
    },
}

impl CompactError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// The block that is to blame, if what it holds is damaged: no other attempt will go better.
    pub(crate) fn damaged_block(&self) -> Option<BlockId> {
        let error = match self {
            Self::Block { block, .. } => return Some(*block),
            Self::Merge(error) => error,
            _ => return None,
        };
        let dir = match error {
            MergeError::Block {
                source: tsdb::Error::Io { .. },
                ..
            } => return None,
            MergeError::Block { dir, .. }
            | MergeError::Chunk { dir, .. }
            | MergeError::Symbol { dir, .. }
            | MergeError::Order { dir, .. }
            | MergeError::Outside { dir, .. } => dir,
            MergeError::Write(_) | MergeError::Io { .. } => return None,
        };
        dir.file_name()?.to_str()?.parse().ok()
    }

    /// Whether what was downloaded may be used for another attempt.
    pub(crate) const fn keeps_downloads(&self) -> bool {
        matches!(self, Self::Bucket(_) | Self::Disk { .. })
    }
}
