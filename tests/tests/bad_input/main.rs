//! A block with something wrong in it among good ones: the good ones are compacted, the bad one is named and stays as
//! it is, nothing is lost, and the next run changes nothing.

#![expect(clippy::indexing_slicing, reason = "a test may fail by panicking")]

mod bucket;
mod index;

use anyhow::Context as _;
use model::{Labels, Resolution, TimeRange, Timestamp};
use tests::{MadeBlock, matcher, series_request};

use crate::bucket::{BAD, Bucket, Expect, HOUR, Kind};

/// Something is done to the bad block of a bucket; the run has to take it so.
async fn with(
    kind: Kind,
    expect: Expect,
    what: &str,
    damage: impl FnOnce(&mut Bucket) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut bucket = Bucket::new(kind).await?;
    damage(&mut bucket).with_context(|| format!("damaging {what}"))?;
    let taken = bucket.assert_taken(expect).await;
    taken.with_context(|| format!("{kind:?}: {what}"))
}

/// Places all over a file, the first and the last bytes among them.
fn places(len: usize, count: usize) -> impl Iterator<Item = usize> {
    let between = (1..count).map(move |n| n * len / count);
    [0, 5, len - 1, len - 5, len - 9].into_iter().chain(between)
}

async fn flips_everywhere(kind: Kind, file: &str, count: usize) -> anyhow::Result<()> {
    let len = Bucket::new(kind).await?.bytes(file)?.len();
    for at in places(len, count) {
        let what = format!("a flipped bit at {at} of {len} in {file}");
        with(kind, Expect::NamedOrHarmless, &what, |bucket| {
            bucket.flip(file, at)
        })
        .await?;
    }
    Ok(())
}

async fn truncated(kind: Kind, file: &str) -> anyhow::Result<()> {
    let len = Bucket::new(kind).await?.bytes(file)?.len();
    for left in [0, 3, len / 2, len - 1] {
        let cut = |bucket: &mut Bucket| bucket.put(file, bucket.bytes(file)?[..left].to_vec());
        let what = format!("{left} of {len} bytes of {file}");
        with(kind, Expect::Named, &what, cut).await?;
        // `meta.json` tells what was uploaded.
        let shorter = |bucket: &mut Bucket| {
            let bytes = bucket.bytes(file)?[..left].to_vec();
            bucket.world.s3.put(&bucket.key(file), bytes);
            Ok(())
        };
        let what = format!("{what}, all of which meta.json states");
        with(kind, Expect::Named, &what, shorter).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_an_index() -> anyhow::Result<()> {
    flips_everywhere(Kind::Tsdb, "index", 12).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_chunks() -> anyhow::Result<()> {
    flips_everywhere(Kind::Tsdb, "chunks/000001", 6).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_the_labels_of_a_parquet_block() -> anyhow::Result<()> {
    flips_everywhere(Kind::Parquet(Resolution::Raw), "0.labels.parquet", 12).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_the_chunks_of_a_parquet_block() -> anyhow::Result<()> {
    flips_everywhere(Kind::Parquet(Resolution::Raw), "0.chunks.parquet", 12).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_the_aggregates_of_a_parquet_block() -> anyhow::Result<()> {
    let kind = Kind::Parquet(Resolution::FiveMinutes);
    flips_everywhere(kind, "0.aggregates.parquet", 12).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_cut_off() -> anyhow::Result<()> {
    truncated(Kind::Tsdb, "index").await?;
    truncated(Kind::Tsdb, "chunks/000001").await?;
    let raw = Kind::Parquet(Resolution::Raw);
    truncated(raw, "0.labels.parquet").await?;
    truncated(raw, "0.chunks.parquet").await?;
    let aggregates = Kind::Parquet(Resolution::FiveMinutes);
    truncated(aggregates, "0.aggregates.parquet").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_there() -> anyhow::Result<()> {
    let raw = Kind::Parquet(Resolution::Raw);
    let aggregates = Kind::Parquet(Resolution::FiveMinutes);
    for (kind, file) in [
        (Kind::Tsdb, "index"),
        (Kind::Tsdb, "chunks/000001"),
        (raw, "0.labels.parquet"),
        (raw, "0.chunks.parquet"),
        (aggregates, "0.aggregates.parquet"),
    ] {
        with(kind, Expect::Named, &format!("no {file}"), |bucket| {
            bucket
                .world
                .s3
                .remove(&bucket.key(file))
                .context("a file")?;
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn times_that_do_not_hold_the_samples() -> anyhow::Result<()> {
    for kind in [Kind::Tsdb, Kind::Parquet(Resolution::Raw)] {
        with(
            kind,
            Expect::NamedOrHarmless,
            "an earlier maxTime",
            |bucket| bucket.edit_meta(|meta| meta.max_time = Timestamp(meta.max_time.0 - HOUR)),
        )
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_of_more_samples_than_there_are() -> anyhow::Result<()> {
    for kind in [Kind::Tsdb, Kind::Parquet(Resolution::Raw)] {
        with(kind, Expect::Named, "numSamples", |bucket| {
            bucket.edit_meta(|meta| meta.stats.num_samples += 1)
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn series_out_of_order() -> anyhow::Result<()> {
    with(Kind::Tsdb, Expect::Named, "two series", |bucket| {
        let dir = bucket.world.scratch().join(bucket.bad().to_string());
        let index = index::swap_series(&dir, bucket.bytes("index")?)?;
        bucket.put("index", index)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_that_overlap() -> anyhow::Result<()> {
    with(Kind::Tsdb, Expect::Merged, "overlapping chunks", |bucket| {
        let block = bucket.blocks[BAD].clone();
        let (index, chunks, stats, answer) = index::overlapping(&block)?;
        bucket.put("index", index)?;
        bucket.put("chunks/000001", chunks)?;
        bucket.answers[BAD] = answer;
        bucket.edit_meta(|meta| meta.stats = stats)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_without_series() -> anyhow::Result<()> {
    for kind in [Kind::Tsdb, Kind::Parquet(Resolution::Raw)] {
        let bucket = &mut Bucket::new(kind).await?;
        let empty = MadeBlock {
            series: 0,
            ..bucket.blocks[BAD].clone()
        };
        let dir = bucket.world.scratch().join("empty");
        empty.write_tsdb(&dir)?;
        for key in bucket.world.s3.keys() {
            if key.contains(&empty.id.to_string()) {
                bucket.world.s3.remove(&key);
            }
        }
        bucket.world.put_block(&dir, &empty.id.to_string())?;
        bucket.answers[BAD] = empty.answer()?;
        bucket.assert_taken(Expect::Merged).await?;
    }
    Ok(())
}

/// At its root and below `parquet/` there are different blocks of one name, of two groups.
#[tokio::test(flavor = "multi_thread")]
async fn one_name_for_two_blocks() -> anyhow::Result<()> {
    let bucket = Bucket::new(Kind::Tsdb).await?;
    let other = MadeBlock {
        external: Labels::from_pairs([("cluster", "us-1")]),
        ..bucket.blocks[BAD].clone()
    };
    let dir = bucket.world.scratch().join("other");
    other.write_parquet(&dir, Resolution::Raw)?;
    let root = format!("parquet/{}", other.id);
    bucket.world.put_block(&dir, &root)?;
    let mut truth = other.answer()?;
    for answer in &bucket.answers {
        truth.merge(answer.clone())?;
    }
    let gateway = bucket.world.gateway().await?;
    for run in 0..4 {
        let all = [matcher("__name__", "=~", ".+")?];
        gateway.sync().await?;
        let answer = gateway.client.series(series_request(&all, TimeRange::ALL));
        let answer = answer.await?.checked()?;
        assert_eq!(answer.difference(&truth), None, "before run {run}");
        let summary = bucket.world.compact().await?;
        let failed = summary.failed.iter();
        let named = failed.filter(|(_, e)| e.to_string().contains(&other.id.to_string()));
        assert_eq!(named.count(), summary.failed.len(), "{summary:?}");
        assert!(run == 0 || summary.merged.is_empty(), "{summary:?}");
        bucket.world.clock.advance(50 * HOUR);
    }
    assert!(
        bucket
            .world
            .s3
            .object(&format!("{root}/meta.json"))
            .is_some()
    );
    gateway.stop().await
}
