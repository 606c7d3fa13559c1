//! The aggregates of downsampled blocks: what is written, what of it is read, and what comes back.

mod asked;
mod refused;

use bytes::Bytes;
use model::{Aggregate, AggregateSet, TimeRange, Timestamp};
use parquet::file::metadata::ParquetMetaDataReader;
use parquet_block::{Contents, Error, LocalShard, Slices, WriteOptions, envelope};
use proptest::prelude::*;
use tsdb::{AggregateChunk, Aggregates, Chunk, DownsampledChunk, Encoding, encode_xor};

use super::{Files, Series, generic_column, labels, merged_chunks};

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
            let lookup = shard.chunks(group, rows, range, wanted);
            local.answer(lookup).unwrap()
        })
        .collect()
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
        let merged = merged_chunks(&local).unwrap();
        prop_assert_eq!(&merged, &read(&local, TimeRange::ALL, AggregateSet::ALL));
        for chunk in merged.into_iter().flatten() {
            let unpacked = DownsampledChunk::unpack(&chunk).unwrap();
            prop_assert_eq!(unpacked.pack(), chunk);
        }
    }
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
