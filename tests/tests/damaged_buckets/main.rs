//! Buckets in which something is wrong: one clear message names the object and the place, and all else is served and
//! compacted.

mod drawn_marks;
mod folders;
mod footers;
mod marks;
mod unreadable;
mod uploads;

use std::path::PathBuf;

use anyhow::Context as _;
use compactor::Summary;
use model::{BlockId, BlockMeta, Matcher, NoCompactMark, NoCompactReason, TimeRange};
use proto::thanos::{PartialResponseStrategy, SeriesRequest};
use tests::{
    Answer, CapturedLog, Failure, Fault, MERGED, RunningGateway, SAMPLE, When, World, failures,
    ids, matcher, merged, sample_dir, series_request,
};
use tonic::Code;

/// The block that is damaged: the second of the four that would be merged.
const DAMAGED: usize = 1;

/// The sample, uploaded.
async fn world() -> anyhow::Result<World> {
    let world = World::with_sample(&SAMPLE).await?;
    world.upload().await?;
    Ok(world)
}

/// What is in the blocks of the sample, but for those left out.
fn truth_without(left_out: &[usize]) -> anyhow::Result<Answer> {
    let blocks = SAMPLE
        .iter()
        .enumerate()
        .filter(|(n, _)| !left_out.contains(n));
    let dirs: Vec<PathBuf> = blocks.map(|(_, block)| sample_dir().join(block)).collect();
    Answer::of_blocks(&dirs, &World::external_labels())
}

fn everything() -> anyhow::Result<Vec<Matcher>> {
    Ok(vec![matcher("__name__", "=~", ".+")?])
}

/// Everything that the gateway gives, with its warnings.
async fn all(gateway: &RunningGateway) -> anyhow::Result<(Answer, Vec<String>)> {
    let answer = gateway
        .client
        .series(series_request(&everything()?, TimeRange::ALL))
        .await?;
    let samples = answer.checked_but_for_warnings()?;
    Ok((samples, answer.warnings))
}

fn assert_same(found: &Answer, expected: &Answer) {
    assert_eq!(
        found.difference(expected),
        None,
        "{found:?}, expected {expected:?}"
    );
}

/// The one message that names the object.
fn the_one_of<'a>(messages: &'a [String], object: &str) -> anyhow::Result<&'a str> {
    let mut naming = messages.iter().filter(|m| m.contains(object));
    let first = naming
        .next()
        .with_context(|| format!("nothing names {object}: {messages:#?}"))?;
    let more: Vec<_> = naming.collect();
    anyhow::ensure!(
        more.is_empty(),
        "more than one names {object}: {messages:#?}"
    );
    Ok(first)
}

/// The sources that are marked for deletion.
fn marked(world: &World) -> Vec<BlockId> {
    let keys = world.s3.keys();
    let marks = keys
        .iter()
        .filter_map(|key| key.strip_suffix("/deletion-mark.json"));
    marks.filter_map(|root| root.parse().ok()).collect()
}

/// The times before and behind the damaged block.
fn other_times() -> anyhow::Result<[TimeRange; 2]> {
    let json = std::fs::read(sample_dir().join(SAMPLE[DAMAGED]).join(BlockMeta::FILE))?;
    let meta = BlockMeta::decode(&json)?;
    Ok([
        TimeRange::new(i64::MIN, meta.min_time.0 - 1),
        TimeRange::new(meta.max_time.0, i64::MAX),
    ])
}

/// What was damaged in one file of a block, as the gateway and the compactor see it.
async fn assert_set_aside(world: &World, object: &str, place: &str) -> anyhow::Result<()> {
    let others = truth_without(&[DAMAGED])?;
    let gateway = world.gateway().await?;
    assert_served_but_for_one(&gateway, &others, object, place).await?;
    let abort = SeriesRequest {
        partial_response_strategy: PartialResponseStrategy::Abort.into(),
        ..series_request(&everything()?, TimeRange::ALL)
    };
    let status = gateway
        .client
        .series(abort)
        .await
        .err()
        .context("an answer without a part of it")?;
    assert!(status.message().contains(object), "{status:?}");
    assert_eq!(status.code(), Code::Aborted, "{status:?}");

    let summary = world.compact().await?;
    let failures = failures(&summary);
    assert_eq!(failures.len(), 1, "{failures:#?}");
    let failure = the_one_of(&failures, SAMPLE[DAMAGED])?;
    let file = object.rsplit_once('/').map_or(object, |(_, file)| file);
    assert!(
        failure.contains(file) && failure.contains("expected"),
        "{failure}"
    );
    // The others of its window, before it and behind it.
    assert_eq!(merged(&summary), 2, "{summary:?}");
    let mut sources: Vec<&str> = SAMPLE[..MERGED].to_vec();
    sources.remove(DAMAGED);
    assert_eq!(marked(world), ids(&sources)?);
    assert_left_from_now_on(world, &summary, file).await?;

    gateway.sync().await?;
    assert_served_but_for_one(&gateway, &others, object, place).await?;
    gateway.stop().await
}

/// The damaged block is marked, with what is wrong in `file`, and the next run leaves it without another attempt.
async fn assert_left_from_now_on(
    world: &World,
    summary: &Summary,
    file: &str,
) -> anyhow::Result<()> {
    assert_eq!(summary.no_compact, ids(&[SAMPLE[DAMAGED]])?);
    let key = format!("{}/no-compact-mark.json", SAMPLE[DAMAGED]);
    let mark: NoCompactMark = serde_json::from_slice(&world.s3.object(&key).context("a mark")?)?;
    assert_eq!(mark.reason, NoCompactReason::Other("damaged".to_owned()));
    let details = &mark.details;
    assert!(
        details.contains(file) && details.contains("expected"),
        "{details}"
    );
    let here = world.compactor_dir().display().to_string();
    assert!(!details.contains(&here), "{details}");
    world.s3.take_log();
    let again = world.compact().await?;
    assert_eq!(failures(&again), Vec::<String>::new());
    let read: Vec<_> = world
        .s3
        .take_log()
        .into_iter()
        .filter(|r| r.key.starts_with(SAMPLE[DAMAGED]) && r.key.ends_with(file))
        .collect();
    assert!(read.is_empty(), "{read:?}");
    Ok(())
}

async fn assert_served_but_for_one(
    gateway: &RunningGateway,
    others: &Answer,
    object: &str,
    place: &str,
) -> anyhow::Result<()> {
    let (found, warnings) = all(gateway).await?;
    let warning = the_one_of(&warnings, SAMPLE[DAMAGED])?;
    assert!(
        warning.contains(object) && warning.contains(place),
        "{warning}"
    );
    for range in other_times()? {
        assert_same(&found.select(&[], range), &others.select(&[], range));
    }
    Ok(())
}

#[tokio::test]
async fn a_truncated_index_is_named_and_its_block_set_aside() -> anyhow::Result<()> {
    let world = world().await?;
    let key = format!("{}/index", SAMPLE[DAMAGED]);
    let whole = world.s3.remove(&key).context("the index")?;
    world.s3.put(&key, whole.slice(..whole.len() / 2));
    assert_set_aside(&world, &key, "at byte ").await
}

#[tokio::test]
async fn a_flipped_bit_in_a_chunk_is_named_and_its_block_set_aside() -> anyhow::Result<()> {
    let world = world().await?;
    let key = format!("{}/chunks/000001", SAMPLE[DAMAGED]);
    let mut bytes = world.s3.remove(&key).context("the chunks")?.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    world.s3.put(&key, bytes);
    assert_set_aside(&world, &key, "at byte ").await
}

#[tokio::test]
async fn a_copy_that_went_bad_here_does_not_blame_the_block() -> anyhow::Result<()> {
    let world = world().await?;
    // A run that the bucket refuses to write for keeps its downloads.
    world.s3.inject(Fault {
        when: When::Writes(".parquet".to_owned()),
        failure: Failure::Refused,
    });
    let stopped = world.compact().await?;
    assert_eq!(failures(&stopped).len(), 1, "{stopped:?}");
    world.s3.heal();
    let copy = copy_of(&world, &format!("{}/chunks/000001", SAMPLE[DAMAGED]))?;
    let mut bytes = std::fs::read(&copy)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&copy, bytes)?;
    // It is fetched again, and the window is merged in the same run.
    let summary = world.compact().await?;
    assert_eq!(failures(&summary), Vec::<String>::new());
    assert!(summary.no_compact.is_empty(), "{summary:?}");
    assert_eq!(merged(&summary), 1, "{summary:?}");
    Ok(())
}

/// Where an object lies in the work folder.
fn copy_of(world: &World, object: &str) -> anyhow::Result<PathBuf> {
    for task in std::fs::read_dir(world.compactor_dir().join("compact"))? {
        let path = task?.path().join(object);
        if path.try_exists()? {
            return Ok(path);
        }
    }
    anyhow::bail!("no copy of {object}")
}

#[tokio::test]
async fn a_meta_json_of_another_version_is_named_and_its_block_left_alone() -> anyhow::Result<()> {
    let world = world().await?;
    let key = format!("{}/meta.json", SAMPLE[DAMAGED]);
    let json = world.s3.remove(&key).context("the meta.json")?;
    let json = String::from_utf8(json.to_vec())?.replace(
        "\"version\": 1,\n\t\"thanos\"",
        "\"version\": 2,\n\t\"thanos\"",
    );
    let edited: serde_json::Value = serde_json::from_str(&json)?;
    assert_eq!(edited["version"], 2);
    world.s3.put(&key, json);
    let log = CapturedLog::start();
    let gateway = world.gateway().await?;
    let message = log.take();
    let message = the_one_of(&message, &key)?;
    assert!(
        message.contains("version") && message.contains('2'),
        "{message}"
    );
    let state = "\nthanos_blocks_meta_synced{state=\"corrupted-meta-json\"} 1\n";
    assert!(gateway.metrics().contains(state), "{}", gateway.metrics());
    // Once is enough.
    gateway.sync().await?;
    assert_eq!(log.take(), Vec::<String>::new());
    let (found, warnings) = all(&gateway).await?;
    assert_eq!(warnings, Vec::<String>::new());
    assert_same(&found, &truth_without(&[DAMAGED])?);

    let summary = world.compact().await?;
    the_one_of(&log.take(), &key)?;
    // It is set aside at each run, until somebody mends it or takes it away.
    let failures = failures(&summary);
    assert_eq!(failures.len(), 1, "{failures:#?}");
    the_one_of(&failures, &key)?;
    assert_eq!(merged(&summary), 1, "{summary:?}");
    // It is no partial upload, however old: somebody may know how to read it.
    world.clock.advance(100 * 3_600_000);
    world.compact().await?;
    assert!(world.s3.object(&key).is_some());
    gateway.sync().await?;
    assert_same(&all(&gateway).await?.0, &truth_without(&[DAMAGED])?);
    gateway.stop().await
}
