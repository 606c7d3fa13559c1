//! Takes the rows of a row group.

use std::{cmp::Ordering, fmt, sync::Arc};

use bytes::Bytes;
use model::{METRIC_NAME, Quoted, Ragged};

use super::{
    byte_column::{SharedStrings, SharedValue},
    options::WriteOptions,
    row_group::{EncodedRowGroup, encode},
    schema::ShardSchema,
};
use crate::{
    error::Error,
    format::fault::Fault,
    layout::{contents::Contents, envelope},
};

/// Rows that a row group has at most: readers of blocks take no more.
const MAX_ROWS: usize = 1 << 24;

/// Bytes that the chunks of one series in one slice take at most: the sizes of pages are 32-bit integers.
const MAX_VALUE: usize = 1 << 30;

/// The strings that labels are made of, by id.
///
/// Ids ascend with the strings in byte order, and no string has two: rows are compared by ids.
pub trait Symbols: Send + Sync {
    /// The string with this id; the empty string for an id that is none.
    fn get(&self, id: u32) -> &[u8];
}

/// Takes rows in order, and becomes an [`EncodedRowGroup`].
pub struct RowGroupBuilder {
    pub(super) schema: ShardSchema,
    pub(super) options: WriteOptions,
    pub(super) symbols: Arc<dyn Symbols>,
    pub(super) labels: RowLabels,
    /// The values of each slice, or of each aggregate of each slice.
    pub(super) data: Vec<SharedStrings>,
    /// How long the longest chunk is, milliseconds; of aggregates only.
    pub(super) longest: i64,
    /// The id of `__name__`, once a row has had it.
    metric_name: Option<u32>,
}

/// The labels of rows, as ids of names and values.
#[derive(Default)]
pub(super) struct RowLabels(Ragged<(u32, u32)>);

impl RowGroupBuilder {
    /// A row group without rows, of labels that are ids of `symbols`.
    #[must_use]
    pub fn new(schema: &ShardSchema, symbols: Arc<dyn Symbols>, options: &WriteOptions) -> Self {
        Self {
            data: (0..schema.values())
                .map(|_| SharedStrings::default())
                .collect(),
            longest: 0,
            schema: schema.clone(),
            options: *options,
            symbols,
            labels: RowLabels::default(),
            metric_name: None,
        }
    }

    /// Takes the next row: the ids of its labels' names and values, in order of the names, and its chunks in
    /// each slice as [`envelope::encode`] makes them, or its aggregates in each slice as
    /// [`envelope::encode_aggregates`] does. Labels with empty values are left out.
    ///
    /// # Errors
    /// When the row is not after the one before it, or has not a value for each slice, or one that no page holds,
    /// or aggregates that no reader could put together.
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

    /// As [`Self::push`], but the values stay in the buffers in which they are. Few buffers with many rows are best:
    /// of each column those of the rows one after the other.
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
        if values.len() != self.data.len() {
            let (expected, found) = (self.data.len(), values.len());
            return wrong(format!(
                "values of {expected} columns expected, found {found}"
            ));
        }
        let mut lengths = values.iter().map(|value| value.as_ref().len());
        if let Some(len) = lengths.find(|len| *len > MAX_VALUE) {
            return wrong(format!(
                "chunks of {len} bytes, at most {MAX_VALUE} expected"
            ));
        }
        let longest = match self.schema.contents() {
            Contents::Chunks => Ok(0),
            Contents::Aggregates => values.iter().try_fold(self.longest, |longest, value| {
                Ok::<_, Fault>(envelope::longest(value.as_ref())?.max(longest))
            }),
        };
        let longest = match longest {
            Ok(longest) => longest,
            Err(fault) => return wrong(fault.reason),
        };
        if row == MAX_ROWS {
            return wrong(format!("a row group has at most {MAX_ROWS} rows"));
        }
        if let Some([a, b]) = labels.array_windows().find(|[a, b]| a.0 >= b.0) {
            let [a, b] = [a, b].map(|label| Quoted(self.symbols.get(label.0)));
            return wrong(format!("label {b} comes after {a}"));
        }
        self.labels.push(labels, &*self.symbols);
        self.find_metric_name();
        if row > 0 && self.compare_last() != Ordering::Less {
            return wrong(format!("{} is not after the row before", self.text(row)));
        }
        for (column, value) in self.data.iter_mut().zip(values) {
            column.push(value);
        }
        self.longest = longest;
        Ok(())
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.labels.len()
    }

    /// Bytes that the rows take in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let data: usize = self.data.iter().map(SharedStrings::size).sum();
        self.labels.size() + data
    }

    /// Encodes the rows, in parallel on the current rayon pool.
    ///
    /// # Errors
    /// When a row has a label that the schema has not, or the symbols are not in order.
    pub fn encode(self) -> Result<EncodedRowGroup, Error> {
        encode(self)
    }

    fn find_metric_name(&mut self) {
        if self.metric_name.is_none() {
            let labels = self.labels.get(self.labels.len().saturating_sub(1));
            let mut names = labels.iter().map(|(name, _)| *name);
            self.metric_name = names.find(|name| self.symbols.get(*name) == METRIC_NAME.as_bytes());
        }
    }

    /// Compares the row before the last with the last: by `__name__`, then by all labels.
    fn compare_last(&self) -> Ordering {
        let last = self.labels.len().saturating_sub(1);
        let [a, b] = [last.saturating_sub(1), last].map(|row| self.labels.get(row));
        let name = |labels: &[(u32, u32)]| {
            let of_name = |label: &&(u32, u32)| Some(label.0) == self.metric_name;
            labels.iter().find(of_name).map(|label| label.1)
        };
        name(a).cmp(&name(b)).then_with(|| a.cmp(b))
    }

    /// The labels of a row for a person to read.
    fn text(&self, row: usize) -> model::Labels {
        self.labels.text(row, &*self.symbols)
    }
}

impl RowLabels {
    fn push(&mut self, labels: &[(u32, u32)], symbols: &dyn Symbols) {
        // The empty string is before all others, so only the first id can be it.
        let empty = symbols.get(0).is_empty();
        if empty {
            let present = labels.iter().filter(|(_, value)| *value != 0);
            self.0.push(present.copied());
        } else {
            self.0.push(labels.iter().copied());
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn size(&self) -> usize {
        self.0.size()
    }

    pub(super) fn get(&self, row: usize) -> &[(u32, u32)] {
        self.0.get(row).unwrap_or_default()
    }

    pub(super) fn text(&self, row: usize, symbols: &dyn Symbols) -> model::Labels {
        let pairs = self.get(row).iter();
        model::Labels::from_sorted(pairs.map(|(n, v)| (symbols.get(*n), symbols.get(*v))))
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
