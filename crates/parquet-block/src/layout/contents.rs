//! What the second file of a shard holds: chunks as scraped, or the aggregates of a downsampled block.

use model::{Aggregate, Resolution};

use super::schema;

/// What the second file of a shard holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Chunks of raw samples.
    Chunks,
    /// Aggregates of downsampled samples.
    Aggregates,
}

impl Contents {
    /// What blocks of a resolution hold.
    #[must_use]
    pub const fn of(resolution: Resolution) -> Self {
        match resolution {
            Resolution::Raw => Self::Chunks,
            Resolution::FiveMinutes | Resolution::OneHour => Self::Aggregates,
        }
    }

    /// The names of a shard's two files: the labels, and what belongs to them.
    #[must_use]
    pub fn files(self, shard: u32) -> [String; 2] {
        let second = match self {
            Self::Chunks => schema::chunks_file(shard),
            Self::Aggregates => schema::aggregates_file(shard),
        };
        [schema::labels_file(shard), second]
    }

    /// For a person to read.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Chunks => "chunks",
            Self::Aggregates => "aggregates",
        }
    }

    /// Which file it is, for errors of a writer.
    pub(crate) const fn file_kind(self) -> &'static str {
        match self {
            Self::Chunks => "chunks file",
            Self::Aggregates => "aggregates file",
        }
    }

    /// How many values a row has in each time slice.
    pub(crate) const fn width(self) -> usize {
        match self {
            Self::Chunks => 1,
            Self::Aggregates => Aggregate::ALL.len(),
        }
    }

    /// The columns of a time slice, in the order of a row's values.
    pub(crate) fn columns(self, slice: usize) -> Vec<String> {
        match self {
            Self::Chunks => vec![schema::data_column(slice)],
            Self::Aggregates => Aggregate::ALL
                .map(|aggregate| schema::aggregate_column(aggregate, slice))
                .into(),
        }
    }
}
