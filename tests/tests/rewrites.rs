//! `compactor::rewrite`: blocks of every kind with their samples, labels or format changed; each write of a rewrite fails
//! once in its turn, and no sample is lost.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;
use bucket::{Acquired, Leases};
use compactor::{
    CompactError, Config, Deps, Edits, GroupKey, Original, OutputFormat, Rewrite, RewriteMode,
    Rewritten, Sharing,
};
use model::{BlockId, BlockMeta, Labels, Resolution, Timestamp};
use service::{Clock as _, CpuPool, Metrics, Probe};
use tests::{ALL_KINDS, Answer, Crash, MadeBlock, World, all_kinds_dir, assert_no_partial_block};
use tokio_util::sync::CancellationToken;

const HOUR: i64 = 3_600_000;
const START: i64 = 1_795_000_000_000 / (2 * HOUR) * (2 * HOUR);

fn external() -> Labels {
    Labels::from_pairs([("cluster", "eu-1")])
}

fn block() -> MadeBlock {
    MadeBlock::new(1, &external(), START, START + 2 * HOUR)
}

/// What a test asks for, the block apart.
#[derive(Clone, Default)]
struct Wanted {
    deletions: String,
    rules: String,
    format: Option<OutputFormat>,
    dry: bool,
}

/// A tool on the bucket of the world.
fn tool(world: &World) -> anyhow::Result<(Config, Deps)> {
    let metrics = Metrics::new();
    let deps = Deps {
        clock: Arc::new(world.clock.clone()),
        pool: CpuPool::new("test", 2)?,
        probe: Probe::new("bucket", &metrics),
        board: Default::default(),
        metrics,
    };
    let config = Config {
        data_dir: world.scratch(),
        sharing: Sharing::Leases {
            holder: "tool".to_owned(),
            duration: World::LEASE,
        },
        ..Config::default()
    };
    Ok((config, deps))
}

async fn rewrite(world: &World, block: BlockId, wanted: Wanted) -> anyhow::Result<Rewritten> {
    let (config, deps) = tool(world)?;
    let request = Rewrite {
        blocks: vec![block],
        edits: Edits::from_yaml(&wanted.deletions, &wanted.rules)?,
        format: wanted.format,
        mode: match wanted.dry {
            true => RewriteMode::Dry,
            false => RewriteMode::Write,
        },
        original: Original::MarkForDeletion,
        source: "bucket.rewrite",
        change_logs: Some(world.scratch()),
    };
    let mut done = Vec::new();
    let bucket = world.bucket()?;
    let stop = CancellationToken::new();
    let mut hear = |one| done.push(one);
    compactor::rewrite(config, bucket, deps, &request, stop, &mut hear).await?;
    done.pop().context("a block is rewritten")
}

/// What a TSDB block of the bucket holds.
fn held(world: &World, root: &str, external: &Labels) -> anyhow::Result<Answer> {
    let dir = tempfile::tempdir()?;
    for key in world.s3.keys() {
        let Some(name) = key.strip_prefix(&format!("{root}/")) else {
            continue;
        };
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        std::fs::write(path, world.s3.object(&key).context("an object")?)?;
    }
    Answer::of_blocks(&[PathBuf::from(dir.path())], external)
}

/// The blocks with a `meta.json` and without a deletion mark, by their roots.
fn live(world: &World) -> Vec<String> {
    let keys = world.s3.keys();
    let roots = keys.iter().filter_map(|key| key.strip_suffix("/meta.json"));
    let is_live = |root: &&str| !keys.contains(&format!("{root}/deletion-mark.json"));
    roots.filter(is_live).map(str::to_owned).collect()
}

/// The second series loses its first hour: a sample a minute.
fn deletion() -> Wanted {
    let end = START + HOUR - 1;
    Wanted {
        deletions: format!(
            "[{{matchers: '{{n=\"1\"}}', intervals: [{{mint: {START}, maxt: {end}}}]}}]"
        ),
        ..Wanted::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_write_of_a_rewrite_fails_in_its_turn_and_no_sample_is_lost() -> anyhow::Result<()> {
    let block = block();
    let before = block.answer()?;
    let dir = tempfile::tempdir()?;
    block.write_tsdb(dir.path())?;
    let wanted = deletion();
    let world = World::new().await?;
    world.put_block(dir.path(), &block.id.to_string())?;
    let done = rewrite(&world, block.id, wanted.clone()).await?;
    assert_eq!(done.samples, before.samples() as u64);
    assert_eq!(done.samples_deleted, 60);
    assert_eq!((done.series_deleted, done.series_relabelled), (1, 0));
    let made = done.made.context("a block")?.to_string();
    assert_eq!(live(&world), std::slice::from_ref(&made));
    let expected = held(&world, &made, &external())?;
    assert_eq!(expected.samples(), before.samples() - 60);

    for crash in Crash::ALL {
        for write in 0.. {
            let world = World::new().await?;
            world.put_block(dir.path(), &block.id.to_string())?;
            crash.inject(&world.s3, write);
            let first = rewrite(&world, block.id, wanted.clone()).await;
            if world.s3.heal() == 0 {
                first?;
                assert!(write > 5, "{crash:?}: only {write} writes");
                break;
            }
            let told = format!("{crash:?} at write {write}");
            assert_no_partial_block(&world.s3).context(told.clone())?;
            // What holds all samples is there: the old block, or the new one.
            let left = live(&world);
            assert!(!left.is_empty(), "{told}");
            world.clock.advance(HOUR);
            if left.contains(&block.id.to_string()) {
                rewrite(&world, block.id, wanted.clone())
                    .await
                    .context(told.clone())?;
            }
            let left = live(&world);
            assert!(!left.contains(&block.id.to_string()), "{told}");
            for root in &left {
                let found = held(&world, root, &external())?;
                assert_eq!(found.difference(&expected), None, "{told}: {root}");
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_of_every_kind_become_parquet_and_tsdb_again_under_other_labels()
-> anyhow::Result<()> {
    let world = World::new().await?;
    let dir = all_kinds_dir().join(ALL_KINDS);
    world.put_block(&dir, ALL_KINDS)?;
    let none = Labels::default();
    let before = Answer::of_blocks(&[dir], &none)?;
    let parquet = |format| Wanted {
        format: Some(format),
        ..Wanted::default()
    };
    let done = rewrite(&world, ALL_KINDS.parse()?, parquet(OutputFormat::Parquet)).await?;
    let made = done.made.context("a block")?;
    let done = rewrite(&world, made, parquet(OutputFormat::Tsdb)).await?;
    let back = done.made.context("a block")?;
    let found = held(&world, &back.to_string(), &none)?;
    let tombstones = before.samples() - found.samples();
    // Deleted samples are not carried over.
    assert!(tombstones < before.samples() / 2, "{tombstones}");
    let dropped = Wanted {
        rules: "[{action: replace, source_labels: [__name__], target_label: zone, replacement: 'z-$1'}]"
            .to_owned(),
        ..Wanted::default()
    };
    let done = rewrite(&world, back, dropped).await?;
    let relabelled = done.made.context("a block")?.to_string();
    let named = held(&world, &relabelled, &none)?;
    assert_eq!(named.without(&["zone"])?.difference(&found), None);
    assert_eq!(done.series_relabelled, found.series().count() as u64);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_aggregates_whole_series_can_be_deleted_but_no_part_of_a_chunk() -> anyhow::Result<()> {
    let world = World::new().await?;
    let block = block();
    let dir = tempfile::tempdir()?;
    block.write_parquet(dir.path(), Resolution::FiveMinutes)?;
    let root = format!("parquet/{}", block.id);
    world.put_block(dir.path(), &root)?;
    let error = rewrite(&world, block.id, deletion()).await.unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.starts_with(&format!("rewriting block {}: ", block.id)),
        "{text}"
    );
    assert_eq!(live(&world), [root]);
    let whole = Wanted {
        deletions: r#"[{matchers: '{n="1"}'}]"#.to_owned(),
        format: Some(OutputFormat::Tsdb),
        ..Wanted::default()
    };
    let done = rewrite(&world, block.id, whole).await?;
    let made = done.made.context("a block")?;
    let json = world.s3.object(&format!("{made}/meta.json"));
    let meta = BlockMeta::decode(&json.context("meta.json")?)?;
    assert_eq!(meta.resolution(), Resolution::FiveMinutes);
    assert_eq!(meta.stats.num_series, 2);
    assert_eq!(meta.external_labels(), external());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_writes_nothing_and_says_what_would_change() -> anyhow::Result<()> {
    let world = World::new().await?;
    let block = block();
    let dir = tempfile::tempdir()?;
    block.write_tsdb(dir.path())?;
    world.put_block(dir.path(), &block.id.to_string())?;
    let before = world.s3.keys();
    let wanted = Wanted {
        dry: true,
        ..deletion()
    };
    let done = rewrite(&world, block.id, wanted).await?;
    assert_eq!((done.made, done.samples_deleted), (None, 60));
    assert_eq!(world.s3.keys(), before);
    let log = std::fs::read_to_string(done.change_log.context("a log")?)?;
    let end = START + HOUR - 1;
    assert!(log.ends_with(&format!(" [{{{START} {end}}}]\n")), "{log}");
    assert_eq!(log.lines().count(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_a_compactor_works_on_is_left_to_it() -> anyhow::Result<()> {
    let world = World::new().await?;
    let block = block();
    let dir = tempfile::tempdir()?;
    block.write_tsdb(dir.path())?;
    world.put_block(dir.path(), &block.id.to_string())?;
    let name = GroupKey::new(&external(), Resolution::Raw).to_string();
    let leases = Leases::new(world.bucket()?, "compactor".to_owned(), World::LEASE);
    let held = leases
        .acquire(&name, Timestamp(world.clock.now_ms()))
        .await?;
    assert!(matches!(held, Acquired::Lease(_)), "{held:?}");
    let error = rewrite(&world, block.id, deletion()).await.unwrap_err();
    let held = error.downcast_ref::<CompactError>();
    let is_held = matches!(held, Some(CompactError::HeldByOther { .. }));
    assert!(is_held, "{error}");
    assert_eq!(live(&world), [block.id.to_string()]);
    let error = work_on(&world, [block.id, block.id]).await.unwrap_err();
    let held = error.downcast_ref::<CompactError>();
    let is_held = matches!(held, Some(CompactError::HeldByOther { .. }));
    assert!(is_held, "{error}");
    Ok(())
}

/// Works under the lease of the group of these blocks.
async fn work_on(world: &World, blocks: [BlockId; 2]) -> anyhow::Result<bool> {
    let (config, deps) = tool(world)?;
    let (bucket, stop) = (world.bucket()?, CancellationToken::new());
    let work = async { anyhow::Ok(true) };
    compactor::under_lease(config, bucket, deps, blocks, stop, work).await
}

#[tokio::test(flavor = "multi_thread")]
async fn work_on_blocks_begins_if_all_are_there() -> anyhow::Result<()> {
    let world = World::new().await?;
    let (block, other) = (block(), MadeBlock::new(2, &external(), START, START + HOUR));
    for block in [&block, &other] {
        let dir = tempfile::tempdir()?;
        block.write_tsdb(dir.path())?;
        world.put_block(dir.path(), &block.id.to_string())?;
    }
    let both = [block.id, other.id];
    assert!(work_on(&world, both).await?);
    // The lease was given back.
    assert!(work_on(&world, both).await?);
    world
        .s3
        .remove(&format!("{}/{}", other.id, BlockMeta::FILE));
    let error = work_on(&world, both).await.unwrap_err();
    let gone = error.downcast_ref::<CompactError>();
    let is_gone = matches!(gone, Some(CompactError::Block { block, .. }) if *block == other.id);
    assert!(is_gone, "{error}");
    Ok(())
}
