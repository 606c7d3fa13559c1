//! The rows of a Parquet block as they are stored, and a reader of them over all row groups.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use model::BlockId;
use parquet_block::{LabelIds, LocalShard, RowReader, SharedGroup};
use rayon::prelude::*;
use tsdb::Chunk;

use super::super::{
    super::{
        MergeError,
        key::{Key, Keys},
    },
    SAMPLE_STEP,
};

/// The rows of a block, counted over all its row groups.
#[derive(Debug)]
pub(super) struct StoredRows {
    /// For errors.
    pub(super) block: BlockId,
    pub(super) shards: Vec<LocalShard>,
    pub(super) groups: Vec<Group>,
    pub(super) keys: Keys,
}

/// A row group.
#[derive(Debug)]
pub(super) struct Group {
    /// Its shard.
    pub(super) shard: usize,
    /// Its place in the shard.
    pub(super) place: usize,
    /// Its rows, counted over the block.
    pub(super) rows: Range<usize>,
    pub(super) ids: Vec<LabelIds>,
    /// For the cursors, of which each row has one.
    pub(super) shared: Arc<SharedGroup>,
}

/// Reads rows in order, over all row groups.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rows: &'a StoredRows,
    end: usize,
    pages: Pages,
    group: Option<(&'a Group, RowReader<'a>)>,
}

/// Whose pages a reader reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pages {
    /// Its own: it is not the only one that reads its rows.
    Own,
    /// Those that the readers of other rows read, too.
    Shared,
}

impl StoredRows {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.groups.last().map_or(0, |group| group.rows.end)
    }

    /// A reader of some rows, which ascend.
    pub(super) fn reader(&self, rows: Range<usize>) -> Reader<'_> {
        Reader::new(self, rows.end, Pages::Own)
    }

    /// Whether the first row, before which no row without a metric name is, has none.
    pub(super) fn begins_unnamed(&self, metric_name: Option<u32>) -> Result<bool, MergeError> {
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

    /// The keys of every [`SAMPLE_STEP`]th series, from the first on.
    pub(super) fn sampled(&self) -> Result<Vec<Key>, MergeError> {
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

impl<'a> Reader<'a> {
    /// A reader of rows before `end`, which ascend.
    pub(super) fn new(rows: &'a StoredRows, end: usize, pages: Pages) -> Self {
        Self {
            rows,
            end,
            pages,
            group: None,
        }
    }

    /// The reader of the row group that `row` is in, and the row's number there.
    fn at(&mut self, row: usize) -> Option<(&mut RowReader<'a>, u32)> {
        let is_in = |(group, _): &(&Group, RowReader<'_>)| group.rows.contains(&row);
        if !self.group.as_ref().is_some_and(is_in) {
            let groups = &self.rows.groups;
            let place = groups.partition_point(|group| group.rows.end <= row);
            let group = groups.get(place)?;
            let shard = self.rows.shards.get(group.shard)?;
            let local = |row: usize| {
                let row = row.clamp(group.rows.start, group.rows.end) - group.rows.start;
                u32::try_from(row).unwrap_or(u32::MAX)
            };
            let rows = local(row)..local(self.end);
            let shared = match self.pages {
                Pages::Own => Arc::new(SharedGroup::new(group.rows.len(), 0)),
                Pages::Shared => Arc::clone(&group.shared),
            };
            self.group = Some((
                group,
                shard.read_rows(group.place, rows, &group.ids, shared),
            ));
        }
        let (group, reader) = self.group.as_mut()?;
        let row = u32::try_from(row.checked_sub(group.rows.start)?).ok()?;
        Some((reader, row))
    }

    /// The key of a row.
    pub(super) fn key(&mut self, row: usize, key: &mut Key) -> Result<(), MergeError> {
        let rows = self.rows;
        key.labels.clear();
        if let Some((reader, row)) = self.at(row) {
            let labels = reader.labels(row);
            rows.keys
                .set(key, labels.map_err(MergeError::parquet(rows.block))?);
        }
        Ok(())
    }

    /// The values of a row of raw chunks.
    pub(super) fn values(&mut self, row: usize, each: impl FnMut(Bytes)) -> Result<(), MergeError> {
        let rows = self.rows;
        if let Some((reader, row)) = self.at(row) {
            let values = reader.values(row, each);
            values.map_err(MergeError::parquet(rows.block))?;
        }
        Ok(())
    }

    /// The chunks of a row.
    pub(super) fn chunks(&mut self, row: usize, each: impl FnMut(Chunk)) -> Result<(), MergeError> {
        let rows = self.rows;
        if let Some((reader, row)) = self.at(row) {
            let chunks = reader.chunks(row);
            let chunks = chunks.map_err(MergeError::parquet(rows.block))?;
            chunks.for_each(each);
        }
        Ok(())
    }
}
