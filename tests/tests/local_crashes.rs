//! The compactor is killed between any two writes to its own disk, or in the middle of one. What it left there is used
//! if it is whole and cleared away if not, and the bucket ends as it would have otherwise.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use compactor::Config;
use model::{BlockMeta, Labels, Resolution};
use service::Clock as _;
use tests::{
    Answer, Failure, Fault, MadeBlock, Operation, When, World, files, matcher, series_request,
};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// The inputs of a merge of both formats, which makes raw samples and 5 m; and a block that is the newest.
fn blocks(now: i64) -> [(MadeBlock, bool); 3] {
    let start = (now - 20 * DAY) / (2 * DAY) * (2 * DAY);
    let labels = Labels::from_pairs([("cluster", "eu-1")]);
    let day = |n: i64| {
        let at = start + n * DAY;
        MadeBlock::new(1, &labels, at, at + DAY).every(10 * 60_000)
    };
    [(day(0), false), (day(1), true), (day(2), false)]
}

async fn world() -> anyhow::Result<(World, Answer)> {
    let world = World::new().await?;
    let mut truth = Answer::default();
    for (block, is_parquet) in blocks(world.clock.now_ms()) {
        let dir = world.scratch().join(block.id.to_string());
        let root = match is_parquet {
            true => {
                block.write_parquet(&dir, Resolution::Raw)?;
                format!("parquet/{}", block.id)
            }
            false => {
                block.write_tsdb(&dir)?;
                block.id.to_string()
            }
        };
        world.put_block(&dir, &root)?;
        truth.merge(block.answer()?)?;
    }
    Ok((world, truth))
}

/// The files that a run writes to its folder, in their order, with what it writes.
async fn written() -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let (world, _) = world().await?;
    // All is written when the first file is to be uploaded.
    world.s3.inject(Fault {
        when: When::Writes(".parquet".to_owned()),
        failure: Failure::Refused,
    });
    let stopped = world.compact().await?;
    anyhow::ensure!(world.s3.heal() > 0, "no upload: {stopped:?}");
    let root = world.compactor_dir();
    let mut written = Vec::new();
    for (name, path) in files(&root)? {
        let modified = fs::metadata(&path)?.modified()?;
        written.push((modified, PathBuf::from(name), fs::read(path)?));
    }
    written.sort();
    let written = written.into_iter().map(|(_, name, bytes)| (name, bytes));
    Ok(written.collect())
}

fn write(root: &Path, name: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let path = root.join(name);
    fs::create_dir_all(path.parent().context("a folder")?)?;
    fs::write(&path, bytes).with_context(|| path.display().to_string())
}

/// The name under which a download is written before it is whole.
fn part(name: &Path) -> PathBuf {
    let mut part = name.as_os_str().to_owned();
    part.push(".part");
    part.into()
}

/// The blocks that were made, by their resolutions, with their files but for `meta.json`.
fn made(world: &World) -> anyhow::Result<BTreeMap<i64, BTreeMap<String, Vec<u8>>>> {
    let mut made = BTreeMap::new();
    let keys = world.s3.keys();
    for key in keys.iter().filter(|key| key.ends_with("/meta.json")) {
        let meta = BlockMeta::decode(&world.s3.object(key).context("a meta.json")?)?;
        if meta.compaction.sources.len() < 2 {
            continue;
        }
        let root = key.strip_suffix(BlockMeta::FILE).context("a root")?;
        let files = keys.iter().filter_map(|key| key.strip_prefix(root));
        let files = files.filter(|name| *name != BlockMeta::FILE).map(|name| {
            let bytes = world.s3.object(&format!("{root}{name}"));
            (name.to_owned(), bytes.unwrap_or_default().to_vec())
        });
        let other = made.insert(meta.resolution().millis(), files.collect());
        anyhow::ensure!(other.is_none(), "two blocks of one resolution");
    }
    Ok(made)
}

/// A run in a folder that holds `left` from before: what it makes; and which files of inputs it downloads.
async fn resumed(
    left: &[(PathBuf, &[u8])],
) -> anyhow::Result<(BTreeMap<i64, BTreeMap<String, Vec<u8>>>, Vec<String>)> {
    let (world, truth) = world().await?;
    for (name, bytes) in left {
        write(&world.compactor_dir(), name, bytes)?;
    }
    world.s3.take_log();
    let summary = world.compact().await?;
    anyhow::ensure!(summary.failed.is_empty(), "{summary:?}");
    let log = world.s3.take_log();
    let inputs = blocks(world.clock.now_ms() - HOUR);
    let inputs: Vec<String> = inputs.iter().map(|(b, _)| b.id.to_string()).collect();
    let fetched = log.into_iter().filter(|request| {
        let of_input = inputs.iter().any(|id| request.key.contains(id));
        request.operation == Operation::Get && of_input && !request.key.ends_with(".json")
    });
    let fetched = fetched.map(|request| request.key).collect();
    let gateway = world.gateway().await?;
    let all = [matcher("__name__", "=~", ".+")?];
    let answer = gateway
        .client
        .series(series_request(&all, model::TimeRange::ALL));
    let difference = answer.await?.checked()?.difference(&truth);
    anyhow::ensure!(difference.is_none(), "{difference:?}");
    gateway.stop().await?;
    let work = files(&world.compactor_dir().join("compact"))?;
    anyhow::ensure!(work.is_empty(), "{work:?} are left");
    let again = world
        .compact_with(Config::default(), world.bucket()?)
        .await?;
    anyhow::ensure!(
        again.merged.is_empty() && again.failed.is_empty(),
        "{again:?}"
    );
    Ok((made(&world)?, fetched))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_may_be_killed_at_any_write_to_its_own_disk() -> anyhow::Result<()> {
    let written = written().await?;
    let is_out = |name: &Path| name.iter().any(|part| part == "out");
    let is_download = |name: &Path| {
        let json = name.extension().is_some_and(|e| e == "json");
        name.starts_with("compact") && !is_out(name) && !json
    };
    let downloads = written.iter().filter(|(name, _)| is_download(name)).count();
    let outs = written.iter().filter(|(name, _)| is_out(name)).count();
    // Index, chunks and tombstones; labels and chunks; and labels and data of two outputs.
    assert_eq!((downloads, outs), (5, 4), "{written:#?}");
    let (expected, fetched) = resumed(&[]).await?;
    assert_eq!(
        (expected.len(), fetched.len()),
        (2, downloads),
        "{fetched:?}"
    );

    for (at, (name, bytes)) in written.iter().enumerate() {
        let whole = written[..at].iter();
        let whole: Vec<(PathBuf, &[u8])> = whole
            .map(|(name, bytes)| (name.clone(), bytes.as_slice()))
            .collect();
        let here = whole.iter().filter(|(name, _)| is_download(name)).count();
        for length in [
            0,
            bytes.len() / 2,
            bytes.len().saturating_sub(1),
            bytes.len(),
        ] {
            let mut left = whole.clone();
            let unfinished = match is_download(name) {
                true => part(name),
                false => name.clone(),
            };
            left.push((unfinished, &bytes[..length]));
            let killed = resumed(&left).await;
            let context = || format!("killed at byte {length} of {}", name.display());
            let (made, fetched) = killed.with_context(context)?;
            assert!(made == expected, "{}: other blocks", context());
            // What is whole is not fetched again.
            assert_eq!(
                fetched.len(),
                downloads - here,
                "{}: {fetched:?}",
                context()
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_another_release_or_program_are_removed() -> anyhow::Result<()> {
    let (expected, _) = resumed(&[]).await?;
    let left: [(&str, &[u8]); 4] = [
        ("compact/a file", b"garbage"),
        (
            "compact/0@1-2-3/01M8730YYK53DX21EDQCEJACBY/index",
            b"garbage",
        ),
        ("compact/0@1-2-3/out/0/0.labels.parquet", b"garbage"),
        ("meta-syncer/01M8730YYK53DX21EDQCEJACBY/meta.json", b"{"),
    ];
    let left = left.map(|(name, bytes)| (PathBuf::from(name), bytes));
    let (made, _) = resumed(&left).await?;
    assert!(made == expected, "other blocks");
    Ok(())
}
