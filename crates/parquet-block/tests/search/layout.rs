//! Shards written by the `parquet` crate, in every encoding that Parquet has for strings.

use std::{collections::BTreeSet, fs::File, path::Path, sync::Arc};

use model::{Labels, ParquetShard};
use parquet::{
    basic::{Compression, Encoding, LogicalType, Repetition, Type as PhysicalType, ZstdLevel},
    data_type::{ByteArray, ByteArrayType},
    file::{
        metadata::KeyValue,
        properties::{WriterProperties, WriterVersion},
        writer::SerializedFileWriter,
    },
    schema::types::Type,
};
use parquet_block::{Contents, LocalShard};
use proptest::prelude::*;

/// How files are written.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) version: WriterVersion,
    pub(crate) compression: Compression,
    pub(crate) encoding: Values,
    pub(crate) page_rows: usize,
    pub(crate) group_rows: usize,
    pub(crate) bound_bytes: usize,
    /// Whether the column `l_id` has a bloom filter.
    pub(crate) bloom: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Values {
    Dictionary,
    /// A dictionary that is given up after so many bytes.
    Fallback(usize),
    Plain(Encoding),
}

impl Layout {
    fn properties(&self, key_values: Vec<KeyValue>) -> WriterProperties {
        let builder = WriterProperties::builder()
            .set_writer_version(self.version)
            .set_compression(self.compression)
            .set_data_page_row_count_limit(self.page_rows)
            .set_write_batch_size(1)
            .set_column_index_truncate_length(Some(self.bound_bytes))
            .set_statistics_truncate_length(Some(self.bound_bytes))
            .set_key_value_metadata(Some(key_values));
        let builder = if self.bloom {
            // The number of values is that of `large_shard`.
            builder
                .set_column_bloom_filter_max_ndv("l_id".into(), 20_000)
                .set_column_bloom_filter_fpp("l_id".into(), 0.0001)
        } else {
            builder
        };
        match self.encoding {
            Values::Dictionary => builder.set_dictionary_page_size_limit(usize::MAX),
            Values::Fallback(bytes) => builder.set_dictionary_page_size_limit(bytes),
            Values::Plain(encoding) => builder.set_dictionary_enabled(false).set_encoding(encoding),
        }
        .build()
    }
}

fn column(name: &str, repetition: Repetition) -> Arc<Type> {
    let logical = (repetition == Repetition::OPTIONAL).then_some(LogicalType::String);
    Type::primitive_type_builder(name, PhysicalType::BYTE_ARRAY)
        .with_repetition(repetition)
        .with_logical_type(logical)
        .build()
        .unwrap()
        .into()
}

/// Writes columns of rows; a column's cells are null where there is none.
fn write(path: &Path, layout: &Layout, columns: &[(String, Vec<Option<Vec<u8>>>)], rows: usize) {
    let repetition = |name: &str| {
        if name.starts_with("l_") {
            Repetition::OPTIONAL
        } else {
            Repetition::REQUIRED
        }
    };
    let schema = Type::group_type_builder("block")
        .with_fields(
            columns
                .iter()
                .map(|(name, _)| column(name, repetition(name)))
                .collect(),
        )
        .build()
        .unwrap();
    let pair = |key: &str, value: &str| KeyValue::new(key.to_owned(), value.to_owned());
    let key_values = vec![
        pair("data_col_duration_ms", "1000"),
        pair("maxT", "1999"),
        pair("minT", "0"),
    ];
    let properties = Arc::new(layout.properties(key_values));
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), properties).unwrap();
    for start in (0..rows).step_by(layout.group_rows) {
        let end = rows.min(start + layout.group_rows);
        let mut group = writer.next_row_group().unwrap();
        for (name, cells) in columns {
            let cells = &cells[start..end];
            let values: Vec<_> = cells
                .iter()
                .flatten()
                .map(|value| ByteArray::from(value.clone()))
                .collect();
            let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
            let levels = (repetition(name) == Repetition::OPTIONAL).then_some(levels.as_slice());
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<ByteArrayType>()
                .write_batch(&values, levels, None)
                .unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
}

/// Writes a shard whose rows are `series`; each has one chunk in each of two slices, of a second each.
pub(crate) fn write_shard(dir: &Path, layout: &Layout, series: &[Labels]) -> LocalShard {
    let names: BTreeSet<&[u8]> = series
        .iter()
        .flat_map(|l| l.iter().map(|(n, _)| n))
        .collect();
    let mut columns: Vec<(String, Vec<Option<Vec<u8>>>)> = names
        .iter()
        .map(|name| {
            let cells = series.iter().map(|l| l.get(name).map(|v| v.to_vec()));
            let name = str::from_utf8(name).unwrap();
            (format!("l_{name}"), cells.collect())
        })
        .collect();
    let lists = series.iter().map(|labels| {
        let places: Vec<usize> = labels
            .iter()
            .map(|(name, _)| names.iter().position(|n| *n == name).unwrap())
            .collect();
        // Zig-zag varints of numbers below 64.
        let list = std::iter::once(places.len()).chain(places);
        Some(list.map(|n| u8::try_from(n * 2).unwrap()).collect())
    });
    columns.push(("s_col_indexes".into(), lists.collect()));
    let [labels, chunks] = Contents::Chunks.files(0).map(|name| dir.join(name));
    write(&labels, layout, &columns, series.len());
    let data = (0..2).map(|slice| {
        let cells = (0..series.len()).map(|row| Some(chunk_value(row, slice)));
        (format!("s_data_{slice}"), cells.collect())
    });
    let data: Vec<_> = data.collect();
    write(&chunks, layout, &data, series.len());
    LocalShard::open(dir, 0, Contents::Chunks, &ParquetShard::default()).unwrap()
}

/// The record of one chunk: XOR, first and last time, length, data.
fn chunk_value(row: usize, slice: u8) -> Vec<u8> {
    let data = format!("{row}/{slice}");
    let first = u16::from(slice) * 1000 + 100;
    let mut value = vec![1];
    for time in [first, first + 800] {
        value.push(u8::try_from(time & 0x7f).unwrap() | 0x80);
        value.push(u8::try_from(time >> 7).unwrap());
    }
    value.push(u8::try_from(data.len()).unwrap());
    value.extend(data.into_bytes());
    value
}

pub(crate) fn any_layout() -> impl Strategy<Value = Layout> {
    (
        prop_oneof![
            Just(WriterVersion::PARQUET_1_0),
            Just(WriterVersion::PARQUET_2_0)
        ],
        prop_oneof![
            Just(Compression::UNCOMPRESSED),
            Just(Compression::ZSTD(ZstdLevel::default()))
        ],
        prop_oneof![
            3 => Just(Values::Dictionary),
            2 => (1..60usize).prop_map(Values::Fallback),
            1 => Just(Values::Plain(Encoding::PLAIN)),
            1 => Just(Values::Plain(Encoding::DELTA_LENGTH_BYTE_ARRAY)),
            1 => Just(Values::Plain(Encoding::DELTA_BYTE_ARRAY)),
        ],
        prop_oneof![1..8usize, Just(1000)],
        prop_oneof![5..40usize, Just(1000)],
        1..24usize,
    )
        .prop_map(
            |(version, compression, encoding, page_rows, group_rows, bound_bytes)| Layout {
                version,
                compression,
                encoding,
                page_rows,
                group_rows,
                bound_bytes,
                bloom: false,
            },
        )
}
