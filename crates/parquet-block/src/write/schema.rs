//! The columns of a shard's two files.

use std::sync::Arc;

use model::METRIC_NAME;

use crate::{
    error::Error,
    format::file::{ByteEncoding, Column, ColumnKind},
    layout::{
        contents::Contents,
        schema::{self, Slices},
    },
};

/// Columns that a file has at most: more than parquet-go cannot read.
const MAX_COLUMNS: usize = (1 << 15) - 1;

/// The labels and time slices of a shard. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ShardSchema {
    names: Arc<[Vec<u8>]>,
    slices: Slices,
    contents: Contents,
    /// The column of `__name__`.
    metric_name: Option<usize>,
}

impl ShardSchema {
    /// A schema of a block of raw samples, with a column for each of the labels called `names`.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = impl Into<Vec<u8>>>, slices: Slices) -> Self {
        Self::of(Contents::Chunks, names, slices)
    }

    /// A schema of a downsampled block.
    #[must_use]
    pub fn aggregates(names: impl IntoIterator<Item = impl Into<Vec<u8>>>, slices: Slices) -> Self {
        Self::of(Contents::Aggregates, names, slices)
    }

    /// A schema of a block with these contents.
    #[must_use]
    pub fn of(
        contents: Contents,
        names: impl IntoIterator<Item = impl Into<Vec<u8>>>,
        slices: Slices,
    ) -> Self {
        let mut names: Vec<Vec<u8>> = names.into_iter().map(Into::into).collect();
        names.sort_unstable();
        names.dedup();
        Self {
            metric_name: names
                .binary_search_by(|name| name.as_slice().cmp(METRIC_NAME.as_bytes()))
                .ok(),
            names: names.into(),
            slices,
            contents,
        }
    }

    /// The names of the labels, ascending.
    #[must_use]
    pub fn label_names(&self) -> &[Vec<u8>] {
        &self.names
    }

    /// The time slices.
    #[must_use]
    pub fn slices(&self) -> &Slices {
        &self.slices
    }

    /// What the second file holds.
    #[must_use]
    pub fn contents(&self) -> Contents {
        self.contents
    }

    /// How many values a row has: one for each column of the second file.
    pub(crate) fn values(&self) -> usize {
        self.slices.count().saturating_mul(self.contents.width())
    }

    /// The column of `__name__`, if there is one.
    pub(crate) fn metric_name(&self) -> Option<usize> {
        self.metric_name
    }

    /// The column of a label: its place among the labels, since no other column's name comes before.
    pub(crate) fn label_column(&self, name: &[u8]) -> Option<usize> {
        self.names
            .binary_search_by(|known| known.as_slice().cmp(name))
            .ok()
    }

    /// The columns of the labels file, in order of their names.
    pub(crate) fn labels_columns(&self) -> Vec<Column> {
        let labels = self.names.iter().map(|name| Column {
            name: schema::stored_name(&schema::label_column(name)).into_owned(),
            kind: ColumnKind::Strings,
        });
        let others = [
            (schema::COL_INDEXES_COLUMN, ByteEncoding::Prefixes),
            (schema::SERIES_HASH_COLUMN, ByteEncoding::Lengths),
        ];
        let others = others.map(|(name, encoding)| Column {
            name: name.into(),
            kind: ColumnKind::Bytes(encoding),
        });
        labels.chain(others).collect()
    }

    /// The columns of the second file, in order of their names, each with the place of its value in a row:
    /// `s_data_10` is before `s_data_2`.
    pub(crate) fn data_columns(&self) -> Vec<(usize, Column)> {
        let names = (0..self.slices.count()).flat_map(|slice| self.contents.columns(slice));
        let mut columns: Vec<_> = names
            .map(|name| Column {
                name,
                kind: ColumnKind::Bytes(ByteEncoding::Lengths),
            })
            .enumerate()
            .collect();
        columns.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
        columns
    }

    /// Refuses what no reader can open.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (what, columns) in [
            ("labels", self.names.len().saturating_add(2)),
            ("time slices", self.values()),
        ] {
            if columns > MAX_COLUMNS {
                return Err(Error::layout(format!(
                    "{columns} columns for {what}, at most {MAX_COLUMNS} expected"
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::*;

    fn schema(names: &[&str], slices: i64) -> ShardSchema {
        let slices = Slices::new(Timestamp(0), Timestamp(slices), 1);
        ShardSchema::new(names.iter().copied(), slices)
    }

    #[test]
    fn columns_are_in_order_of_their_names() {
        let schema = schema(&["b", "__name__", "Z", "b"], 12);
        let names = |columns: Vec<Column>| -> Vec<String> {
            columns.into_iter().map(|column| column.name).collect()
        };
        let labels = names(schema.labels_columns());
        assert_eq!(
            labels,
            ["l_Z", "l___name__", "l_b", "s_col_indexes", "s_series_hash"]
        );
        let (places, chunks): (Vec<_>, Vec<_>) = schema.data_columns().into_iter().unzip();
        let chunks = names(chunks);
        assert!(labels.is_sorted() && chunks.is_sorted());
        assert_eq!(
            chunks[..4],
            ["s_data_0", "s_data_1", "s_data_10", "s_data_11"]
        );
        assert_eq!(places[..5], [0, 1, 10, 11, 2]);
        assert_eq!(
            (schema.metric_name(), schema.label_column(b"b")),
            (Some(1), Some(2))
        );
    }

    #[test]
    fn each_aggregate_of_each_slice_has_a_column() {
        let slices = Slices::new(Timestamp(0), Timestamp(2), 1);
        let columns = ShardSchema::aggregates([""; 0], slices).data_columns();
        let columns: Vec<_> = columns
            .iter()
            .map(|(place, column)| (*place, &*column.name))
            .collect();
        let expected = [
            (0, "s_count_0"),
            (5, "s_count_1"),
            (4, "s_counter_0"),
            (9, "s_counter_1"),
            (3, "s_max_0"),
            (8, "s_max_1"),
            (2, "s_min_0"),
            (7, "s_min_1"),
            (1, "s_sum_0"),
            (6, "s_sum_1"),
        ];
        assert_eq!(columns, expected);
    }

    #[test]
    fn more_columns_than_go_can_read_are_refused() {
        let most = i64::try_from(MAX_COLUMNS).unwrap();
        assert!(schema(&[], most).check().is_ok());
        let error = schema(&[], most + 1).check().unwrap_err().to_string();
        assert!(
            error.starts_with("32768 columns for time slices"),
            "{error}"
        );
    }
}
