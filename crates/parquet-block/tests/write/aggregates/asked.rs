//! Which columns of aggregates a lookup asks for.

use std::{collections::BTreeSet, ops::Range};

use bytes::Bytes;
use model::{Aggregate, AggregateSet, TimeRange};
use parquet::file::metadata::ParquetMetaDataReader;
use parquet_block::{Lookup, ShardFile, Step};

use super::{super::Files, floats, message, slices, write};

/// The columns that a lookup asks for, by the metadata that the `parquet` crate reads.
fn columns_asked(files: &Files, mut lookup: impl Lookup) -> Vec<String> {
    let file = Bytes::copy_from_slice(&files.chunks);
    let metadata = ParquetMetaDataReader::new()
        .parse_and_finish(&file)
        .unwrap();
    let column_of = |range: &Range<u64>| {
        let groups = metadata.row_groups().iter();
        let mut columns = groups.flat_map(|group| group.columns());
        let column = columns.find(|column| {
            let (start, len) = column.byte_range();
            start <= range.start && range.end <= start + len
        });
        column.unwrap().column_descr().name().to_owned()
    };
    match lookup.next() {
        Ok(Step::Fetch { file, ranges }) => {
            assert_eq!(file, ShardFile::Chunks);
            ranges.iter().map(column_of).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn only_the_columns_of_the_wanted_aggregates_are_asked_for() {
    let rows = vec![vec![floats(0, 900), floats(1100, 1400), floats(2100, 2300)]; 3];
    let files = write(&rows, slices(), 10);
    let dir = tempfile::tempdir().unwrap();
    let local = files.open(dir.path());
    let asked = |range: TimeRange, wanted: AggregateSet| {
        let (group, rows) = local.shard().everything().remove(0);
        let lookup = local.shard().chunks(group, rows, range, wanted);
        let columns: BTreeSet<String> = columns_asked(&files, lookup).into_iter().collect();
        columns.into_iter().collect::<Vec<_>>()
    };
    let counter = AggregateSet::from(Aggregate::Counter);
    assert_eq!(asked(TimeRange::new(0, 999), counter), ["s_counter_0"]);
    let some = AggregateSet::from(Aggregate::Sum) | Aggregate::Count.into();
    assert_eq!(
        asked(TimeRange::new(0, 999), some),
        ["s_count_0", "s_sum_0"]
    );
    assert_eq!(asked(TimeRange::ALL, AggregateSet::ALL).len(), 15);
    assert!(asked(TimeRange::ALL, AggregateSet::default()).is_empty());
}

#[test]
fn slices_are_asked_for_as_far_back_as_the_longest_chunk_reaches() {
    let rows = vec![vec![floats(0, 300), floats(400, 600)]];
    let files = write(&rows, slices(), 10);
    let dir = tempfile::tempdir().unwrap();
    let local = files.open(dir.path());
    let asked = |t: i64| {
        let (group, rows) = local.shard().everything().remove(0);
        let range = TimeRange::new(t, t);
        let lookup = local
            .shard()
            .chunks(group, rows, range, Aggregate::Max.into());
        columns_asked(&files, lookup)
    };
    assert_eq!(asked(999), ["s_max_0"]);
    assert_eq!(asked(1299), ["s_max_0", "s_max_1"]);
    assert_eq!(asked(1300), ["s_max_1"]);
    assert_eq!(asked(2299), ["s_max_1", "s_max_2"]);
    assert_eq!(asked(2300), ["s_max_2"]);
}

#[test]
fn without_the_length_of_the_longest_chunk_all_slices_before_are_asked_for() {
    let mut files = write(&[vec![floats(0, 300)]], slices(), 10);
    let replace = |file: &mut [u8], old: &[u8], new: &[u8]| {
        let mut windows = file.windows(old.len());
        let place = windows.position(|window| window == old).unwrap();
        file[place..place + new.len()].copy_from_slice(new);
    };
    let key = b"varve_max_chunk_ms\x18\x03";
    let dir = tempfile::tempdir().unwrap();
    files.open(dir.path());
    replace(&mut files.chunks, key, b"other");
    let local = files.open(dir.path());
    let (group, rows) = local.shard().everything().remove(0);
    let wanted = Aggregate::Max.into();
    let lookup = local
        .shard()
        .chunks(group, rows, TimeRange::new(2500, 2600), wanted);
    assert_eq!(
        columns_asked(&files, lookup),
        ["s_max_0", "s_max_1", "s_max_2"]
    );

    replace(&mut files.chunks, b"other", b"varve");
    let value = [&key[..], b"300"].concat();
    replace(&mut files.chunks, &value, &[&key[..], b"-30"].concat());
    files.put(dir.path());
    let error = message(files.reopen(dir.path()));
    let expected = "key-value \"varve_max_chunk_ms\" is no length: \"-30\"";
    assert!(error.ends_with(expected), "{error}");
}
