//! What can go wrong in the compactor.

use std::{
    io,
    path::{Path, PathBuf},
};

use bucket::{BucketError, Holder};
use model::BlockId;
use tsdb::ChunkError;

use crate::{DownsampleError, MergeError, RetentionError, plan::Bytes};

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
    /// The settings do not go together.
    #[error(transparent)]
    Retention(#[from] RetentionError),
    /// The bucket did not give the metadata of a block, so nothing is done where it may belong.
    #[error("{reason}; nothing is planned where its block may belong")]
    Unread {
        /// What was done, on which object, and what the bucket said.
        reason: String,
    },
    /// A block is there no more.
    #[error("block {block}: expected in the bucket, found no more")]
    Gone {
        /// The block.
        block: BlockId,
    },
    /// A block is not in the bucket as its `meta.json` has it.
    #[error("block {block}: {reason}")]
    Block {
        /// The block.
        block: BlockId,
        /// What was expected and found.
        reason: String,
    },
    /// A block is damaged in the bucket, and was marked so that it is left alone from now on.
    #[error("{source}; marked as not to be compacted")]
    Marked {
        /// The block.
        block: BlockId,
        /// What is wrong with it.
        source: Box<Self>,
    },
    /// A source is to blame for what does not show it: without the block it can be done, with it it cannot.
    #[error("block {block}: {source}")]
    Excluded {
        /// The block.
        block: BlockId,
        /// What cannot be done with it.
        source: Box<Self>,
    },
    /// Two sources cannot be merged with one another, though each of them can be without the other.
    #[error("blocks {block} and {other} contradict one another: {source}")]
    Contradiction {
        /// The later one, which is set aside.
        block: BlockId,
        /// The earlier one.
        other: BlockId,
        /// What cannot be done with both.
        source: Box<Self>,
    },
    /// A block seems damaged, but it is the copy here that is.
    #[error("{source}; {key} in the bucket differs from the copy here")]
    CopyDiffers {
        /// The block.
        block: BlockId,
        /// The object.
        key: String,
        /// What is wrong with the copy.
        source: Box<Self>,
    },
    /// What was uploaded is not what was to be uploaded.
    #[error("{key}: {reason}")]
    Differs {
        /// The object.
        key: String,
        /// What was expected and found.
        reason: String,
    },
    /// A merge or its verification ended in a fault of this program.
    #[error("panicked: {reason}")]
    Panicked {
        /// What it said.
        reason: String,
    },
    /// The output cannot be read back.
    #[error("reading back: {0}")]
    ReadBack(#[from] parquet_block::Error),
    /// A TSDB block of the output cannot be read back.
    #[error("reading back: {0}")]
    ReadBlockBack(#[from] tsdb::Error),
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
    /// The bucket is one that compactors cannot share.
    #[error(
        "leases: {source}; the only compactor of a bucket does without (--compact.disable-leases)"
    )]
    Sharing {
        /// Why not.
        source: BucketError,
    },
    /// Another compactor works at the group.
    #[error("group {name}: held by {holder}")]
    HeldByOther {
        /// The group.
        name: String,
        /// Who holds the lease on it, until when.
        holder: Holder,
    },
    /// Another compactor has taken over the group, as the lease on it was not renewed in time.
    #[error(
        "group {name}: the lease was not renewed in time and is another's; what was not committed is dropped"
    )]
    LeaseLost {
        /// The group.
        name: String,
    },
    /// Work was dropped as all is to stop.
    #[error("stopped before the end; what was not committed is dropped")]
    Stopped,
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

    /// Whether the sources, or one of them, may be to blame, and none is named.
    pub(crate) fn blames_nobody(&self) -> bool {
        match self {
            Self::Output { .. } | Self::Panicked { .. } => true,
            Self::ReadBack(error) | Self::Merge(MergeError::Write(error)) => {
                !matches!(error, parquet_block::Error::Io { .. })
            }
            Self::ReadBlockBack(error) | Self::Merge(MergeError::WriteBlock(error)) => {
                !matches!(error, tsdb::Error::Io { .. })
            }
            Self::Merge(MergeError::Series { .. }) => true,
            _ => false,
        }
    }

    /// The block that is to blame, so that the others of its task may be merged without it.
    pub(crate) fn damaged_block(&self) -> Option<BlockId> {
        let error = match self {
            Self::Block { block, .. }
            | Self::Marked { block, .. }
            | Self::Excluded { block, .. }
            | Self::Contradiction { block, .. }
            | Self::CopyDiffers { block, .. } => return Some(*block),
            Self::Merge(error) => error,
            _ => return None,
        };
        let dir = match error {
            MergeError::Block {
                source: tsdb::Error::Io { .. },
                ..
            }
            | MergeError::Parquet {
                source: parquet_block::Error::Io { .. },
                ..
            } => return None,
            // Of two that contradict one another the later one steps back.
            MergeError::Overlap { other: dir, .. }
            | MergeError::Block { dir, .. }
            | MergeError::Parquet { dir, .. }
            | MergeError::Chunk { dir, .. }
            | MergeError::Downsample { dir, .. }
            | MergeError::Symbol { dir, .. }
            | MergeError::Order { dir, .. }
            | MergeError::Alike { dir, .. }
            | MergeError::Outside { dir, .. }
            | MergeError::Divided { dir, .. }
            | MergeError::Resolution { dir, .. } => dir,
            MergeError::Finer { .. }
            | MergeError::Series { .. }
            | MergeError::Write(_)
            | MergeError::WriteBlock(_)
            | MergeError::Io { .. } => return None,
        };
        block_in(dir)
    }

    /// The block that contradicts the one to blame.
    pub(crate) fn contradicted_block(&self) -> Option<BlockId> {
        match self {
            Self::Contradiction { other, .. } => Some(*other),
            Self::Merge(MergeError::Overlap { dir, .. }) => block_in(dir),
            _ => None,
        }
    }

    /// The block that is to blame, if what it holds is against its format: no other attempt will go better.
    ///
    /// A version or an encoding that is not known here may be known to another release, so it is none of these.
    pub(crate) fn lasting_damage(&self) -> Option<BlockId> {
        let lasts = match self {
            Self::Block { .. } | Self::Excluded { .. } | Self::Contradiction { .. } => true,
            Self::Merge(error) => match error {
                MergeError::Block { source, .. } => matches!(
                    source,
                    tsdb::Error::Corrupt { .. }
                        | tsdb::Error::Chunk {
                            source: ChunkError::Corrupt { .. },
                            ..
                        }
                ),
                MergeError::Parquet { source, .. } => {
                    matches!(source, parquet_block::Error::Corrupt { .. })
                }
                MergeError::Chunk { source, .. } => matches!(source, ChunkError::Corrupt { .. }),
                MergeError::Downsample { source, .. } => !matches!(
                    source,
                    DownsampleError::Chunk { source, .. }
                        if !matches!(source, ChunkError::Corrupt { .. })
                ),
                MergeError::Overlap { .. }
                | MergeError::Symbol { .. }
                | MergeError::Order { .. }
                | MergeError::Alike { .. }
                | MergeError::Divided { .. }
                | MergeError::Outside { .. } => true,
                _ => false,
            },
            _ => false,
        };
        lasts.then(|| self.damaged_block()).flatten()
    }

    /// Whether what was downloaded may be used for another attempt.
    pub(crate) const fn keeps_downloads(&self) -> bool {
        matches!(self, Self::Bucket(_) | Self::Disk { .. })
    }
}

/// The block whose folder in the work folder this is.
fn block_in(dir: &Path) -> Option<BlockId> {
    dir.file_name()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use model::{BlockMeta, TimeRange, Timestamp};

    use super::*;

    const ID: &str = "01HF8J5JG0RAVB4GMS32W7ZJ2B";

    fn in_block(source: tsdb::Error) -> CompactError {
        let dir = PathBuf::from("compact/task").join(ID);
        MergeError::Block { dir, source }.into()
    }

    fn corrupt() -> ChunkError {
        ChunkError::Corrupt {
            bit: 9,
            expected: "a value",
            found: "the end of the data".to_owned(),
        }
    }

    fn chunk(source: ChunkError) -> tsdb::Error {
        tsdb::Error::Chunk {
            file: "chunks/000001".to_owned(),
            offset: 8,
            source,
        }
    }

    #[test]
    fn only_what_another_attempt_finds_too_is_a_lasting_damage() {
        let dir = PathBuf::from("compact/task").join(ID);
        let block: BlockId = ID.parse().unwrap();
        let outside = MergeError::Outside {
            dir: dir.clone(),
            min: Timestamp(0),
            max: Timestamp(1),
            range: TimeRange::ALL,
        };
        let reason = String::new();
        let index = tsdb::Error::truncated("index", 0, 2, 1);
        for lasting in [
            in_block(index),
            in_block(chunk(corrupt())),
            outside.into(),
            CompactError::Block { block, reason },
        ] {
            assert_eq!(lasting.lasting_damage(), Some(block), "{lasting}");
            assert_eq!(lasting.damaged_block(), Some(block), "{lasting}");
        }
        let io = || io::Error::other("input/output error");
        let path = dir.join(BlockMeta::FILE);
        let unreadable = tsdb::Error::Io {
            path: path.clone(),
            source: io(),
        };
        let newer = tsdb::Error::Version {
            file: "index".to_owned(),
            expected: "1 or 2",
            found: 3,
        };
        let full = MergeError::Io {
            path: path.clone(),
            source: io(),
        };
        for passing in [
            in_block(unreadable),
            in_block(newer),
            full.into(),
            CompactError::Gone { block },
            CompactError::io(&path)(io()),
        ] {
            assert_eq!(passing.lasting_damage(), None, "{passing}");
        }
    }
}
