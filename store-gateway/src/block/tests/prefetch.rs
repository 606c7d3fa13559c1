//! The next chunks are fetched while others are under way: some, and each page once.

use std::{sync::Arc, time::Duration};

use bucket::{
    Bucket,
    testing::{FailingBucket, Held, ReadFault},
};
use futures::{StreamExt as _, TryStreamExt as _};
use model::{Aggregate, BlockId, TimeRange, Timestamp};
use parquet_block::aggregates_file;
use service::Metrics;

use super::fixture::{free, labels, query, source};
use crate::{
    block::{BlockQuery, BlockReader, BlockSeries, RequestBudget},
    config::Limits,
    memory::Memory,
    metrics::MemoryMetrics,
    testing::downsampled::{put_parquet, rows},
};

/// Of 1500 series of each of the two metrics.
const PODS: usize = 1500;

/// A block whose pages of aggregates have so few rows that each batch needs some of its own, and that end within
/// batches; reads of the aggregates are held.
async fn held() -> (FailingBucket, BlockReader, Held, String) {
    let memory = Bucket::in_memory();
    let id = BlockId::new(Timestamp(0), 1);
    let block = put_parquet(&memory, id, &[], &rows(0..PODS), 12).await;
    let key = block.key(&aggregates_file(0));
    let failing = FailingBucket::new(&memory);
    let source = source(failing.bucket(), None);
    let reader = BlockReader::open(Arc::new(block), source).await.unwrap();
    failing.clear_log();
    let held = failing.hold_reads(&key);
    (failing, reader, held, key)
}

/// The maxima of the first metric at a time when there is one column of them.
fn maxima() -> BlockQuery {
    BlockQuery {
        aggregates: Aggregate::Max.into(),
        ..query(&["__name__=requests"], TimeRange::new(0, 10_000_000))
    }
}

#[tokio::test]
async fn small_batches_are_fetched_side_by_side_and_no_page_twice() {
    let (failing, reader, held, key) = held().await;
    let answer = reader.series(maxima(), free());
    let in_steps = async {
        // Others are asked for though the first has not come.
        held.begun(3).await;
        held.release(1000);
    };
    let (series, ()) = futures::join!(answer.try_collect::<Vec<Vec<BlockSeries>>>(), in_steps);
    let series = series.unwrap().concat();
    assert_eq!(series.len(), PODS);
    assert!(labels(&series).is_sorted());
    assert!(held.most_held() > 2);
    // Pages that two batches share are fetched with the first.
    let mut read = failing.ranges_read(&key);
    assert!(read.len() > 3);
    read.sort_by_key(|range| range.start);
    assert!(read.is_sorted_by(|a, b| a.end <= b.start));
}

#[tokio::test]
async fn without_memory_one_batch_is_fetched_after_the_other_and_the_answer_is_the_same() {
    let (failing, reader, held, key) = held().await;
    let metrics = MemoryMetrics::new(&Metrics::new());
    let memory = Memory::new(1, Duration::ZERO, metrics);
    let budget = RequestBudget::new(Limits::default(), memory.enter(1).await.unwrap());
    let answer = reader.series(maxima(), budget);
    let one_by_one = async {
        for number in 1.. {
            held.begun(number).await;
            held.release(1);
        }
    };
    let series = tokio::select! {
        series = answer.try_collect::<Vec<Vec<BlockSeries>>>() => series.unwrap().concat(),
        () = one_by_one => panic!("it never ends"),
    };
    assert_eq!(held.most_held(), 1);
    assert!(failing.ranges_read(&key).len() > 3);
    held.release(1000);
    let whole = reader.series(maxima(), free());
    let whole = whole
        .try_collect::<Vec<Vec<BlockSeries>>>()
        .await
        .unwrap()
        .concat();
    let text = |series: &[BlockSeries]| format!("{series:?}");
    assert_eq!(text(&series), text(&whole));
}

#[tokio::test]
async fn what_lies_beyond_a_limit_is_not_fetched() {
    let (failing, reader, held, key) = held().await;
    let question = BlockQuery {
        limit: 10,
        ..maxima()
    };
    held.release(1);
    let answer = reader.series(question, free());
    let series: Vec<Vec<BlockSeries>> = answer.try_collect().await.unwrap();
    assert_eq!(series.concat().len(), 10);
    assert_eq!(failing.ranges_read(&key).len(), 1);
}

#[tokio::test]
async fn series_fetched_before_an_error_come_before_it() {
    let (failing, reader, held, key) = held().await;
    let mut answer = reader.series(maxima(), free());
    held.begun(2).await;
    failing.fail_reads(&key, ReadFault::Refused);
    held.release(1000);
    let mut series = 0;
    let error = loop {
        match answer.next().await.unwrap() {
            Ok(batch) => series += batch.len(),
            Err(error) => break error,
        }
    };
    // The two that had begun.
    assert_eq!(series, 128);
    assert!(error.to_string().contains(&key), "{error}");
    assert!(answer.next().await.is_none());
}
