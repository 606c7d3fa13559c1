//! Uploads that never ended, blocks that are there twice, folders with nothing in them.

use std::path::Path;

use anyhow::Context as _;
use bucket::BucketConfig;
use model::BlockMeta;
use tests::{CapturedLog, SAMPLE, World, sample_dir};

use super::{DAMAGED, all, assert_same, failures, merged, the_one_of, truth_without, world};

#[tokio::test]
async fn an_upload_without_meta_json_is_named_and_deleted_once_it_is_old() -> anyhow::Result<()> {
    let world = world().await?;
    let root = SAMPLE[DAMAGED];
    world
        .s3
        .remove(&format!("{root}/meta.json"))
        .context("the meta.json")?;
    let log = CapturedLog::start();
    let gateway = world.gateway().await?;
    the_one_of(&log.take(), &format!("{root}/meta.json"))?;
    let state = "\nthanos_blocks_meta_synced{state=\"no-meta-json\"} 1\n";
    assert!(gateway.metrics().contains(state), "{}", gateway.metrics());
    let (found, warnings) = all(&gateway).await?;
    assert_eq!(warnings, Vec::<String>::new());
    assert_same(&found, &truth_without(&[DAMAGED])?);
    gateway.stop().await?;

    let summary = world.compact().await?;
    assert_eq!(failures(&summary), Vec::<String>::new());
    assert!(summary.deleted.is_empty(), "{summary:?}");
    world.clock.advance(48 * 3_600_000);
    let summary = world.compact().await?;
    assert!(summary.deleted.contains(&root.parse()?), "{summary:?}");
    let left: Vec<_> = world
        .s3
        .keys()
        .into_iter()
        .filter(|k| k.starts_with(root))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

#[tokio::test]
async fn a_block_that_is_there_twice_is_served_and_merged_once() -> anyhow::Result<()> {
    let world = world().await?;
    let (original, copy) = (SAMPLE[DAMAGED], "01M8730Z9ADPS1ZRFG8H4AQGYE");
    for key in world.s3.keys().iter().filter(|k| k.starts_with(original)) {
        let bytes = world.s3.object(key).context("an object of the block")?;
        let bytes = match key.ends_with("/meta.json") {
            true => {
                let mut meta = BlockMeta::decode(&bytes)?;
                meta.ulid = copy.parse()?;
                meta.encode().into()
            }
            false => bytes,
        };
        world.s3.put(&key.replace(original, copy), bytes);
    }
    let truth = truth_without(&[])?;
    let gateway = world.gateway().await?;
    let state = "\nthanos_blocks_meta_synced{state=\"duplicate\"} 1\n";
    assert!(gateway.metrics().contains(state), "{}", gateway.metrics());
    let (found, warnings) = all(&gateway).await?;
    assert_eq!(warnings, Vec::<String>::new());
    assert_same(&found, &truth);

    let summary = world.compact().await?;
    assert_eq!(failures(&summary), Vec::<String>::new());
    assert_eq!(merged(&summary), 1, "{summary:?}");
    assert_eq!(summary.covered.len(), 1, "{summary:?}");
    let covered = summary.covered[0].to_string();
    let other = if covered == copy { original } else { copy };
    let mark = world
        .s3
        .object(&format!("{covered}/deletion-mark.json"))
        .context("a mark")?;
    let mark = String::from_utf8(mark.to_vec())?;
    assert!(mark.contains(other), "{mark}");
    gateway.sync().await?;
    assert_same(&all(&gateway).await?.0, &truth);
    gateway.stop().await
}

#[tokio::test]
async fn an_empty_folder_of_a_bucket_on_disk_is_named_and_is_no_block() -> anyhow::Result<()> {
    let world = World::new().await?;
    let root = world.scratch();
    copy_of_sample_with_labels(&root)?;
    std::fs::create_dir_all(root.join("01M8730Z9ADPS1ZRFG8H4AQGYE/chunks"))?;
    let log = CapturedLog::start();
    let bucket = BucketConfig::filesystem(&root).open()?;
    let gateway = world.gateway_to(bucket.clone()).await?;
    let truth = truth_without(&[])?;
    let (found, warnings) = all(&gateway).await?;
    assert_eq!(warnings, Vec::<String>::new());
    assert_same(&found, &truth);
    world.clock.advance(3_600_000);
    let summary = world.compact_bucket(bucket).await?;
    assert_eq!(failures(&summary), Vec::<String>::new());
    assert_eq!(merged(&summary), 1, "{summary:?}");
    gateway.sync().await?;
    assert_same(&all(&gateway).await?.0, &truth);
    assert_names_empty_folder(&log.take());
    gateway.stop().await
}

#[tokio::test]
async fn the_marker_of_an_empty_folder_on_s3_is_no_block_and_not_spoken_of() -> anyhow::Result<()> {
    let world = world().await?;
    world.s3.put("01M8730Z9ADPS1ZRFG8H4AQGYE/", "");
    let log = CapturedLog::start();
    let gateway = world.gateway().await?;
    let (found, warnings) = all(&gateway).await?;
    assert_eq!(warnings, Vec::<String>::new());
    assert_same(&found, &truth_without(&[])?);
    let summary = world.compact().await?;
    assert_eq!(failures(&summary), Vec::<String>::new());
    assert_eq!(merged(&summary), 1, "{summary:?}");
    let log = log.take();
    assert!(log.is_empty(), "{log:?}");
    gateway.stop().await
}

/// The gateway and the compactor each said it once.
fn assert_names_empty_folder(log: &[String]) {
    let place = "01M8730Z9ADPS1ZRFG8H4AQGYE/meta.json: not found, the folder is empty";
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log.iter().all(|line| line.contains(place)), "{log:?}");
}

/// The sample's blocks as the sidecar would have uploaded them.
pub(super) fn copy_of_sample_with_labels(root: &Path) -> anyhow::Result<()> {
    tests::copy_blocks(&sample_dir(), &SAMPLE, root)?;
    for block in SAMPLE {
        tests::edit_meta(&root.join(block), |meta| {
            let labels = World::external_labels();
            let thanos = meta.thanos.get_or_insert_default();
            thanos.version = 1;
            thanos.labels = labels.to_texts().into();
        })?;
    }
    Ok(())
}
