//! An encoded row group: its columns of both files.

use hashbrown::HashMap;
use model::{Labels, Quoted, Ragged};
use rayon::prelude::*;
use xxhash_rust::xxh64::xxh64;

use super::{
    byte_column::{self, SharedStrings},
    label_column::{self, Cells},
    rows::{RowLabels, Rows, Symbols},
    schema::ShardSchema,
};
use crate::{
    error::Error,
    format::{
        file::ByteEncoding,
        page::{Compression, EncodedColumn},
    },
    layout::col_indexes,
};

/// What a [`crate::ShardWriter`] appends.
#[derive(Debug)]
pub struct EncodedRowGroup {
    pub(super) rows: usize,
    /// The labels of the first row and of the last.
    pub(super) ends: [Labels; 2],
    /// The columns of the labels file.
    pub(super) labels: Vec<EncodedColumn>,
    /// The columns of the chunks file, or of the aggregates file.
    pub(super) chunks: Vec<EncodedColumn>,
    /// The length of the longest chunk in milliseconds; of aggregates only.
    pub(super) longest: i64,
    /// The column that rows are sorted by: `__name__`, if all rows have it. Nulls would come first, and parquet-common
    /// assumes that they do not.
    pub(super) sorted_by: Option<usize>,
}

impl EncodedRowGroup {
    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }
}

impl Rows {
    /// Encodes the rows, in parallel on the current rayon pool.
    pub(super) fn encode(mut self) -> Result<EncodedRowGroup, Error> {
        let metric_name = self.schema.metric_name();
        let data = std::mem::take(&mut self.data);
        let (labels, chunks) = rayon::join(
            || encode_labels(&self),
            || {
                let data = data.into_iter().map(SharedStrings::freeze).collect();
                encode_chunks(&self, data)
            },
        );
        let (labels, named) = labels?;
        let text = |row: usize| self.labels.text(row, &*self.symbols);
        Ok(EncodedRowGroup {
            rows: self.len(),
            ends: [text(0), text(self.len().saturating_sub(1))],
            labels,
            chunks: chunks?,
            longest: self.longest,
            sorted_by: metric_name.filter(|_| named == self.len()),
        })
    }
}

fn encode_chunks(rows: &Rows, data: Vec<SharedStrings>) -> Result<Vec<EncodedColumn>, Error> {
    let options = &rows.options.chunks;
    let compression = options.compression();
    let columns = rows.schema.data_columns();
    columns
        .into_par_iter()
        .filter_map(|(place, _)| data.get(place))
        .map(|data| byte_column::encode(data, ByteEncoding::Lengths, options, compression))
        .collect()
}

/// The columns of the labels file, and how many rows have a `__name__`.
fn encode_labels(rows: &Rows) -> Result<(Vec<EncodedColumn>, usize), Error> {
    let (options, symbols) = (&rows.options, &*rows.symbols);
    let (cells, lists) = transpose(&rows.labels, &rows.schema, symbols)?;
    let metric_name = rows.schema.metric_name();
    let names = rows.schema.label_names();
    let label = |(name, cells): (&Vec<u8>, &Cells)| {
        label_column::encode(name, cells, rows.len(), symbols, options)
    };
    let (columns, (lists, hashes)) = rayon::join(
        || {
            names
                .par_iter()
                .zip(&cells)
                .map(label)
                .collect::<Result<Vec<_>, _>>()
        },
        || {
            let options = &options.labels;
            let zstd = options.compression();
            let encode = |strings: Ragged<u8>, encoding, compression| {
                byte_column::encode(&strings.into(), encoding, options, compression)
            };
            rayon::join(
                || encode(lists, ByteEncoding::Prefixes, zstd),
                || {
                    let hashes = hashes(&rows.labels, symbols);
                    encode(hashes, ByteEncoding::Lengths, Compression::None)
                },
            )
        },
    );
    let mut columns = columns?;
    columns.extend([lists?, hashes?]);
    let named = metric_name.and_then(|column| cells.get(column));
    Ok((columns, named.map_or(0, Cells::len)))
}

/// The cells of each label, and for each row the list of its columns.
fn transpose(
    labels: &RowLabels,
    schema: &ShardSchema,
    symbols: &dyn Symbols,
) -> Result<(Vec<Cells>, Ragged<u8>), Error> {
    let mut cells = vec![Cells::default(); schema.label_names().len()];
    let mut lists = Ragged::default();
    let mut columns: HashMap<u32, usize> = HashMap::new();
    let mut of_row = Vec::new();
    for row in 0..labels.len() {
        of_row.clear();
        for (name, value) in labels.get(row) {
            let column = match columns.get(name) {
                Some(column) => *column,
                None => {
                    let text = symbols.get(*name);
                    let column = schema.label_column(text).ok_or_else(|| {
                        Error::layout(format!(
                            "row {row}: expected a column of the schema, found label {}",
                            Quoted(text)
                        ))
                    })?;
                    columns.insert(*name, column);
                    column
                }
            };
            if let Some(cells) = cells.get_mut(column) {
                cells.push(row, *value);
            }
            of_row.push(column);
        }
        lists.push_with(|list| col_indexes::encode(&of_row, list));
    }
    Ok((cells, lists))
}

/// The hash of each row's labels, as [`Labels::stable_hash`] defines it.
fn hashes(labels: &RowLabels, symbols: &dyn Symbols) -> Ragged<u8> {
    let hashes: Vec<u64> = (0..labels.len())
        .into_par_iter()
        .map_init(Vec::new, |text, row| {
            text.clear();
            for (name, value) in labels.get(row) {
                for id in [name, value] {
                    text.extend_from_slice(symbols.get(*id));
                    text.push(0xff);
                }
            }
            xxh64(text, 0)
        })
        .collect();
    let mut strings = Ragged::with_capacity(labels.len());
    for hash in hashes {
        strings.push(hash.to_be_bytes());
    }
    strings
}
