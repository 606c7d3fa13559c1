//! Aggregates that are not written, and those that are not read.

use std::sync::Arc;

use bytes::Bytes;
use model::{AggregateSet, Labels, ParquetShard, TimeRange, Timestamp};
use parquet_block::{Contents, LocalShard, RowGroupBuilder, ShardSchema, WriteOptions, envelope};
use tsdb::{Chunk, Encoding};

use super::{
    super::{Files, Series, Table, labels, merged_chunks},
    floats, histograms, message, slices, write,
};

#[test]
fn chunks_and_aggregates_are_not_taken_for_one_another() {
    let aggregates = write(&[vec![floats(0, 1)]], slices(), 10);
    let series: [Series; 1] = [(labels([("a", "1")]), vec![Vec::new(); 3])];
    let chunks = Files::write(&series, slices(), &WriteOptions::default(), 10).unwrap();
    for (files, taken_for, expected) in [
        (
            aggregates,
            Contents::Chunks,
            "chunks expected, found aggregates",
        ),
        (
            chunks,
            Contents::Aggregates,
            "aggregates expected, found chunks",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        files.open(dir.path());
        let [_, from] = files.contents.files(0).map(|name| dir.path().join(name));
        let [_, to] = taken_for.files(0).map(|name| dir.path().join(name));
        std::fs::rename(from, &to).unwrap();
        let unknown = ParquetShard::default();
        let error = message(LocalShard::open(dir.path(), 0, taken_for, &unknown));
        assert!(error.starts_with(to.to_str().unwrap()), "{error}");
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn an_aggregate_that_is_there_twice_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    // Of two encodings, each for itself in order.
    let mut values = vec![Vec::new(); 15];
    let chunk = |encoding| Chunk {
        encoding,
        min: Timestamp(1),
        max: Timestamp(7),
        data: Bytes::from_static(b"ab"),
    };
    let both = [chunk(Encoding::Xor), chunk(Encoding::FloatHistogram)];
    envelope::encode(&both, &mut values[1]);
    let series: [Series; 1] = [(labels([("a", "1")]), values)];
    let options = WriteOptions::default();
    let files =
        Files::write_contents(Contents::Aggregates, &series, slices(), &options, 10).unwrap();
    let local = files.open(dir.path());
    let (group, rows) = local.shard().everything().remove(0);
    let lookup = local
        .shard()
        .chunks(group, rows, TimeRange::ALL, AggregateSet::ALL);
    for error in [
        message(local.answer(lookup)),
        message(merged_chunks(&local)),
    ] {
        assert!(error.contains("0.aggregates.parquet: at byte"), "{error}");
        let twice = "sum of the chunk from 1 to 7 is there twice";
        assert!(error.ends_with(twice), "{error}");
    }
}

#[test]
fn what_no_reader_could_put_together_is_not_written() {
    let row: Labels = labels([("a", "1")]);
    let table = Arc::new(Table::of(std::iter::once(&row)));
    let schema = ShardSchema::aggregates(vec!["a".to_owned()], slices());
    let value = |chunks: &[Chunk]| {
        let mut value = Vec::new();
        envelope::encode(chunks, &mut value);
        value
    };
    let chunk = |encoding, data: &'static [u8]| Chunk {
        encoding,
        min: Timestamp(1),
        max: Timestamp(7),
        data: Bytes::from_static(data),
    };
    let good = chunk(Encoding::Xor, b"ab");
    for (bad, expected) in [
        (vec![1, 2, 3], "record of a chunk is cut short"),
        (
            value(&[good.clone(), good]),
            "record from 1 to 7 is not after the one before",
        ),
        (value(&[chunk(Encoding::Xor, b"")]), "Xor record of 0 bytes"),
        (
            value(&[chunk(Encoding::Aggr, b"abc")]),
            "Aggr record of 3 bytes",
        ),
    ] {
        let symbols: Arc<Table> = Arc::clone(&table);
        let mut builder = RowGroupBuilder::new(&schema, symbols, &WriteOptions::default());
        let mut values: Vec<&[u8]> = vec![b""; 15];
        values[14] = &bad;
        let error = message(builder.push(&table.ids(&row), &values));
        assert_eq!(error, format!("row 0: {expected}"));
        let error = message(builder.push(&table.ids(&row), &values[..3]));
        assert_eq!(error, "row 0: values of 15 columns expected, found 3");
    }
}

#[test]
fn no_damage_to_a_page_or_the_end_makes_a_panic_or_goes_unnoticed_in_a_page() {
    let rows: Vec<_> = (0..40)
        .map(|i| {
            vec![
                floats(i, 600 + i),
                histograms(1000, 1100),
                floats(1200, 2900),
            ]
        })
        .collect();
    let mut files = write(&rows, slices(), 20);
    let dir = tempfile::tempdir().unwrap();
    let good = files.open(dir.path()).read_all().unwrap();
    let footer = {
        let [.., a, b, c, d, _, _, _, _] = files.chunks.as_slice() else {
            panic!("a file of {} bytes", files.chunks.len());
        };
        let len = u32::from_le_bytes([*a, *b, *c, *d]);
        files.chunks.len() - 8 - usize::try_from(len).unwrap()
    };
    let mut noticed = [0, 0];
    for place in 0..files.chunks.len() {
        files.chunks[place] ^= 1 << (place % 8);
        files.put(dir.path());
        let read = files.reopen(dir.path());
        match read.and_then(|local| local.read_all()) {
            // A header's field, or one of the metadata, that does not matter.
            Ok(rows) if place < footer => assert_eq!(rows, good, "{place}"),
            Ok(_) => (),
            Err(error) => {
                noticed[usize::from(place >= footer)] += 1;
                assert!(
                    error.to_string().contains("0.aggregates.parquet"),
                    "{error}"
                );
            }
        }
        files.chunks[place] ^= 1 << (place % 8);
    }
    assert!(noticed.iter().all(|noticed| *noticed > 100), "{noticed:?}");
}
