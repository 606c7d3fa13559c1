//! A Parquet block as a source.
//!
//! A row's labels are ids of its row group's dictionaries, which are translated once; no string is looked at after
//! that. Rows are read in order, and a page that has rows of several cursors goes from one to the next, so that each
//! is decoded once.

mod cursor;
mod opened;
mod permuted;
mod stored_rows;

use std::ops::Range;

use model::BlockId;
use parquet_block::LocalShard;

pub(crate) use self::cursor::ParquetCursor;
pub(super) use self::opened::OpenedParquet;
use self::{permuted::Permutation, stored_rows::StoredRows};
use super::{
    super::{MergeError, key::Key},
    SAMPLE_STEP,
};

/// An open block.
#[derive(Debug)]
pub(crate) struct ParquetInput {
    rows: StoredRows,
    /// The keys of every [`SAMPLE_STEP`]th series, from the first on.
    samples: Vec<Key>,
    /// Where the rows are in another order than the output.
    permutation: Option<Permutation>,
}

impl ParquetInput {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn chunk_bytes(&self) -> u64 {
        self.rows.shards.iter().map(LocalShard::data_size).sum()
    }

    pub(super) fn block(&self) -> BlockId {
        self.rows.block
    }

    pub(super) fn label_names(&self) -> Vec<Vec<u8>> {
        let names = |shard: &LocalShard| -> Vec<Vec<u8>> {
            shard.shard().label_names().map(<[u8]>::to_vec).collect()
        };
        self.rows.shards.iter().flat_map(names).collect()
    }

    pub(super) fn sample(&self) -> Vec<Key> {
        self.samples.iter().skip(1).cloned().collect()
    }

    pub(super) fn positions(&self, keys: &[Key]) -> Result<Vec<usize>, MergeError> {
        if let Some(permutation) = &self.permutation {
            return Ok(permutation.positions(keys));
        }
        let mut reader = self.rows.reader(0..self.len());
        let mut found = Key::default();
        let mut low = 0;
        let mut positions = Vec::with_capacity(keys.len());
        for key in keys {
            let not_before = self.samples.partition_point(|sample| sample < key);
            let high = self.len().min(not_before * SAMPLE_STEP);
            // The sample before is before the key, so what follows it is the first candidate.
            low = low.max((not_before.saturating_sub(1) * SAMPLE_STEP + 1).min(high));
            while low < high {
                reader.key(low, &mut found)?;
                if found >= *key {
                    break;
                }
                low += 1;
            }
            positions.push(low);
        }
        Ok(positions)
    }

    pub(super) fn cursor(&self, series: Range<usize>) -> Result<ParquetCursor<'_>, MergeError> {
        ParquetCursor::begin(&self.rows, self.permutation.as_ref(), series)
    }
}
