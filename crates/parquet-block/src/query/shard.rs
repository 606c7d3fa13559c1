//! A shard of a block: its labels file and its chunks or aggregates file, checked to belong together.

use std::{fmt, sync::Arc};

use model::{AggregateSet, Quoted, TimeRange, Timestamp};

use super::data_columns::{DataColumn, DataColumns};
use crate::{
    error::Error,
    format::{footer::Footer, metadata::RowGroup, row_ranges::RowRanges},
    layout::{
        contents::Contents,
        schema::{self, Slices},
    },
};

/// More columns than Parquet readers in Go can hold in one file.
const MAX_SLICES: i64 = 1 << 15;

/// Rows chosen in a shard: row groups in ascending order, with the rows of each.
pub type Selection = Vec<(usize, RowRanges)>;

/// An opened shard. Cheap to clone; holds no file open.
#[derive(Clone)]
pub struct Shard(Arc<Parts>);

struct Parts {
    labels: Footer,
    chunks: Footer,
    slices: Slices,
    /// In order of the names.
    names: Vec<LabelColumn>,
    col_indexes: usize,
    /// The columns of the second file.
    data: DataColumns,
}

/// The column of a label.
pub(crate) struct LabelColumn {
    pub(crate) name: Box<[u8]>,
    /// In the labels file, counted from 0: what `s_col_indexes` holds.
    pub(crate) column: usize,
}

impl Shard {
    /// Joins the footers of a shard's two files, the second of which holds chunks or aggregates.
    ///
    /// # Errors
    /// When the files have different row groups, or lack columns or key-values of the layout.
    pub fn open(labels: Footer, chunks: Footer) -> Result<Self, Error> {
        let rows =
            |footer: &Footer| -> Vec<u32> { footer.row_groups().iter().map(|g| g.rows).collect() };
        let (expected, found) = (rows(&labels), rows(&chunks));
        if expected != found {
            return Err(chunks.invalid(format!(
                "row groups: expected {expected:?} rows as in {}, found {found:?}",
                labels.file()
            )));
        }
        let slices = slices(&labels)?;
        let mut names = Vec::new();
        let mut col_indexes = None;
        for (column, found) in labels.columns().iter().enumerate() {
            if let Some(name) = schema::label_name(&found.name) {
                let name = name.into();
                names.push(LabelColumn { name, column });
            } else if *found.name == *schema::COL_INDEXES_COLUMN.as_bytes() {
                col_indexes = Some(column);
            }
        }
        names.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        if let Some([twice, _]) = names.array_windows().find(|[a, b]| a.name == b.name) {
            return Err(labels.invalid(format!(
                "label {}: expected one column, found two",
                Quoted(&twice.name)
            )));
        }
        let Some(col_indexes) = col_indexes else {
            return Err(labels.invalid(format!(
                "column {:?} is missing",
                schema::COL_INDEXES_COLUMN
            )));
        };
        let data = DataColumns::open(&chunks, slices.count())?;
        Ok(Self(Arc::new(Parts {
            labels,
            chunks,
            slices,
            names,
            col_indexes,
            data,
        })))
    }

    /// The number of row groups.
    #[must_use]
    pub fn row_groups(&self) -> usize {
        self.0.labels.row_groups().len()
    }

    /// The number of rows of a row group: one a series.
    #[must_use]
    pub fn rows(&self, group: usize) -> u32 {
        self.0.labels.row_groups().get(group).map_or(0, |g| g.rows)
    }

    /// Every row.
    #[must_use]
    pub fn everything(&self) -> Selection {
        (0..self.row_groups())
            .map(|group| (group, RowRanges::all(self.rows(group))))
            .collect()
    }

    /// The time slices that samples are kept in.
    #[must_use]
    pub fn slices(&self) -> &Slices {
        &self.0.slices
    }

    /// What the second file holds.
    #[must_use]
    pub fn contents(&self) -> Contents {
        self.0.data.contents()
    }

    /// The names of all labels, ascending.
    pub fn label_names(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.0.names.iter().map(|label| &*label.name)
    }

    /// Whether each row has the label `name`, by the counts of nulls.
    #[must_use]
    pub fn all_have(&self, name: impl AsRef<[u8]>) -> bool {
        let nulls = |group: &RowGroup, column: usize| group.columns.get(column)?.bounds.nulls;
        self.label_column(name.as_ref()).is_some_and(|column| {
            let mut groups = self.0.labels.row_groups().iter();
            groups.all(|group| group.rows == 0 || nulls(group, column) == Some(0))
        })
    }

    /// Bytes held on the heap.
    #[must_use]
    pub fn memory_size(&self) -> usize {
        self.0.labels.memory_size() + self.0.chunks.memory_size()
    }

    pub(crate) fn labels_file(&self) -> &Footer {
        &self.0.labels
    }

    pub(crate) fn chunks_file(&self) -> &Footer {
        &self.0.chunks
    }

    /// The labels' columns in order of the names.
    pub(crate) fn label_columns(&self) -> &[LabelColumn] {
        &self.0.names
    }

    /// The column of a label, if a row has it.
    pub(crate) fn label_column(&self, name: &[u8]) -> Option<usize> {
        let label = self.0.names.get(self.label_place(name)?)?;
        Some(label.column)
    }

    /// The index of a label in [`Self::label_columns`].
    pub(crate) fn label_place(&self, name: &[u8]) -> Option<usize> {
        let names = &self.0.names;
        names.binary_search_by(|l| (*l.name).cmp(name)).ok()
    }

    pub(crate) fn col_indexes_column(&self) -> usize {
        self.0.col_indexes
    }

    /// The columns that may hold chunks of `range`; where they hold aggregates, these. In order of time.
    pub(crate) fn data_columns(
        &self,
        range: TimeRange,
        aggregates: AggregateSet,
    ) -> Vec<DataColumn> {
        self.0.data.of(&self.0.slices, range, aggregates)
    }
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard")
            .field("labels", &self.0.labels)
            .field("chunks", &self.0.chunks)
            .field("slices", &self.0.slices)
            .finish_non_exhaustive()
    }
}

/// The time slices, as the labels file's key-values tell them.
fn slices(labels: &Footer) -> Result<Slices, Error> {
    let number = |key: &str| -> Result<i64, Error> {
        let value = labels
            .key_value(key)
            .ok_or_else(|| labels.invalid(format!("key-value {key:?} is missing")))?;
        value.parse().map_err(|_| {
            labels.invalid(format!(
                "key-value {key:?}: expected a number, found {value:?}"
            ))
        })
    };
    let (min, max, duration) = (
        number(schema::MIN_TIME_KEY)?,
        number(schema::MAX_TIME_KEY)?,
        number(schema::DURATION_KEY)?,
    );
    if !are_few(min, max, duration) {
        return Err(labels.invalid(format!(
            "time slices: expected 1 to {MAX_SLICES}, found {duration} ms from {min} to {max}"
        )));
    }
    Ok(Slices::new(
        Timestamp(min),
        Timestamp(max.saturating_add(1)),
        duration,
    ))
}

/// Whether there is a slice, and at most as many as columns, so that a wrong number makes no long list.
fn are_few(min: i64, max: i64, duration: i64) -> bool {
    max.checked_sub(min)
        .filter(|span| *span >= 0 && duration > 0)
        .is_some_and(|span| span / duration < MAX_SLICES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_slices_than_can_be_counted_are_not_few() {
        assert!(!are_few(0, i64::MAX, 1));
        assert!(!are_few(i64::MIN, i64::MAX, i64::MAX));
        assert!(are_few(0, 0, 1) && are_few(0, MAX_SLICES - 1, 1));
        assert!(!are_few(0, MAX_SLICES, 1) && !are_few(1, 0, 1) && !are_few(0, 1, 0));
    }
}
