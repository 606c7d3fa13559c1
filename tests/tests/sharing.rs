//! Several compactors on one bucket: no group is done twice, nothing is lost, and the work of one that died is taken
//! over.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Context as _;
use bucket::Leases;
use compactor::{Config, Summary};
use model::{BlockId, BlockMeta, Labels, TimeRange};
use service::Clock as _;
use tests::{Access, Answer, MadeBlock, Operation, World, matcher, series_request};
use tokio_util::sync::CancellationToken;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// Blocks that are merged of each group; one more is the newest.
const MERGED: u64 = 4;

/// A bucket with some groups, each of which becomes one block of raw samples and one of 5 m; and what is in it.
async fn world(groups: usize) -> anyhow::Result<(World, Answer)> {
    let world = World::new().await?;
    let start = (world.clock.now_ms() - 20 * DAY) / (2 * DAY) * (2 * DAY);
    let mut truth = Answer::default();
    for group in 0..groups {
        let labels = Labels::from_pairs([("group", group.to_string())]);
        let mut at = start;
        for number in 0..=MERGED {
            let block = MadeBlock::new(group as u64, &labels, at, at + 12 * HOUR);
            let block = block.every(5 * 60_000);
            at = block.end;
            truth.merge(block.answer()?)?;
            let dir = world.scratch().join(format!("{group}-{number}"));
            block.write_tsdb(&dir)?;
            world.put_block(&dir, &block.id.to_string())?;
        }
    }
    world.clock.advance(HOUR);
    Ok((world, truth))
}

/// How often blocks of these sources and resolution were committed, of every group.
fn commits(world: &World) -> anyhow::Result<BTreeMap<(Vec<BlockId>, i64), usize>> {
    let mut commits = BTreeMap::new();
    for request in world.s3.take_log() {
        let is_commit = request.operation == Operation::Put
            && request.key.starts_with("parquet/")
            && request.key.ends_with("/meta.json");
        if is_commit {
            let json = world.s3.object(&request.key).context("a meta.json")?;
            let meta = BlockMeta::decode(&json)?;
            let resolution = meta.resolution().millis();
            *commits
                .entry((meta.compaction.sources, resolution))
                .or_default() += 1;
        }
    }
    Ok(commits)
}

async fn assert_all_served(world: &World, truth: &Answer) -> anyhow::Result<()> {
    let gateway = world.gateway().await?;
    let all = [matcher("__name__", "=~", ".+")?];
    let answer = gateway.client.series(series_request(&all, TimeRange::ALL));
    let answer = answer.await?.checked()?;
    assert_eq!(answer.difference(truth), None, "{answer:?}");
    gateway.stop().await
}

fn is_quiet(summary: &Summary) -> bool {
    summary.merged.is_empty() && summary.failed.is_empty() && summary.left_to_others.is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_work_at_once_do_no_group_twice() -> anyhow::Result<()> {
    const GROUPS: usize = 6;
    for round in 0..3 {
        let (world, truth) = world(GROUPS).await?;
        world.s3.take_log();
        let (one, other) = tokio::join!(
            world.compact_as("one", Config::default(), world.bucket()?),
            world.compact_as("other", Config::default(), world.bucket()?),
        );
        let (one, other) = (one?, other?);
        let failed: Vec<_> = one.failed.iter().chain(&other.failed).collect();
        assert!(failed.is_empty(), "round {round}: {failed:?}");
        let done = one.merged.iter().chain(&other.merged).map(|(id, _)| id);
        let done: Vec<_> = done.collect();
        assert_eq!(done.iter().collect::<BTreeSet<_>>().len(), done.len());
        let commits = commits(&world)?;
        assert_eq!(commits.len(), 2 * GROUPS, "round {round}: {commits:?}");
        assert!(
            commits.values().all(|n| *n == 1),
            "round {round}: {commits:?}"
        );
        let again = world.compact().await?;
        assert!(is_quiet(&again), "round {round}: {again:?}");
        assert_all_served(&world, &truth).await?;
    }
    Ok(())
}

/// Waits until there is an object whose key ends so.
async fn until_there_is(world: &World, suffix: &str) {
    while !world.s3.keys().iter().any(|key| key.ends_with(suffix)) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_work_of_one_that_is_told_to_stop_is_taken_over_at_once() -> anyhow::Result<()> {
    let (world, truth) = world(1).await?;
    world.s3.take_log();
    let shutdown = CancellationToken::new();
    let told = async {
        until_there_is(&world, ".labels.parquet").await;
        shutdown.cancel();
    };
    let config = Config::default();
    let (stopped, ()) = tokio::join!(
        world.compact_until(shutdown.clone(), "stopped", config, world.bucket()?),
        told
    );
    assert!(stopped?.failed.is_empty());
    let bucket = world.bucket()?;
    let other = world.compact_as("other", Config::default(), bucket).await?;
    assert!(
        other.failed.is_empty() && other.left_to_others.is_empty(),
        "{other:?}"
    );
    let commits = commits(&world)?;
    assert_eq!(commits.len(), 2);
    assert!(commits.values().all(|n| *n == 1), "{commits:?}");
    assert_all_served(&world, &truth).await
}

#[tokio::test]
async fn the_work_of_one_that_died_is_left_until_its_lease_is_over_and_then_taken_over()
-> anyhow::Result<()> {
    let (world, truth) = world(1).await?;
    world.s3.take_log();
    // It dies before its first commit, with a part of its work in the bucket.
    tokio::select! {
        biased;
        () = until_there_is(&world, ".labels.parquet") => {}
        done = world.compact_as("dead", Config::default(), world.bucket()?) => {
            anyhow::bail!("it was faster than its death: {done:?}");
        }
    }
    let other = async || {
        let bucket = world.bucket()?;
        world.compact_as("other", Config::default(), bucket).await
    };
    let until = world.clock.now_ms() + i64::try_from(World::LEASE.as_millis())?;
    for _ in 0..2 {
        let left = other().await?;
        assert!(left.merged.is_empty() && left.failed.is_empty(), "{left:?}");
        let [(_, holder)] = left.left_to_others.as_slice() else {
            anyhow::bail!("expected one group of another, found {left:?}");
        };
        assert_eq!((holder.name.as_str(), holder.until.0), ("dead", until));
        // Its clock may be behind ours.
        world.clock.set(until);
    }
    assert!(commits(&world)?.is_empty());
    let margin = Leases::MARGIN + Duration::from_millis(1);
    world.clock.advance(i64::try_from(margin.as_millis())?);
    let taken_over = other().await?;
    assert!(taken_over.failed.is_empty(), "{taken_over:?}");
    assert_eq!(taken_over.merged.len(), 1, "{taken_over:?}");
    let commits = commits(&world)?;
    assert!(
        commits.len() == 2 && commits.values().all(|n| *n == 1),
        "{commits:?}"
    );
    assert_all_served(&world, &truth).await?;

    // What the dead one left is deleted once it is old.
    world.clock.advance(49 * HOUR);
    let cleaned = other().await?;
    assert!(cleaned.failed.is_empty(), "{cleaned:?}");
    let roots: BTreeSet<String> = world
        .s3
        .keys()
        .iter()
        .filter_map(|key| key.rsplit_once('/'))
        .map(|(root, _)| root.to_owned())
        .filter(|root| root.starts_with("parquet/") && !root.starts_with("parquet/leases"))
        .collect();
    assert_eq!(roots.len(), 2, "{roots:?}");
    assert_all_served(&world, &truth).await
}

#[tokio::test]
async fn one_that_lost_its_lease_while_it_slept_commits_nothing() -> anyhow::Result<()> {
    let (world, truth) = world(1).await?;
    world.s3.take_log();
    let slow = world.compact_as("slow", Config::default(), world.bucket()?);
    let mut slow = std::pin::pin!(slow);
    tokio::select! {
        biased;
        () = until_there_is(&world, ".labels.parquet") => {}
        done = &mut slow => anyhow::bail!("it was faster than its sleep: {done:?}"),
    }
    // As after a long sleep of its whole machine, while the other's went on.
    world.clock.advance(HOUR);
    let other = world.compact_as("other", Config::default(), world.bucket()?);
    let other = other.await?;
    assert_eq!(
        (other.merged.len(), other.failed.len()),
        (1, 0),
        "{other:?}"
    );
    let slow = slow.await?;
    assert!(slow.merged.is_empty(), "{slow:?}");
    assert!(
        matches!(slow.failed.as_slice(), [(_, error)] if error.to_string().contains("lease")),
        "{slow:?}"
    );
    let commits = commits(&world)?;
    assert!(
        commits.len() == 2 && commits.values().all(|n| *n == 1),
        "{commits:?}"
    );
    assert_all_served(&world, &truth).await
}

#[tokio::test]
async fn a_bucket_that_ignores_conditions_is_refused_and_nothing_is_written() -> anyhow::Result<()>
{
    let (world, truth) = world(1).await?;
    world.s3.ignore_preconditions();
    let before = world.s3.keys();
    world.s3.take_log();
    let error = world.compact().await.err();
    let error = error.context("the bucket is shared all the same")?;
    let text = error.to_string();
    for part in ["If-None-Match", "ignores", "--compact.disable-leases"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(world.s3.keys(), before);
    let writes = world.s3.take_log();
    let writes = writes
        .iter()
        .filter(|r| r.operation.access() == Access::Write);
    for request in writes {
        assert!(request.key.starts_with("parquet/leases/"), "{request:?}");
    }
    assert_all_served(&world, &truth).await
}
