//! Blocks of which tombstones delete everything, or much.

use compactor::Outcome;
use model::DeletionMark;

use crate::{
    assert_merged, assert_same, failures, made,
    made::{HOUR, Odd, S, minutes},
    made_blocks, marked, served, three_runs, world_of, world_with,
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
    crate::assert_named(
        &world,
        id,
        "expected 120 samples as meta.json states, found 0",
    )
    .await?;
    assert_eq!(marked(&world), Vec::<String>::new());
    Ok(())
}
