//! Small shards of Parquet blocks without compression and checksums, so that mutations reach the values.

use std::sync::Arc;

use bytes::Bytes;
use model::Timestamp;
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
use parquet_block::envelope;
use tsdb::{Chunk, encode_xor};

/// A column's name and its cells.
type Column = (&'static str, Vec<Option<Vec<u8>>>);

/// Rows of each shard.
const ROWS: usize = 12;
/// Rows of each row group.
const GROUP: usize = 8;

/// Shards with each encoding of values: name, labels file, chunks file.
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
                shards.push((
                    format!("{name}-{pages}-{statistics:?}"),
                    write(&properties, &labels()),
                    write(&properties, &chunks()),
                ));
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
        ("l___name__", names.collect()),
        ("l_a", some.collect()),
        ("s_col_indexes", lists.collect()),
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
    vec![("s_data_0", column(0)), ("s_data_1", column(1))]
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
