//! Takes the rows of a row group.

use std::{cmp::Ordering, fmt, sync::Arc};

use bytes::Bytes;
use model::{METRIC_NAME, Quoted};

use super::{
    byte_column::{SharedStrings, SharedValue},
    options::WriteOptions,
    row_group::EncodedRowGroup,
    rows::{Rows, Symbols},
    schema::ShardSchema,
};
use crate::{
    error::Error,
    format::fault::Fault,
    layout::{contents::Contents, envelope},
};

/// The most rows of a row group: readers of blocks accept no more.
const MAX_ROWS: usize = 1 << 24;

/// The most bytes of the chunks of one series in one slice: sizes of pages are 32-bit integers.
const MAX_VALUE: usize = 1 << 30;

/// Collects rows in order, and becomes an [`EncodedRowGroup`].
pub struct RowGroupBuilder {
    rows: Rows,
    /// The id of `__name__`, once a row had it.
    metric_name: Option<u32>,
}

impl RowGroupBuilder {
    /// An empty row group, for labels that are ids of `symbols`.
    #[must_use]
    pub fn new(schema: &ShardSchema, symbols: Arc<dyn Symbols>, options: &WriteOptions) -> Self {
        Self {
            rows: Rows::new(schema, symbols, options),
            metric_name: None,
        }
    }

    /// Adds the next row: the ids of its labels' names and values, in order of the names, and its chunks in each slice
    /// as [`envelope::encode`] makes them, or its aggregates in each slice as [`envelope::encode_aggregates`] does.
    /// Labels with empty values are left out.
    ///
    /// # Errors
    /// When the row is not after the one before, lacks the value of a slice, has one that is too large for a page, or
    /// aggregates that no reader could join.
    pub fn push(&mut self, labels: &[(u32, u32)], values: &[&[u8]]) -> Result<(), Error> {
        let row = Bytes::from(values.concat());
        let mut end = 0;
        let values = values.iter().map(|value| {
            let start = end;
            end += value.len();
            SharedValue {
                buffer: &row,
                range: start..end,
            }
        });
        self.push_shared(labels, &values.collect::<Vec<_>>())
    }

    /// As [`Self::push`], but the values stay in their buffers. Best are few buffers with many rows, which hold the
    /// values of one column one after the other.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_shared(
        &mut self,
        labels: &[(u32, u32)],
        values: &[SharedValue<'_>],
    ) -> Result<(), Error> {
        let row = self.rows();
        let wrong = |reason: String| Err(Error::layout(format!("row {row}: {reason}")));
        if values.len() != self.rows.data.len() {
            let (expected, found) = (self.rows.data.len(), values.len());
            return wrong(format!(
                "expected values of {expected} columns, found {found}"
            ));
        }
        let mut lengths = values.iter().map(|value| value.as_ref().len());
        if let Some(len) = lengths.find(|len| *len > MAX_VALUE) {
            return wrong(format!(
                "chunks: expected at most {MAX_VALUE} bytes, found {len}"
            ));
        }
        let longest = match self.rows.schema.contents() {
            Contents::Chunks => Ok(0),
            Contents::Aggregates => values.iter().try_fold(self.rows.longest, |longest, value| {
                Ok::<_, Fault>(envelope::longest(value.as_ref())?.max(longest))
            }),
        };
        let longest = match longest {
            Ok(longest) => longest,
            Err(fault) => return wrong(fault.reason),
        };
        if row == MAX_ROWS {
            return wrong(format!(
                "row group: expected at most {MAX_ROWS} rows, found more"
            ));
        }
        if let Some([a, b]) = labels.array_windows().find(|[a, b]| a.0 >= b.0) {
            let [a, b] = [a, b].map(|label| Quoted(self.rows.symbols.get(label.0)));
            return wrong(format!(
                "labels: expected in ascending order, found {b} after {a}"
            ));
        }
        self.rows.labels.push(labels, &*self.rows.symbols);
        self.find_metric_name();
        if row > 0 && self.compare_last() != Ordering::Less {
            return wrong(format!(
                "expected a row after the one before, found {}",
                self.text(row)
            ));
        }
        for (column, value) in self.rows.data.iter_mut().zip(values) {
            column.push(value);
        }
        self.rows.longest = longest;
        Ok(())
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.labels.len()
    }

    /// The memory of the rows in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let data: usize = self.rows.data.iter().map(SharedStrings::size).sum();
        self.rows.labels.size() + data
    }

    /// Encodes the rows, in parallel on the current rayon pool.
    ///
    /// # Errors
    /// When a row has a label that the schema lacks, or the symbols are not in order.
    pub fn encode(self) -> Result<EncodedRowGroup, Error> {
        self.rows.encode()
    }

    fn find_metric_name(&mut self) {
        if self.metric_name.is_none() {
            let labels = self
                .rows
                .labels
                .get(self.rows.labels.len().saturating_sub(1));
            let mut names = labels.iter().map(|(name, _)| *name);
            self.metric_name =
                names.find(|name| self.rows.symbols.get(*name) == METRIC_NAME.as_bytes());
        }
    }

    /// Compares the last two rows: by `__name__`, then by all labels.
    fn compare_last(&self) -> Ordering {
        let last = self.rows.labels.len().saturating_sub(1);
        let [a, b] = [last.saturating_sub(1), last].map(|row| self.rows.labels.get(row));
        let name = |labels: &[(u32, u32)]| {
            let of_name = |label: &&(u32, u32)| Some(label.0) == self.metric_name;
            labels.iter().find(of_name).map(|label| label.1)
        };
        name(a).cmp(&name(b)).then_with(|| a.cmp(b))
    }

    /// The labels of a row, for people.
    fn text(&self, row: usize) -> model::Labels {
        self.rows.labels.text(row, &*self.rows.symbols)
    }
}

impl fmt::Debug for RowGroupBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowGroupBuilder")
            .field("rows", &self.rows())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}
