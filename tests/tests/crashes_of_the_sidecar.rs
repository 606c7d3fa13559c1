//! Each write of the sidecar fails once in its turn; then everything works again. At the end nothing is lost, nothing
//! was sent twice, and at no time does a reader see a part of a block.

use anyhow::Context as _;
use tests::{Crash, SAMPLE, World, assert_no_partial_block, ids};

/// What there is to upload.
const BLOCKS: [&str; 2] = [SAMPLE[0], SAMPLE[1]];

#[tokio::test(flavor = "multi_thread")]
async fn the_sidecar_uploads_each_block_whole_and_once_wherever_it_is_stopped() -> anyhow::Result<()>
{
    for crash in Crash::ALL {
        let mut write = 0;
        loop {
            let world = World::with_sample(&BLOCKS).await?;
            let at = || format!("{crash:?} at write {write}");
            crash.inject(&world.s3, write);
            let first = world.upload().await.with_context(at)?;
            assert_no_partial_block(&world.s3).with_context(at)?;
            let hit = world.s3.heal() > 0;
            assert_eq!(first.failed.is_empty(), !hit, "{}: {first:?}", at());
            let second = world.upload().await.with_context(at)?;
            assert!(second.failed.is_empty(), "{}: {second:?}", at());
            assert_no_partial_block(&world.s3).with_context(at)?;
            let metas = world
                .s3
                .keys()
                .iter()
                .filter(|k| k.ends_with("/meta.json"))
                .count();
            assert_eq!(metas, 2, "{}", at());
            for block in ids(&BLOCKS)? {
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
            assert_eq!(third.present, ids(&BLOCKS)?, "{}: {third:?}", at());
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
