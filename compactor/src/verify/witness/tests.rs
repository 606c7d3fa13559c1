//! Shards that `arrow` writes, some of which say two things.

use std::{fs::File, path::PathBuf};

use arrow_array::{ArrayRef, BinaryArray};
use model::TimeRange;
use parquet::{
    arrow::ArrowWriter,
    file::{metadata::KeyValue, properties::WriterProperties},
};
use parquet_block::envelope;
use tsdb::Encoding;

use super::*;

/// A series with one label, or none.
#[derive(Clone)]
struct Row {
    label: Option<&'static [u8]>,
    list: Vec<u8>,
    hash: u64,
    /// Of two slices.
    values: [Vec<u8>; 2],
}

impl Row {
    fn new(label: Option<&'static [u8]>) -> Self {
        let labels = Labels::from_sorted(label.map(|value| ("a", value)));
        Self {
            label,
            list: label.map_or(vec![0], |_| vec![2, 0]),
            hash: labels.stable_hash(),
            values: [value(0, 900), value(1000, 1999)],
        }
    }
}

fn chunk(min: i64, max: i64) -> Chunk {
    Chunk {
        encoding: Encoding::Xor,
        min: Timestamp(min),
        max: Timestamp(max),
        data: Bytes::from_static(b"\0\x01a chunk"),
    }
}

fn value(min: i64, max: i64) -> Vec<u8> {
    let mut value = Vec::new();
    envelope::encode(&[chunk(min, max)], &mut value);
    value
}

/// Writes a file of these columns.
fn write(path: PathBuf, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
    let pairs = [
        ("minT", "0"),
        ("maxT", "1999"),
        ("data_col_duration_ms", "1000"),
    ];
    let pairs = pairs.map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned()));
    let options = WriterProperties::builder()
        .set_key_value_metadata(Some(pairs.into()))
        .build();
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(options)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path
}

/// What the witness reads of a shard of `rows`, whose second file has those of `others`.
fn read(rows: &[Row], others: &[Row]) -> Result<Vec<(Labels, Vec<Chunk>)>, String> {
    let dir = tempfile::tempdir().unwrap();
    let bytes = |values: Vec<Option<&[u8]>>| Arc::new(BinaryArray::from(values)) as ArrayRef;
    let hashes: Vec<_> = rows.iter().map(|row| row.hash.to_be_bytes()).collect();
    let [labels, chunks] = Contents::Chunks.files(0).map(|name| dir.path().join(name));
    write(
        labels,
        vec![
            ("l_a", bytes(rows.iter().map(|row| row.label).collect())),
            (
                COL_INDEXES,
                bytes(rows.iter().map(|row| Some(&*row.list)).collect()),
            ),
            (
                SERIES_HASH,
                bytes(hashes.iter().map(|hash| Some(&hash[..])).collect()),
            ),
        ],
    );
    let slice = |k: usize| bytes(others.iter().map(|row| Some(&*row.values[k])).collect());
    let columns = vec![("s_data_0", slice(0)), ("s_data_1", slice(1))];
    write(chunks, columns);
    let mut read = Vec::new();
    Witness::open(dir.path(), 0, Contents::Chunks)
        .and_then(|shard| {
            assert_eq!(shard.row_groups(), 1);
            shard.read(0, |labels, chunks| {
                read.push((labels, chunks.to_vec()));
                Ok(())
            })
        })
        .map_err(|error| error.to_string())?;
    Ok(read)
}

#[test]
fn rows_of_more_than_a_batch_are_read_with_labels_that_are_no_text() {
    let mut rows = vec![Row::new(Some(b"\xffA")); 700];
    rows[0] = Row::new(None);
    rows[699].values[0].clear();
    let read = read(&rows, &rows).unwrap();
    assert_eq!(read.len(), 700);
    let both = vec![chunk(0, 900), chunk(1000, 1999)];
    assert_eq!(read[0], (Labels::default(), both.clone()));
    let labels = Labels::from_pairs([("a", b"\xffA")]);
    assert_eq!(read[600], (labels.clone(), both.clone()));
    assert_eq!(read[699], (labels, both[1..].to_vec()));
}

#[test]
fn a_shard_that_says_two_things_is_refused() {
    let row = Row::new(Some(b"x"));
    let refused = |changed: Row| {
        let rows = [row.clone(), changed];
        read(&rows, &rows).unwrap_err()
    };
    let with_values = |values: [Vec<u8>; 2]| Row {
        values,
        ..row.clone()
    };
    for (changed, expected) in [
        (
            Row {
                hash: 7,
                ..row.clone()
            },
            "s_series_hash of {a=\"x\"}: ",
        ),
        (
            Row {
                label: Some(b"y"),
                ..row.clone()
            },
            "s_series_hash of {a=\"y\"}: ",
        ),
        (
            Row {
                label: None,
                ..row.clone()
            },
            "s_col_indexes of {}: [] expected, found Some([0])",
        ),
        (
            Row {
                list: vec![4, 0],
                ..row.clone()
            },
            "s_col_indexes of {a=\"x\"}: [0] expected",
        ),
        (
            with_values([value(0, 1000), Vec::new()]),
            "chunk from 0 to 1000 in the slice from 0 to 999, in s_data_0 of {a=\"x\"}",
        ),
        (
            with_values([value(0, 9)[..9].to_vec(), Vec::new()]),
            "chunk of 9 bytes, 5 are left, in s_data_0",
        ),
    ] {
        let error = refused(changed);
        assert!(error.contains(expected), "{error}");
    }
    let error = read(std::slice::from_ref(&row), &[row.clone(), row.clone()]).unwrap_err();
    assert!(
        error.contains("row groups of [1] rows expected, found [2]"),
        "{error}"
    );
}

#[test]
fn lists_of_columns_are_read_or_refused() {
    for (list, expected) in [
        (&[0x06, 0x00, 0x02, 0x04][..], Some(vec![0, 1, 2])),
        (&[0x02, 0x80, 0x01], Some(vec![64])),
        (&[0x00], Some(vec![])),
        (&[], None),
        (&[0x02], None),
        (&[0x02, 0x80], None),
        (&[0x02, 0x01], None),
        (&[0xff; 12], None),
    ] {
        assert_eq!(listed_columns(list), expected, "{list:?}");
    }
}

#[test]
fn columns_are_told_by_their_names_and_those_of_all_slices_are_there() {
    let labels = label_columns(&["l_a", "x_ff", "s_col_indexes"]).unwrap();
    assert_eq!((labels[1].place, &*labels[1].label), (1, &b"\xff"[..]));
    assert!(label_columns(&["l_b", "l_a"]).is_err());
    assert!(label_columns(&["x_fg"]).is_err());

    let slices = Slices::new(Timestamp(0), Timestamp(2000), 1000);
    let of = |names: &[&str], contents| {
        let columns = data_columns(names, contents, &slices);
        columns.map(|columns| {
            columns
                .into_iter()
                .map(|column| column.place)
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(
        of(&["s_data_1", "s_data_0"], Contents::Chunks),
        Ok(vec![1, 0])
    );
    for wrong in [
        &["s_data_0"][..],
        &["s_data_0", "s_data_0"],
        &["s_data_0", "s_data_2"],
        &["l_a"],
    ] {
        assert!(of(wrong, Contents::Chunks).is_err(), "{wrong:?}");
    }
    let kinds = ["count", "counter", "max", "min", "sum"];
    let names: Vec<String> = kinds
        .iter()
        .flat_map(|kind| (0..2).map(move |k| format!("s_{kind}_{k}")))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = of(&names, Contents::Aggregates).unwrap();
    assert_eq!(found, [0, 8, 6, 4, 2, 1, 9, 7, 5, 3]);
    assert!(of(&names, Contents::Chunks).is_err());
}

#[test]
fn aggregates_of_the_same_times_are_a_chunk_and_two_of_a_kind_are_refused() {
    let slices = Slices::new(Timestamp(0), Timestamp(2000), 1000);
    let column = |aggregate| DataColumn {
        place: 0,
        name: String::new(),
        slice: 0,
        aggregate: Some(aggregate),
    };
    let (count, sum) = (
        column(model::Aggregate::Count),
        column(model::Aggregate::Sum),
    );
    let mut rows = RowChunks::new(slices);
    for (column, times) in [
        (&count, (0, 900)),
        (&count, (950, 1500)),
        (&sum, (950, 1500)),
    ] {
        rows.push(column, &value(times.0, times.1).into()).unwrap();
    }
    let chunks = rows.take().unwrap();
    let times = chunks.iter().map(|chunk| TimeRange {
        min: chunk.min,
        max: chunk.max,
    });
    assert!(times.eq([TimeRange::new(0, 900), TimeRange::new(950, 1500)]));
    assert!(rows.take().unwrap().is_empty());
    for _ in 0..2 {
        rows.push(&sum, &value(0, 900).into()).unwrap();
    }
    assert_eq!(rows.take().unwrap_err(), "two of sum from 0 to 900");
}
