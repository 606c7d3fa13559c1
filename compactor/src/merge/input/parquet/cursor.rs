//! Reads the series of a Parquet block one after the other.

use std::ops::Range;

use bytes::Bytes;
use model::{BlockId, TimeRange};
use tsdb::Chunk;

use super::{
    super::{
        super::{MergeError, key::Key},
        check_within,
    },
    permuted::{Gathered, Permutation},
    stored_rows::{Pages, Reader, StoredRows},
};

/// Reads some of the series.
#[derive(Debug)]
pub(crate) struct ParquetCursor<'a> {
    rows: &'a StoredRows,
    permutation: Option<&'a Permutation>,
    /// What is still to be read.
    rest: Range<usize>,
    at: Option<usize>,
    reader: Reader<'a>,
    /// The chunks of all series, where they are not in the order of rows.
    gathered: Option<Gathered>,
    key: Key,
    before: Key,
}

impl<'a> ParquetCursor<'a> {
    /// Stands at the first series.
    pub(super) fn begin(
        rows: &'a StoredRows,
        permutation: Option<&'a Permutation>,
        series: Range<usize>,
    ) -> Result<Self, MergeError> {
        let gathered = match permutation {
            Some(permutation) => Some(permutation.gather(rows, series.clone())?),
            None => None,
        };
        let mut cursor = Self {
            rows,
            permutation,
            reader: Reader::new(rows, series.end, Pages::Shared),
            rest: series,
            at: None,
            gathered,
            key: Key::default(),
            before: Key::default(),
        };
        cursor.advance()?;
        Ok(cursor)
    }
}

impl ParquetCursor<'_> {
    pub(crate) fn key(&self) -> Option<&Key> {
        self.at.map(|_| &self.key)
    }

    pub(crate) fn block(&self) -> BlockId {
        self.rows.block
    }

    pub(crate) fn advance(&mut self) -> Result<(), MergeError> {
        let is_first = self.at.is_none();
        std::mem::swap(&mut self.key, &mut self.before);
        self.at = self.rest.next();
        let Some(at) = self.at else {
            return Ok(());
        };
        match self.permutation {
            Some(permutation) => permutation.key(at, &mut self.key),
            None => self.reader.key(at, &mut self.key)?,
        }
        if !is_first && self.before >= self.key {
            return Err(MergeError::Order {
                block: self.rows.block,
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
        let block = self.rows.block;
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
