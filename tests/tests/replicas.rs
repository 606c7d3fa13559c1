//! Two Prometheis that scrape the same targets, each at times of its own: what their sidecars upload, what the
//! compactor makes of it, and what the gateway answers.

use std::collections::BTreeSet;

use anyhow::Context as _;
use compactor::{Config, Dedup, Outcome, OutputFormat, Replicas};
use model::{BlockMeta, Labels, TimeRange};
use service::Clock as _;
use tests::{
    Answer, MadeBlock, RunningGateway, SeriesAnswer, World, edit_meta, matcher, series_request,
};

const HOUR: i64 = 3_600_000;
/// Between two scrapes.
const STEP: i64 = 30_000;
/// From a scrape of the one to that of the other.
const OFFSET: i64 = 11_000;

/// The hours, by their blocks, in which replica `b` was down.
const GAP: usize = 1;

fn labels(replica: &str) -> Labels {
    Labels::from_pairs([("cluster", "eu-1"), ("replica", replica)])
}

/// What both have in a window of eight hours, and the newest block behind it; both uploaded.
async fn world() -> anyhow::Result<(World, Vec<MadeBlock>)> {
    let world = World::new().await?;
    let start = (world.clock.now_ms() - 48 * HOUR) / (8 * HOUR) * (8 * HOUR);
    let mut made = Vec::new();
    for (replica, number, offset) in [("a", 1, 0), ("b", 2, OFFSET)] {
        let dir = world.scratch().join(replica);
        for n in 0..5 {
            let at = start + i64::from(n) * 2 * HOUR;
            let block = MadeBlock {
                step: STEP,
                offset,
                ..MadeBlock::new(number, &labels(replica), at, at + 2 * HOUR)
            };
            if replica == "b" && usize::try_from(n)? == GAP {
                continue;
            }
            let dir = dir.join(block.id.to_string());
            block.write_tsdb(&dir)?;
            // Prometheus itself knows no external labels in a block.
            edit_meta(&dir, |meta| meta.thanos = None)?;
            made.push(block);
        }
        let pass = world.upload_from(&dir, labels(replica)).await?;
        assert!(pass.failed.is_empty(), "{pass:?}");
    }
    Ok((world, made))
}

fn config(dedup: Dedup) -> anyhow::Result<Config> {
    Ok(Config {
        replicas: Replicas::new(["replica".to_owned()], dedup)?,
        ..Config::default()
    })
}

async fn answers(gateway: &RunningGateway) -> anyhow::Result<Answer> {
    gateway.sync().await?;
    let all = [matcher("__name__", "=~", ".+")?];
    let found: SeriesAnswer = gateway
        .client
        .series(series_request(&all, TimeRange::ALL))
        .await?;
    found.checked()
}

/// The compaction of both replicas, and what a gateway gives of its window then.
async fn compacted(dedup: Dedup) -> anyhow::Result<(Answer, Vec<MadeBlock>)> {
    let (world, made) = world().await?;
    let gateway = world.gateway().await?;
    let mut apart = Answer::default();
    for block in &made {
        apart.merge(block.answer()?)?;
    }
    let before = answers(&gateway).await?;
    assert_eq!(before.difference(&apart), None);

    world.clock.advance(HOUR);
    let summary = world.compact_with(config(dedup)?, world.bucket()?).await?;
    assert!(summary.failed.is_empty(), "{summary:?}");
    let [(_, Outcome::Merged(blocks))] = summary.merged.as_slice() else {
        anyhow::bail!("expected one merge, found {summary:?}");
    };
    let [block] = blocks.as_slice() else {
        anyhow::bail!("expected one block, found {blocks:?}");
    };
    let key = format!("parquet/{block}/meta.json");
    let meta = BlockMeta::decode(&world.s3.object(&key).context("a meta.json")?)?;
    assert_eq!(
        meta.external_labels(),
        Labels::from_pairs([("cluster", "eu-1")])
    );
    assert_eq!(meta.compaction.sources.len(), 7);
    let found = answers(&gateway).await?;
    world.clock.advance(HOUR);
    let again = world.compact_with(config(dedup)?, world.bucket()?).await?;
    assert!(
        again.merged.is_empty() && again.failed.is_empty(),
        "{again:?}"
    );
    assert_eq!(answers(&gateway).await?.difference(&found), None);
    gateway.stop().await?;
    let window = [matcher("replica", "=", "")?];
    Ok((found.select(&window, TimeRange::ALL), made))
}

/// The blocks of the window, with their samples as of the one series that they become.
fn of_window(made: &[MadeBlock]) -> anyhow::Result<Vec<(MadeBlock, Answer)>> {
    let end = made.iter().map(|block| block.end).max().unwrap_or_default();
    let window = made.iter().filter(|block| block.end < end);
    let stripped = window.map(|block| {
        let answer = block.answer()?.without(&["replica"])?;
        Ok((block.clone(), answer))
    });
    stripped.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_function_every_sample_of_both_is_kept() -> anyhow::Result<()> {
    let (found, made) = compacted(Dedup::Exact).await?;
    let mut expected = Answer::default();
    for (_, answer) in of_window(&made)? {
        expected.merge(answer)?;
    }
    assert_eq!(found.difference(&expected), None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_penalty_one_is_followed_and_the_other_fills_its_gap() -> anyhow::Result<()> {
    let (found, made) = compacted(Dedup::Penalty).await?;
    let of_window = of_window(&made)?;
    let mut both = Answer::default();
    for (_, answer) in &of_window {
        both.merge(answer.clone())?;
    }
    // Nothing is made up.
    let mut together = both.clone();
    together.merge(found.clone())?;
    assert_eq!(together.difference(&both), None);
    assert_eq!(found.series().count(), both.series().count());
    // Nowhere are both, and nowhere is neither for longer than it takes to see that one is gone.
    let times: BTreeSet<i64> = found.times().collect();
    let first = times.first().context("samples")?;
    let start = of_window[0].0.start;
    assert!(*first < start + STEP, "{first}");
    let mut pairs = times.iter().zip(times.iter().skip(1));
    let (low, high) = (OFFSET, 3 * STEP);
    let odd = pairs.find(|(a, b)| !(low..=high).contains(&(*b - *a)));
    assert_eq!(odd, None);
    let scrapes = usize::try_from(8 * HOUR / STEP)?;
    assert!(
        (scrapes - 4..=scrapes + 8).contains(&times.len()),
        "{} scrapes",
        times.len()
    );
    // The second one is followed but while it is down. As with Thanos, the choice is made anew where no chunk lies
    // across, which is each hour here; and the first scrape then is the first one's.
    let (down, up) = (start + 2 * HOUR, start + 4 * HOUR);
    for (from, to, offset) in [
        (start, down, OFFSET),
        (down, up, 0),
        (up, start + 8 * HOUR, OFFSET),
    ] {
        let others = times.range(from..to);
        let mut others = others
            .filter(|time| time.rem_euclid(HOUR) != 0)
            .filter(|time| time.rem_euclid(STEP) != offset);
        assert_eq!(others.next(), None, "from {from} to {to}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_that_are_written_as_tsdb_are_served_and_written_once() -> anyhow::Result<()> {
    let (world, made) = world().await?;
    let mut truth = Answer::default();
    for block in &made {
        truth.merge(block.answer()?)?;
    }
    let config = || Config {
        output: OutputFormat::Tsdb,
        ..Config::default()
    };
    let gateway = world.gateway().await?;
    world.clock.advance(HOUR);
    let summary = world.compact_with(config(), world.bucket()?).await?;
    assert!(summary.failed.is_empty(), "{summary:?}");
    let mut made = BTreeSet::new();
    for (_, outcome) in &summary.merged {
        let Outcome::Merged(blocks) = outcome else {
            anyhow::bail!("nothing was made: {summary:?}");
        };
        made.extend(blocks.iter().copied());
    }
    // The window of the one with the gap is not full.
    assert_eq!(made.len(), 1, "{summary:?}");
    for block in &made {
        for file in ["meta.json", "index", "chunks/000001"] {
            let key = format!("{block}/{file}");
            assert!(world.s3.object(&key).is_some(), "{key}");
        }
    }
    let parquet: Vec<_> = world.s3.keys();
    let parquet = parquet.iter().filter(|key| key.ends_with(".parquet"));
    assert_eq!(parquet.count(), 0);
    assert_eq!(answers(&gateway).await?.difference(&truth), None);

    world.clock.advance(HOUR);
    let again = world.compact_with(config(), world.bucket()?).await?;
    assert!(
        again.merged.is_empty() && again.covered.is_empty() && again.failed.is_empty(),
        "{again:?}"
    );
    // The sources are deleted; what was made of them is not.
    world.clock.advance(49 * HOUR);
    let last = world.compact_with(config(), world.bucket()?).await?;
    assert!(last.merged.is_empty() && last.failed.is_empty(), "{last:?}");
    assert!(!last.deleted.is_empty());
    assert!(last.deleted.iter().all(|block| !made.contains(block)));
    assert_eq!(answers(&gateway).await?.difference(&truth), None);
    gateway.stop().await
}
