//! What is read is what is stored, and both formats say the same.

use std::collections::BTreeSet;

use model::{Labels, Matcher, TimeRange};

use super::fixture::{
    ALL_KINDS, FLOATS, FLOATS_RANGE, Fixture, ask, free, labels, matchers, metric, query, samples,
};
use crate::block::{BlockQuery, BlockReader};

/// Selections of every kind of matcher, alone and together, of labels that series have and have not.
const SELECTIONS: &[&[&str]] = &[
    &[],
    &["__name__=~.+"],
    &["__name__!="],
    &["__name__="],
    &["namespace=monitoring"],
    &["namespace!=monitoring"],
    &["namespace=~mon.*|default"],
    &["namespace!~mon.*|default"],
    &["pod=~.*-1.*", "namespace!="],
    &["pod=", "__name__=~.*"],
    &["pod!="],
    &["nothing="],
    &["nothing!="],
    &["nothing=~.*"],
    &["nothing!~.+", "namespace=~.+"],
    &["job=~.*", "job!=", "instance!~.*:9100"],
    &["__name__=no_such_metric"],
    &["__name__=~[a-m].*"],
    &["__name__!~[a-m].*"],
];

const RANGES: [TimeRange; 5] = [
    TimeRange::ALL,
    FLOATS_RANGE,
    TimeRange::new(1_700_010_000_000, 1_700_010_000_000),
    TimeRange::new(1_700_013_599_999, 1_700_020_800_000),
    TimeRange::new(0, 1_700_006_399_999),
];

fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
    let matches = |m: &Matcher| m.matches(labels.get(&m.name).unwrap_or_default());
    matchers.iter().all(matches)
}

/// Readers of the same samples: TSDB blocks, and one Parquet block.
async fn readers(
    fixture: &Fixture,
    tsdb: &[&str],
    parquet: &str,
) -> (Vec<BlockReader>, BlockReader) {
    let mut blocks = Vec::new();
    for path in tsdb {
        let block = fixture.tsdb(path).await;
        blocks.push(fixture.open(block).await.unwrap());
    }
    let block = fixture.parquet(parquet).await;
    (blocks, fixture.open(block).await.unwrap())
}

async fn assert_same(tsdb: &[&str], parquet: &str) {
    let fixture = Fixture::new();
    let (blocks, parquet) = readers(&fixture, tsdb, parquet).await;
    let mut some = 0;
    for range in RANGES {
        for selection in SELECTIONS {
            let mut expected = Vec::new();
            for block in &blocks {
                expected.extend(ask(block, query(selection, range)).await.unwrap());
            }
            let found = ask(&parquet, query(selection, range)).await.unwrap();
            let context = format!("{selection:?} {range:?}");
            let wanted = matchers(selection);
            for series in expected.iter().chain(&found) {
                assert!(all_match(&wanted, &series.labels), "{context}");
                assert!(!series.chunks.is_empty(), "{context}");
                for chunk in &series.chunks {
                    assert!(
                        chunk.min <= range.max && range.min <= chunk.max,
                        "{context}"
                    );
                }
            }
            let (expected, found) = (samples(expected, range), samples(found, range));
            assert_eq!(expected, found, "{context}");
            some += found.len();
        }
    }
    assert!(some > 100);
}

#[tokio::test]
async fn floats_in_four_blocks_and_in_one_parquet_block_are_the_same() {
    assert_same(&FLOATS, "floats").await;
}

#[tokio::test]
async fn floats_in_four_blocks_and_in_two_parquet_shards_are_the_same() {
    assert_same(&FLOATS, "shards").await;
}

#[tokio::test]
async fn every_kind_of_sample_is_the_same_in_both_formats() {
    assert_same(&[ALL_KINDS], "all-kinds").await;
}

#[tokio::test]
async fn no_series_that_matches_is_left_out() {
    let fixture = Fixture::new();
    let (blocks, parquet) = readers(&fixture, &FLOATS[..1], "shards").await;
    for reader in blocks.iter().chain([&parquet]) {
        let all = labels(&ask(reader, query(&[], TimeRange::ALL)).await.unwrap());
        assert!(all.len() >= 200);
        for selection in SELECTIONS {
            let wanted = matchers(selection);
            let expected = all.iter().filter(|labels| all_match(&wanted, labels));
            let expected: Vec<_> = expected.cloned().collect();
            let found = ask(reader, query(selection, TimeRange::ALL)).await.unwrap();
            assert_eq!(labels(&found), expected, "{selection:?}");
        }
    }
}

#[tokio::test]
async fn series_come_in_the_order_of_their_format() {
    let fixture = Fixture::new();
    for (tsdb, parquet) in [(FLOATS[0], "shards"), (ALL_KINDS, "all-kinds")] {
        let (blocks, parquet) = readers(&fixture, &[tsdb], parquet).await;
        let found = labels(&ask(&blocks[0], query(&[], TimeRange::ALL)).await.unwrap());
        assert!(found.is_sorted_by(|a, b| a < b));
        let found = labels(&ask(&parquet, query(&[], TimeRange::ALL)).await.unwrap());
        assert!(found.is_sorted_by(|a, b| (metric(a), a) < (metric(b), b)));
    }
}

#[tokio::test]
async fn without_chunks_the_same_series_come_without_them() {
    let fixture = Fixture::new();
    let (blocks, parquet) = readers(&fixture, &FLOATS[..1], "shards").await;
    for reader in blocks.iter().chain([&parquet]) {
        for range in RANGES {
            for selection in SELECTIONS {
                let with = ask(reader, query(selection, range)).await.unwrap();
                let skipping = BlockQuery {
                    skip_chunks: true,
                    ..query(selection, range)
                };
                let without = ask(reader, skipping).await.unwrap();
                assert!(without.iter().all(|series| series.chunks.is_empty()));
                assert_eq!(labels(&without), labels(&with), "{selection:?} {range:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_limit_leaves_the_first_series() {
    let fixture = Fixture::new();
    let (blocks, parquet) = readers(&fixture, &FLOATS[..1], "shards").await;
    for reader in blocks.iter().chain([&parquet]) {
        for range in [TimeRange::ALL, RANGES[2]] {
            for skip_chunks in [false, true] {
                let all = ask(reader, query(&["pod!="], range)).await.unwrap();
                for limit in [1, 7, 60, 130, 10_000] {
                    let limited = BlockQuery {
                        limit,
                        skip_chunks,
                        ..query(&["pod!="], range)
                    };
                    let some = ask(reader, limited).await.unwrap();
                    let expected = &labels(&all)[..limit.min(all.len())];
                    assert_eq!(labels(&some), expected, "{limit}");
                }
            }
        }
    }
}

#[tokio::test]
async fn names_and_values_are_those_of_the_series_that_match() {
    let fixture = Fixture::new();
    let (blocks, parquet) = readers(&fixture, &FLOATS[..1], "shards").await;
    for reader in blocks.iter().chain([&parquet]) {
        for range in RANGES {
            for selection in &SELECTIONS[1..] {
                let series = labels(&ask(reader, query(selection, range)).await.unwrap());
                let pairs = || series.iter().flat_map(Labels::iter);
                let names: BTreeSet<_> = pairs().map(|(name, _)| name.to_owned()).collect();
                let found = reader.label_names(matchers(selection), range, free()).await;
                assert_eq!(
                    found.unwrap(),
                    Vec::from_iter(names),
                    "{selection:?} {range:?}"
                );
                for label in ["__name__", "pod", "namespace", "nothing"] {
                    let values = pairs().filter(|(name, _)| *name == label.as_bytes());
                    let values: BTreeSet<_> = values.map(|(_, value)| value.to_owned()).collect();
                    let asked = reader.label_values(label, matchers(selection), range, free());
                    let found = asked.await.unwrap();
                    assert_eq!(
                        found,
                        Vec::from_iter(values),
                        "{label} {selection:?} {range:?}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn without_matchers_all_names_and_values_are_told_whatever_the_range() {
    let fixture = Fixture::new();
    let (blocks, parquet) = readers(&fixture, &[ALL_KINDS], "all-kinds").await;
    let long_ago = TimeRange::new(0, 1);
    let mut told = Vec::new();
    for reader in [&blocks[0], &parquet] {
        let series = labels(&ask(reader, query(&[], TimeRange::ALL)).await.unwrap());
        let pairs = || series.iter().flat_map(Labels::iter);
        let names: BTreeSet<_> = pairs().map(|(name, _)| name.to_owned()).collect();
        let found = reader
            .label_names(matchers(&[]), long_ago, free())
            .await
            .unwrap();
        assert_eq!(found, Vec::from_iter(names));
        for label in &found {
            let values = pairs().filter(|(name, _)| name == label);
            let values: BTreeSet<_> = values.map(|(_, value)| value.to_owned()).collect();
            let asked = reader
                .label_values(&model::shown(label), matchers(&[]), long_ago, free())
                .await;
            assert_eq!(asked.unwrap(), Vec::from_iter(values), "{label:?}");
        }
        told.push(found);
    }
    assert_eq!(told[0], told[1]);
}
