//! Blocks whose `meta.json` says times that cannot be right.

use model::BlockId;

use crate::{
    assert_named, assert_same, failures, made,
    made::{HOUR, Odd, S, minutes},
    made_blocks, marked, merged, served, three_runs, world_of, world_with,
};

const FOO: &[(&str, &str)] = &[("__name__", "foo")];
const DAY: i64 = 24 * HOUR;

#[tokio::test]
async fn a_block_that_ends_in_microseconds_is_named_and_left() -> anyhow::Result<()> {
    let world = world_of("meta-maxtime-in-us").await?;
    let block: BlockId = "01HFXW00000000000000000002".parse()?;
    let before = served(&world).await?;
    assert_eq!(before.samples(), 120);
    assert_named(&world, block, "expected 3653 days at most").await?;
    // It is there as it was, and no lease is held.
    assert_same(&served(&world).await?, &before);
    assert_eq!(made_blocks(&world), 0);
    Ok(())
}

fn block(number: u64) -> Odd<'static> {
    let start = S + (i64::try_from(number).unwrap_or(1) - 1) * 2 * HOUR;
    Odd::new(number, vec![(FOO, vec![minutes(start, start + 2 * HOUR)])])
}

/// The second of three blocks says such times; the two others are merged.
async fn assert_left(times: (i64, i64), words: &str) -> anyhow::Result<()> {
    let wrong = Odd { times, ..block(2) };
    let world = world_with(&[block(1), wrong, block(3)]).await?;
    let first = assert_named(&world, block(2).id(), words).await?;
    assert!(merged(&first) > 0, "{first:?}");
    for other in [block(1), block(3)] {
        let id = other.id().to_string();
        assert!(marked(&world).contains(&id), "{:?}", marked(&world));
    }
    let mut others = block(1).answer()?;
    others.merge(block(3).answer()?)?;
    // Whether the block itself is found depends on what it says.
    let found = served(&world).await?;
    let is_there = |time: i64| found.times().any(|found| found == time);
    assert!(others.times().all(is_there), "{found:?}");
    Ok(())
}

#[tokio::test]
async fn times_that_are_none_are_named_and_the_rest_of_the_window_is_merged() -> anyhow::Result<()>
{
    let (min, max) = (S + 2 * HOUR, S + 4 * HOUR);
    // In seconds.
    assert_left((min / 1000, max), "expected 3653 days at most").await?;
    assert_left((0, max), "expected 3653 days at most").await?;
    // Four years ahead.
    assert_left((min, max + 2000 * DAY), "at the latest").await
}

#[tokio::test]
async fn a_meta_json_whose_times_cannot_be_is_named_by_each_run_and_nothing_waits_for_it()
-> anyhow::Result<()> {
    let (min, max) = (S + 2 * HOUR, S + 4 * HOUR);
    for times in [
        (max, min),
        (min, max / 1000),
        (min, i64::MAX),
        (i64::MIN, max),
        (i64::MIN, i64::MAX),
    ] {
        let wrong = Odd { times, ..block(2) };
        let world = world_with(&[block(1), wrong, block(3)]).await?;
        let key = format!("{}/meta.json", block(2).id());
        for run in 0..3 {
            let summary = world.compact().await?;
            let failures = failures(&summary);
            assert!(
                failures.len() == 1 && failures[0].contains(&key),
                "{failures:#?}"
            );
            assert_eq!(merged(&summary), usize::from(run == 0), "{summary:?}");
        }
        assert!(world.s3.object(&key).is_some());
    }
    Ok(())
}

#[tokio::test]
async fn a_block_of_other_times_than_its_samples_is_named() -> anyhow::Result<()> {
    let (min, max) = (S + 2 * HOUR, S + 4 * HOUR);
    // In microseconds, both: 83 days far ahead.
    assert_left((min * 1000, max * 1000), "lies outside of").await
}

#[tokio::test]
async fn a_long_block_is_downsampled_in_the_memory_of_its_samples() -> anyhow::Result<()> {
    // Nine years of a sample a month.
    let start = S - 9 * 365 * DAY;
    let samples = made::every(30 * DAY, start, S);
    let block = || Odd {
        times: (start, S),
        ..Odd::new(1, vec![(FOO, vec![samples.clone()])])
    };
    let world = world_with(&[block()]).await?;
    let [first, ..] = three_runs(&world).await?;
    assert_eq!(failures(&first), Vec::<String>::new());
    assert_eq!(made_blocks(&world), 3);
    assert_same(&served(&world).await?, &block().answer()?);
    Ok(())
}
