//! Each write of the sidecar and of the compactor fails once in its turn; then everything works again. At the end
//! nothing is lost, nothing was done twice, and at no time does a reader see a part of a block.

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::Context as _;
use compactor::Outcome;
use model::{BlockId, BlockMeta, TimeRange};
use tests::{
    Answer, Crash, RunningGateway, SAMPLE, Truth, World, ids, matcher, sample_dir,
};

/// The blocks, as few as the compactor merges some of: two, which a window that has ended holds, before the two newest.
const BLOCKS: [&str; 4] = [SAMPLE[0], SAMPLE[1], SAMPLE[4], SAMPLE[5]];
const MERGED: usize = 2;

fn truth() -> anyhow::Result<Truth> {
    let dirs: Vec<PathBuf> = BLOCKS.iter().map(|b| sample_dir().join(b)).collect();
    Ok(Truth::new(Answer::of_blocks(
        &dirs,
        &World::external_labels(),
    )?))
}

/// A block with `meta.json` has all files that this names.
fn assert_no_partial_block(world: &World) -> anyhow::Result<()> {
    let keys: BTreeSet<String> = world.s3.keys().into_iter().collect();
    for key in keys.iter().filter(|key| key.ends_with("/meta.json")) {
        let root = key.strip_suffix("/meta.json").context("a root")?;
        let meta = BlockMeta::decode(&world.s3.object(key).context("a meta.json")?)?;
        let files = meta
            .thanos
            .with_context(|| format!("{key}: no section of Thanos"))?
            .files;
        assert!(files.len() > 1, "{key}: {files:?}");
        for file in files.iter().filter(|f| f.rel_path != BlockMeta::FILE) {
            let object = world.s3.object(&format!("{root}/{}", file.rel_path));
            let size = object.map(|bytes| bytes.len() as u64);
            assert_eq!(size, Some(file.size_bytes), "{root}/{}", file.rel_path);
        }
    }
    Ok(())
}

/// The Parquet blocks that are committed.
fn committed(world: &World) -> Vec<BlockId> {
    let keys = world.s3.keys();
    let roots = keys
        .iter()
        .filter_map(|k| k.strip_prefix("parquet/")?.strip_suffix("/meta.json"));
    roots.filter_map(|root| root.parse().ok()).collect()
}

/// The blocks that are marked for deletion.
fn marked(world: &World) -> Vec<BlockId> {
    let keys = world.s3.keys();
    let roots = keys
        .iter()
        .filter_map(|k| k.strip_suffix("/deletion-mark.json"));
    roots.filter_map(|root| root.parse().ok()).collect()
}

/// All samples are served, by a gateway that looks now.
async fn assert_all_served(gateway: &RunningGateway, truth: &Truth) -> anyhow::Result<()> {
    gateway.sync().await?;
    let all = [matcher("__name__", "=~", ".+")?];
    truth
        .assert_series(&gateway.client, &all, TimeRange::ALL)
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sidecar_uploads_each_block_whole_and_once_wherever_it_is_stopped() -> anyhow::Result<()>
{
    for crash in Crash::ALL {
        let mut write = 0;
        loop {
            let world = World::with_sample(&BLOCKS[..2]).await?;
            let at = || format!("{crash:?} at write {write}");
            crash.inject(&world.s3, write);
            let first = world.upload().await.with_context(at)?;
            assert_no_partial_block(&world).with_context(at)?;
            let hit = world.s3.heal() > 0;
            assert_eq!(first.failed.is_empty(), !hit, "{}: {first:?}", at());
            let second = world.upload().await.with_context(at)?;
            assert!(second.failed.is_empty(), "{}: {second:?}", at());
            assert_no_partial_block(&world).with_context(at)?;
            let metas = world
                .s3
                .keys()
                .iter()
                .filter(|k| k.ends_with("/meta.json"))
                .count();
            assert_eq!(metas, 2, "{}", at());
            for block in ids(&BLOCKS[..2])? {
                // A block whose meta.json came through, unknown to the sidecar, is there and not sent again.
                let done = [&first.uploaded, &second.uploaded, &second.present]
                    .map(|l| l.contains(&block));
                assert!(done.contains(&true), "{}: {first:?}, {second:?}", at());
                assert!(
                    !(done[0] && done[1]),
                    "{}: {block} was uploaded twice",
                    at()
                );
            }
            world.s3.take_log();
            let third = world.upload().await.with_context(at)?;
            assert_eq!(third.present, ids(&BLOCKS[..2])?, "{}: {third:?}", at());
            assert!(
                world.s3.take_log().is_empty(),
                "{}: known blocks are asked for",
                at()
            );
            if !hit {
                break;
            }
            write += 1;
        }
        assert!(write >= 6, "{crash:?}: {write} writes");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_compactor_loses_nothing_and_does_nothing_twice_wherever_it_is_stopped()
-> anyhow::Result<()> {
    let truth = truth()?;
    for crash in Crash::ALL {
        let mut write = 0;
        loop {
            let world = World::with_sample(&BLOCKS).await?;
            let at = || format!("{crash:?} at write {write}");
            world.upload().await?;
            let gateway = world.gateway().await?;
            crash.inject(&world.s3, write);
            let first = world.compact().await.with_context(at)?;
            let hit = world.s3.heal() > 0;
            assert_eq!(first.failed.is_empty(), !hit, "{}: {first:?}", at());
            assert_no_partial_block(&world).with_context(at)?;
            assert_sources_marked_last(&world, &at());
            assert_all_served(&gateway, &truth).await.with_context(at)?;

            let done_before = committed(&world);
            let second = world.compact().await.with_context(at)?;
            assert!(second.failed.is_empty(), "{}: {second:?}", at());
            assert_no_partial_block(&world).with_context(at)?;
            assert_eq!(committed(&world).len(), 1, "{}", at());
            assert_eq!(marked(&world), ids(&BLOCKS[..MERGED])?, "{}", at());
            let merged_again = second
                .merged
                .iter()
                .any(|(_, o)| matches!(o, Outcome::Merged(_)));
            assert_eq!(merged_again, done_before.is_empty(), "{}: {second:?}", at());
            assert_all_served(&gateway, &truth).await.with_context(at)?;

            let third = world.compact().await.with_context(at)?;
            assert!(
                third.merged.is_empty() && third.covered.is_empty(),
                "{}: {third:?}",
                at()
            );
            // Once the sources are due, they and what the crash left are gone, and nothing is missed.
            world.clock.advance(100 * 3_600_000);
            let fourth = world.compact().await.with_context(at)?;
            assert!(fourth.failed.is_empty(), "{}: {fourth:?}", at());
            assert_eq!(world.s3.unfinished_uploads(), 0, "{}", at());
            assert_no_leftovers(&world, &at());
            assert_all_served(&gateway, &truth).await.with_context(at)?;
            gateway.stop().await?;
            if !hit {
                break;
            }
            write += 1;
        }
        // Two files, the meta.json and two marks.
        assert!(write >= 5, "{crash:?}: {write} writes");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deletion_of_sources_may_be_cut_off_anywhere() -> anyhow::Result<()> {
    let truth = truth()?;
    for crash in Crash::ALL {
        let mut write = 0;
        loop {
            let world = World::with_sample(&BLOCKS).await?;
            let at = || format!("{crash:?} at write {write}");
            world.upload().await?;
            world.compact().await?;
            let gateway = world.gateway().await?;
            world.clock.advance(49 * 3_600_000);
            crash.inject(&world.s3, write);
            let first = world.compact().await.with_context(at)?;
            let hit = world.s3.heal() > 0;
            assert_eq!(first.failed.is_empty(), !hit, "{}: {first:?}", at());
            assert_all_served(&gateway, &truth).await.with_context(at)?;
            world.clock.advance(100 * 3_600_000);
            let second = world.compact().await.with_context(at)?;
            assert!(second.failed.is_empty(), "{}: {second:?}", at());
            assert_no_leftovers(&world, &at());
            assert_all_served(&gateway, &truth).await.with_context(at)?;
            gateway.stop().await?;
            if !hit {
                break;
            }
            write += 1;
        }
        assert!(write >= 8, "{crash:?}: {write} writes");
    }
    Ok(())
}

/// A mark on a source means that its samples are committed elsewhere.
fn assert_sources_marked_last(world: &World, at: &str) {
    let marked = marked(world);
    assert!(
        marked.is_empty() || committed(world).len() == 1,
        "{at}: {marked:?} are marked"
    );
}

/// What is in the bucket belongs to the Parquet block or to one of the two newest.
fn assert_no_leftovers(world: &World, at: &str) {
    let mut roots: Vec<String> = committed(world)
        .iter()
        .map(|id| format!("parquet/{id}/"))
        .collect();
    roots.extend(BLOCKS[MERGED..].iter().map(|id| format!("{id}/")));
    for key in world.s3.keys() {
        assert!(
            roots.iter().any(|root| key.starts_with(root)),
            "{at}: {key} is left"
        );
    }
}
