//! What reading costs is bounded, and what it may cost is obeyed.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use model::{BlockMeta, IndexStats, TimeRange};

use super::fixture::{ALL_KINDS, FLOATS, Fixture, ask, labels, query, samples, source_with};
use crate::{
    block::{BlockError, BlockQuery, BlockReader, BlockSeries, RequestBudget},
    config::Limits,
};

const ONE_METRIC: &[&str] = &["__name__=~.+", "namespace!=monitoring"];

/// Each request counts as one wait: the bound holds whichever of them are under way together.
#[tokio::test]
async fn a_small_block_takes_three_requests_when_cold_and_none_when_warm() {
    for is_tsdb in [true, false] {
        let fixture = Fixture::new();
        let block = Arc::new(match is_tsdb {
            true => fixture.tsdb(FLOATS[0]).await,
            false => fixture.parquet("floats").await,
        });
        for question in 0..4 {
            let cold = source_with(fixture.bucket.clone(), None, 512 << 10);
            let reader = async || {
                BlockReader::open(Arc::clone(&block), cold.clone())
                    .await
                    .unwrap()
            };
            let mut taken = Vec::new();
            for _ in 0..2 {
                let before = fixture.gets();
                let reader = reader().await;
                let matchers = super::fixture::matchers(ONE_METRIC);
                let budget = super::fixture::free();
                match question {
                    0 | 1 => {
                        let query = BlockQuery {
                            skip_chunks: question == 1,
                            ..query(ONE_METRIC, TimeRange::ALL)
                        };
                        assert!(ask(&reader, query).await.unwrap().len() > 100);
                    }
                    2 => {
                        let names = reader.label_names(matchers, TimeRange::ALL, budget);
                        assert!(names.await.unwrap().len() > 1);
                    }
                    _ => {
                        let values = reader.label_values("pod", matchers, TimeRange::ALL, budget);
                        assert!(values.await.unwrap().len() > 1);
                    }
                }
                taken.push(fixture.gets() - before);
            }
            assert!(
                taken[0] <= 3 && taken[1] == 0,
                "{is_tsdb} {question} {taken:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_file_whose_copy_arrived_damaged_is_fetched_again() {
    let fixture = Fixture::new();
    // Which part of the file is damaged: of an index one in which series are.
    for (small, is_tsdb, file, part) in [
        (512 << 10, true, "chunks/000001", 2),
        (512 << 10, false, "0.chunks.parquet", 2),
        (0, true, "index", 4),
        (0, false, "0.labels.parquet", 16),
    ] {
        let block = match is_tsdb {
            true => fixture.tsdb(FLOATS[0]).await,
            false => fixture.parquet("floats").await,
        };
        let key = block.key(file);
        let whole = fixture.bucket.get(&key).await.unwrap();
        let mut flipped = whole.to_vec();
        let place = flipped.len() / part;
        flipped[place] ^= 1;
        fixture.bucket.put(&key, flipped.into()).await.unwrap();
        let source = source_with(fixture.bucket.clone(), None, small);
        let reader = BlockReader::open(Arc::new(block), source).await.unwrap();
        let question = || query(&[], TimeRange::ALL);
        let damaged = ask(&reader, question()).await;
        assert!(damaged.is_err(), "{file}");
        fixture.bucket.put(&key, whole).await.unwrap();
        assert!(ask(&reader, question()).await.unwrap().len() > 100);
    }
}

#[tokio::test]
async fn a_block_that_is_not_small_takes_one_request_when_warm() {
    for is_tsdb in [true, false] {
        let fixture = Fixture::new();
        let block = match is_tsdb {
            true => fixture.tsdb(FLOATS[0]).await,
            false => fixture.parquet("floats").await,
        };
        let source = fixture.source.clone();
        let reader = BlockReader::open(Arc::new(block), source).await.unwrap();
        let one = &["__name__=container_load_00"];
        let labels_of = |skip_chunks| BlockQuery {
            skip_chunks,
            ..query(one, TimeRange::ALL)
        };
        let expected = labels(&ask(&reader, labels_of(false)).await.unwrap());
        assert!(!expected.is_empty());
        let before = fixture.gets();
        let again = ask(&reader, labels_of(true)).await.unwrap();
        assert_eq!(labels(&again), expected);
        assert_eq!(fixture.gets(), before, "labels are in memory");
        let again = ask(&reader, labels_of(false)).await.unwrap();
        assert_eq!(labels(&again), expected);
        assert!(
            fixture.gets() <= before + 1,
            "{is_tsdb} {}",
            fixture.gets() - before
        );
    }
}

#[tokio::test]
async fn a_query_to_a_tsdb_block_takes_one_request_for_each_kind_of_part() {
    let fixture = Fixture::new();
    let block = fixture.tsdb(FLOATS[0]).await;
    let reader = fixture.open(block).await.unwrap();
    assert_eq!(fixture.gets(), 1, "the index is small");
    let found = ask(&reader, query(ONE_METRIC, TimeRange::ALL))
        .await
        .unwrap();
    assert!(found.len() > 100);
    // Postings; the first and the second group of series, and the chunks of each.
    assert!(fixture.gets() <= 1 + 1 + 2 + 2, "{}", fixture.gets());
}

#[tokio::test]
async fn a_query_to_a_parquet_block_takes_few_requests_and_none_twice_for_labels() {
    let fixture = Fixture::new();
    let block = fixture.parquet("floats").await;
    let before = fixture.gets();
    let reader = fixture.open(block).await.unwrap();
    assert_eq!(fixture.gets() - before, 2, "a footer of each file");
    let before = fixture.gets();
    let found = ask(&reader, query(ONE_METRIC, TimeRange::ALL))
        .await
        .unwrap();
    assert!(found.len() > 100);
    let first = fixture.gets() - before;
    assert!(first <= 8, "{first}");
    let before = fixture.gets();
    ask(&reader, query(ONE_METRIC, TimeRange::ALL))
        .await
        .unwrap();
    // Chunks only.
    assert!(fixture.gets() - before < first);
}

#[tokio::test]
async fn shards_whose_metrics_cannot_match_are_not_read() {
    let fixture = Fixture::new();
    let block = fixture.parquet("shards").await;
    let last = &block.meta.parquet.as_ref().unwrap().shards[1].max_name;
    let beyond = [format!("__name__={last}x"), "__name__=A".to_owned()];
    let reader = fixture.open(block).await.unwrap();
    let before = fixture.gets();
    for matcher in &beyond {
        let found = ask(&reader, query(&[matcher], TimeRange::ALL))
            .await
            .unwrap();
        assert!(found.is_empty());
    }
    assert_eq!(fixture.gets(), before);
}

#[tokio::test]
async fn records_longer_than_guessed_are_read_again() {
    let fixture = Fixture::new();
    for path in [FLOATS[0], ALL_KINDS] {
        let mut block = fixture.tsdb(path).await;
        let mut meta = BlockMeta::clone(&block.meta);
        meta.thanos.get_or_insert_default().index_stats = IndexStats {
            series_max_size: 1,
            chunk_max_size: 1,
        };
        block.meta = Arc::new(meta);
        let short = fixture.open(block).await.unwrap();
        let block = fixture.tsdb(path).await;
        let usual = fixture.open(block).await.unwrap();
        let question = || query(&["__name__=~.+", "pod!~.*1"], TimeRange::ALL);
        let expected = ask(&usual, question()).await.unwrap();
        let found = ask(&short, question()).await.unwrap();
        assert!(!found.is_empty());
        assert_eq!(labels(&found), labels(&expected));
        assert_eq!(
            samples(found, TimeRange::ALL),
            samples(expected, TimeRange::ALL)
        );
    }
}

async fn refused(reader: &BlockReader, limits: Limits) -> (usize, Option<BlockError>) {
    let mut stream = reader.series(query(&[], TimeRange::ALL), RequestBudget::of_test(limits));
    let mut series = 0;
    loop {
        match stream.next().await {
            None => return (series, None),
            Some(Ok(batch)) => series += batch.len(),
            Some(Err(error)) => {
                assert!(stream.next().await.is_none());
                return (series, Some(error));
            }
        }
    }
}

#[tokio::test]
async fn a_request_is_refused_at_its_limits_and_not_below() {
    let fixture = Fixture::new();
    let (tsdb, parquet) = (
        fixture.tsdb(FLOATS[0]).await,
        fixture.parquet("floats").await,
    );
    for block in [tsdb, parquet] {
        let reader = fixture.open(block).await.unwrap();
        let all = ask(&reader, query(&[], TimeRange::ALL)).await.unwrap();
        let chunks: usize = all.iter().map(|series| series.chunks.len()).sum();
        let (series, samples) = (all.len() as u64, chunks as u64 * 120);
        let limit = |request_series, request_samples, downloaded_bytes| Limits {
            request_series,
            request_samples,
            downloaded_bytes,
        };
        let (found, error) = refused(&reader, limit(series, samples, 1 << 20)).await;
        assert_eq!((found, error.map(|e| e.to_string())), (all.len(), None));

        let (found, error) = refused(&reader, limit(series - 1, 0, 0)).await;
        assert!(
            found == 0
                && matches!(error, Some(BlockError::Limit { name: "series", got, .. }) if got == series)
        );
        let (found, error) = refused(&reader, limit(0, samples - 1, 0)).await;
        assert!(
            found < all.len()
                && matches!(error, Some(BlockError::Limit { name: "samples", got, .. }) if got <= samples)
        );
        let (found, error) = refused(&reader, limit(0, 0, 20_000)).await;
        assert!(
            found < all.len()
                && matches!(
                    error,
                    Some(BlockError::Limit {
                        name: "bytes",
                        limit: 20_000,
                        ..
                    })
                )
        );
    }
}

#[tokio::test]
async fn a_stream_that_is_dropped_leaves_the_reader_usable() {
    let fixture = Fixture::new();
    let block = fixture.parquet("shards").await;
    let reader = fixture.open(block).await.unwrap();
    let free = super::fixture::free;
    let mut stream = reader.series(query(&[], TimeRange::ALL), free());
    let first = stream.next().await.unwrap().unwrap();
    drop(stream);
    let all: Vec<Vec<BlockSeries>> = reader
        .series(query(&[], TimeRange::ALL), free())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(labels(&all[0]), labels(&first));
    assert!(all.len() > 1, "the first batch is a small one");
}
