//! Blocks of which tombstones delete everything, or much.

use compactor::Outcome;
use model::{BlockId, BlockMeta, DeletionMark, Resolution, TimeRange, Timestamp};
use tests::{MadeBlock, World};
use tsdb::{Block, Tombstones};

use crate::{
    assert_merged, assert_named, assert_same, failures, made,
    made::{HOUR, MINUTE, Odd, S, minutes},
    made_blocks, marked, merged, served, three_runs, world_of, world_with,
};

const FOO: &[(&str, &str)] = &[("__name__", "foo")];

fn block(number: u64, deleted: &[(i64, i64)]) -> Odd<'static> {
    let start = S + (i64::try_from(number).unwrap_or(1) - 1) * 2 * HOUR;
    Odd {
        deleted: deleted.to_vec(),
        ..Odd::new(number, vec![(FOO, vec![minutes(start, start + 2 * HOUR)])])
    }
}

const ALL: (i64, i64) = (i64::MIN, i64::MAX);

#[tokio::test]
async fn blocks_without_a_sample_left_are_marked_and_nothing_is_made_of_them() -> anyhow::Result<()>
{
    let world = world_of("all-deleted-by-tombstones").await?;
    let [first, ..] = three_runs(&world).await?;
    assert_eq!(failures(&first), Vec::<String>::new());
    assert!(
        matches!(first.merged.as_slice(), [(_, Outcome::Empty)]),
        "{first:?}"
    );
    assert_eq!(made_blocks(&world), 0);
    let ids = ["01HFXJ00000000000000000001", "01HFXJ00000000000000000002"];
    assert_eq!(marked(&world), ids);
    let mark = world.s3.object(&format!("{}/deletion-mark.json", ids[0]));
    let mark: DeletionMark = serde_json::from_slice(&mark.unwrap_or_default())?;
    assert_eq!(mark.details, "all samples deleted by tombstones");
    // A gateway goes on with blocks that were marked a short time ago.
    world.clock.advance(25 * HOUR);
    assert_eq!(served(&world).await?.samples(), 0);
    world.clock.advance(25 * HOUR);
    world.compact().await?;
    let keys = world.s3.keys();
    assert!(!keys.iter().any(|key| key.starts_with(ids[0])), "{keys:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_left_of_some_blocks_is_merged_and_all_are_marked() -> anyhow::Result<()> {
    let blocks = [
        block(1, &[ALL]),
        block(2, &[(S + 3 * HOUR, S + 9 * HOUR)]),
        block(3, &[]),
    ];
    let world = world_with(&blocks).await?;
    assert_merged(&world).await?;
    assert_eq!(made_blocks(&world), 1);
    assert_eq!(marked(&world).len(), 3);
    assert_same(&served(&world).await?, &made::answers(&blocks)?);
    Ok(())
}

#[tokio::test]
async fn tombstones_that_meta_json_does_not_count_are_no_missing_samples() -> anyhow::Result<()> {
    let blocks = [block(1, &[(S, S + HOUR)]), block(2, &[])];
    let world = world_with(&blocks).await?;
    let key = format!("{}/meta.json", blocks[0].id());
    let meta = world.s3.remove(&key).unwrap_or_default();
    let text = String::from_utf8(meta.to_vec())?;
    let forgot = text.replace("\"numTombstones\": 1", "\"numTombstones\": 0");
    assert_ne!(text, forgot);
    world.s3.put(&key, forgot);
    assert_merged(&world).await?;
    assert_same(&served(&world).await?, &made::answers(&blocks)?);
    Ok(())
}

#[tokio::test]
async fn blocks_without_any_series_are_marked() -> anyhow::Result<()> {
    let world = world_with(&[Odd::new(1, Vec::new()), Odd::new(2, Vec::new())]).await?;
    let [first, ..] = three_runs(&world).await?;
    assert_eq!(failures(&first), Vec::<String>::new());
    assert_eq!(marked(&world).len(), 2);
    assert_eq!(made_blocks(&world), 0);
    Ok(())
}

#[tokio::test]
async fn a_block_that_lost_its_series_is_not_taken_for_an_empty_one() -> anyhow::Result<()> {
    let world = world_with(&[Odd::new(1, Vec::new())]).await?;
    let id = Odd::new(1, Vec::new()).id();
    let key = format!("{id}/meta.json");
    let meta = world.s3.remove(&key).unwrap_or_default();
    let text = String::from_utf8(meta.to_vec())?;
    let other = text.replace("\"stats\": {}", "\"stats\": {\"numSamples\": 120}");
    assert_ne!(text, other);
    world.s3.put(&key, other);
    assert_named(
        &world,
        id,
        "expected 120 samples as meta.json states, found 0",
    )
    .await?;
    assert_eq!(marked(&world), Vec::<String>::new());
    Ok(())
}

const DAY: i64 = 24 * HOUR;

/// A block of five minutes in Prometheus's format, of such days of a fortnight, and what is deleted of all its series.
async fn put_downsampled(
    world: &World,
    number: u64,
    days: (i64, i64),
    deleted: Option<(i64, i64)>,
) -> anyhow::Result<BlockId> {
    let fortnight = S / (14 * DAY) * (14 * DAY);
    let (start, end) = (fortnight + days.0 * DAY, fortnight + days.1 * DAY);
    let made = MadeBlock::new(number, &Odd::external(), start, end).every(10 * MINUTE);
    let made = MadeBlock {
        id: BlockId::new(Timestamp(end), u128::from(number)),
        ..made
    };
    let dir = world.scratch().join(made.id.to_string());
    let mut meta = made.write_downsampled_tsdb(&dir, Resolution::FiveMinutes)?;
    if let Some((min, max)) = deleted {
        let mut tombstones = Tombstones::default();
        for series in Block::open(&dir)?.refs_by_name()? {
            tombstones.add(series, TimeRange::new(start + min, start + max));
            meta.stats.num_tombstones += 1;
        }
        // They came later.
        if let Some(thanos) = &mut meta.thanos {
            thanos.files.retain(|file| file.rel_path != "tombstones");
        }
        std::fs::write(dir.join("tombstones"), tombstones.encode())?;
        std::fs::write(dir.join(BlockMeta::FILE), meta.encode())?;
    }
    world.put_block(&dir, &made.id.to_string())?;
    Ok(made.id)
}

#[tokio::test]
async fn tombstones_that_delete_a_part_of_aggregates_set_their_block_aside_for_good()
-> anyhow::Result<()> {
    let world = World::new().await?;
    let part = Some((5 * HOUR, 6 * HOUR));
    let first = put_downsampled(&world, 1, (0, 2), None).await?;
    let parted = put_downsampled(&world, 2, (2, 4), part).await?;
    put_downsampled(&world, 3, (4, 6), Some((i64::MIN / 2, i64::MAX / 2))).await?;
    put_downsampled(&world, 4, (6, 8), None).await?;
    put_downsampled(&world, 5, (40, 42), None).await?;
    put_downsampled(&world, 6, (80, 82), None).await?;
    let run = assert_named(&world, parted, "tombstones delete a part of the aggregates").await?;
    assert!(merged(&run) > 0, "{run:?}");
    assert!(marked(&world).contains(&first.to_string()), "{run:?}");
    assert!(!marked(&world).contains(&parted.to_string()), "{run:?}");
    Ok(())
}

#[tokio::test]
async fn so_do_those_of_a_block_that_would_only_be_downsampled() -> anyhow::Result<()> {
    let world = World::new().await?;
    let part = Some((5 * HOUR, 6 * HOUR));
    let parted = put_downsampled(&world, 1, (0, 14), part).await?;
    put_downsampled(&world, 2, (40, 42), None).await?;
    put_downsampled(&world, 3, (80, 82), None).await?;
    assert_named(&world, parted, "tombstones delete a part of the aggregates").await?;
    Ok(())
}
