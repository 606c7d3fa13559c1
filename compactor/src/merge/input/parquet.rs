//! A Parquet block as a source.
//!
//! A row's labels are ids of its row group's dictionaries, which are translated once; no string is looked at after
//! that. Rows are read in order, and a page that has rows of several stretches goes from one to the next, so that each
//! is decoded once.

mod opened;
mod stretch;

use std::{ops::Range, sync::Arc};

use model::BlockId;
use parquet_block::{LabelIds, LocalShard, SharedGroup};
use rayon::prelude::*;

pub(super) use self::opened::OpenedParquet;
pub(crate) use self::stretch::ParquetStretch;
use self::stretch::{Pages, Reader};
use super::{
    super::{
        MergeError,
        key::{Key, Keys},
    },
    SAMPLE_STEP,
    permuted::Permutation,
};

/// An open block.
#[derive(Debug)]
pub(crate) struct ParquetInput {
    /// For errors.
    block: BlockId,
    shards: Vec<LocalShard>,
    groups: Vec<Group>,
    keys: Keys,
    /// The keys of every [`SAMPLE_STEP`]th series, from the first on.
    samples: Vec<Key>,
    /// Where the rows are in another order than the output.
    permutation: Option<Permutation>,
}

/// A row group.
#[derive(Debug)]
struct Group {
    /// Its shard.
    shard: usize,
    /// Its place in the shard.
    place: usize,
    /// Its rows, counted over the block.
    rows: Range<usize>,
    ids: Vec<LabelIds>,
    /// For the stretches, of which each row has one.
    shared: Arc<SharedGroup>,
}

impl ParquetInput {
    pub(super) fn len(&self) -> usize {
        self.groups.last().map_or(0, |group| group.rows.end)
    }

    pub(super) fn chunk_bytes(&self) -> u64 {
        self.shards.iter().map(LocalShard::data_size).sum()
    }

    pub(super) fn block(&self) -> BlockId {
        self.block
    }

    pub(super) fn keys(&self) -> Keys {
        self.keys
    }

    pub(super) fn label_names(&self) -> Vec<Vec<u8>> {
        let names = |shard: &LocalShard| -> Vec<Vec<u8>> {
            shard.shard().label_names().map(<[u8]>::to_vec).collect()
        };
        self.shards.iter().flat_map(names).collect()
    }

    pub(super) fn sample(&self) -> Vec<Key> {
        self.samples.iter().skip(1).cloned().collect()
    }

    pub(super) fn positions(&self, keys: &[Key]) -> Result<Vec<usize>, MergeError> {
        if let Some(permutation) = &self.permutation {
            return Ok(permutation.positions(keys));
        }
        let mut reader = self.reader(0..self.len());
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

    pub(super) fn stretch(&self, series: Range<usize>) -> Result<ParquetStretch<'_>, MergeError> {
        ParquetStretch::begin(self, series)
    }

    /// A reader of some rows, which ascend.
    pub(super) fn reader(&self, rows: Range<usize>) -> Reader<'_> {
        Reader::new(self, rows.end, Pages::Own)
    }

    /// Whether the first row, before which no row without a metric name is, has none.
    fn begins_unnamed(&self, metric_name: Option<u32>) -> Result<bool, MergeError> {
        if self.len() == 0 {
            return Ok(false);
        }
        let mut key = Key::default();
        self.reader(0..1).key(0, &mut key)?;
        Ok(!key
            .labels
            .iter()
            .any(|(name, _)| Some(*name) == metric_name))
    }

    fn sampled(&self) -> Result<Vec<Key>, MergeError> {
        let of_group = |group: &Group| -> Result<Vec<Key>, MergeError> {
            let mut reader = self.reader(group.rows.clone());
            let first = group.rows.start.next_multiple_of(SAMPLE_STEP);
            let mut keys = Vec::new();
            for row in (first..group.rows.end).step_by(SAMPLE_STEP) {
                let mut key = Key::default();
                reader.key(row, &mut key)?;
                keys.push(key);
            }
            Ok(keys)
        };
        let groups = self.groups.par_iter().map(of_group);
        let groups: Vec<Vec<Key>> = groups.collect::<Result<_, _>>()?;
        Ok(groups.into_iter().flatten().collect())
    }
}
