//! Blocks past their retention are marked as Thanos marks them, and deleted once the delete delay is over.

use std::time::Duration;

use anyhow::Context as _;
use compactor::{Config, Downsampling, Retention};
use model::{
    BlockId, BlockMeta, DeletionMark, Labels, NoDownsampleMark, Resolution, STALE_NAN, Timestamp,
};
use tests::{MadeBlock, Operation::Put, SAMPLE, World, ids, sample_dir};
use tsdb::{BlockWriter, Chunk, Encoding, encode_xor};

const HOUR: Duration = Duration::from_hours(1);

/// Raw samples are kept for 40 hours.
fn config(downsampling: Downsampling) -> Config {
    Config {
        retention: Retention {
            raw: Some(40 * HOUR),
            ..Retention::default()
        },
        downsampling,
        ..Config::default()
    }
}

/// The sample, uploaded an hour before the moment from which on its first two blocks are over, which it is now.
async fn world() -> anyhow::Result<World> {
    let world = World::with_sample(&SAMPLE).await?;
    let json = std::fs::read(sample_dir().join(SAMPLE[1]).join(BlockMeta::FILE))?;
    let end = BlockMeta::decode(&json)?.max_time.0.div_euclid(1000) * 1000;
    world.clock.set(end + 39 * 3_600_000 + 1);
    world.upload().await?;
    world.clock.advance(3_600_000);
    Ok(world)
}

fn mark(world: &World, block: BlockId) -> anyhow::Result<DeletionMark> {
    let mark = world.s3.object(&format!("{block}/{}", DeletionMark::FILE));
    Ok(serde_json::from_slice(&mark.context("a mark")?)?)
}

#[tokio::test]
async fn blocks_past_retention_are_marked_before_anything_is_merged_and_deleted_later()
-> anyhow::Result<()> {
    let world = world().await?;
    let over = ids(&SAMPLE[..2])?;
    let off = || config(Downsampling::Off);
    let summary = world.compact_with(off(), world.bucket()?).await?;
    assert!(summary.failed.is_empty(), "{summary:?}");
    assert_eq!(summary.expired, over);
    for block in &over {
        let mark = mark(&world, *block)?;
        assert_eq!(mark.details, "block exceeding retention of 40h0m0s");
    }
    world.clock.advance(48 * 3_600_000 + 1_000);
    let summary = world.compact_with(off(), world.bucket()?).await?;
    for block in &over {
        assert!(summary.deleted.contains(block), "{summary:?}");
    }
    Ok(())
}

#[tokio::test]
async fn raw_samples_are_downsampled_before_they_are_marked() -> anyhow::Result<()> {
    let world = world().await?;
    let over = ids(&SAMPLE[..2])?;
    let on = || config(Downsampling::On);
    world.s3.take_log();
    let summary = world.compact_with(on(), world.bucket()?).await?;
    assert!(summary.failed.is_empty(), "{summary:?}");
    assert_eq!(summary.expired, over);
    let log = world.s3.take_log();
    let put = |key: &str| log.iter().position(|r| r.key == key && r.operation == Put);
    let mut five_minutes = Vec::new();
    let keys = world.s3.keys().into_iter();
    let keys = keys.filter(|key| key.starts_with("parquet/") && key.ends_with(BlockMeta::FILE));
    for key in keys {
        let meta = BlockMeta::decode(&world.s3.object(&key).context("a meta.json")?)?;
        if meta.resolution() == Resolution::FiveMinutes {
            five_minutes.push((put(&key).context("its commit")?, meta.compaction.sources));
        }
    }
    let [(committed, sources)] = five_minutes.as_slice() else {
        anyhow::bail!("expected one block of 5 m, found {five_minutes:?}");
    };
    assert_eq!(*sources, over);
    for block in &over {
        let key = format!("{block}/{}", DeletionMark::FILE);
        assert!(put(&key).context("a mark")? > *committed);
    }
    let again = world.compact_with(on(), world.bucket()?).await?;
    assert!(
        again.merged.is_empty() && again.expired.is_empty(),
        "{again:?}"
    );
    Ok(())
}

#[tokio::test]
async fn samples_that_are_all_stale_are_downsampled_to_nothing_and_hold_up_nothing()
-> anyhow::Result<()> {
    let world = World::new().await?;
    let (end, stale) = (7_200_000, f64::from_bits(STALE_NAN));
    let block = MadeBlock::new(1, &World::external_labels(), 0, end);
    let dir = world.scratch().join("stale");
    let chunk = Chunk {
        encoding: Encoding::Xor,
        min: Timestamp(0),
        max: Timestamp(60_000),
        data: encode_xor(&[0, 60_000], &[stale, stale]),
    };
    let mut writer = BlockWriter::create(&dir, ["__name__", "up"])?;
    writer.add_series(&Labels::from_pairs([("__name__", "up")]), &[chunk])?;
    writer.finish(block.meta("sidecar", Resolution::Raw))?;
    world.put_block(&dir, &block.id.to_string())?;
    let summary = world
        .compact_with(config(Downsampling::On), world.bucket()?)
        .await?;
    assert!(summary.failed.is_empty(), "{summary:?}");
    let key = format!("{}/{}", block.id, NoDownsampleMark::FILE);
    let json = world.s3.object(&key).context("a no-downsample mark")?;
    let no_downsample: NoDownsampleMark = serde_json::from_slice(&json)?;
    assert_eq!(no_downsample.reason, "no-samples");
    assert_eq!(summary.expired, [block.id]);
    mark(&world, block.id)?;
    Ok(())
}
