//! How blocks are uploaded, and what becomes of a pass in which something fails.

use std::num::NonZeroUsize;

use bucket::testing::{FailingBucket, WriteFault};
use sha2::{Digest as _, Sha256};
use tokio::{task::yield_now, time::timeout};

use super::*;
use crate::{HashFunc, sha256};

/// The blocks whose `meta.json` was put, in order.
fn shipped(failing: &FailingBucket) -> Vec<String> {
    let log = failing.log().into_iter();
    log.filter_map(|line| {
        let block = line.strip_prefix("put ")?.strip_suffix("/meta.json")?;
        Some(block.to_owned())
    })
    .collect()
}

#[tokio::test]
async fn files_have_their_hashes_in_meta_json_where_that_is_wanted() {
    let mut world = World::new();
    world.config.hash_func = HashFunc::Sha256;
    world.once().await;
    for block in BLOCKS {
        let files = world.meta(block).await.thanos.unwrap().files;
        let hashes: Vec<String> = files
            .iter()
            .map(|file| {
                format!(
                    "{} {}",
                    file.rel_path,
                    serde_json::to_value(&file.extra).unwrap()
                )
            })
            .collect();
        let expected = |name: &str| {
            let bytes = fs::read(Path::new(GOLDEN).join(block).join(name)).unwrap();
            let value = sha256::hex(&Sha256::digest(bytes).into());
            format!(r#"{name} {{"hash":{{"hashFunc":"SHA256","value":"{value}"}}}}"#)
        };
        assert_eq!(
            hashes,
            [
                expected("chunks/000001"),
                expected("index"),
                "meta.json {}".to_owned()
            ]
        );
    }
}

#[tokio::test]
async fn as_many_files_as_wanted_are_uploaded_at_once() {
    let mut world = World::new();
    world.config.upload_concurrency = NonZeroUsize::new(8).unwrap();
    let failing = FailingBucket::new(&world.bucket);
    let held = failing.hold_puts();
    let bucket = failing.bucket();
    let upload = world.once_on(&bucket);
    let release = async {
        // The segment and the index of the first block.
        held.begun(2).await;
        held.release(100);
    };
    let (pass, ()) = tokio::join!(upload, release);
    assert_eq!(pass.uploaded, ids(&BLOCKS));
    assert_eq!(held.most_held(), 2);
}

#[tokio::test]
async fn each_block_is_noted_as_soon_as_it_is_uploaded() {
    let world = World::new();
    let failing = FailingBucket::new(&world.bucket);
    // Each block takes three writes: this is the index of the third.
    failing.die_at_write(7, WriteFault::Refused);
    let pass = world.once_on(&failing.bucket()).await;
    assert_eq!(pass.uploaded, ids(&BLOCKS[..2]));
    let failed: Vec<BlockId> = pass.failed.iter().map(|(id, _)| *id).collect();
    assert_eq!(failed, ids(&BLOCKS[2..]));
    let noted = world.shipper_file();
    let noted: Vec<bool> = BLOCKS.iter().map(|block| noted.contains(block)).collect();
    assert_eq!(noted, [true, true, false, false]);
    failing.heal();
    let pass = world.once_on(&failing.bucket()).await;
    assert_eq!(pass.uploaded, ids(&BLOCKS[2..]));
    assert_eq!(shipped(&failing), BLOCKS, "each of them once");
}

#[tokio::test]
async fn a_block_whose_upload_fails_keeps_none_of_the_others_from_theirs() {
    let world = World::new();
    let failing = FailingBucket::new(&world.bucket);
    failing.fail_write(1, WriteFault::Refused);
    let pass = world.once_on(&failing.bucket()).await;
    assert_eq!(pass.uploaded, ids(&BLOCKS[1..]));
    failing.heal();
    let pass = world.once_on(&failing.bucket()).await;
    assert_eq!(pass.uploaded, ids(&BLOCKS[..1]));
    assert_eq!(pass.present, ids(&BLOCKS[1..]));
}

#[tokio::test]
async fn a_shipper_file_that_cannot_be_written_keeps_no_block_from_its_upload() {
    let world = World::new();
    fs::create_dir(world.dir.path().join("thanos.shipper.json")).unwrap();
    let error = run_once(&world.config, &world.bucket, &world.deps).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("thanos.shipper.json: "), "{error}");
    let metas = world
        .keys()
        .await
        .into_iter()
        .filter(|k| k.ends_with("/meta.json"));
    assert_eq!(metas.count(), BLOCKS.len());
    fs::remove_dir(world.dir.path().join("thanos.shipper.json")).unwrap();
    assert_eq!(world.once().await.present, ids(&BLOCKS));
    assert!(
        BLOCKS
            .iter()
            .all(|block| world.shipper_file().contains(block))
    );
}

#[tokio::test]
async fn a_bucket_that_is_away_for_a_while_gets_each_block_once_when_it_is_back() {
    let mut world = World::new();
    world.config.upload_interval = Duration::from_millis(1);
    let failing = FailingBucket::new(&world.bucket);
    failing.die_at_write(0, WriteFault::Refused);
    let shutdown = CancellationToken::new();
    let daemon = tokio::spawn(run(
        world.config.clone(),
        Some(failing.bucket()),
        world.deps.clone(),
        shutdown.clone(),
        None,
    ));
    let metric = |name: &str| -> u64 {
        let text = world.deps.metrics.encode(Exposition::Prometheus);
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |value| value.trim().parse().unwrap())
    };
    let reach = async |name: &str, least: u64| {
        let reached = async {
            while metric(name) < least {
                yield_now().await;
            }
        };
        timeout(Duration::from_secs(60), reached).await.unwrap();
    };
    // Some passes, in each of which each block fails.
    reach("thanos_shipper_upload_failures_total", 12).await;
    reach("thanos_shipper_dir_sync_failures_total", 2).await;
    assert_eq!(metric("thanos_shipper_uploads_total"), 0);
    failing.heal();
    reach("thanos_shipper_dir_syncs_total", 2).await;
    assert_eq!(metric("thanos_shipper_uploads_total"), 4);
    shutdown.cancel();
    daemon.await.unwrap().unwrap();
    let mut shipped = shipped(&failing);
    shipped.sort_unstable();
    assert_eq!(shipped, BLOCKS);
}
