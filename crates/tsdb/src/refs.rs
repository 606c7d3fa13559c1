//! How the parts of a block name each other.

use std::fmt;

use model::{TimeRange, Timestamp};

/// A symbol of one index: its position in the sorted symbol table.
///
/// Indexes of version 1 store offsets instead; they are turned into positions when read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SymbolRef(pub u32);

/// A series of one index, as postings hold it. Ascending references are ascending labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesRef(pub u32);

/// A chunk of one block: the segment in the upper 32 bits, the offset in it in the lower 32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkRef(pub u64);

/// What the index says of one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkMeta {
    /// Time of the first sample.
    pub min: Timestamp,
    /// Time of the last sample, included.
    pub max: Timestamp,
    /// Where the chunk is.
    pub reference: ChunkRef,
}

/// What the index says of one series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesEntry {
    /// Name and value of each label, in order of the names.
    pub labels: Vec<(SymbolRef, SymbolRef)>,
    /// The chunks in the order of the index, which is that of time in all but damaged blocks.
    pub chunks: Vec<ChunkMeta>,
}

/// What a decoder makes of bytes whose length was a guess.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched<T> {
    /// The value.
    Done(T),
    /// The bytes end too early.
    Short {
        /// How many bytes, from the same start, are needed at least. More than were given; where
        /// the file has not so many, it is damaged ([`crate::Error::truncated`]).
        needed: u64,
    },
}

impl ChunkRef {
    /// A chunk at `offset` of the segment with the index `segment`, counted from 0.
    #[must_use]
    pub const fn new(segment: u32, offset: u32) -> Self {
        Self((segment as u64) << 32 | offset as u64)
    }

    /// The segment, counted from 0.
    #[must_use]
    pub const fn segment(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Where the chunk's record starts in its segment, in bytes.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    pub const fn offset(self) -> u32 {
        self.0 as u32
    }
}

impl ChunkMeta {
    /// The times of the chunk's samples.
    #[must_use]
    pub const fn range(&self) -> TimeRange {
        TimeRange {
            min: self.min,
            max: self.max,
        }
    }
}

/// As segment and offset: `0:8`.
impl fmt::Display for ChunkRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment(), self.offset())
    }
}
