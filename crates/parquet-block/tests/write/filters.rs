//! Bloom filters: which columns have one, and that answers do not depend on them.

use std::collections::BTreeSet;

use bytes::Bytes;
use model::{MatchOp, Matcher, Timestamp};
use parquet::bloom_filter::Sbbf;
use parquet_block::{BloomFilters, LocalShard, Lookup, Slices, Step, WriteOptions};

use super::{
    Files, Series, labels,
    layout::{columns, metadata},
    round_trip::FILTERS,
};

/// Series of ten metrics, each with an id that no other has; ids are in no order.
pub(crate) fn series_with_ids(count: u64) -> Vec<Series> {
    let series = (0..count).map(|i| {
        let metric = format!("m{}", i * 10 / count);
        let pairs = [
            ("__name__", &*metric),
            ("id", &id(i)),
            ("row", &format!("{i:05}")),
        ];
        (labels(pairs), vec![vec![]])
    });
    let mut series: Vec<Series> = series.collect();
    series.sort_by(|(a, _), (b, _)| a.cmp(b));
    series
}

/// 64 characters that no compression makes less than 32 bytes of.
fn id(i: u64) -> String {
    let words = (1..5).map(|word| {
        let mut bits = (i * 4 + word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        format!("{:016x}", bits ^ (bits >> 29))
    });
    words.collect()
}

fn write(series: &[Series], bloom_filters: BloomFilters) -> Files {
    let options = WriteOptions {
        bloom_filters,
        ..WriteOptions::default()
    };
    let slices = Slices::new(Timestamp(0), Timestamp(1000), 1000);
    Files::write(series, slices, &options, series.len()).unwrap()
}

#[test]
fn the_labels_that_are_asked_for_have_a_filter_of_ten_bits_a_value() {
    let name = vec!["l___name__"];
    let all = vec!["l___name__", "l_id", "l_row"];
    for (rows, filters, expected) in [
        (1000, BloomFilters::None, vec![]),
        (1000, BloomFilters::MetricName, name.clone()),
        (1000, BloomFilters::All, all.clone()),
        (1000, BloomFilters::default(), name.clone()),
        (12_000, BloomFilters::MetricName, name),
        (12_000, BloomFilters::default(), vec!["l___name__", "l_id"]),
    ] {
        let series = series_with_ids(rows);
        let file = Bytes::from(write(&series, filters).labels);
        let metadata = metadata(&file);
        let mut found = Vec::new();
        for (_, _, column) in columns(&metadata) {
            let Some(filter) = Sbbf::read_from_column_chunk(column, &file).unwrap() else {
                continue;
            };
            let name = column.column_descr().name();
            found.push(name);
            let label = name.strip_prefix("l_").unwrap();
            let values: BTreeSet<&[u8]> = series
                .iter()
                .filter_map(|(labels, _)| labels.get(label))
                .collect();
            assert_eq!(filter.num_blocks(), (values.len() * 10).div_ceil(256));
            assert!(values.iter().all(|value| filter.check(*value)));
            let others = (0..1000).filter(|i| filter.check(format!("n{i:04}").as_str()));
            assert!(others.count() < 50);
        }
        assert_eq!(found, expected, "{rows} {filters:?}");
    }
}

/// The rows that are found, and the bytes that were fetched for them.
fn search(local: &LocalShard, labels: &[u8], matchers: &[Matcher]) -> (Vec<u32>, usize) {
    let mut search = local.shard().search(matchers);
    let mut fetched = 0;
    loop {
        match search.next().unwrap() {
            Step::Done(found) => {
                let rows = found.iter().flat_map(|(_, rows)| rows.rows());
                return (rows.collect(), fetched);
            }
            Step::Fetch { ranges, .. } => {
                let supply = ranges.into_iter().map(|range| {
                    let [start, end] =
                        [range.start, range.end].map(|at| usize::try_from(at).unwrap());
                    fetched += end - start;
                    Bytes::copy_from_slice(&labels[start..end])
                });
                search.supply(supply.collect()).unwrap();
            }
        }
    }
}

#[test]
fn searches_answer_the_same_with_filters_and_without_and_read_less_for_ids_that_are_not_there() {
    let series = series_with_ids(12_000);
    let dirs = FILTERS.map(|_| tempfile::tempdir().unwrap());
    let files = FILTERS.map(|filters| write(&series, filters));
    let matcher = |op, name: &str, value: &str| Matcher::new(op, name, value).unwrap();
    let (known, other, absent) = (id(17), id(11_003), id(12_000));
    let equal = |name, value| matcher(MatchOp::Equal, name, value);
    let questions = [
        vec![equal("id", &known)],
        vec![equal("id", &known), equal("__name__", "m0")],
        vec![equal("id", &known), equal("__name__", "m1")],
        vec![matcher(
            MatchOp::Regex,
            "id",
            &format!("{known}|{absent}|{other}"),
        )],
        vec![
            matcher(MatchOp::NotEqual, "id", &known),
            equal("__name__", "m0"),
        ],
        vec![matcher(MatchOp::Regex, "id", "0+.*")],
        vec![equal("row", "00017"), equal("id", &known)],
        vec![equal("id", &absent)],
        vec![equal("id", &absent), equal("__name__", "m0")],
    ];
    let expected = questions.each_ref().map(|matchers| {
        let rows = (0..).zip(&series).filter(|(_, (labels, _))| {
            matchers
                .iter()
                .all(|m| m.matches(labels.get(&m.name).unwrap()))
        });
        rows.map(|(row, _)| row).collect::<Vec<u32>>()
    });
    let mut read = Vec::new();
    for (files, dir) in files.iter().zip(&dirs) {
        let local = files.open(dir.path());
        let answers = questions
            .each_ref()
            .map(|q| search(&local, &files.labels, q));
        assert_eq!(answers.each_ref().map(|(rows, _)| rows.clone()), expected);
        read.push(answers[7].1);
    }
    let [none, name, large, all] = read[..] else {
        panic!("{read:?}");
    };
    // All ids, of which each takes half its characters or little less; or ten bits for each.
    assert!(none == name && name > 12_000 * 30, "{read:?}");
    assert!(large == all && all < 12_000 * 2, "{read:?}");
}
