//! A Parquet block whose symbols are not translated yet.

use std::{path::Path, sync::Arc};

use model::{BlockId, BlockMeta, METRIC_NAME, SeriesOrder};
use parquet_block::{Dictionary, LabelIds, LocalBlock, LocalShard, SharedGroup};
use rayon::prelude::*;

use super::{
    super::{
        super::{MergeError, key::Keys},
        Table,
    },
    ParquetInput,
    permuted::Permutation,
    stored_rows::{Group, StoredRows},
};

/// One whose symbols are not translated yet.
#[derive(Debug)]
pub(crate) struct OpenedParquet {
    block: BlockId,
    shards: Vec<OpenedShard>,
}

#[derive(Debug)]
struct OpenedShard {
    shard: LocalShard,
    names: Vec<Vec<u8>>,
    /// The dictionaries of each row group's labels.
    dictionaries: Vec<Vec<Sorted>>,
}

/// A dictionary in byte order.
#[derive(Debug)]
struct Sorted {
    values: Dictionary,
    /// The ids of the values in byte order, without that of the empty one.
    order: Vec<u32>,
}

impl OpenedParquet {
    pub(crate) fn open(dir: &Path, meta: &BlockMeta) -> Result<Self, MergeError> {
        let block = meta.ulid;
        let opened = LocalBlock::open(dir, meta).map_err(MergeError::parquet(block))?;
        let shards = opened.into_shards().into_par_iter();
        let shards = shards.map(OpenedShard::new).collect::<Result<_, _>>();
        Ok(Self {
            block,
            shards: shards.map_err(MergeError::parquet(block))?,
        })
    }

    pub(crate) fn tables(&self) -> Vec<Table<'_>> {
        let mut tables: Vec<Table<'_>> = Vec::new();
        for shard in &self.shards {
            tables.push(Box::new(shard.names.iter().map(Vec::as_slice)));
            for sorted in shard.dictionaries.iter().flatten() {
                let ids = sorted.order.iter();
                let value = |id: &u32| sorted.values.get(*id as usize).unwrap_or_default();
                tables.push(Box::new(ids.map(value)));
            }
        }
        tables
    }

    /// `ids` are those of the strings of each table; `shared_pages` is how many bytes of pages readers of one row
    /// group may leave to one another.
    pub(crate) fn translated(
        self,
        ids: &[Vec<u32>],
        keys: Keys,
        metric_name: Option<u32>,
        order: SeriesOrder,
        shared_pages: usize,
    ) -> Result<ParquetInput, MergeError> {
        let mut rows = StoredRows {
            block: self.block,
            shards: Vec::new(),
            groups: Vec::new(),
            keys,
        };
        let mut ids = ids.iter();
        let mut row = 0;
        let mut has_earlier_name = false;
        for (number, opened) in self.shards.into_iter().enumerate() {
            has_earlier_name |= opened
                .names
                .iter()
                .any(|name| name.as_slice() < METRIC_NAME.as_bytes());
            let names = ids.next().map(Vec::as_slice).unwrap_or_default();
            for (place, dictionaries) in opened.dictionaries.iter().enumerate() {
                let labels = names.iter().zip(dictionaries).zip(&mut ids);
                let labels = labels.map(|((name, sorted), ids)| sorted.translated(*name, ids));
                let labels = labels.collect();
                let count = opened.shard.shard().rows(place) as usize;
                rows.groups.push(Group {
                    shard: number,
                    place,
                    rows: row..row + count,
                    ids: labels,
                    shared: Arc::new(SharedGroup::new(count, shared_pages)),
                });
                row += count;
            }
            rows.shards.push(opened.shard);
        }
        let permutation = match order {
            SeriesOrder::ByLabels if has_earlier_name || rows.begins_unnamed(metric_name)? => {
                Some(Permutation::of(&rows)?)
            }
            _ => None,
        };
        Ok(ParquetInput {
            samples: match &permutation {
                Some(permutation) => permutation.sample(),
                None => rows.sampled()?,
            },
            rows,
            permutation,
        })
    }
}

impl OpenedShard {
    fn new(shard: LocalShard) -> Result<Self, parquet_block::Error> {
        let names = shard.shard().label_names().map(<[u8]>::to_vec).collect();
        let dictionaries = (0..shard.shard().row_groups())
            .into_par_iter()
            .map(|group| {
                let dictionaries = shard.dictionaries(group)?;
                Ok(dictionaries.into_iter().map(Sorted::new).collect())
            })
            .collect::<Result<_, parquet_block::Error>>()?;
        Ok(Self {
            shard,
            names,
            dictionaries,
        })
    }
}

impl Sorted {
    fn new(values: Dictionary) -> Self {
        let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
        let value = |id: &u32| values.get(*id as usize).unwrap_or_default();
        let mut order: Vec<u32> = (0..count).filter(|id| !value(id).is_empty()).collect();
        order.sort_by(|a, b| value(a).cmp(value(b)));
        Self { order, values }
    }

    /// `ids` are those of the values in byte order.
    fn translated(&self, name: u32, ids: &[u32]) -> LabelIds {
        let mut values = vec![LabelIds::NONE; self.values.len()];
        for (own, id) in self.order.iter().zip(ids) {
            if let Some(value) = values.get_mut(*own as usize) {
                *value = *id;
            }
        }
        LabelIds { name, values }
    }
}
