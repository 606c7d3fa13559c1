//! Small shards of Parquet blocks without compression and checksums, so that mutations reach the values.

use std::sync::Arc;

use bytes::Bytes;
use model::{Aggregate, Timestamp};
use parquet::{
    basic::{Encoding, LogicalType, Repetition, Type as PhysicalType},
    data_type::{ByteArray, ByteArrayType},
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties, WriterVersion},
        writer::SerializedFileWriter,
    },
    schema::types::Type,
};
use parquet_block::{Slices, envelope};
use tsdb::{AggregateChunk, Chunk, DownsampledChunk, encode_xor};

/// A column's name and its cells.
type Column = (String, Vec<Option<Vec<u8>>>);

/// Rows of each shard.
const ROWS: usize = 12;
/// Rows of each row group.
const GROUP: usize = 8;

/// Shards with each encoding of values: name, labels file, chunks or aggregates file.
pub fn small() -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let mut shards = Vec::new();
    for (name, encoding) in [
        ("dictionary", None),
        ("plain", Some(Encoding::PLAIN)),
        ("delta-length", Some(Encoding::DELTA_LENGTH_BYTE_ARRAY)),
        ("delta", Some(Encoding::DELTA_BYTE_ARRAY)),
    ] {
        for (version, pages) in [
            (WriterVersion::PARQUET_1_0, 3),
            (WriterVersion::PARQUET_2_0, ROWS),
        ] {
            for statistics in [EnabledStatistics::Page, EnabledStatistics::None] {
                let properties = properties(encoding, version, pages, statistics);
                let name = format!("{name}-{pages}-{statistics:?}");
                let labels = write(&properties, &labels());
                // Aggregates are not stored by dictionary.
                if encoding.is_some() {
                    let aggregates = write(&properties, &aggregates());
                    shards.push((format!("{name}-aggregates"), labels.clone(), aggregates));
                }
                shards.push((name, labels, write(&properties, &chunks())));
            }
        }
    }
    shards
}

fn properties(
    encoding: Option<Encoding>,
    version: WriterVersion,
    page_rows: usize,
    statistics: EnabledStatistics,
) -> Arc<WriterProperties> {
    let pair = |key: &str, value: &str| KeyValue::new(key.to_owned(), value.to_owned());
    let builder = WriterProperties::builder()
        .set_writer_version(version)
        .set_created_by(String::new())
        .set_data_page_row_count_limit(page_rows)
        .set_write_batch_size(1)
        .set_statistics_enabled(statistics)
        .set_key_value_metadata(Some(vec![
            pair("data_col_duration_ms", "1000"),
            pair("maxT", "1999"),
            pair("minT", "0"),
            // Told of chunks too, where it means nothing.
            pair("varve_max_chunk_ms", "1500"),
        ]));
    let builder = match encoding {
        None => builder
            .set_column_bloom_filter_enabled("l___name__".into(), true)
            .set_column_bloom_filter_max_ndv("l___name__".into(), 4),
        Some(encoding) => builder.set_dictionary_enabled(false).set_encoding(encoding),
    };
    Arc::new(builder.build())
}

/// Two metrics, and a label that half of the rows have.
fn labels() -> Vec<Column> {
    let names = (0..ROWS).map(|row| Some(if row < 5 { "ab" } else { "up" }.into()));
    let some = (0..ROWS).map(|row| (row % 2 == 0).then(|| format!("value {}", row % 3).into()));
    let lists = (0..ROWS).map(|row| {
        let list: &[u8] = if row % 2 == 0 { &[4, 0, 2] } else { &[2, 0] };
        Some(list.to_vec())
    });
    vec![
        ("l___name__".to_owned(), names.collect()),
        ("l_a".to_owned(), some.collect()),
        ("s_col_indexes".to_owned(), lists.collect()),
    ]
}

/// A chunk in each slice for each row; the last row has none in the second.
fn chunks() -> Vec<Column> {
    let value = |row: usize, slice: i64| {
        let start = slice * 1000 + i64::try_from(row).expect("few rows");
        let chunk = Chunk {
            encoding: tsdb::Encoding::Xor,
            min: Timestamp(start),
            max: Timestamp(start + 15),
            data: encode_xor(&[start, start + 15], &[1.0, 2.0]),
        };
        let mut value = Vec::new();
        if slice == 0 || row + 1 < ROWS {
            envelope::encode(&[chunk], &mut value);
        }
        Some(value)
    };
    let column = |slice| (0..ROWS).map(|row| value(row, slice)).collect();
    vec![
        ("s_data_0".to_owned(), column(0)),
        ("s_data_1".to_owned(), column(1)),
    ]
}

/// Aggregates of two chunks for each row; of each second row, the second is of histograms.
fn aggregates() -> Vec<Column> {
    let slices = Slices::new(Timestamp(0), Timestamp(2000), 1000);
    let data = encode_xor(&[0, 300], &[1.0, 2.0]);
    let chunk = |row: usize, start: i64, histograms: bool| DownsampledChunk {
        min: Timestamp(start),
        max: Timestamp(start + 1500 - i64::try_from(row).expect("few rows")),
        aggregates: Aggregate::ALL.map(|one| {
            let encoding = match one {
                Aggregate::Min | Aggregate::Max if histograms => return None,
                Aggregate::Sum | Aggregate::Counter if histograms => tsdb::Encoding::Histogram,
                _ => tsdb::Encoding::Xor,
            };
            let data = data.clone();
            Some(AggregateChunk { encoding, data })
        }),
    };
    let rows: Vec<Vec<Vec<u8>>> = (0..ROWS)
        .map(|row| {
            let mut values = Vec::new();
            let chunks = [chunk(row, 100, false), chunk(row, 1700, row % 2 == 0)];
            envelope::encode_aggregates(&chunks, &slices, &mut values);
            values
        })
        .collect();
    let places = (0..slices.count()).flat_map(|slice| Aggregate::ALL.map(|one| (one, slice)));
    places
        .enumerate()
        .map(|(place, (one, slice))| {
            let cells = rows.iter().map(|values| Some(values[place].clone()));
            (format!("s_{}_{slice}", one.name()), cells.collect())
        })
        .collect()
}

fn write(properties: &Arc<WriterProperties>, columns: &[Column]) -> Vec<u8> {
    let optional = |name: &str| name.starts_with("l_");
    let field = |name: &str| -> Arc<Type> {
        let builder = Type::primitive_type_builder(name, PhysicalType::BYTE_ARRAY);
        let builder = if optional(name) {
            let builder = builder.with_repetition(Repetition::OPTIONAL);
            builder.with_logical_type(Some(LogicalType::String))
        } else {
            builder.with_repetition(Repetition::REQUIRED)
        };
        Arc::new(builder.build().expect("a column"))
    };
    let fields = columns.iter().map(|(name, _)| field(name)).collect();
    let schema = Type::group_type_builder("block").with_fields(fields);
    let schema = Arc::new(schema.build().expect("a schema"));
    let mut out = Vec::new();
    let mut writer =
        SerializedFileWriter::new(&mut out, schema, Arc::clone(properties)).expect("a writer");
    for start in (0..ROWS).step_by(GROUP) {
        let mut group = writer.next_row_group().expect("a row group");
        for (name, cells) in columns {
            let cells = &cells[start..ROWS.min(start + GROUP)];
            let values: Vec<ByteArray> = cells
                .iter()
                .flatten()
                .map(|value| ByteArray::from(Bytes::copy_from_slice(value)))
                .collect();
            let levels: Vec<i16> = cells.iter().map(|cell| cell.is_some().into()).collect();
            let levels = optional(name).then_some(levels.as_slice());
            let mut column = group.next_column().expect("a column").expect("one more");
            let typed = column.typed::<ByteArrayType>();
            typed.write_batch(&values, levels, None).expect("values");
            column.close().expect("a column");
        }
        group.close().expect("a row group");
    }
    writer.close().expect("a file");
    out
}
