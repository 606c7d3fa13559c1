//! A Parquet footer in which a label has another name: nothing in the file tells that it is damaged.

use anyhow::Context as _;
use model::{BlockId, Labels, Resolution};
use proto::thanos::{PartialResponseStrategy, SeriesRequest};
use service::Clock as _;
use tests::{Answer, MadeBlock, World, series_request};
use tonic::Code;

use super::{TimeRange, all, assert_same, everything, failures, the_one_of};

const DAY: i64 = 24 * 3_600_000;

/// Three days, the second of them in Parquet; its name, and what is in the others.
async fn world() -> anyhow::Result<(World, BlockId, Answer)> {
    let world = World::new().await?;
    let start = (world.clock.now_ms() - 20 * DAY) / (2 * DAY) * (2 * DAY);
    let labels = Labels::from_pairs([("cluster", "eu-1")]);
    let (mut damaged, mut others) = (None, Answer::default());
    for day in 0..3 {
        let at = start + day * DAY;
        let block = MadeBlock::new(1, &labels, at, at + DAY).every(10 * 60_000);
        let dir = world.scratch().join(block.id.to_string());
        if day == 1 {
            block.write_parquet(&dir, Resolution::Raw)?;
            world.put_block(&dir, &format!("parquet/{}", block.id))?;
            damaged = Some(block.id);
        } else {
            block.write_tsdb(&dir)?;
            world.put_block(&dir, &block.id.to_string())?;
            others.merge(block.answer()?)?;
        }
    }
    Ok((world, damaged.context("a block")?, others))
}

#[tokio::test]
async fn a_footer_that_names_another_label_is_found_and_its_block_set_aside() -> anyhow::Result<()>
{
    let (world, damaged, others) = world().await?;
    let key = format!("parquet/{damaged}/0.labels.parquet");
    let mut bytes = world.s3.remove(&key).context("the labels")?.to_vec();
    let names = bytes.windows(3).enumerate().filter(|(_, w)| w == b"l_n");
    for at in names.map(|(at, _)| at + 2).collect::<Vec<_>>() {
        // Wherever the footer has it, n is o.
        bytes[at] ^= 1;
    }
    world.s3.put(&key, bytes);

    let gateway = world.gateway().await?;
    let (found, warnings) = all(&gateway).await?;
    let warning = the_one_of(&warnings, &key)?;
    assert!(warning.contains("XXH64"), "{warning}");
    assert_same(&found, &others);
    let abort = SeriesRequest {
        partial_response_strategy: PartialResponseStrategy::Abort.into(),
        ..series_request(&everything()?, TimeRange::ALL)
    };
    let status = gateway.client.series(abort).await.err();
    let status = status.context("an answer without a part of it")?;
    assert_eq!(status.code(), Code::Aborted, "{status:?}");
    gateway.stop().await?;

    let summary = world.compact().await?;
    let failed = failures(&summary);
    let failure = the_one_of(&failed, "0.labels.parquet")?;
    assert!(
        failure.contains("XXH64") && failure.contains("expected"),
        "{failure}"
    );
    assert_eq!(summary.no_compact, [damaged]);
    let again = world.compact().await?;
    assert_eq!(failures(&again), Vec::<String>::new());
    assert!(
        world
            .s3
            .object(&format!("parquet/{damaged}/meta.json"))
            .is_some()
    );
    Ok(())
}
