//! The aggregates of downsampled blocks: what is written, what of it is read, and what comes back.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use bytes::Bytes;
use model::{Aggregate, AggregateSet, Labels, TimeRange, Timestamp};
use parquet::file::metadata::ParquetMetaDataReader;
use parquet_block::{
    Contents, Error, LocalShard, Lookup, RowGroupBuilder, ShardFile, ShardSchema, Slices, Step,
    WriteOptions, envelope,
};
use proptest::prelude::*;
use tsdb::{AggregateChunk, Aggregates, Chunk, DownsampledChunk, Encoding, encode_xor};

use super::{Files, Series, Table, generic_column, labels};

const NAMES: [&str; 5] = ["count", "sum", "min", "max", "counter"];

/// Three of a second.
fn slices() -> Slices {
    Slices::new(Timestamp(0), Timestamp(3000), 1000)
}

fn aggregate(encoding: Encoding, data: impl Into<Bytes>) -> Option<AggregateChunk> {
    let data = data.into();
    Some(AggregateChunk { encoding, data })
}

/// All aggregates of floats, each with data of its own.
fn floats(min: i64, max: i64) -> DownsampledChunk {
    let data = |n: u8| vec![n, u8::try_from(min.rem_euclid(251)).unwrap()];
    DownsampledChunk {
        min: Timestamp(min),
        max: Timestamp(max),
        aggregates: [0, 1, 2, 3, 4].map(|n| aggregate(Encoding::Xor, data(n))),
    }
}

/// All aggregates that histograms have.
fn histograms(min: i64, max: i64) -> DownsampledChunk {
    let mut chunk = floats(min, max);
    chunk.aggregates[1] = aggregate(Encoding::FloatHistogram, vec![9, 9]);
    chunk.aggregates[2] = None;
    chunk.aggregates[3] = None;
    chunk.aggregates[4] = aggregate(Encoding::Histogram, vec![8, 8, 8]);
    chunk
}

fn any_set() -> impl Strategy<Value = AggregateSet> {
    let some = prop::sample::subsequence(&Aggregate::ALL[..], 0..=5);
    some.prop_map(|some| some.into_iter().collect())
}

/// Chunks of any lengths that do not overlap, some of them outside of the block.
fn any_chunks() -> impl Strategy<Value = Vec<DownsampledChunk>> {
    let data = prop::collection::vec(any::<u8>(), 1..20);
    let chunk = (
        1..900i64,
        0..1400i64,
        any_set(),
        any::<bool>(),
        prop::array::uniform5(data),
    );
    (-800..900i64, prop::collection::vec(chunk, 0..5)).prop_map(|(start, chunks)| {
        let mut at = start;
        let of = |(gap, len, set, floats, data): (_, _, AggregateSet, bool, [Vec<u8>; 5])| {
            let min = at + gap;
            at = min + len;
            let mut aggregates = Aggregates::default();
            for (one, data) in Aggregate::ALL.into_iter().zip(data) {
                let encoding = match one {
                    Aggregate::Sum if !floats => Encoding::FloatHistogram,
                    Aggregate::Counter if !floats => Encoding::Histogram,
                    _ => Encoding::Xor,
                };
                if set.contains(one) {
                    aggregates[one as usize] = aggregate(encoding, data);
                }
            }
            let [min, max] = [min, at].map(Timestamp);
            let chunk = DownsampledChunk {
                min,
                max,
                aggregates,
            };
            (!set.is_empty()).then_some(chunk)
        };
        chunks.into_iter().filter_map(of).collect()
    })
}

/// Writes rows called `0000`, `0001`…
fn write(rows: &[Vec<DownsampledChunk>], slices: Slices, group_rows: usize) -> Files {
    let series: Vec<Series> = rows
        .iter()
        .enumerate()
        .map(|(i, chunks)| {
            let mut values = Vec::new();
            envelope::encode_aggregates(chunks, &slices, &mut values);
            (labels([("__name__", &format!("{i:04}"))]), values)
        })
        .collect();
    let options = WriteOptions::default();
    Files::write_contents(Contents::Aggregates, &series, slices, &options, group_rows).unwrap()
}

/// What should be read of a row.
fn expected(chunks: &[DownsampledChunk], range: TimeRange, wanted: AggregateSet) -> Vec<Chunk> {
    let of_chunk = |chunk: &DownsampledChunk| {
        let mut chunk = chunk.clone();
        for one in Aggregate::ALL {
            if !wanted.contains(one) {
                chunk.aggregates[one as usize] = None;
            }
        }
        let overlaps = chunk.min <= range.max && range.min <= chunk.max;
        let any = chunk.aggregates.iter().any(Option::is_some);
        (overlaps && any).then(|| chunk.pack())
    };
    chunks.iter().filter_map(of_chunk).collect()
}

fn read(local: &LocalShard, range: TimeRange, wanted: AggregateSet) -> Vec<Vec<Chunk>> {
    let shard = local.shard();
    let groups = shard.everything().into_iter();
    groups
        .flat_map(|(group, rows)| {
            let lookup = shard.aggregates(group, rows, range, wanted);
            local.answer(lookup).unwrap()
        })
        .collect()
}

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

proptest! {
    #[test]
    fn what_is_asked_for_is_what_a_full_scan_has_of_it(
        rows in prop::collection::vec(any_chunks(), 1..20), group_rows in 1..20usize,
        (a, b) in (-900..6000i64, -900..6000i64), wanted in any_set(),
    ) {
        let files = write(&rows, slices(), group_rows);
        let dir = tempfile::tempdir().unwrap();
        let local = files.open(dir.path());
        prop_assert_eq!(local.shard().contents(), Contents::Aggregates);
        for range in [TimeRange::new(a.min(b), a.max(b)), TimeRange::ALL] {
            for wanted in [wanted, AggregateSet::ALL] {
                let expected: Vec<_> =
                    rows.iter().map(|row| expected(row, range, wanted)).collect();
                prop_assert_eq!(read(&local, range, wanted), expected);
            }
        }
        let scanned: Vec<Vec<Chunk>> = local.scan().map(|row| row.unwrap().1).collect();
        prop_assert_eq!(scanned, read(&local, TimeRange::ALL, AggregateSet::ALL));
        for chunk in scanned_chunks(&local) {
            let unpacked = DownsampledChunk::unpack(&chunk).unwrap();
            prop_assert_eq!(unpacked.pack(), chunk);
        }
    }
}

fn scanned_chunks(local: &LocalShard) -> Vec<Chunk> {
    local.scan().flat_map(|row| row.unwrap().1).collect()
}

#[test]
fn each_aggregate_of_each_slice_is_a_column_of_records() {
    let row = vec![floats(-5, 3), histograms(500, 1700), floats(1700, 2900)];
    let files = write(&[row.clone(), Vec::new()], slices(), 10);
    let record = |chunk: &DownsampledChunk, one: Aggregate| {
        let mut value = Vec::new();
        envelope::encode(chunk.column(one).as_slice(), &mut value);
        value
    };
    for (one, name) in Aggregate::ALL.into_iter().zip(NAMES) {
        let column = |slice: usize| generic_column(&files.chunks, &format!("s_{name}_{slice}"));
        let mut first = record(&row[0], one);
        first.extend(record(&row[1], one));
        assert_eq!(column(0), [first, Vec::new()], "{name}");
        assert_eq!(column(1), [record(&row[2], one), Vec::new()], "{name}");
        assert_eq!(column(2), [b"", b""], "{name}");
    }
    let metadata = ParquetMetaDataReader::new()
        .parse_and_finish(&Bytes::from(files.chunks))
        .unwrap();
    let pairs = metadata.file_metadata().key_value_metadata().unwrap();
    let pairs: Vec<_> = pairs
        .iter()
        .map(|pair| (pair.key.as_str(), pair.value.as_deref().unwrap()))
        .collect();
    let expected = [
        ("data_col_duration_ms", "1000"),
        ("maxT", "2999"),
        ("minT", "0"),
        ("varve_checksums", "crc32-table"),
        ("varve_max_chunk_ms", "1200"),
    ];
    assert_eq!(pairs, expected);
    assert_eq!(files.shard.rows, 2);
}

#[test]
fn records_of_a_value_are_in_order_of_their_encodings() {
    let row = vec![histograms(0, 9), floats(10, 19), histograms(20, 29)];
    let files = write(&[row], slices(), 10);
    let encodings = |column: &str| -> Vec<_> {
        let value = generic_column(&files.chunks, column).remove(0);
        envelope::decode(&value.into())
            .map(|chunk| chunk.map(|chunk| (chunk.encoding, chunk.min.0)).unwrap())
            .collect()
    };
    let (floats, sums, counters) = (Encoding::Xor, Encoding::FloatHistogram, Encoding::Histogram);
    assert_eq!(
        encodings("s_count_0"),
        [(floats, 0), (floats, 10), (floats, 20)]
    );
    assert_eq!(encodings("s_sum_0"), [(floats, 10), (sums, 0), (sums, 20)]);
    assert_eq!(
        encodings("s_counter_0"),
        [(floats, 10), (counters, 0), (counters, 20)]
    );
    assert_eq!(encodings("s_min_0"), [(floats, 10)]);
}

#[test]
fn only_the_columns_of_the_wanted_aggregates_are_asked_for() {
    let rows = vec![vec![floats(0, 900), floats(1100, 1400), floats(2100, 2300)]; 3];
    let files = write(&rows, slices(), 10);
    let dir = tempfile::tempdir().unwrap();
    let local = files.open(dir.path());
    let asked = |range: TimeRange, wanted: AggregateSet| {
        let (group, rows) = local.shard().everything().remove(0);
        let lookup = local.shard().aggregates(group, rows, range, wanted);
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
            .aggregates(group, rows, range, Aggregate::Max.into());
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
    let paths = ["labels", "chunks"].map(|kind| dir.path().join(format!("0.{kind}.parquet")));
    files.open(dir.path());
    replace(&mut files.chunks, key, b"other");
    let local = files.open(dir.path());
    let (group, rows) = local.shard().everything().remove(0);
    let wanted = Aggregate::Max.into();
    let lookup = local
        .shard()
        .aggregates(group, rows, TimeRange::new(2500, 2600), wanted);
    assert_eq!(
        columns_asked(&files, lookup),
        ["s_max_0", "s_max_1", "s_max_2"]
    );

    replace(&mut files.chunks, b"other", b"varve");
    let value = [&key[..], b"300"].concat();
    replace(&mut files.chunks, &value, &[&key[..], b"-30"].concat());
    std::fs::write(&paths[1], &files.chunks).unwrap();
    let error = message(LocalShard::open(&paths[0], &paths[1]));
    let expected = "key-value \"varve_max_chunk_ms\": expected milliseconds, found \"-30\"";
    assert!(error.ends_with(expected), "{error}");
}

#[test]
fn counts_which_are_alike_are_stored_compressed() {
    let times: Vec<i64> = (0..140).map(|i| i * 300_000).collect();
    let counts = encode_xor(&times, &vec![20.0; times.len()]);
    // No two bytes alike for long.
    let noise = |row: u64| -> Vec<f64> {
        let of = |i: u64| (row * 140 + i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (0..140).map(|i| f64::from_bits(of(i) >> 2)).collect()
    };
    let slices = Slices::new(Timestamp(0), Timestamp(140 * 300_000), i64::MAX);
    let rows: Vec<_> = (0..1000)
        .map(|row| {
            let mut chunk = floats(0, *times.last().unwrap());
            chunk.aggregates[0] = aggregate(Encoding::Xor, counts.clone());
            chunk.aggregates[1] = aggregate(Encoding::Xor, encode_xor(&times, &noise(row)));
            vec![chunk]
        })
        .collect();
    let files = write(&rows, slices, 1000);
    let metadata = ParquetMetaDataReader::new()
        .parse_and_finish(&Bytes::from(files.chunks))
        .unwrap();
    let ratio = |name: &str| {
        let mut columns = metadata.row_group(0).columns().iter();
        let column = columns
            .find(|column| column.column_descr().name() == name)
            .unwrap();
        column.uncompressed_size() / column.compressed_size()
    };
    assert!(ratio("s_count_0") > 20, "{}", ratio("s_count_0"));
    assert_eq!(ratio("s_sum_0"), 1);
}

fn message<T>(result: Result<T, Error>) -> String {
    result.err().unwrap().to_string()
}

#[test]
fn chunks_and_aggregates_are_not_taken_for_one_another() {
    let dir = tempfile::tempdir().unwrap();
    let local = write(&[vec![floats(0, 1)]], slices(), 10).open(dir.path());
    let shard = local.shard();
    let (group, rows) = shard.everything().remove(0);
    let lookup = shard.chunks(group, rows.clone(), TimeRange::ALL);
    let error = message(local.answer(lookup));
    assert!(
        error.contains("expected chunks, found aggregates"),
        "{error}"
    );

    let series: [Series; 1] = [(labels([("a", "1")]), vec![Vec::new(); 3])];
    let files = Files::write(&series, slices(), &WriteOptions::default(), 10).unwrap();
    let local = files.open(dir.path());
    let lookup = local
        .shard()
        .aggregates(group, rows, TimeRange::ALL, AggregateSet::ALL);
    let error = message(local.answer(lookup));
    assert!(
        error.contains("expected aggregates, found chunks"),
        "{error}"
    );
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
        .aggregates(group, rows, TimeRange::ALL, AggregateSet::ALL);
    for error in [
        message(local.answer(lookup)),
        message(local.scan().collect::<Result<Vec<_>, _>>()),
    ] {
        assert!(error.contains("0.chunks.parquet at byte"), "{error}");
        let twice = "sum of the chunk from 1 to 7: found twice";
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
        (vec![1, 2, 3], "record of a chunk ends early"),
        (
            value(&[good.clone(), good]),
            "record: expected one after the one before, found one from 1 to 7",
        ),
        (
            value(&[chunk(Encoding::Xor, b"")]),
            "record: expected samples, found 0 bytes of Xor",
        ),
        (
            value(&[chunk(Encoding::Aggr, b"abc")]),
            "record: expected samples, found 3 bytes of Aggr",
        ),
    ] {
        let symbols: Arc<Table> = Arc::clone(&table);
        let mut builder = RowGroupBuilder::new(&schema, symbols, &WriteOptions::default());
        let mut values: Vec<&[u8]> = vec![b""; 15];
        values[14] = &bad;
        let error = message(builder.push(&table.ids(&row), &values));
        assert_eq!(error, format!("row 0: {expected}"));
        let error = message(builder.push(&table.ids(&row), &values[..3]));
        assert_eq!(error, "row 0: expected values of 15 columns, found 3");
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
    let all = |local: &LocalShard| local.scan().collect::<Result<Vec<_>, Error>>();
    let good = all(&files.open(dir.path())).unwrap();
    let footer = {
        let [.., a, b, c, d, _, _, _, _] = files.chunks.as_slice() else {
            panic!("a file of {} bytes", files.chunks.len());
        };
        let len = u32::from_le_bytes([*a, *b, *c, *d]);
        files.chunks.len() - 8 - usize::try_from(len).unwrap()
    };
    let paths = ["labels", "chunks"].map(|kind| dir.path().join(format!("0.{kind}.parquet")));
    let mut noticed = [0, 0];
    for place in 0..files.chunks.len() {
        files.chunks[place] ^= 1 << (place % 8);
        std::fs::write(&paths[1], &files.chunks).unwrap();
        let read = LocalShard::open(&paths[0], &paths[1]).and_then(|local| all(&local));
        match read {
            // A header's field, or one of the metadata, that does not matter.
            Ok(rows) if place < footer => assert_eq!(rows, good, "{place}"),
            Ok(_) => (),
            Err(error) => {
                noticed[usize::from(place >= footer)] += 1;
                assert!(error.to_string().contains("chunks.parquet"), "{error}");
            }
        }
        files.chunks[place] ^= 1 << (place % 8);
    }
    assert!(noticed.iter().all(|noticed| *noticed > 100), "{noticed:?}");
}
