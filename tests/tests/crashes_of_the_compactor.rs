//! Each write of a run in which the compactor does all it can do fails once in its turn: leases, merges of both
//! formats into every resolution, marks, retention of what was downsampled first, the catalog. At the end there is
//! what there would be without the failure, to the byte, and at no time is anything missing, there twice or half there.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use compactor::{Config, Outcome, Retention, Summary};
use model::{BlockId, BlockMeta, Labels, Resolution, TimeRange, Timestamp};
use proto::thanos::{Aggr, SeriesRequest};
use service::Clock as _;
use tests::{
    Answer, Crash, MadeBlock, Request, RunningGateway, Totals, World, assert_no_partial_block,
    files, matcher, series_request,
};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// How long raw samples are kept, in days.
const RAW_DAYS: u64 = 400;

/// A bucket before the run, and what is in it.
struct Bucket {
    objects: Vec<(String, Vec<u8>)>,
    truth: Answer,
}

/// A block as it is known whatever its name and its time of making: labels, resolution, first and last time, sources.
type Kind = (Labels, Resolution, i64, i64, Vec<BlockId>);

/// The files of a block by their names, `meta.json` apart.
type Content = BTreeMap<String, Vec<u8>>;

fn labels(group: &str) -> Labels {
    Labels::from_pairs([("group", group)])
}

impl Bucket {
    /// Three groups: one is merged, partly from Parquet, to raw, 5 m and 1 h; one to raw and 5 m; of one the first
    /// block is past its retention and not downsampled yet. Behind them is a newest block, which is left alone.
    fn new(now: i64) -> anyhow::Result<Self> {
        let mut bucket = Self {
            objects: Vec::new(),
            truth: Answer::default(),
        };
        let fortnight = (now - 60 * DAY) / (14 * DAY) * (14 * DAY);
        let days = |group, from, to| {
            let at = |day: i64| fortnight + day * DAY;
            MadeBlock::new(1, &labels(group), at(from), at(to))
        };
        bucket.add(&days("long", 0, 8).every(20 * MINUTE), false)?;
        bucket.add(&days("long", 8, 14).every(20 * MINUTE), true)?;
        bucket.add(&days("long", 14, 15).every(20 * MINUTE), false)?;
        bucket.add(&days("short", 14, 15).every(4 * MINUTE), false)?;
        bucket.add(&days("short", 15, 16).every(4 * MINUTE), false)?;
        bucket.add(&days("short", 16, 17).every(4 * MINUTE), false)?;
        let ago = |days: i64| now / DAY * DAY - days * DAY;
        let hours = |from: i64| MadeBlock::new(1, &labels("old"), from, from + 2 * HOUR);
        bucket.add(&hours(ago(410)), false)?;
        bucket.add(&hours(ago(300)), false)?;
        Ok(bucket)
    }

    fn add(&mut self, block: &MadeBlock, is_parquet: bool) -> anyhow::Result<()> {
        // Those that end at the same time have names of their own, too.
        let number = self.objects.len() as u128;
        let block = &MadeBlock {
            id: BlockId::new(Timestamp(block.end), number),
            ..block.clone()
        };
        let dir = tempfile::tempdir()?;
        let root = match is_parquet {
            true => {
                block.write_parquet(dir.path(), Resolution::Raw)?;
                format!("parquet/{}", block.id)
            }
            false => {
                block.write_tsdb(dir.path())?;
                block.id.to_string()
            }
        };
        for (name, path) in files(dir.path())? {
            let object = (format!("{root}/{name}"), std::fs::read(path)?);
            self.objects.push(object);
        }
        self.truth.merge(block.answer()?)
    }

    fn put(&self, world: &World) {
        for (key, bytes) in &self.objects {
            world.s3.put(key, bytes.clone());
        }
    }
}

async fn compact(world: &World) -> anyhow::Result<Summary> {
    let config = Config {
        retention: Retention {
            raw: Some(std::time::Duration::from_hours(24 * RAW_DAYS)),
            ..Retention::default()
        },
        ..Config::default()
    };
    world.clock.advance(HOUR);
    world.compact_with(config, world.bucket()?).await
}

/// The blocks that have a `meta.json`, by their roots, and whether they are marked for deletion.
fn blocks(world: &World) -> anyhow::Result<Vec<(String, BlockMeta, bool)>> {
    let keys = world.s3.keys();
    let marks: BTreeSet<BlockId> = keys
        .iter()
        .filter_map(|key| key.strip_suffix("/deletion-mark.json"))
        .filter_map(|root| root.rsplit('/').next()?.parse().ok())
        .collect();
    let roots = keys.iter().filter_map(|key| key.strip_suffix("/meta.json"));
    let block = |root: &str| {
        let json = world.s3.object(&format!("{root}/meta.json"));
        let meta = BlockMeta::decode(&json.context("a meta.json")?)?;
        let is_marked = marks.contains(&meta.ulid);
        Ok((root.to_owned(), meta, is_marked))
    };
    roots.map(block).collect()
}

/// The blocks that are to stay, with their content. None is there twice.
fn live(world: &World) -> anyhow::Result<BTreeMap<Kind, Content>> {
    let mut live = BTreeMap::new();
    for (root, meta, is_marked) in blocks(world)? {
        if is_marked {
            continue;
        }
        let stated = meta.thanos.as_ref().context("a section of Thanos")?;
        let names = stated.files.iter().map(|file| file.rel_path.clone());
        let content = names.filter(|name| name != BlockMeta::FILE).map(|name| {
            let object = world.s3.object(&format!("{root}/{name}"));
            let object = object.with_context(|| format!("{root}/{name}"))?;
            Ok((name, object.to_vec()))
        });
        let content = content.collect::<anyhow::Result<Content>>()?;
        let (labels, resolution) = (meta.external_labels(), meta.resolution());
        let sources = meta.compaction.sources.clone();
        let kind = (
            labels,
            resolution,
            meta.min_time.0,
            meta.max_time.0,
            sources,
        );
        let other = live.insert(kind, content);
        anyhow::ensure!(other.is_none(), "{root} is there twice");
    }
    Ok(live)
}

/// What a gateway that looks now gives: of raw samples each one, of aggregates what they add up to.
async fn assert_all_served(gateway: &RunningGateway, truth: &Answer) -> anyhow::Result<()> {
    gateway.sync().await?;
    let all = [matcher("__name__", "=~", ".+")?];
    let raw = gateway.client.series(series_request(&all, TimeRange::ALL));
    let raw = raw.await?.checked()?;
    // Of the old group raw samples may be gone, as they are past their retention.
    let kept = [matcher("group", "!=", "old")?];
    let raw = raw.select(&kept, TimeRange::ALL);
    let expected = truth.select(&kept, TimeRange::ALL);
    anyhow::ensure!(
        raw.difference(&expected).is_none(),
        "raw: {:?}",
        raw.difference(&expected)
    );
    for resolution in [Resolution::FiveMinutes, Resolution::OneHour] {
        let request = SeriesRequest {
            max_resolution_window: resolution.millis(),
            aggregates: vec![Aggr::Count.into(), Aggr::Sum.into()],
            ..series_request(&all, TimeRange::ALL)
        };
        let found = Totals::of_series(&gateway.client.series(request).await?)?;
        let expected = Totals::of(truth);
        anyhow::ensure!(
            found == expected,
            "{resolution:?}: {found:#?}, expected {expected:#?}"
        );
    }
    Ok(())
}

/// How many blocks the requests committed.
fn commits(log: &[Request], world: &World) -> usize {
    use tests::Operation::Put;
    let metas = log
        .iter()
        .filter(|r| r.operation == Put && r.key.ends_with("/meta.json"));
    // Refused ones are in the log too.
    let keys: BTreeSet<&str> = metas.map(|r| r.key.as_str()).collect();
    keys.iter()
        .filter(|key| world.s3.object(key).is_some())
        .count()
}

/// Whether a run did anything that it can do but once.
fn did_something(summary: &Summary) -> bool {
    !(summary.merged.is_empty() && summary.covered.is_empty() && summary.expired.is_empty())
}

/// The run that nothing befalls: what it leaves, and in how many writes.
async fn undisturbed(bucket: &Bucket) -> anyhow::Result<(BTreeMap<Kind, Content>, usize)> {
    let world = World::new().await?;
    bucket.put(&world);
    let gateway = world.gateway().await?;
    assert_all_served(&gateway, &bucket.truth).await?;
    world.s3.take_log();
    let summary = compact(&world).await?;
    assert!(summary.failed.is_empty(), "{summary:?}");
    let made = summary.merged.iter().map(|(_, outcome)| match outcome {
        Outcome::Merged(made) => made.len(),
        Outcome::Empty => 0,
    });
    assert_eq!(made.collect::<BTreeSet<_>>(), BTreeSet::from([1, 2, 3]));
    assert_eq!(summary.expired.len(), 1, "{summary:?}");
    let log = world.s3.take_log();
    assert_eq!(commits(&log, &world), 6);
    let writes = log
        .iter()
        .filter(|r| r.operation.access() == tests::Access::Write);
    let writes: Vec<&str> = writes.map(|r| r.key.as_str()).collect();
    for part in ["parquet/leases/", "parquet/catalog", "deletion-mark.json"] {
        assert!(writes.iter().any(|key| key.contains(part)), "{writes:#?}");
    }
    assert_all_served(&gateway, &bucket.truth).await?;
    let live = live(&world)?;
    // What was made, and the newest block of each group.
    assert_eq!(live.len(), 6 + 3);
    gateway.stop().await?;
    Ok((live, writes.len()))
}

async fn every_write(crash: Crash) -> anyhow::Result<()> {
    let bucket = Bucket::new(World::new().await?.clock.now_ms())?;
    let (expected, writes) = undisturbed(&bucket).await?;
    for write in 0.. {
        let world = World::new().await?;
        bucket.put(&world);
        let broken = broken_at(&world, &bucket, &expected, crash, write).await;
        if !broken.with_context(|| format!("{crash:?} at write {write}"))? {
            assert_eq!(write, writes, "{crash:?}");
            break;
        }
    }
    Ok(())
}

/// A run that something befalls at this write, and what comes of it; whether there was such a write.
async fn broken_at(
    world: &World,
    bucket: &Bucket,
    expected: &BTreeMap<Kind, Content>,
    crash: Crash,
    write: usize,
) -> anyhow::Result<bool> {
    let gateway = world.gateway().await?;
    world.s3.take_log();
    crash.inject(&world.s3, write);
    let first = compact(world).await;
    let hit = world.s3.heal() > 0;
    anyhow::ensure!(
        hit || matches!(&first, Ok(summary) if summary.failed.is_empty()),
        "{first:?}"
    );
    assert_no_partial_block(&world.s3)?;
    assert_all_served(&gateway, &bucket.truth).await?;

    let second = compact(world).await?;
    anyhow::ensure!(second.failed.is_empty(), "{second:?}");
    anyhow::ensure!(second.left_to_others.is_empty(), "{second:?}");
    assert_no_partial_block(&world.s3)?;
    assert_all_served(&gateway, &bucket.truth).await?;
    assert_same(&live(world)?, expected)?;
    // Of all that was committed, nothing was done twice.
    let committed = commits(&world.s3.take_log(), world);
    anyhow::ensure!(committed == 6, "{committed} blocks were committed");

    // Once the sources are due, they and what the crash left are gone, and nothing is missed.
    world.clock.advance(100 * HOUR);
    let third = compact(world).await?;
    anyhow::ensure!(
        third.failed.is_empty() && !did_something(&third),
        "{third:?}"
    );
    anyhow::ensure!(world.s3.unfinished_uploads() == 0, "parts are left");
    assert_no_leftovers(world)?;
    assert_same(&live(world)?, expected)?;
    assert_all_served(&gateway, &bucket.truth).await?;
    gateway.stop().await?;
    Ok(hit)
}

fn assert_same(
    found: &BTreeMap<Kind, Content>,
    expected: &BTreeMap<Kind, Content>,
) -> anyhow::Result<()> {
    let kinds = |blocks: &BTreeMap<Kind, Content>| blocks.keys().cloned().collect::<Vec<_>>();
    let (found_kinds, expected_kinds) = (kinds(found), kinds(expected));
    anyhow::ensure!(
        found_kinds == expected_kinds,
        "{found_kinds:#?}, expected {expected_kinds:#?}"
    );
    for (kind, content) in expected {
        anyhow::ensure!(found.get(kind) == Some(content), "{kind:?} differs");
    }
    Ok(())
}

/// Every object belongs to a block that stays, to a lease, or is the catalog.
fn assert_no_leftovers(world: &World) -> anyhow::Result<()> {
    let mut roots = vec!["parquet/leases/".to_owned(), "parquet/catalog".to_owned()];
    for (root, _, is_marked) in blocks(world)? {
        anyhow::ensure!(!is_marked, "{root} is left");
        roots.push(format!("{root}/"));
    }
    for key in world.s3.keys() {
        let is_known = roots.iter().any(|root| key.starts_with(root));
        anyhow::ensure!(is_known, "{key} is left");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn any_write_may_be_refused_and_the_next_run_ends_in_the_same_bucket() -> anyhow::Result<()> {
    every_write(Crash::OneRefused).await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_may_be_killed_before_any_write_and_the_next_run_ends_in_the_same_bucket()
-> anyhow::Result<()> {
    every_write(Crash::KilledBefore).await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_may_be_killed_behind_any_write_and_the_next_run_ends_in_the_same_bucket()
-> anyhow::Result<()> {
    every_write(Crash::KilledBehind).await
}

/// A run that deletes what is due, broken at this write, and what comes of it; whether there was such a write.
async fn deletion_broken_at(
    world: &World,
    truth: &Answer,
    crash: Crash,
    write: usize,
) -> anyhow::Result<bool> {
    compact(world).await?;
    let kept = live(world)?;
    let gateway = world.gateway().await?;
    world.clock.advance(49 * HOUR);
    crash.inject(&world.s3, write);
    let first = compact(world).await;
    let hit = world.s3.heal() > 0;
    anyhow::ensure!(
        hit || matches!(&first, Ok(summary) if summary.failed.is_empty()),
        "{first:?}"
    );
    assert_all_served(&gateway, truth).await?;
    // What lost its `meta.json` and nothing else is an upload that was given up, some time later.
    world.clock.advance(100 * HOUR);
    let second = compact(world).await?;
    anyhow::ensure!(second.failed.is_empty(), "{second:?}");
    assert_no_leftovers(world)?;
    assert_same(&live(world)?, &kept)?;
    assert_all_served(&gateway, truth).await?;
    gateway.stop().await?;
    Ok(hit)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deletion_of_sources_may_be_cut_off_anywhere() -> anyhow::Result<()> {
    let bucket = Bucket::new(World::new().await?.clock.now_ms())?;
    for crash in Crash::ALL {
        for write in 0.. {
            let world = World::new().await?;
            bucket.put(&world);
            let broken = deletion_broken_at(&world, &bucket.truth, crash, write).await;
            if !broken.with_context(|| format!("{crash:?} at write {write}"))? {
                assert!(write >= 20, "{crash:?}: {write} writes");
                break;
            }
        }
    }
    Ok(())
}
