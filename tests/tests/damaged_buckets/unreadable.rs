//! Blocks of a bucket on disk of which a file or a folder is something else, so that nobody can read it.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use bucket::{Bucket, BucketConfig};
use proto::thanos::{PartialResponseStrategy, SeriesRequest};
use tests::{MERGED, SAMPLE, World, failures, ids, merged, series_request};

use super::{
    DAMAGED, all, assert_same, everything, folders::copy_of_sample_with_labels, other_times,
    truth_without,
};
use model::TimeRange;

/// Makes a block unreadable, whose folder it is given.
type Spoil = fn(&Path) -> std::io::Result<()>;

fn file_in_place_of_chunks(block: &Path) -> std::io::Result<()> {
    fs::remove_dir_all(block.join("chunks"))?;
    fs::write(block.join("chunks"), "a file")
}

fn loop_in_place_of_chunks(block: &Path) -> std::io::Result<()> {
    fs::remove_dir_all(block.join("chunks"))?;
    symlink("chunks", block.join("chunks"))
}

fn folder_in_place_of_index(block: &Path) -> std::io::Result<()> {
    fs::remove_file(block.join("index"))?;
    fs::create_dir(block.join("index"))?;
    fs::write(block.join("index/index"), "a file")
}

fn loop_in_place_of_index(block: &Path) -> std::io::Result<()> {
    fs::remove_file(block.join("index"))?;
    symlink("index", block.join("index"))
}

fn loop_in_place_of_a_segment(block: &Path) -> std::io::Result<()> {
    let segment = block.join("chunks/000001");
    fs::remove_file(&segment)?;
    symlink("000001", segment)
}

const SPOILS: [(&str, Spoil); 5] = [
    ("a file in place of chunks", file_in_place_of_chunks),
    ("a loop in place of chunks", loop_in_place_of_chunks),
    ("a folder in place of the index", folder_in_place_of_index),
    ("a loop in place of the index", loop_in_place_of_index),
    ("a loop in place of a segment", loop_in_place_of_a_segment),
];

/// The sample in a folder, with one block spoilt.
fn spoilt(world: &World, spoil: Spoil) -> anyhow::Result<(PathBuf, Bucket)> {
    let root = world.scratch();
    copy_of_sample_with_labels(&root)?;
    spoil(&root.join(SAMPLE[DAMAGED]))?;
    let bucket = BucketConfig::filesystem(&root).open()?;
    Ok((root, bucket))
}

async fn assert_named_and_left(what: &str, spoil: Spoil) -> anyhow::Result<()> {
    let world = World::new().await?;
    let (root, bucket) = spoilt(&world, spoil)?;
    let others = truth_without(&[DAMAGED])?;
    let gateway = world.gateway_to(bucket.clone()).await?;
    let (found, warnings) = all(&gateway).await?;
    assert!(
        warnings.iter().any(|w| w.contains(SAMPLE[DAMAGED])),
        "{what}: {warnings:?}"
    );
    for range in other_times()? {
        assert_same(&found.select(&[], range), &others.select(&[], range));
    }
    let abort = SeriesRequest {
        partial_response_strategy: PartialResponseStrategy::Abort.into(),
        ..series_request(&everything()?, TimeRange::ALL)
    };
    let status = gateway.client.series(abort).await.err();
    let says = status.map(|status| status.message().to_owned());
    assert!(
        says.is_some_and(|says| says.contains(SAMPLE[DAMAGED])),
        "{what}"
    );
    gateway.stop().await?;

    world.clock.advance(3_600_000);
    let first = world.compact_bucket(bucket.clone()).await?;
    let failures = failures(&first);
    assert!(
        failures.len() == 1 && failures[0].contains(SAMPLE[DAMAGED]),
        "{what}: {failures:#?}"
    );
    // What is before it and what is behind it.
    assert_eq!(merged(&first), 2, "{what}: {first:?}");
    let mut sources = SAMPLE[..MERGED].to_vec();
    sources.remove(DAMAGED);
    for block in sources {
        let mark = root.join(block).join("deletion-mark.json");
        assert!(mark.try_exists()?, "{what}: {block}");
    }
    // It is in no plan any more, and is there.
    assert_eq!(first.no_compact, ids(&[SAMPLE[DAMAGED]])?, "{what}");
    for _ in 0..2 {
        world.clock.advance(100 * 3_600_000);
        let again = world.compact_bucket(bucket.clone()).await?;
        assert_eq!(tests::failures(&again), Vec::<String>::new(), "{what}");
        assert_eq!(merged(&again), 0, "{what}: {again:?}");
    }
    assert!(root.join(SAMPLE[DAMAGED]).join("meta.json").try_exists()?);
    Ok(())
}

#[tokio::test]
async fn a_block_that_is_not_the_files_and_folders_of_one_is_named_and_stops_nothing_else()
-> anyhow::Result<()> {
    for (what, spoil) in SPOILS {
        assert_named_and_left(what, spoil).await?;
    }
    Ok(())
}
