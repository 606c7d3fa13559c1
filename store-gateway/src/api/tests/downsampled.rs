//! Downsampled blocks: both formats give the same, and of a Parquet block only what is asked for is read.

use bucket::{Bucket, testing::FailingBucket};
use model::{Aggregate, Labels, TimeRange};
use parquet_block::aggregates_file;
use proto::thanos::{
    self, Aggr, LabelNamesRequest, LabelValuesRequest, SeriesRequest,
    series_response::Result as Frame,
};

use super::world::*;
use crate::{
    Config,
    testing::downsampled::{RANGE, mark, put_parquet, put_tsdb, rows},
};

const EU: &[(&str, &str)] = &[("cluster", "eu")];
const HOUR: i64 = 3_600_000;

/// All, parts, the edges of chunks, times between chunks, and before the first.
const RANGES: [TimeRange; 6] = [
    TimeRange::ALL,
    RANGE,
    TimeRange::new(60 * HOUR, 61 * HOUR),
    TimeRange::new(48 * HOUR + 1, 48 * HOUR + 2),
    TimeRange::new(31 * HOUR, 46 * HOUR),
    TimeRange::new(0, HOUR - 1),
];

const SETS: [&[Aggr]; 8] = [
    &[Aggr::Count],
    &[Aggr::Sum],
    &[Aggr::Min],
    &[Aggr::Max],
    &[Aggr::Counter],
    &[Aggr::Count, Aggr::Sum],
    &[Aggr::Raw, Aggr::Max, Aggr::Counter],
    &[],
];

fn asking(aggregates: &[Aggr], range: TimeRange) -> SeriesRequest {
    SeriesRequest {
        min_time: range.min.0,
        max_time: range.max.0,
        max_resolution_window: 300_000,
        aggregates: aggregates.iter().map(|one| (*one).into()).collect(),
        ..everything()
    }
}

/// The series as they are on the wire.
async fn ask(world: &mut World, request: SeriesRequest) -> Vec<thanos::Series> {
    let frames = world.frames(request).await.unwrap();
    let series = frames.into_iter().map(|frame| match frame {
        Frame::Series(series) => series,
        other => panic!("unexpected {other:?}"),
    });
    series.collect()
}

fn labels_of(series: &[thanos::Series]) -> Vec<Labels> {
    let labels = series.iter().map(|one| proto::model_labels(&one.labels));
    labels.collect()
}

/// Gateways to the same series as a TSDB block and as a Parquet block.
async fn both(pods: usize) -> [World; 2] {
    let (tsdb, parquet) = (Bucket::in_memory(), Bucket::in_memory());
    let rows = rows(0..pods);
    put_tsdb(&tsdb, id(1), EU, &rows).await;
    put_parquet(&parquet, id(1), EU, &rows, 5).await;
    [
        World::new(&tsdb, Config::default()).await,
        World::new(&parquet, Config::default()).await,
    ]
}

#[tokio::test]
async fn each_set_of_aggregates_is_the_same_in_both_formats() {
    let [mut tsdb, mut parquet] = both(40).await;
    let mut sent = Vec::new();
    for range in RANGES {
        for set in SETS {
            let expected = ask(&mut tsdb, asking(set, range)).await;
            let found = ask(&mut parquet, asking(set, range)).await;
            assert_eq!(found, expected, "{set:?} {range:?}");
            sent.push(found.len());
        }
    }
    // Of each pod a series of floats, and one of histograms, which have no minimum and no maximum.
    assert_eq!(sent[..8], [80, 80, 40, 40, 80, 80, 80, 80]);
    assert_eq!(sent[16..24], [40; 8]);
    assert_eq!(sent[32..], [0; 16]);
}

#[tokio::test]
async fn labels_alone_are_the_same_in_both_formats_whatever_the_aggregates() {
    let [mut tsdb, mut parquet] = both(40).await;
    for (range, count) in RANGES.into_iter().zip([80, 80, 40, 40, 0, 0]) {
        for set in [&[Aggr::Min][..], &[Aggr::Raw], &[]] {
            let request = SeriesRequest {
                skip_chunks: true,
                ..asking(set, range)
            };
            let expected = ask(&mut tsdb, request.clone()).await;
            let found = ask(&mut parquet, request).await;
            assert_eq!(found, expected, "{set:?} {range:?}");
            assert_eq!(found.len(), count, "{set:?} {range:?}");
            assert!(found.iter().all(|series| series.chunks.is_empty()));
        }
        let mut said = Vec::new();
        for world in [&mut tsdb, &mut parquet] {
            let matchers = vec![matcher("pod", "=~", "00.[37]")];
            let names = LabelNamesRequest {
                start: range.min.0,
                end: range.max.0,
                matchers: matchers.clone(),
                ..LabelNamesRequest::default()
            };
            let names = world.store.label_names(names).await.unwrap().into_inner();
            let values = LabelValuesRequest {
                label: "__name__".to_owned(),
                start: range.min.0,
                end: range.max.0,
                matchers,
                ..LabelValuesRequest::default()
            };
            let values = world.store.label_values(values).await.unwrap().into_inner();
            said.push((names.names, values.values));
        }
        assert_eq!(said[0], said[1], "{range:?}");
        assert_eq!(said[0].1.len(), count / 40, "{range:?}");
    }
}

#[tokio::test]
async fn a_tsdb_block_and_the_parquet_block_that_holds_it_are_served_once() {
    let bucket = Bucket::in_memory();
    let rows = rows(0..3);
    put_tsdb(&bucket, id(1), EU, &rows).await;
    put_parquet(&bucket, id(1), EU, &rows, 5).await;
    let mut world = World::new(&bucket, Config::default()).await;
    let sent = ask(&mut world, asking(&[Aggr::Count], TimeRange::ALL)).await;
    assert_eq!(sent.len(), 6);
    assert!(
        sent.iter()
            .all(|series| matches!(series.chunks.len(), 1 | 3))
    );
    let counted = sent.iter().flat_map(|series| &series.chunks);
    assert!(counted.into_iter().all(|chunk| chunk.count.is_some()));
    // Not where only raw samples may answer.
    assert_eq!(world.series(everything()).await, []);
}

#[tokio::test]
async fn only_the_columns_of_the_aggregates_asked_for_are_fetched() {
    let memory = Bucket::in_memory();
    let block = put_parquet(&memory, id(1), EU, &rows(0..400), 50).await;
    let key = block.key(&aggregates_file(0));
    let file = memory.get(&key).await.unwrap();
    let counting = FailingBucket::new(&memory);
    let mut world = World::new(&counting.bucket(), Config::default()).await;
    // Opens the block.
    ask(&mut world, asking(&[Aggr::Counter], TimeRange::new(0, 0))).await;
    for (aggregate, wire, skip_chunks, range) in [
        (Aggregate::Counter, Aggr::Counter, false, TimeRange::ALL),
        (Aggregate::Min, Aggr::Min, false, TimeRange::ALL),
        (Aggregate::Counter, Aggr::Counter, false, RANGES[2]),
        // Which series have chunks then is told by counts.
        (Aggregate::Count, Aggr::Counter, true, RANGES[2]),
    ] {
        counting.clear_log();
        let request = SeriesRequest {
            skip_chunks,
            ..asking(&[wire], range)
        };
        let sent = labels_of(&ask(&mut world, request).await);
        assert!(sent.len() >= 400);
        let mut read = Vec::new();
        for part in counting.ranges_read(&key) {
            let [from, to] = [part.start, part.end].map(|at| usize::try_from(at).unwrap());
            read.extend_from_slice(&file[from..to]);
        }
        for one in Aggregate::ALL {
            let mark = mark(one);
            let found = read.windows(mark.len()).any(|text| text == mark.as_bytes());
            assert_eq!(found, one == aggregate, "{mark} for {wire:?}");
        }
    }
}

#[tokio::test]
async fn labels_of_the_whole_block_are_told_without_its_aggregates() {
    let memory = Bucket::in_memory();
    let block = put_parquet(&memory, id(1), EU, &rows(0..10), 50).await;
    let counting = FailingBucket::new(&memory);
    let mut world = World::new(&counting.bucket(), Config::default()).await;
    let request = SeriesRequest {
        skip_chunks: true,
        ..asking(&[Aggr::Counter], TimeRange::ALL)
    };
    ask(&mut world, request.clone()).await;
    counting.clear_log();
    assert_eq!(ask(&mut world, request).await.len(), 20);
    assert!(
        counting
            .ranges_read(&block.key(&aggregates_file(0)))
            .is_empty()
    );
}
