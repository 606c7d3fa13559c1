//! One output of a merge: takes rows in order, and becomes the files of a block.

mod parquet;
mod tsdb_block;

use model::BlockStats;

pub(crate) use self::{parquet::ParquetSink, tsdb_block::TsdbSink};
use super::{
    MergeError, MergeOutput,
    rows::{self, Rows},
};

/// Takes the rows of one output, while the next key ranges are merged.
pub(crate) struct Sink {
    format: Format,
    counts: BlockStats,
}

/// What is written.
pub(crate) enum Format {
    /// A Parquet block.
    Parquet(Box<ParquetSink>),
    /// A TSDB block.
    Tsdb(Box<TsdbSink>),
}

impl Sink {
    pub(crate) fn new(format: Format) -> Self {
        Self {
            format,
            counts: BlockStats::default(),
        }
    }

    /// Takes rows that follow those taken before, all of one column set, and writes what is full of them.
    pub(crate) fn take(&mut self, rows: Rows, column_set: usize) -> Result<(), MergeError> {
        rows::add(&mut self.counts, &rows.counts);
        match &mut self.format {
            Format::Parquet(sink) => sink.take(rows, column_set),
            Format::Tsdb(sink) => sink.take(rows),
        }
    }

    /// Writes the rest.
    pub(crate) fn finish(self) -> Result<MergeOutput, MergeError> {
        match self.format {
            Format::Parquet(sink) => sink.finish(self.counts),
            Format::Tsdb(sink) => sink.finish(),
        }
    }
}
