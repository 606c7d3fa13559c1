//! What is written is what is read.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use model::{AggregateSet, Labels, METRIC_NAME, MatchOp, Matcher, TimeRange, Timestamp};
use parquet_block::{
    BloomFilters, LocalShard, PageOptions, Projection, Slices, WriteOptions, envelope,
};
use proptest::prelude::*;
use tsdb::{Chunk, Encoding};

use super::{Files, Series, generic_rows, labels};

const NAMES: [&str; 6] = ["Z", "__name__", "a", "b", "pod.name", "é"];

pub(crate) const FILTERS: [BloomFilters; 4] = [
    BloomFilters::None,
    BloomFilters::MetricName,
    BloomFilters::Large,
    BloomFilters::All,
];

fn chunk(min: i64, max: i64, data: Vec<u8>) -> Chunk {
    Chunk {
        encoding: Encoding::Xor,
        min: Timestamp(min),
        max: Timestamp(max),
        data: data.into(),
    }
}

fn value(chunks: &[Chunk]) -> Vec<u8> {
    let mut value = Vec::new();
    envelope::encode(chunks, &mut value);
    value
}

fn any_options() -> impl Strategy<Value = WriteOptions> {
    let page =
        (0..400usize, 1..30usize, 1..4i32).prop_map(|(bytes, rows, zstd_level)| PageOptions {
            bytes,
            rows,
            zstd_level,
            least_saving: 10,
        });
    let bloom_filters = prop::sample::select(&FILTERS[..]);
    (page.clone(), page, bloom_filters).prop_map(|(labels, chunks, bloom_filters)| WriteOptions {
        labels,
        chunks,
        bloom_filters,
    })
}

fn any_labels() -> impl Strategy<Value = Labels> {
    let value = prop_oneof![
        4 => "[a-c]{1,2}",
        1 => "a very long common prefix [ab]{1,2}",
        1 => Just("\u{10ffff}".repeat(5)),
        1 => Just(String::new()),
    ];
    prop::collection::vec((prop::sample::select(&NAMES[..]), value), 0..6)
        .prop_map(Labels::from_pairs)
}

/// Series in the order of a block, each with a value in each of three slices of a second.
fn any_series() -> impl Strategy<Value = Vec<Series>> {
    let slice = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..3);
    let values = prop::collection::vec(slice, 3..=3);
    prop::collection::btree_map(any_labels(), values, 1..90).prop_map(in_order)
}

fn in_order(series: BTreeMap<Labels, Vec<Vec<Vec<u8>>>>) -> Vec<Series> {
    let values = |slices: Vec<Vec<Vec<u8>>>| {
        let slices = slices.into_iter().enumerate().map(|(slice, chunks)| {
            let start = i64::try_from(slice).unwrap() * 1000;
            let chunks = chunks.into_iter().enumerate().map(|(i, data)| {
                let min = start + i64::try_from(i).unwrap() * 100;
                chunk(min, min + 99, data)
            });
            value(&chunks.collect::<Vec<_>>())
        });
        slices.collect()
    };
    let mut series: Vec<Series> = series
        .into_iter()
        .map(|(labels, slices)| (labels, values(slices)))
        .collect();
    let name = |labels: &Labels| labels.get(METRIC_NAME).unwrap_or_default().to_owned();
    series.sort_by_key(|(labels, _)| name(labels));
    series
}

fn slices() -> Slices {
    Slices::new(Timestamp(0), Timestamp(3000), 1000)
}

fn decoded(values: &[Vec<u8>]) -> Vec<Chunk> {
    let values = values.iter().map(|value| Bytes::copy_from_slice(value));
    values
        .flat_map(|value| {
            envelope::decode(&value)
                .map(Result::unwrap)
                .collect::<Vec<_>>()
        })
        .collect()
}

fn rows(local: &LocalShard) -> Vec<(Labels, Vec<Chunk>)> {
    local.read_all().unwrap()
}

fn found(local: &LocalShard, matchers: &[Matcher], group_rows: usize) -> Vec<usize> {
    let selection = local.answer(local.shard().search(matchers)).unwrap();
    let rows = selection.iter().flat_map(|(group, rows)| {
        rows.rows()
            .map(move |row| group * group_rows + row as usize)
    });
    rows.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn rows_are_read_back_by_us_and_by_the_generic_reader(
        series in any_series(), options in any_options(), group_rows in 1..60usize,
    ) {
        let files = Files::write(&series, slices(), &options, group_rows).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let local = files.open(dir.path());
        let expected: Vec<_> = series
            .iter()
            .map(|(labels, values)| (labels.clone(), decoded(values)))
            .collect();
        prop_assert_eq!(rows(&local), expected.clone());

        let shard = local.shard();
        let mut looked_up = Vec::new();
        for (group, ranges) in shard.everything() {
            let labels = shard.labels(group, ranges.clone(), Projection::All);
            let chunks = shard.chunks(group, ranges, TimeRange::ALL, AggregateSet::ALL);
            let (labels, chunks) = (local.answer(labels).unwrap(), local.answer(chunks).unwrap());
            looked_up.extend(labels.into_iter().zip(chunks));
        }
        prop_assert_eq!(looked_up, expected);

        let generic = generic_rows(&files.labels);
        prop_assert_eq!(generic.len(), series.len());
        for (row, (labels, _)) in generic.iter().zip(&series) {
            let named = row.iter().filter_map(|(name, value)| {
                Some((name.strip_prefix("l_")?, value))
            });
            prop_assert_eq!(&Labels::from_pairs(named), labels);
            let hash = row.iter().find(|(name, _)| name == "s_series_hash").unwrap();
            prop_assert_eq!(&hash.1[..], labels.stable_hash().to_be_bytes());
        }
        for (row, (_, values)) in generic_rows(&files.chunks).iter().zip(&series) {
            let stored: Vec<&Vec<u8>> = row.iter().map(|(_, value)| value).collect();
            prop_assert_eq!(stored, values.iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn searches_find_what_a_full_scan_finds(
        series in any_series(), options in any_options(), group_rows in 1..60usize,
        others in prop::collection::vec(any_labels(), 1..4),
    ) {
        let files = Files::write(&series, slices(), &options, group_rows).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let local = files.open(dir.path());
        let asked: BTreeSet<(Vec<u8>, Vec<u8>)> = series
            .iter()
            .map(|(labels, _)| labels)
            .chain(&others)
            .flat_map(|labels| labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())))
            .chain(NAMES.map(|name| (name.into(), Vec::new())))
            .collect();
        for (name, value) in asked {
            for op in [MatchOp::Equal, MatchOp::NotEqual] {
                let matcher = Matcher::new(op, str::from_utf8(&name).unwrap(), value.clone()).unwrap();
                let expected: Vec<usize> = (0..series.len())
                    .filter(|row| matcher.matches(series[*row].0.get(&name).unwrap_or_default()))
                    .collect();
                prop_assert_eq!(found(&local, &[matcher], group_rows), expected);
            }
            let values: BTreeSet<&[u8]> =
                series.iter().filter_map(|(labels, _)| labels.get(&name)).collect();
            let all = local.shard().everything();
            let read = local.answer(local.shard().label_values_of(all, &name)).unwrap();
            prop_assert!(read.iter().eq(values.iter()));
        }
    }
}

/// Metrics of 500 series each, of which the last has a label of its own.
fn many_series(metrics: usize) -> Vec<Series> {
    let series = (0..metrics * 500).map(|i| {
        let (metric, id) = (format!("metric_{:03}", i / 500), format!("{:05}", i % 500));
        let mut pairs = vec![("__name__", metric), ("id", id), ("job", "j".to_owned())];
        if i / 500 == metrics - 1 {
            pairs.push(("last", format!("{}", i % 7)));
        }
        let data = (0..i % 90).map(|n| u8::try_from((n * i) % 251).unwrap());
        let value = value(&[chunk(0, 9, data.collect())]);
        (Labels::from_pairs(pairs), vec![value, vec![], vec![]])
    });
    series.collect()
}

#[test]
fn the_bytes_do_not_depend_on_the_number_of_threads() {
    let series = many_series(20);
    let write = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        let write = || Files::write(&series, slices(), &WriteOptions::default(), 4000);
        pool.install(write).unwrap()
    };
    let (one, four) = (write(1), write(4));
    assert!(one.labels == four.labels && one.chunks == four.chunks);
    assert_eq!(one.shard, four.shard);
}

#[test]
fn meta_json_is_told_what_the_files_hold() {
    let files = Files::write(&many_series(3), slices(), &WriteOptions::default(), 600).unwrap();
    let shard = &files.shard;
    assert_eq!((shard.rows, shard.row_groups), (1500, 3));
    assert_eq!(
        (&*shard.min_name, &*shard.max_name),
        ("metric_000", "metric_002")
    );
    let sizes = [&files.labels, &files.chunks].map(|file| u64::try_from(file.len()).unwrap());
    assert_eq!([shard.labels_bytes, shard.chunks_bytes], sizes);
}

#[test]
fn a_label_that_no_row_of_a_row_group_has_is_null_there() {
    let series = many_series(4);
    let files = Files::write(&series, slices(), &WriteOptions::default(), 500).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let local = files.open(dir.path());
    let matcher = |value| Matcher::new(MatchOp::Equal, "last", value).unwrap();
    assert_eq!(
        found(&local, &[matcher("")], 500),
        (0..1500).collect::<Vec<_>>()
    );
    assert_eq!(found(&local, &[matcher("6")], 500).len(), 71);
    assert_eq!(generic_rows(&files.labels)[0].len(), 5);
    assert_eq!(rows(&local)[1500].0, series[1500].0);
}

#[test]
fn values_of_megabytes_are_pages_of_their_own() {
    let large: Vec<u8> = (0..3_000_000u32)
        .map(|i| (i % 251).to_le_bytes()[0])
        .collect();
    let long = "x".repeat(1 << 20);
    let series: Vec<Series> = (0..5)
        .map(|i| {
            let data = if i == 2 { large.clone() } else { vec![i] };
            let text = if i == 3 { long.clone() } else { i.to_string() };
            let labels = labels([("__name__", &i.to_string()), ("text", &text)]);
            (labels, vec![value(&[chunk(0, 1, data)]), vec![], vec![]])
        })
        .collect();
    let files = Files::write(&series, slices(), &WriteOptions::default(), 100).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let local = files.open(dir.path());
    let read = rows(&local);
    assert_eq!(read[2].1[0].data, large);
    assert_eq!(read[3].0.get("text"), Some(long.as_bytes()));
    let matcher = |op, value: &str| Matcher::new(op, "text", value).unwrap();
    assert_eq!(found(&local, &[matcher(MatchOp::Equal, &long)], 100), [3]);
    let others = found(&local, &[matcher(MatchOp::NotRegex, "x+")], 100);
    assert_eq!(others, [0, 1, 2, 4]);
    let shard = local.shard();
    let values = local.answer(shard.label_values_of(shard.everything(), "text"));
    assert!(
        values
            .unwrap()
            .iter()
            .eq(["0", "1", "2", "4", &long].map(str::as_bytes))
    );
    assert_eq!(generic_rows(&files.chunks)[2][0].1, series[2].1[0]);
}

#[test]
fn no_damage_to_a_page_goes_unnoticed() {
    let series: Vec<Series> = many_series(2).into_iter().step_by(9).collect();
    let mut files = Files::write(&series, slices(), &WriteOptions::default(), 80).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let expected = rows(&files.open(dir.path()));
    let mut noticed = 0;
    for place in (4..files.labels.len() / 4).step_by(7) {
        files.labels[place] ^= 1 << (place % 8);
        let read = files.open(dir.path()).read_all();
        match read {
            // What a scan does not read, such as hashes, or a header's field that does not matter.
            Ok(rows) => assert_eq!(rows, expected, "{place}"),
            Err(error) => {
                noticed += 1;
                assert!(error.to_string().contains("labels.parquet"), "{error}");
            }
        }
        files.labels[place] ^= 1 << (place % 8);
    }
    assert!(noticed > 10, "{noticed}");
}

#[test]
fn names_and_values_need_not_be_utf_8() {
    let long = [&[0xff; 40][..], b"x"].concat();
    let mut series: Vec<Series> = [
        vec![(&b"__name__"[..], &b"m"[..]), (b"pod", b"\xffA\xfe")],
        vec![(b"__name__", b"m"), (b"pod", b"a")],
        vec![(b"__name__", b"m"), (b"pod", &long)],
        vec![(b"__name__", b"m\xc3"), (b"\x80\xff", "é".as_bytes())],
    ]
    .into_iter()
    .map(|pairs| {
        let value = value(&[chunk(0, 1, vec![1])]);
        (Labels::from_pairs(pairs), vec![value, vec![], vec![]])
    })
    .collect();
    series.sort_by(|a, b| a.0.cmp(&b.0));
    let files = Files::write(&series, slices(), &WriteOptions::default(), 100).unwrap();
    // JSON holds no such name, and none means any.
    assert_eq!((&*files.shard.min_name, &*files.shard.max_name), ("", ""));
    let dir = tempfile::tempdir().unwrap();
    let local = files.open(dir.path());
    assert!(
        rows(&local)
            .iter()
            .map(|row| &row.0)
            .eq(series.iter().map(|s| &s.0))
    );
    let shard = local.shard();
    let values = local.answer(shard.label_values_of(shard.everything(), "pod"));
    assert_eq!(values.unwrap(), [&b"a"[..], b"\xffA\xfe", &long]);
    for value in [&b"\xffA\xfe"[..], &long] {
        let matcher = Matcher::new(MatchOp::Equal, "pod", value).unwrap();
        let row = series.iter().position(|s| s.0.get("pod") == Some(value));
        assert_eq!(found(&local, &[matcher], 100), [row.unwrap()]);
    }
}
