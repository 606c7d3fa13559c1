//! What can go wrong in the compactor.

use std::{
    io,
    path::{Path, PathBuf},
};

use bucket::{BucketError, Holder};
use model::BlockId;

use crate::{
    MergeError, RetentionError,
    blame::{Blame, Damage},
    plan::Bytes,
};

/// Why a merge, or all of them, cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// The bucket refused.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The merge refused.
    #[error("merge: {0}")]
    Merge(Box<MergeError>),
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
    /// The system has no random bits to name a block with.
    #[error("naming a block: {0}")]
    Random(#[from] getrandom::Error),
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

impl From<MergeError> for CompactError {
    fn from(error: MergeError) -> Self {
        Self::Merge(Box::new(error))
    }
}

impl CompactError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// Whose fault it is.
    pub(crate) fn blame(&self) -> Blame {
        match self {
            Self::Block { block, .. } | Self::Excluded { block, .. } => {
                Blame::block(*block, Damage::Lasting)
            }
            Self::Contradiction { block, other, .. } => Blame::contradiction(*block, *other),
            // It is marked already, or the copy here is wrong.
            Self::Marked { block, .. } | Self::CopyDiffers { block, .. } => {
                Blame::block(*block, Damage::Transient)
            }
            Self::Merge(error) => error.blame(),
            Self::ReadBack(error) => Blame::of_parquet_output(error),
            Self::ReadBlockBack(error) => Blame::of_tsdb_output(error),
            Self::Output { .. } | Self::Panicked { .. } => Blame::Unknown,
            _ => Blame::Nobody,
        }
    }

    /// Whether what was downloaded may be used for another attempt.
    pub(crate) const fn keeps_downloads(&self) -> bool {
        matches!(self, Self::Bucket(_) | Self::Disk { .. })
    }
}

#[cfg(test)]
mod tests {
    use model::{TimeRange, Timestamp};
    use tsdb::ChunkError;

    use super::*;
    use crate::DownsampleError;

    fn id(number: u128) -> BlockId {
        BlockId::new(Timestamp(1), number)
    }

    fn io() -> io::Error {
        io::Error::other("input/output error")
    }

    fn in_block(source: tsdb::Error) -> CompactError {
        let block = id(1);
        MergeError::Block { block, source }.into()
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
    fn a_block_against_its_format_is_to_blame_at_every_attempt() {
        let block = id(1);
        let downsample = |source| MergeError::Downsample { block, source };
        let overlap = DownsampleError::Overlap {
            end: Timestamp(1),
            next: Timestamp(0),
        };
        for lasting in [
            in_block(tsdb::Error::truncated("index", 0, 2, 1)),
            in_block(chunk(corrupt())),
            MergeError::chunk(block)(corrupt()).into(),
            downsample(overlap).into(),
            MergeError::Outside {
                block,
                min: Timestamp(0),
                max: Timestamp(1),
                range: TimeRange::ALL,
            }
            .into(),
            CompactError::Block {
                block,
                reason: String::new(),
            },
        ] {
            let blame = Blame::block(block, Damage::Lasting);
            assert_eq!(lasting.blame(), blame, "{lasting}");
        }
        let newer = tsdb::Error::Version {
            file: "index".to_owned(),
            expected: "1 or 2",
            found: 3,
        };
        let blame = Blame::block(block, Damage::Transient);
        assert_eq!(in_block(newer).blame(), blame);
    }

    #[test]
    fn of_two_that_contradict_one_another_the_later_one_is_to_blame() {
        let overlap = MergeError::Overlap {
            block: id(1),
            times: TimeRange::ALL,
            other: id(2),
            other_times: TimeRange::ALL,
        };
        let blame = Blame::contradiction(id(2), id(1));
        assert_eq!(CompactError::from(overlap).blame(), blame);
    }

    #[test]
    fn no_block_is_to_blame_for_a_disk_that_cannot_be_read() {
        let path = PathBuf::from("compact/task").join(id(1).to_string());
        let unreadable = || tsdb::Error::Io {
            path: path.clone(),
            source: io(),
        };
        for passing in [
            in_block(unreadable()),
            MergeError::WriteBlock(unreadable()).into(),
            MergeError::Meta {
                dir: path.clone(),
                source: unreadable(),
            }
            .into(),
            MergeError::Io {
                path: path.clone(),
                source: io(),
            }
            .into(),
            CompactError::Gone { block: id(1) },
            CompactError::io(&path)(io()),
        ] {
            assert_eq!(passing.blame(), Blame::Nobody, "{passing}");
        }
        let panicked = CompactError::Panicked {
            reason: String::new(),
        };
        assert_eq!(panicked.blame(), Blame::Unknown);
    }
}
