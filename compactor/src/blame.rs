//! Whose fault it is that a task fails.

use model::BlockId;
use tsdb::ChunkError;

use crate::DownsampleError;

/// Whose fault it is that a task fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// No block's: the machine, the bucket or the settings are at fault.
    Nobody,
    /// One source's, or that of two together; the error does not tell which.
    Unknown,
    /// That of one block.
    Block(Blamed),
}

/// A block that is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blamed {
    /// The block. The others of its task may be merged without it.
    pub(crate) block: BlockId,
    /// The block that contradicts it, where two do.
    pub(crate) other: Option<BlockId>,
    /// Whether the damage stays.
    pub(crate) damage: Damage,
}

/// Whether another attempt finds the same damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// Another attempt may go well, or another release may know how to read the block: its version, say.
    Transient,
    /// What the block holds is against its format, so every attempt fails.
    Lasting,
}

impl Blame {
    /// That of one block.
    pub(crate) const fn block(block: BlockId, damage: Damage) -> Self {
        Self::Block(Blamed {
            block,
            other: None,
            damage,
        })
    }

    /// That of a block which another one contradicts.
    pub(crate) const fn contradiction(block: BlockId, other: BlockId) -> Self {
        Self::Block(Blamed {
            block,
            other: Some(other),
            damage: Damage::Lasting,
        })
    }

    /// The block, if it is one's.
    pub(crate) const fn blamed(self) -> Option<Blamed> {
        match self {
            Self::Nobody | Self::Unknown => None,
            Self::Block(blamed) => Some(blamed),
        }
    }

    /// Whose fault it is that a TSDB block cannot be read.
    pub(crate) fn of_tsdb(block: BlockId, error: &tsdb::Error) -> Self {
        let damage = match error {
            tsdb::Error::Io { .. } => return Self::Nobody,
            tsdb::Error::Corrupt { .. } => Damage::Lasting,
            tsdb::Error::Chunk { source, .. } => Damage::of_chunk(source),
            _ => Damage::Transient,
        };
        Self::block(block, damage)
    }

    /// Whose fault it is that a Parquet block cannot be read.
    pub(crate) const fn of_parquet(block: BlockId, error: &parquet_block::Error) -> Self {
        let damage = match error {
            parquet_block::Error::Io { .. } => return Self::Nobody,
            parquet_block::Error::Corrupt { .. } => Damage::Lasting,
            _ => Damage::Transient,
        };
        Self::block(block, damage)
    }

    /// Whose fault it is that a TSDB block cannot be written or read back.
    pub(crate) const fn of_tsdb_output(error: &tsdb::Error) -> Self {
        match error {
            tsdb::Error::Io { .. } => Self::Nobody,
            _ => Self::Unknown,
        }
    }

    /// Whose fault it is that a Parquet block cannot be written or read back.
    pub(crate) const fn of_parquet_output(error: &parquet_block::Error) -> Self {
        match error {
            parquet_block::Error::Io { .. } => Self::Nobody,
            _ => Self::Unknown,
        }
    }
}

impl Damage {
    /// That of a chunk.
    pub(crate) const fn of_chunk(error: &ChunkError) -> Self {
        match error {
            ChunkError::Corrupt { .. } => Self::Lasting,
            _ => Self::Transient,
        }
    }

    /// That of chunks that cannot be downsampled.
    pub(crate) const fn of_downsampling(error: &DownsampleError) -> Self {
        match error {
            DownsampleError::Chunk { source, .. } => Self::of_chunk(source),
            _ => Self::Lasting,
        }
    }
}
