//! Buckets with blocks that no Prometheus writes, or that say of themselves what is not so. Each is compacted three
//! times: what can be merged is, with every sample, and what cannot be is named, marked and left, while all else goes
//! on. From then on nothing is left to do.

mod bytes;
mod deleted;
mod empty_labels;
mod made;
mod marks;
mod outsiders;
mod pairs;
mod times;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use compactor::Summary;
use model::{BlockId, TimeRange};
use tests::{Answer, RunningGateway, World, failures, matcher, merged, series_request};

use self::made::Odd;

/// A bucket of `tests/fixtures/odd`, each of its blocks with its folder.
fn blocks_of(case: &str) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/odd");
    let mut blocks = Vec::new();
    for entry in std::fs::read_dir(dir.join(case))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        blocks.push((name, entry.path()));
    }
    blocks.sort();
    Ok(blocks)
}

/// A world with one of these buckets.
async fn world_of(case: &str) -> anyhow::Result<World> {
    let world = World::new().await?;
    for (name, dir) in blocks_of(case)? {
        world.put_block(&dir, &name)?;
    }
    Ok(world)
}

/// A world with these blocks, and two behind them so that their window is complete.
async fn world_with(blocks: &[Odd<'_>]) -> anyhow::Result<World> {
    let world = World::new().await?;
    let later = |number: i64| {
        let start = made::S + number * 24 * made::HOUR * 30;
        let series = vec![(&[("__name__", "later")][..], vec![vec![(start, 1.0)]])];
        Odd {
            times: (start, start + 2 * made::HOUR),
            ..Odd::new(u64::try_from(number).unwrap_or(0) + 1000, series)
        }
    };
    for block in blocks.iter().chain(&[later(1), later(2)]) {
        let dir = world.scratch().join(block.id().to_string());
        block.write(&dir)?;
        world.put_block(&dir, &block.id().to_string())?;
    }
    Ok(world)
}

/// One run, after which it holds no lease.
async fn run(world: &World) -> anyhow::Result<Summary> {
    let summary = world.compact().await?;
    assert_eq!(held_leases(world)?, Vec::<String>::new());
    Ok(summary)
}

/// The leases that were not released, by the keys of their last objects.
fn held_leases(world: &World) -> anyhow::Result<Vec<String>> {
    let keys = world.s3.keys().into_iter();
    let mut last = BTreeMap::new();
    for key in keys.filter(|key| key.starts_with("parquet/leases/")) {
        // Numbers in names sort as numbers do.
        let (chain, _) = key.rsplit_once('/').context("a lease's number")?;
        last.insert(chain.to_owned(), key);
    }
    let mut held = Vec::new();
    for key in last.into_values() {
        let json = world.s3.object(&key).context("a lease")?;
        let record: serde_json::Value = serde_json::from_slice(&json)?;
        if record["released"] != true {
            held.push(key);
        }
    }
    Ok(held)
}

/// Three runs. The last one has nothing to do.
async fn three_runs(world: &World) -> anyhow::Result<[Summary; 3]> {
    let runs = [run(world).await?, run(world).await?, run(world).await?];
    for again in &runs[1..] {
        assert_eq!(failures(again), Vec::<String>::new());
        assert!(again.merged.is_empty(), "{again:?}");
    }
    Ok(runs)
}

/// The first of three runs merges once, and nothing fails.
async fn assert_merged(world: &World) -> anyhow::Result<()> {
    let [first, ..] = three_runs(world).await?;
    assert_eq!(failures(&first), Vec::<String>::new());
    assert_eq!(merged(&first), 1, "{first:?}");
    Ok(())
}

/// The first of three runs names a block with these words, and marks it.
async fn assert_named(world: &World, block: BlockId, words: &str) -> anyhow::Result<Summary> {
    let [first, ..] = three_runs(world).await?;
    let failures = failures(&first);
    let naming = failures
        .iter()
        .filter(|failure| failure.contains(&block.to_string()) && failure.contains(words));
    assert_eq!(naming.count(), 1, "{failures:#?}");
    assert_eq!(first.no_compact, [block]);
    let mark = format!("{block}/no-compact-mark.json");
    assert!(world.s3.object(&mark).is_some(), "{:?}", world.s3.keys());
    Ok(first)
}

/// The blocks that are marked for deletion.
fn marked(world: &World) -> Vec<String> {
    let keys = world.s3.keys();
    let marks = keys
        .iter()
        .filter_map(|key| key.strip_suffix("/deletion-mark.json"));
    marks.map(str::to_owned).collect()
}

/// The Parquet blocks that there are.
fn made_blocks(world: &World) -> usize {
    let keys = world.s3.keys();
    let is_meta = |key: &&String| key.starts_with("parquet/") && key.ends_with("/meta.json");
    keys.iter().filter(is_meta).count()
}

/// Everything that a gateway gives, apart from the blocks that only complete the window.
async fn served(world: &World) -> anyhow::Result<Answer> {
    let gateway = world.gateway().await?;
    let answer = everything(&gateway).await?;
    gateway.stop().await?;
    Ok(answer)
}

async fn everything(gateway: &RunningGateway) -> anyhow::Result<Answer> {
    let window = TimeRange::new(i64::MIN, made::S + 15 * 24 * made::HOUR);
    let all = [
        matcher("cluster", "=", "a")?,
        matcher("__name__", "!=", "later")?,
    ];
    let answer = gateway.client.series(series_request(&all, window)).await?;
    answer.checked()
}

fn assert_same(found: &Answer, expected: &Answer) {
    assert_eq!(
        found.difference(expected),
        None,
        "{found:?}, expected {expected:?}"
    );
}
