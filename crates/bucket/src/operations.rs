//! Operations on whole blocks, in an order that never shows a reader half a block.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use model::{
    BlockId, BlockMeta, DeletionMark, NoCompactMark, NoCompactReason, NoDownsampleMark, ServedMark,
    Timestamp,
};

use crate::{BlockObjects, Bucket, BucketError, Operation};

/// Objects deleted at once.
const DELETES: usize = 16;

/// The kind of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark<'a> {
    /// To be deleted, after a delay.
    Deletion,
    /// Not to be compacted, for this reason.
    NoCompact(&'a str),
    /// Not to be downsampled, for this reason.
    NoDownsample(&'a str),
}

/// Uploads the `files` of the block in `dir` below `root`, in their order and `at_once` of them at once, but `meta.json`
/// last and alone.
///
/// Files of an earlier attempt are replaced.
///
/// # Errors
/// When a file cannot be read or uploaded. Then no other file is begun, uploads under way are finished, and no
/// `meta.json` of this attempt exists.
pub fn upload_block<'a>(
    bucket: &'a Bucket,
    dir: &'a Path,
    root: &'a str,
    files: &'a [String],
    at_once: NonZeroUsize,
) -> BoxFuture<'a, Result<(), BucketError>> {
    Box::pin(async move {
        let place = |file: &str| (format!("{root}/{file}"), dir.join(file));
        let rest = files.iter().filter(|file| *file != BlockMeta::FILE);
        let places: Vec<(String, PathBuf)> = rest.map(|file| place(file)).collect();
        let has_failed = AtomicBool::new(false);
        let has_failed = &has_failed;
        let mut uploads = stream::iter(places)
            .map(|(key, path)| async move {
                if has_failed.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let done = bucket.upload(&key, &path).await;
                has_failed.fetch_or(done.is_err(), Ordering::Relaxed);
                done
            })
            .buffer_unordered(at_once.get());
        let mut outcome = Ok(());
        while let Some(done) = uploads.next().await {
            outcome = outcome.and(done);
        }
        outcome?;
        let (key, path) = place(BlockMeta::FILE);
        bucket.upload(&key, &path).await
    })
}

/// Deletes a block: `meta.json` first, so that it is no block any more, and its deletion mark last, so that an
/// interrupted deletion can be recognized. The empty objects that some stores have for its folders are deleted too.
///
/// # Errors
/// At the first object that cannot be deleted. A missing object is no error.
pub fn delete_block<'a>(
    bucket: &'a Bucket,
    objects: &'a BlockObjects,
) -> BoxFuture<'a, Result<(), BucketError>> {
    Box::pin(async move {
        // Whether it was listed or not: an upload may have ended since.
        bucket.delete(&objects.key(BlockMeta::FILE)).await?;
        let names = objects.files.iter().map(|(name, _)| &**name);
        let rest = names.filter(|name| ![BlockMeta::FILE, DeletionMark::FILE].contains(name));
        let rest: Vec<String> = rest.map(|name| objects.key(name)).collect();
        stream::iter(rest)
            .map(|key| async move { bucket.delete(&key).await })
            .buffer_unordered(DELETES)
            .try_collect::<()>()
            .await?;
        bucket.delete(&objects.key(DeletionMark::FILE)).await?;
        for folder in [objects.key("chunks"), objects.root.to_string()] {
            // The block is gone, and an empty object does no harm.
            if let Err(error) = bucket.delete_folder_object(&folder).await {
                tracing::warn!(%error, "folder object of a deleted block not deleted");
            }
        }
        Ok(())
    })
}

/// Marks the block at `root`; returns whether it had no such mark before. `details` are for people.
///
/// # Errors
/// When the mark cannot be checked or written.
pub fn mark_block<'a>(
    bucket: &'a Bucket,
    root: &'a str,
    block: BlockId,
    mark: Mark<'a>,
    details: &'a str,
    now: Timestamp,
) -> BoxFuture<'a, Result<bool, BucketError>> {
    Box::pin(async move {
        let json = mark.encode(block, details, now);
        put_mark(bucket, root, mark.file(), json).await
    })
}

/// Marks the Parquet block at `root` as served by a store gateway from `now` on. A mark that is there stays, as the age of
/// the object counts.
///
/// # Errors
/// When the mark cannot be checked or written.
pub fn mark_served<'a>(
    bucket: &'a Bucket,
    root: &'a str,
    block: BlockId,
    now: Timestamp,
) -> BoxFuture<'a, Result<(), BucketError>> {
    Box::pin(async move {
        let mark = ServedMark {
            id: block,
            version: 1,
            served_time: now.seconds(),
        };
        put_mark(bucket, root, ServedMark::FILE, serde_json::to_vec(&mark)).await?;
        Ok(())
    })
}

/// Writes a mark, unless it is there; returns whether it was not.
async fn put_mark(
    bucket: &Bucket,
    root: &str,
    file: &str,
    json: serde_json::Result<Vec<u8>>,
) -> Result<bool, BucketError> {
    let key = format!("{root}/{file}");
    if bucket.exists(&key).await? {
        return Ok(false);
    }
    let json = json.map_err(|source| BucketError::Store {
        operation: Operation::Upload,
        key: key.clone(),
        cause: source.into(),
    })?;
    bucket.put(&key, json.into()).await?;
    Ok(true)
}

impl<'a> Mark<'a> {
    /// The name of its file.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Deletion => DeletionMark::FILE,
            Self::NoCompact(_) => NoCompactMark::FILE,
            Self::NoDownsample(_) => NoDownsampleMark::FILE,
        }
    }

    /// The reason in the mark; none for a deletion.
    #[must_use]
    pub const fn reason(self) -> &'a str {
        match self {
            Self::Deletion => "",
            Self::NoCompact(reason) | Self::NoDownsample(reason) => reason,
        }
    }

    fn encode(self, id: BlockId, details: &str, now: Timestamp) -> serde_json::Result<Vec<u8>> {
        let (version, details, time) = (1, details.to_owned(), now.seconds());
        match self {
            Self::Deletion => serde_json::to_vec(&DeletionMark {
                id,
                version,
                details,
                deletion_time: time,
            }),
            Self::NoCompact(reason) => serde_json::to_vec(&NoCompactMark {
                id,
                version,
                details,
                no_compact_time: time,
                // A known reason is written as it was read.
                reason: NoCompactReason::Other(reason.to_owned()),
            }),
            Self::NoDownsample(reason) => serde_json::to_vec(&NoDownsampleMark {
                id,
                version,
                details,
                no_downsample_time: time,
                reason: reason.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
