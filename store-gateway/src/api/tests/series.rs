use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use bucket::Bucket;
use bytes::Bytes;
use model::{
    BlockMeta, BlockStats, CompactionMeta, Downsample, Labels, Resolution, ThanosMeta, TimeRange,
    Timestamp,
};
use proto::thanos::{Aggr, SeriesRequest, ShardInfo, series_response::Result as Frame};
use tonic::Code;
use tsdb::{AggregateChunk, BlockWriter, Chunk, Encoding, encode_aggregates, encode_xor};

use super::world::*;
use crate::Config;

const EU: &[(&str, &str)] = &[("cluster", "eu"), ("replica", "a")];

#[tokio::test]
async fn each_chunk_of_each_series_is_sent_in_order_whatever_the_format() {
    let expected = local(ALL_KINDS, EU, TimeRange::ALL);
    assert_eq!(expected.len(), 24);
    let (tsdb, parquet) = (Bucket::in_memory(), Bucket::in_memory());
    put_tsdb(&tsdb, ALL_KINDS, id(1), EU).await;
    put_parquet(&parquet, id(1), EU).await;
    for bucket in [&tsdb, &parquet] {
        let mut world = World::new(bucket, Config::default()).await;
        assert_eq!(
            labels_only(&world.series(everything()).await),
            labels_only(&expected)
        );
    }
    // Byte for byte, where no other program has cut the chunks anew.
    let mut world = World::new(&tsdb, Config::default()).await;
    assert_eq!(world.series(everything()).await, expected);
    for batch in [1, 2, 7, 64, 1000] {
        let request = SeriesRequest {
            response_batch_size: batch,
            ..everything()
        };
        let frames = world.frames(request).await.unwrap();
        for frame in &frames {
            match frame {
                Frame::Batch(series) => {
                    assert!(i64::try_from(series.series.len()).unwrap() <= batch);
                }
                Frame::Series(_) => assert_eq!(batch, 1),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(taken_apart(frames).0, expected);
    }
}

#[tokio::test]
async fn a_series_is_sent_if_a_chunk_overlaps_the_times_asked_for() {
    let bucket = Bucket::in_memory();
    put_tsdb(&bucket, ALL_KINDS, id(1), EU).await;
    let mut world = World::new(&bucket, Config::default()).await;
    let start = 1_700_006_400_000;
    for (min, max) in [
        (start, start),
        (start + 1_800_000, start + 1_815_000),
        (start - 5, start - 1),
        (start + 7_185_000, i64::MAX),
        (start + 7_185_001, i64::MAX),
    ] {
        let request = SeriesRequest {
            min_time: min,
            max_time: max,
            ..everything()
        };
        let expected = local(ALL_KINDS, EU, TimeRange::new(min, max));
        assert_eq!(
            world.series(request.clone()).await,
            expected,
            "{min} to {max}"
        );
        let labels = SeriesRequest {
            skip_chunks: true,
            ..request
        };
        let sent = world.series(labels).await;
        assert_eq!(labels_only(&sent), labels_only(&expected));
        assert!(sent.iter().all(|one| one.chunks.is_empty()));
    }
}

#[tokio::test]
async fn replicas_become_one_series_with_each_chunk_once() {
    let bucket = Bucket::in_memory();
    put_tsdb(
        &bucket,
        ALL_KINDS,
        id(1),
        &[("cluster", "eu"), ("replica", "a")],
    )
    .await;
    put_tsdb(
        &bucket,
        ALL_KINDS,
        id(2),
        &[("cluster", "eu"), ("replica", "b")],
    )
    .await;
    let mut world = World::new(&bucket, Config::default()).await;
    let both = world.series(everything()).await;
    assert_eq!(both.len(), 48);
    let request = SeriesRequest {
        without_replica_labels: vec!["replica".to_owned()],
        ..everything()
    };
    let one = world.series(request).await;
    assert_eq!(one, local(ALL_KINDS, &[("cluster", "eu")], TimeRange::ALL));
}

#[tokio::test]
async fn series_of_blocks_one_after_the_other_are_joined() {
    let bucket = Bucket::in_memory();
    for (number, path) in (1..).zip(FLOATS) {
        put_tsdb(&bucket, path, id(number), EU).await;
    }
    let mut world = World::new(&bucket, Config::default()).await;
    let mut expected: Vec<Sent> = local(FLOATS[0], EU, TimeRange::ALL);
    for later in local(FLOATS[1], EU, TimeRange::ALL) {
        match expected.binary_search_by(|one| one.labels.cmp(&later.labels)) {
            Ok(at) => expected[at].chunks.extend(later.chunks),
            Err(at) => expected.insert(at, later),
        }
    }
    assert!(expected.iter().any(|one| one.chunks.len() == 2));
    assert_eq!(world.series(everything()).await, expected);
}

#[tokio::test]
async fn a_removed_label_of_the_series_own_makes_series_one() {
    let bucket = Bucket::in_memory();
    put_tsdb(&bucket, ALL_KINDS, id(1), EU).await;
    let mut world = World::new(&bucket, Config::default()).await;
    let sent = world
        .series(SeriesRequest {
            without_replica_labels: vec!["pod".to_owned(), "replica".to_owned()],
            ..everything()
        })
        .await;
    // Some pods have equal chunks, which are sent once.
    let mut expected: BTreeMap<Labels, BTreeSet<_>> = BTreeMap::new();
    for series in local(ALL_KINDS, &[("cluster", "eu"), ("pod", "")], TimeRange::ALL) {
        expected
            .entry(series.labels)
            .or_default()
            .extend(series.chunks);
    }
    assert_eq!(expected.len(), 8);
    let sent: Vec<_> = sent
        .into_iter()
        .map(|one| (one.labels, BTreeSet::from_iter(one.chunks)))
        .collect();
    assert_eq!(sent, Vec::from_iter(expected));
}

#[tokio::test]
async fn external_labels_are_matched_and_alone_select_nothing() {
    let bucket = Bucket::in_memory();
    put_tsdb(&bucket, ALL_KINDS, id(1), &[("cluster", "eu")]).await;
    put_parquet(&bucket, id(2), &[("cluster", "us")]).await;
    let mut world = World::new(&bucket, Config::default()).await;
    let name = || matcher("__name__", "=", "special");
    for (matchers, expected) in [
        (vec![name()], 6),
        (vec![name(), matcher("cluster", "=", "eu")], 3),
        (vec![name(), matcher("cluster", "!~", "e.*")], 3),
        (vec![name(), matcher("cluster", "=", "")], 0),
        (
            vec![
                name(),
                matcher("cluster", "=", "us"),
                matcher("pod", "!=", "p1"),
            ],
            2,
        ),
        (vec![matcher("cluster", "=", "eu")], 0),
        (vec![], 0),
        (vec![matcher("weird label", "=~", "ünï\"cøde\n")], 6),
    ] {
        let sent = world.series(request(&matchers)).await;
        assert_eq!(sent.len(), expected, "{matchers:?}");
    }
}

#[tokio::test]
async fn no_more_series_than_the_limit_are_sent() {
    let bucket = Bucket::in_memory();
    put_tsdb(&bucket, ALL_KINDS, id(1), &[("cluster", "eu")]).await;
    put_parquet(&bucket, id(2), &[("cluster", "us")]).await;
    let mut world = World::new(&bucket, Config::default()).await;
    let all = labels_only(&world.series(everything()).await);
    for (limit, skip_chunks) in [(7, true), (7, false), (1, true), (30, false), (1000, true)] {
        let request = SeriesRequest {
            limit,
            skip_chunks,
            ..everything()
        };
        let sent = labels_only(&world.series(request).await);
        assert_eq!(sent.len(), usize::try_from(limit).unwrap().min(48));
        assert!(sent.iter().all(|labels| all.binary_search(labels).is_ok()));
    }
}

#[tokio::test]
async fn shares_are_disjoint_and_together_everything() {
    let bucket = Bucket::in_memory();
    put_tsdb(&bucket, ALL_KINDS, id(1), EU).await;
    let mut world = World::new(&bucket, Config::default()).await;
    for by in [true, false] {
        let mut all = Vec::new();
        for shard_index in 0..3 {
            let shard = ShardInfo {
                shard_index,
                total_shards: 3,
                by,
                labels: vec!["pod".to_owned()],
            };
            let request = SeriesRequest {
                shard_info: Some(shard),
                ..everything()
            };
            let sent = world.series(request).await;
            assert!(sent.len() < 24);
            all.extend(sent);
        }
        all.sort();
        assert_eq!(all, local(ALL_KINDS, EU, TimeRange::ALL));
    }
}

/// Writes a block of these series, each with one chunk.
fn block_of(dir: &Path, series: &BTreeSet<Labels>) {
    let symbols: BTreeSet<&[u8]> = series
        .iter()
        .flat_map(|labels| labels.iter().flat_map(|(name, value)| [name, value]))
        .collect();
    let mut writer = BlockWriter::create(dir, symbols).unwrap();
    for labels in series {
        let chunk = Chunk {
            encoding: Encoding::Xor,
            min: Timestamp(10),
            max: Timestamp(10),
            data: encode_xor(&[10], &[1.0]),
        };
        writer.add_series(labels, &[chunk]).unwrap();
    }
    writer.finish(meta(Resolution::Raw)).unwrap();
}

#[tokio::test]
async fn labels_before_the_name_are_sorted_by_too() {
    let mut own = BTreeSet::new();
    for name in ["a", "b", "c"] {
        for (zone, pod) in [("1", "x"), ("2", "y"), ("", "z"), ("", "")] {
            let pairs = [("__name__", name), ("Zone", zone), ("pod", pod)];
            own.insert(Labels::from_pairs(pairs));
        }
    }
    let (bucket, dir) = (Bucket::in_memory(), tempfile::tempdir().unwrap());
    let block = dir.path().join("block");
    block_of(&block, &own);
    put_dir(&bucket, &block, id(1), EU).await;
    let mut world = World::new(&bucket, Config::default()).await;
    for (without, expected) in [(vec![], 12), (vec!["Zone"], 12), (vec!["Zone", "pod"], 3)] {
        let request = SeriesRequest {
            without_replica_labels: without.iter().map(|&n| n.to_owned()).collect(),
            ..everything()
        };
        assert_eq!(world.series(request).await.len(), expected, "{without:?}");
    }
}

/// Writes a block that a compactor downsampled: one series with all aggregates but the minimum.
fn downsampled(dir: &Path) {
    let labels = Labels::from_pairs([("__name__", "up")]);
    let symbols = labels.iter().flat_map(|(name, value)| [name, value]);
    let mut writer = BlockWriter::create(dir, symbols).unwrap();
    let part = |text: &'static str| {
        Some(AggregateChunk {
            encoding: Encoding::Xor,
            data: Bytes::from_static(text.as_bytes()),
        })
    };
    let chunk = Chunk {
        encoding: Encoding::Aggr,
        min: Timestamp(10),
        max: Timestamp(20),
        data: encode_aggregates(&[
            part("count"),
            part("sum"),
            None,
            part("max"),
            part("counter"),
        ]),
    };
    writer.add_series(&labels, &[chunk]).unwrap();
    writer.finish(meta(Resolution::FiveMinutes)).unwrap();
}

fn meta(resolution: Resolution) -> BlockMeta {
    BlockMeta {
        ulid: id(9),
        min_time: Timestamp(0),
        max_time: Timestamp(100),
        stats: BlockStats::default(),
        compaction: CompactionMeta::default(),
        version: 1,
        thanos: Some(ThanosMeta {
            downsample: Downsample { resolution },
            ..ThanosMeta::default()
        }),
        parquet: None,
        extra: Default::default(),
    }
}

#[tokio::test]
async fn of_a_downsampled_block_the_aggregates_asked_for_are_sent() {
    let (bucket, dir) = (Bucket::in_memory(), tempfile::tempdir().unwrap());
    let block = dir.path().join("block");
    downsampled(&block);
    put_dir(&bucket, &block, id(9), EU).await;
    let mut world = World::new(&bucket, Config::default()).await;
    let asking = |aggregates: &[Aggr]| SeriesRequest {
        max_resolution_window: 300_000,
        aggregates: aggregates.iter().map(|a| (*a).into()).collect(),
        ..everything()
    };
    let frames = world
        .frames(asking(&[Aggr::Count, Aggr::Min, Aggr::Counter]))
        .await
        .unwrap();
    let [Frame::Series(series)] = frames.as_slice() else {
        panic!("{frames:?}");
    };
    let chunk = &series.chunks[0];
    let data = |part: &Option<proto::thanos::Chunk>| part.as_ref().map(|c| c.data.clone());
    assert_eq!((chunk.min_time, chunk.max_time), (10, 20));
    assert_eq!(data(&chunk.count).as_deref(), Some(&b"count"[..]));
    assert_eq!(data(&chunk.counter).as_deref(), Some(&b"counter"[..]));
    assert_eq!(
        (&chunk.raw, &chunk.sum, &chunk.min, &chunk.max),
        (&None, &None, &None, &None)
    );

    let error = world.frames(asking(&[Aggr::Raw])).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    // Only raw samples may answer, and there are none.
    assert_eq!(world.series(everything()).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_answer_from_memory_waits_for_no_job_of_a_large_one() {
    let (tsdb, parquet) = (Bucket::in_memory(), Bucket::in_memory());
    put_tsdb(&tsdb, ALL_KINDS, id(1), &[]).await;
    put_parquet(&parquet, id(1), &[]).await;
    for bucket in [parquet, tsdb] {
        let mut world = World::new(&bucket, Config::default()).await;
        let all = world.series(everything()).await;
        let labels = all.first().unwrap().labels.iter();
        let equal = labels.map(|(name, value)| {
            let [name, value] = [name, value].map(|text| str::from_utf8(text).unwrap());
            matcher(name, "=", value)
        });
        let asked = request(&equal.collect::<Vec<_>>());
        // Afterwards all that it needs is in memory.
        let expected = world.series(asked.clone()).await;
        assert_eq!(expected.len(), 1);
        let held = (0..world.pool.threads()).map(|_| {
            let (release, held) = std::sync::mpsc::channel::<()>();
            let pool = world.pool.clone();
            let job = tokio::spawn(async move { pool.run(move || held.recv().is_ok()).await });
            (release, job)
        });
        let held: Vec<_> = held.collect();
        assert_eq!(world.series(asked).await, expected);
        for (release, job) in held {
            release.send(()).unwrap();
            assert!(job.await.unwrap());
        }
    }
}
