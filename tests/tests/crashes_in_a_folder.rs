//! The compactor is killed at any write to a bucket that is a folder, where files are linked and not sent: the sources
//! that it has links to are what they were, and the next run ends in the same bucket.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use bucket::{
    Bucket, BucketConfig,
    testing::{FailingBucket, ReadFault, WriteFault},
};
use compactor::{Config, Summary};
use model::{BlockMeta, Labels, Resolution};
use service::Clock as _;
use tests::{MadeBlock, World, files};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// The names of files, with what they hold.
type Files = BTreeMap<String, Vec<u8>>;

/// A bucket in a folder that fails on demand, and what was in it at first.
struct Folder {
    world: World,
    failing: FailingBucket,
    sources: Files,
}

impl Folder {
    /// The inputs of a merge of both formats, which makes raw samples and 5 m; and a block that is the newest.
    async fn new() -> anyhow::Result<Self> {
        let world = World::new().await?;
        let root = world.scratch().join("bucket");
        let start = (world.clock.now_ms() - 20 * DAY) / (2 * DAY) * (2 * DAY);
        let labels = Labels::from_pairs([("cluster", "eu-1")]);
        for (day, is_parquet) in [(0, false), (1, true), (2, false)] {
            let at = start + day * DAY;
            let block = MadeBlock::new(1, &labels, at, at + DAY).every(10 * 60_000);
            match is_parquet {
                true => {
                    let dir = root.join("parquet").join(block.id.to_string());
                    block.write_parquet(&dir, Resolution::Raw)?;
                }
                false => {
                    block.write_tsdb(&root.join(block.id.to_string()))?;
                }
            }
        }
        let bucket = BucketConfig::filesystem(&root).open()?;
        Ok(Self {
            failing: FailingBucket::new(&bucket),
            sources: content(&root)?,
            world,
        })
    }

    fn root(&self) -> PathBuf {
        self.world.scratch().join("bucket")
    }

    async fn compact(&self, bucket: Bucket) -> anyhow::Result<Summary> {
        self.world.clock.advance(HOUR);
        self.world.compact_with(Config::default(), bucket).await
    }

    /// A run that nothing befalls.
    async fn compact_undisturbed(&self) -> anyhow::Result<()> {
        let summary = self.compact(self.failing.bucket()).await?;
        let is_whole = summary.failed.is_empty() && summary.left_to_others.is_empty();
        anyhow::ensure!(is_whole, "{summary:?}");
        let work = files(&self.world.compactor_dir().join("compact"))?;
        anyhow::ensure!(work.is_empty(), "{work:?} are left");
        Ok(())
    }

    /// The blocks that were made, by their resolutions, with their files but for `meta.json`.
    fn made(&self) -> anyhow::Result<BTreeMap<i64, Files>> {
        let all = content(&self.root())?;
        let mut made = BTreeMap::new();
        for (key, json) in all.iter().filter(|(key, _)| key.ends_with("/meta.json")) {
            let meta = BlockMeta::decode(json)?;
            if meta.compaction.sources.len() < 2 {
                continue;
            }
            let root = key.strip_suffix(BlockMeta::FILE).context("a root")?;
            let of_block = all.iter().filter_map(|(key, bytes)| {
                let name = key.strip_prefix(root)?;
                (name != BlockMeta::FILE).then(|| (name.to_owned(), bytes.clone()))
            });
            let other = made.insert(meta.resolution().millis(), of_block.collect());
            anyhow::ensure!(other.is_none(), "two blocks of one resolution");
        }
        Ok(made)
    }

    /// The files of sources in the work folder, by the objects that they are of.
    fn links(&self) -> anyhow::Result<Vec<(String, PathBuf)>> {
        let fetched = files(&self.world.compactor_dir().join("compact"))?;
        let links = fetched.into_iter().filter_map(|(name, path)| {
            let (_, object) = name.split_once('/')?;
            let below_parquet = format!("parquet/{object}");
            let keys = [object, below_parquet.as_str()];
            let key = keys.into_iter().find(|key| self.sources.contains_key(*key));
            let key = key.filter(|key| !key.ends_with(BlockMeta::FILE))?;
            Some((key.to_owned(), path))
        });
        Ok(links.collect())
    }

    fn assert_sources_whole(&self) -> anyhow::Result<()> {
        let all = content(&self.root())?;
        for (name, bytes) in &self.sources {
            anyhow::ensure!(all.get(name) == Some(bytes), "{name} is another");
        }
        Ok(())
    }

    /// Every file is a source's, or of a block that was made, a mark, a lease or the catalog.
    fn assert_nothing_else(&self) -> anyhow::Result<()> {
        for (name, _) in content(&self.root())? {
            let is_whole_block = |root: &str| {
                let meta = self.root().join(root).join(BlockMeta::FILE);
                meta.try_exists().unwrap_or(false)
            };
            let block = match name.strip_prefix("parquet/") {
                Some(below) => format!("parquet/{}", below.split('/').next().unwrap_or_default()),
                None => name.split('/').next().unwrap_or_default().to_owned(),
            };
            let known = name.starts_with("parquet/leases/") || name == "parquet/catalog";
            let is_object = !name.contains('#');
            anyhow::ensure!(is_object && (known || is_whole_block(&block)), "{name}");
        }
        Ok(())
    }

    /// Makes all files as old as the world has it, which may differ from what the disk has.
    fn let_files_age(&self) -> anyhow::Result<()> {
        let now = u64::try_from(self.world.clock.now_ms())?;
        for (_, path) in files(&self.root())? {
            let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now);
            fs::File::open(path)?.set_modified(now)?;
        }
        Ok(())
    }
}

/// All files below a folder.
fn content(root: &Path) -> anyhow::Result<Files> {
    let files = files(root)?.into_iter();
    files
        .map(|(name, path)| Ok((name, fs::read(path)?)))
        .collect()
}

/// The run that nothing befalls: what it makes, and what it writes in turn.
async fn undisturbed() -> anyhow::Result<(BTreeMap<i64, Files>, Vec<String>)> {
    let folder = Folder::new().await?;
    folder.compact_undisturbed().await?;
    folder.assert_sources_whole()?;
    folder.assert_nothing_else()?;
    let mut writes = folder.failing.log();
    writes.retain(|done| {
        ["put ", "upload ", "delete "]
            .iter()
            .any(|w| done.starts_with(w))
    });
    assert_eq!(writes.len(), folder.failing.writes());
    let uploads = writes.iter().filter(|done| done.starts_with("upload "));
    // Labels and data of two outputs.
    assert_eq!(uploads.count(), 4, "{writes:#?}");
    let made = folder.made()?;
    assert_eq!(made.len(), 2);
    Ok((made, writes))
}

async fn killed_at(
    write: usize,
    fault: WriteFault,
    expected: &BTreeMap<i64, Files>,
) -> anyhow::Result<()> {
    let folder = Folder::new().await?;
    folder.failing.die_at_write(write, fault);
    // It may be over before the error is seen, as where a lease is not released.
    let first = folder.compact(folder.failing.bucket()).await;
    anyhow::ensure!(folder.failing.writes() > write, "{first:?}");
    folder.assert_sources_whole()?;
    folder.failing.heal();
    folder.compact_undisturbed().await?;
    folder.assert_sources_whole()?;
    anyhow::ensure!(&folder.made()? == expected, "other blocks");
    // What was left is cleared away once it is old, and so are the sources.
    folder.let_files_age()?;
    folder.world.clock.advance(100 * HOUR);
    folder.compact_undisturbed().await?;
    folder.assert_nothing_else()?;
    anyhow::ensure!(&folder.made()? == expected, "other blocks at the end");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_may_be_killed_at_any_write_to_a_folder() -> anyhow::Result<()> {
    let (expected, writes) = undisturbed().await?;
    for (write, what) in writes.iter().enumerate() {
        // What is no file of the compactor's is written at once or not at all.
        let faults = match what.starts_with("upload ") {
            true => &[WriteFault::Refused, WriteFault::Cut, WriteFault::AnswerLost][..],
            false => &[WriteFault::Refused, WriteFault::AnswerLost],
        };
        for fault in faults {
            let killed = killed_at(write, *fault, &expected).await;
            killed.with_context(|| format!("{fault:?} at write {write}, {what}"))?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_are_whole_whatever_becomes_of_the_links_to_them() -> anyhow::Result<()> {
    let (expected, writes) = undisturbed().await?;
    let folder = Folder::new().await?;
    let (failing, bucket) = (&folder.failing, folder.failing.bucket());
    let upload = writes.iter().position(|done| done.starts_with("upload "));
    failing.die_at_write(upload.context("an upload")?, WriteFault::Refused);
    let stopped = folder.compact(bucket.clone()).await;
    failing.heal();
    let links = folder.links()?;
    // Index, chunks and tombstones; labels and chunks.
    assert_eq!(links.len(), 5, "{stopped:?}");
    let others = folder.world.compactor_dir().join("compact/0@1-2-3");
    fs::create_dir(&others)?;
    for (number, (key, path)) in links.iter().enumerate() {
        assert!(bucket.is_file(key, path).await?, "{key}");
        fs::hard_link(path, others.join(number.to_string()))?;
        // As one leaves it that is killed before the link has its name, or that could not link.
        fs::hard_link(path, format!("{}.part", path.display()))?;
        fs::remove_file(path)?;
        if number % 2 == 1 {
            fs::write(path, "cut off")?;
        }
        failing.fail_reads(key, ReadFault::Truncated);
    }
    let cut = folder.compact(bucket).await?;
    assert_eq!(cut.failed.len(), 1, "{cut:?}");
    assert!(!others.try_exists()?);
    folder.assert_sources_whole()?;
    failing.heal();
    folder.compact_undisturbed().await?;
    folder.assert_sources_whole()?;
    assert!(folder.made()? == expected, "other blocks");
    Ok(())
}
