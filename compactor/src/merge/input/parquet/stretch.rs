//! Reads the series of a Parquet block one after the other.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use model::{BlockId, TimeRange};
use parquet_block::{RowReader, SharedGroup};
use tsdb::Chunk;

use super::{
    super::{
        super::{MergeError, key::Key},
        check_within,
        permuted::Gathered,
    },
    Group, ParquetInput,
};

/// Reads some of the series.
#[derive(Debug)]
pub(crate) struct ParquetStretch<'a> {
    input: &'a ParquetInput,
    /// What is still to be read.
    rest: Range<usize>,
    at: Option<usize>,
    reader: Reader<'a>,
    /// The chunks of all series, where they are not in the order of rows.
    gathered: Option<Gathered>,
    key: Key,
    before: Key,
}

/// Reads rows in order, over all row groups.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    input: &'a ParquetInput,
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

impl<'a> Reader<'a> {
    /// A reader of rows before `end`, which ascend.
    pub(super) fn new(input: &'a ParquetInput, end: usize, pages: Pages) -> Self {
        Self {
            input,
            end,
            pages,
            group: None,
        }
    }

    /// The reader of the row group that `row` is in, and the row's number there.
    fn at(&mut self, row: usize) -> Option<(&mut RowReader<'a>, u32)> {
        let is_in = |(group, _): &(&Group, RowReader<'_>)| group.rows.contains(&row);
        if !self.group.as_ref().is_some_and(is_in) {
            let groups = &self.input.groups;
            let place = groups.partition_point(|group| group.rows.end <= row);
            let group = groups.get(place)?;
            let shard = self.input.shards.get(group.shard)?;
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
    pub(crate) fn key(&mut self, row: usize, key: &mut Key) -> Result<(), MergeError> {
        let input = self.input;
        key.labels.clear();
        if let Some((reader, row)) = self.at(row) {
            let labels = reader.labels(row);
            input
                .keys
                .set(key, labels.map_err(MergeError::parquet(input.block))?);
        }
        Ok(())
    }

    /// The values of a row of raw chunks.
    fn values(&mut self, row: usize, each: impl FnMut(Bytes)) -> Result<(), MergeError> {
        let input = self.input;
        if let Some((reader, row)) = self.at(row) {
            let values = reader.values(row, each);
            values.map_err(MergeError::parquet(input.block))?;
        }
        Ok(())
    }

    /// The chunks of a row.
    pub(crate) fn chunks(&mut self, row: usize, each: impl FnMut(Chunk)) -> Result<(), MergeError> {
        let input = self.input;
        if let Some((reader, row)) = self.at(row) {
            let chunks = reader.chunks(row);
            let chunks = chunks.map_err(MergeError::parquet(input.block))?;
            chunks.for_each(each);
        }
        Ok(())
    }
}

impl<'a> ParquetStretch<'a> {
    /// Stands at the first series.
    pub(super) fn begin(input: &'a ParquetInput, series: Range<usize>) -> Result<Self, MergeError> {
        let gathered = match &input.permutation {
            Some(permutation) => Some(permutation.gather(input, series.clone())?),
            None => None,
        };
        let mut stretch = Self {
            input,
            reader: Reader::new(input, series.end, Pages::Shared),
            rest: series,
            at: None,
            gathered,
            key: Key::default(),
            before: Key::default(),
        };
        stretch.advance()?;
        Ok(stretch)
    }
}

impl ParquetStretch<'_> {
    pub(crate) fn key(&self) -> Option<&Key> {
        self.at.map(|_| &self.key)
    }

    pub(crate) fn block(&self) -> BlockId {
        self.input.block
    }

    pub(crate) fn advance(&mut self) -> Result<(), MergeError> {
        let is_first = self.at.is_none();
        std::mem::swap(&mut self.key, &mut self.before);
        self.at = self.rest.next();
        let Some(at) = self.at else {
            return Ok(());
        };
        match &self.input.permutation {
            Some(permutation) => permutation.key(at, &mut self.key),
            None => self.reader.key(at, &mut self.key)?,
        }
        if !is_first && self.before >= self.key {
            return Err(MergeError::Order {
                block: self.input.block,
                series: at as u64,
            });
        }
        Ok(())
    }

    /// The values of the series, as they are stored; false where they are not to be had so.
    pub(crate) fn values(&mut self, each: impl FnMut(Bytes)) -> Result<bool, MergeError> {
        match self.at {
            Some(at) if self.gathered.is_none() => {
                self.reader.values(at, each)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    pub(crate) fn chunks(
        &mut self,
        range: TimeRange,
        mut each: impl FnMut(Chunk),
    ) -> Result<(), MergeError> {
        let Some(at) = self.at else {
            return Ok(());
        };
        let mut outside = Ok(());
        let block = self.input.block;
        let check = |chunk: Chunk| {
            if outside.is_ok() {
                outside = check_within(block, (chunk.min, chunk.max), range);
                each(chunk);
            }
        };
        match &mut self.gathered {
            Some(gathered) => gathered.take(at).iter().cloned().for_each(check),
            None => self.reader.chunks(at, check)?,
        }
        outside
    }
}
