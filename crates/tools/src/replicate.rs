//! Blocks that are copied to another bucket.

use std::path::{Path, PathBuf};

use bucket::{BlockObjects, BlockView, Bucket, Snapshot, Uploaded};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use model::{BlockId, BlockMeta, MARK_FILES, Matcher, Resolution, TimeRange};
use serde::Serialize;

use crate::{Deleted, ToolError};

/// Files of a block that are copied at once.
const FILES: usize = 4;

/// Which blocks are copied.
#[derive(Clone, Debug)]
pub struct Replication {
    /// These, whatever the other fields say; if there are none, those that all other fields select.
    pub ids: Vec<BlockId>,
    /// Those with such external labels.
    pub matchers: Vec<Matcher>,
    /// Those of one of these resolutions.
    pub resolutions: Vec<Resolution>,
    /// Those of one of these compaction levels.
    pub levels: Vec<u32>,
    /// Those that have a time of these, their own end included as Thanos does.
    pub times: TimeRange,
    /// Whether those with a deletion mark.
    pub deleted: Deleted,
}

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Replicated {
    /// Blocks that were copied, oldest first.
    pub copied: Vec<BlockId>,
    /// Blocks that were there already.
    pub present: Vec<BlockId>,
}

impl Replication {
    /// Whether a block is copied.
    #[must_use]
    pub fn selects(&self, view: &BlockView) -> bool {
        let meta = &view.meta;
        let labels = meta.external_labels();
        if labels.is_empty() {
            tracing::error!(block = %meta.ulid, "not copied, as it has no external labels");
            return false;
        }
        if self.deleted == Deleted::LeftOut && view.deletion_mark.is_some() {
            return false;
        }
        if !self.ids.is_empty() {
            return self.ids.contains(&meta.ulid);
        }
        let matches = |matcher: &Matcher| {
            let value = labels.get(&matcher.name).unwrap_or_default();
            matcher.matches(value)
        };
        meta.max_time >= self.times.min
            && meta.min_time <= self.times.max
            && self.matchers.iter().all(matches)
            && self.resolutions.contains(&meta.resolution())
            && self.levels.contains(&meta.compaction.level)
    }
}

/// Copies the selected blocks that `to` has not, oldest first. Files pass through the folder `dir`; `done` hears of each
/// block.
///
/// A block that is there with the same `meta.json` is not looked at. `meta.json` is written last, once every other file
/// was read back and is what was sent.
///
/// # Errors
/// At the first block that cannot be copied; those before it are there.
pub async fn replicate(
    from: &Bucket,
    to: &Bucket,
    snapshot: &Snapshot,
    replication: &Replication,
    dir: &Path,
    mut done: impl FnMut(&BlockView, usize, usize) + Send,
) -> Result<Replicated, ToolError> {
    let selected = snapshot.blocks.iter();
    let mut selected: Vec<&BlockView> = selected.filter(|v| replication.selects(v)).collect();
    selected.sort_by_key(|view| (view.meta.min_time, view.objects.id));
    if let Some(missing) = replication
        .ids
        .iter()
        .find(|id| !snapshot.blocks.iter().any(|view| view.objects.id == **id))
    {
        return Err(ToolError::NoBlock { block: *missing });
    }
    let mut replicated = Replicated::default();
    for (place, view) in selected.iter().enumerate() {
        let block = view.objects.id;
        match copy_block(from, to, &view.objects, dir).await? {
            Copied::Now => replicated.copied.push(block),
            Copied::Before => replicated.present.push(block),
        }
        done(view, place + 1, selected.len());
    }
    Ok(replicated)
}

/// Whether a copy was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copied {
    Now,
    /// It is there already.
    Before,
}

/// Copies a block, `meta.json` last. Marks are left.
pub(crate) async fn copy_block(
    from: &Bucket,
    to: &Bucket,
    objects: &BlockObjects,
    dir: &Path,
) -> Result<Copied, ToolError> {
    let key = objects.key(BlockMeta::FILE);
    let meta = from.get(&key).await?;
    if get_if_any(to, &key).await?.as_ref() == Some(&meta) {
        return Ok(Copied::Before);
    }
    let files = objects.files.iter();
    let files = files.filter(|(name, _)| !is_own(name)).enumerate();
    stream::iter(files)
        .map(|(number, (name, version))| {
            let path = dir.join(format!("{}-{number}", objects.id));
            let (key, size) = (objects.key(name), version.size);
            async move { copy_file(from, to, &key, size, path).await }
        })
        .buffer_unordered(FILES)
        .try_collect::<()>()
        .await?;
    to.put(&key, meta).await?;
    Ok(Copied::Now)
}

/// Whether a file is not one of the block's contents: `meta.json` or a mark.
fn is_own(name: &str) -> bool {
    name == BlockMeta::FILE || MARK_FILES.contains(&name)
}

async fn get_if_any(bucket: &Bucket, key: &str) -> Result<Option<Bytes>, ToolError> {
    match bucket.exists(key).await? {
        true => Ok(Some(bucket.get(key).await?)),
        false => Ok(None),
    }
}

/// Copies an object, unless it is there with the same contents.
async fn copy_file(
    from: &Bucket,
    to: &Bucket,
    key: &str,
    size: u64,
    path: PathBuf,
) -> Result<(), ToolError> {
    if to.exists(key).await?
        && to.head(key).await?.size == size
        && to.hash(key, size).await? == from.hash(key, size).await?
    {
        return Ok(());
    }
    let path = Temporary(path);
    pass(from, to, key, size, &path.0).await
}

/// A file that is removed when it is dropped: also if another one fails and this is given up.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            // The folder is a temporary one, so a file that stays does no lasting harm.
            tracing::warn!(path = %self.0.display(), %error, "temporary file not removed");
        }
    }
}

async fn pass(
    from: &Bucket,
    to: &Bucket,
    key: &str,
    size: u64,
    path: &Path,
) -> Result<(), ToolError> {
    from.download(key, path).await?;
    let is_there = match to.upload_linked(key, path).await? {
        Uploaded::Linked => to.is_file(key, path).await?,
        Uploaded::Copied { hash } => {
            to.head(key).await?.size == size && to.hash(key, size).await? == hash
        }
    };
    match is_there {
        true => Ok(()),
        false => Err(ToolError::Copy {
            key: key.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use bucket::testing::{FailingBucket, ReadFault, WriteFault};
    use model::MatchOp;

    use super::*;
    use crate::testing::{ID, OTHER, put, snapshot};

    fn all() -> Replication {
        Replication {
            ids: Vec::new(),
            matchers: Vec::new(),
            resolutions: vec![
                Resolution::Raw,
                Resolution::FiveMinutes,
                Resolution::OneHour,
            ],
            levels: vec![1, 2, 3, 4],
            times: TimeRange::ALL,
            deleted: Deleted::Listed,
        }
    }

    /// A TSDB block and a younger Parquet block.
    async fn filled() -> Bucket {
        let bucket = Bucket::in_memory();
        let members = |times: &str| {
            format!(
                r#"{times},"compaction":{{"level":1}},"thanos":{{"labels":{{"cluster":"eu-1"}}}}"#
            )
        };
        put(&bucket, ID, &members(r#""minTime":5,"maxTime":6"#)).await;
        let parquet = format!("parquet/{OTHER}");
        put(&bucket, &parquet, &members(r#""minTime":7,"maxTime":9"#)).await;
        for key in [
            format!("{ID}/index"),
            format!("{ID}/chunks/000001"),
            format!("{ID}/no-compact-mark.json"),
            format!("{parquet}/0.labels.parquet"),
        ] {
            bucket.put(&key, key.clone().into()).await.unwrap();
        }
        let mark = format!(r#"{{"version":1,"id":"{ID}"}}"#);
        let key = format!("{ID}/no-compact-mark.json");
        bucket.put(&key, mark.into()).await.unwrap();
        bucket
    }

    async fn keys(bucket: &Bucket) -> Vec<String> {
        let objects = bucket.list("", None).await.unwrap();
        objects.into_iter().map(|object| object.key).collect()
    }

    async fn run(
        from: &Bucket,
        to: &Bucket,
        replication: &Replication,
    ) -> Result<Replicated, ToolError> {
        let dir = tempfile::tempdir().unwrap();
        let snapshot = snapshot(from).await;
        let done = replicate(from, to, &snapshot, replication, dir.path(), |_, _, _| {}).await;
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        done
    }

    #[tokio::test]
    async fn blocks_of_both_formats_are_copied_without_their_marks_and_not_again() {
        let (from, to) = (filled().await, Bucket::in_memory());
        let ids = [ID, OTHER].map(|id| id.parse().unwrap());
        let done = run(&from, &to, &all()).await.unwrap();
        assert_eq!(done.copied, ids);
        let expected: Vec<String> = keys(&from).await;
        let expected = expected.into_iter().filter(|key| !key.contains("mark"));
        assert_eq!(keys(&to).await, expected.collect::<Vec<_>>());
        let again = run(&from, &to, &all()).await.unwrap();
        assert_eq!((again.copied, again.present), (Vec::new(), ids.to_vec()));
    }

    #[tokio::test]
    async fn a_copy_that_was_cut_off_is_no_block_and_is_completed_by_the_next() {
        let from = filled().await;
        for fault in [WriteFault::Refused, WriteFault::Cut] {
            // The index, the chunks and meta.json of the first block.
            for write in 0..3 {
                let inner = Bucket::in_memory();
                let failing = FailingBucket::new(&inner);
                failing.die_at_write(write, fault);
                run(&from, &failing.bucket(), &all()).await.unwrap_err();
                let there = snapshot(&inner).await;
                assert_eq!(there.blocks, [], "{fault:?} {write}");
                // What is there by now may be other bytes of the same number.
                let key = format!("{ID}/index");
                let other = "x".repeat(key.len());
                inner.put(&key, other.into()).await.unwrap();
                let done = run(&from, &inner, &all()).await.unwrap();
                assert_eq!(done.copied.len(), 2, "{fault:?} {write}");
                assert_eq!(inner.get(&key).await.unwrap(), key);
            }
        }
    }

    #[tokio::test]
    async fn what_arrives_otherwise_than_it_was_sent_is_no_block() {
        let from = filled().await;
        let inner = Bucket::in_memory();
        let failing = FailingBucket::new(&inner);
        failing.fail_reads("index", ReadFault::Flipped);
        let error = run(&from, &failing.bucket(), &all()).await.unwrap_err();
        let expected = format!("{ID}/index: expected the bytes that were sent, found others");
        assert_eq!(error.to_string(), expected);
        assert!(!inner.exists(&format!("{ID}/meta.json")).await.unwrap());
    }

    #[tokio::test]
    async fn only_the_selected_blocks_are_copied() {
        let from = filled().await;
        let copied = async |replication: Replication| {
            let done = run(&from, &Bucket::in_memory(), &replication).await;
            done.map(|done| {
                done.copied
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
            })
        };
        let matcher = |value| Matcher::new(MatchOp::Regex, "cluster", value).unwrap();
        for (replication, expected) in [
            (
                Replication {
                    matchers: vec![matcher("us-.*")],
                    ..all()
                },
                vec![],
            ),
            (
                Replication {
                    levels: vec![2],
                    ..all()
                },
                vec![],
            ),
            (
                Replication {
                    resolutions: vec![Resolution::OneHour],
                    ..all()
                },
                vec![],
            ),
            (
                Replication {
                    times: TimeRange::new(7, 100),
                    ..all()
                },
                vec![OTHER],
            ),
            (
                Replication {
                    ids: vec![OTHER.parse().unwrap()],
                    levels: vec![],
                    ..all()
                },
                vec![OTHER],
            ),
        ] {
            assert_eq!(copied(replication).await.unwrap(), expected);
        }
        let gone = Replication {
            ids: vec!["01M8730Z9ADPS1ZRFG8H4AQGYD".parse().unwrap()],
            ..all()
        };
        let error = copied(gone).await.unwrap_err();
        assert!(matches!(error, ToolError::NoBlock { .. }), "{error}");
    }
}
