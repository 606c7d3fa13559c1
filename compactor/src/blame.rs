//! Which block is at fault when a task fails.

use model::BlockId;
use tsdb::ChunkError;

use crate::DownsampleError;

/// Who is at fault when a task fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// No block: the machine, the bucket or the settings are.
    Nobody,
    /// One source, or two together; the error does not say which.
    Unknown,
    /// This block.
    Block(Blamed),
}

/// A block at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blamed {
    /// The block. The others of its task may be merged without it.
    pub(crate) block: BlockId,
    /// The block that contradicts it, if two do.
    pub(crate) other: Option<BlockId>,
    /// Whether the damage is lasting.
    pub(crate) damage: Damage,
}

/// Whether another attempt finds the same damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// Another attempt may succeed, or another release may read the block, such as one of a newer version.
    Transient,
    /// The block breaks its format, so every attempt fails.
    Lasting,
}

impl Blame {
    /// This block.
    pub(crate) const fn block(block: BlockId, damage: Damage) -> Self {
        Self::Block(Blamed {
            block,
            other: None,
            damage,
        })
    }

    /// A block that another one contradicts.
    pub(crate) const fn contradiction(block: BlockId, other: BlockId) -> Self {
        Self::Block(Blamed {
            block,
            other: Some(other),
            damage: Damage::Lasting,
        })
    }

    /// The block, if one is at fault.
    pub(crate) const fn blamed(self) -> Option<Blamed> {
        match self {
            Self::Nobody | Self::Unknown => None,
            Self::Block(blamed) => Some(blamed),
        }
    }

    /// Who is at fault if a TSDB block cannot be read.
    pub(crate) fn of_tsdb(block: BlockId, error: &tsdb::Error) -> Self {
        let damage = match error {
            tsdb::Error::Io { .. } => return Self::Nobody,
            tsdb::Error::Corrupt { .. } => Damage::Lasting,
            tsdb::Error::Chunk { source, .. } => Damage::of_chunk(source),
            _ => Damage::Transient,
        };
        Self::block(block, damage)
    }

    /// Who is at fault if a Parquet block cannot be read.
    pub(crate) const fn of_parquet(block: BlockId, error: &parquet_block::Error) -> Self {
        let damage = match error {
            parquet_block::Error::Io { .. } => return Self::Nobody,
            parquet_block::Error::Corrupt { .. } => Damage::Lasting,
            _ => Damage::Transient,
        };
        Self::block(block, damage)
    }

    /// Who is at fault if a TSDB block cannot be written or read back.
    pub(crate) const fn of_tsdb_output(error: &tsdb::Error) -> Self {
        match error {
            tsdb::Error::Io { .. } => Self::Nobody,
            _ => Self::Unknown,
        }
    }

    /// Who is at fault if a Parquet block cannot be written or read back.
    pub(crate) const fn of_parquet_output(error: &parquet_block::Error) -> Self {
        match error {
            parquet_block::Error::Io { .. } => Self::Nobody,
            _ => Self::Unknown,
        }
    }
}

impl Damage {
    /// Who is at fault for a chunk.
    pub(crate) const fn of_chunk(error: &ChunkError) -> Self {
        match error {
            ChunkError::Corrupt { .. } => Self::Lasting,
            _ => Self::Transient,
        }
    }

    /// Who is at fault for chunks that cannot be downsampled.
    pub(crate) const fn of_downsampling(error: &DownsampleError) -> Self {
        match error {
            DownsampleError::Chunk { source, .. } => Self::of_chunk(source),
            _ => Self::Lasting,
        }
    }
}
