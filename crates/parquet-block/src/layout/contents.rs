//! The contents of a shard's second file: chunks as scraped, or the aggregates of a downsampled block.

use model::{Aggregate, Resolution};

use super::schema;

/// The contents of a shard's second file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Chunks of raw samples.
    Chunks,
    /// Aggregates of downsampled samples.
    Aggregates,
}

impl Contents {
    /// The contents in blocks of a resolution.
    #[must_use]
    pub const fn of(resolution: Resolution) -> Self {
        match resolution {
            Resolution::Raw => Self::Chunks,
            Resolution::FiveMinutes | Resolution::OneHour => Self::Aggregates,
        }
    }

    /// The names of a shard's two files: of the labels, and of the contents.
    #[must_use]
    pub fn files(self, shard: u32) -> [String; 2] {
        let second = match self {
            Self::Chunks => schema::chunks_file(shard),
            Self::Aggregates => schema::aggregates_file(shard),
        };
        [schema::labels_file(shard), second]
    }

    /// The name for people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Chunks => "chunks",
            Self::Aggregates => "aggregates",
        }
    }

    /// The name of the file, for errors of a writer.
    pub(crate) const fn file_kind(self) -> &'static str {
        match self {
            Self::Chunks => "chunks file",
            Self::Aggregates => "aggregates file",
        }
    }

    /// The number of a row's values in each time slice.
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
