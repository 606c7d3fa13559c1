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

/// Why a task, or the whole run, failed.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// The bucket failed.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The merge failed.
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
    /// The work folder has too little space.
    #[error("{}: {} of disk needed, {} available", dir.display(), Bytes(*needed), Bytes(*available))]
    Disk {
        /// The work folder.
        dir: PathBuf,
        /// Bytes that the task needs.
        needed: u64,
        /// Bytes that are free.
        available: u64,
    },
    /// The system has no random bits for a block's id.
    #[error("naming a block: {0}")]
    Random(#[from] getrandom::Error),
    /// The settings do not fit together.
    #[error(transparent)]
    Retention(#[from] RetentionError),
    /// What replaces a block may not be selected with it.
    #[error(
        "--compact.keep-until-served: expected rules that select blocks by their labels alone, found __block_id in --selector.relabel-config: a Parquet block that is not selected would be made again at each run"
    )]
    KeptByBlockId,
    /// Metadata of a block could not be read, so nothing is done where the block may belong.
    #[error("{reason}; nothing is planned for groups that its block may belong to")]
    Unread {
        /// What was done, on which object, and the bucket's error.
        reason: String,
    },
    /// A block no longer exists.
    #[error("block {block}: no longer in the bucket")]
    Gone {
        /// The block.
        block: BlockId,
    },
    /// The files of a block in the bucket are not those of its `meta.json`.
    #[error("block {block}: {reason}")]
    Block {
        /// The block.
        block: BlockId,
        /// What was expected and found.
        reason: String,
    },
    /// A block is damaged in the bucket, and was marked so that it is left from now on.
    #[error("{source}; marked as not to be compacted")]
    Marked {
        /// The block.
        block: BlockId,
        /// What is wrong with it.
        source: Box<Self>,
    },
    /// A source makes the task fail without damage of its own: without the block the task succeeds.
    #[error("block {block}: {source}")]
    Excluded {
        /// The block.
        block: BlockId,
        /// What fails with it.
        source: Box<Self>,
    },
    /// Two sources cannot be merged with one another, though each can without the other.
    #[error("blocks {block} and {other} contradict one another: {source}")]
    Contradiction {
        /// The later one, which is marked.
        block: BlockId,
        /// The earlier one.
        other: BlockId,
        /// What fails with both.
        source: Box<Self>,
    },
    /// A block could not be rewritten. Blocks that the cause names and nobody knows are its parts here.
    #[error("rewriting block {block}: {source}")]
    Rewriting {
        /// The block.
        block: BlockId,
        /// Why.
        source: Box<Self>,
    },
    /// The local copy of a block is damaged, not the block.
    #[error("{source}; {key} in the bucket differs from the copy here")]
    CopyDiffers {
        /// The block.
        block: BlockId,
        /// The object.
        key: String,
        /// What is wrong with the copy.
        source: Box<Self>,
    },
    /// An uploaded object is not its file.
    #[error("{key}: {reason}")]
    Differs {
        /// The object.
        key: String,
        /// What was expected and found.
        reason: String,
    },
    /// A merge or its verification panicked.
    #[error("panicked: {reason}")]
    Panicked {
        /// The message of the panic.
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
        /// The value of the sources, or of the merge.
        expected: String,
        /// The value of the output.
        found: String,
    },
    /// Compactors cannot share the bucket.
    #[error(
        "leases: {source}; if this is the only compactor of the bucket, set --compact.disable-leases"
    )]
    Sharing {
        /// Why not.
        source: BucketError,
    },
    /// Another compactor works on the group.
    #[error("group {name}: held by {holder}")]
    HeldByOther {
        /// The group.
        name: String,
        /// The holder of its lease, and the deadline.
        holder: Holder,
    },
    /// Another compactor took over the group, as its lease was not renewed in time.
    #[error(
        "group {name}: the lease was not renewed in time, so another compactor has it; uncommitted work is dropped"
    )]
    LeaseLost {
        /// The group.
        name: String,
    },
    /// Work was dropped because the compactor stops.
    #[error("stopped before the end; uncommitted work is dropped")]
    Stopped,
    /// No task has this id.
    #[error("no task {id:?} is planned now")]
    NoTask {
        /// The given id.
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

    /// Who is at fault.
    pub(crate) fn blame(&self) -> Blame {
        match self {
            Self::Block { block, .. } | Self::Excluded { block, .. } => {
                Blame::block(*block, Damage::Lasting)
            }
            Self::Contradiction { block, other, .. } => Blame::contradiction(*block, *other),
            // The block is marked already, or the local copy is wrong.
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

    /// Whether a block is at fault, not the bucket or the disk.
    pub(crate) fn is_of_block(&self) -> bool {
        self.blame() != Blame::Nobody
    }

    /// Whether the downloaded files may be used for another attempt.
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
