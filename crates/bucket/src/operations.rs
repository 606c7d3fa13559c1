//! What is done with whole blocks, in the order that never shows a reader half of one.

use std::path::Path;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use model::{
    BlockId, BlockMeta, DeletionMark, NoCompactMark, NoCompactReason, NoDownsampleMark, Timestamp,
};
use serde::Serialize;

use crate::{BlockObjects, Bucket, BucketError, Operation};

/// Objects deleted at once.
const DELETES: usize = 16;

/// Uploads the `files` of the block in `dir` below `root`, in their order but `meta.json` last.
///
/// What an earlier attempt left is written over.
///
/// # Errors
/// At the first file that cannot be read or uploaded; then there is no `meta.json` of this attempt.
pub async fn upload_block(
    bucket: &Bucket,
    dir: &Path,
    root: &str,
    files: &[String],
) -> Result<(), BucketError> {
    let rest = files.iter().map(String::as_str);
    let rest = rest.filter(|file| *file != BlockMeta::FILE);
    for file in rest.chain([BlockMeta::FILE]) {
        bucket
            .upload(&format!("{root}/{file}"), &dir.join(file))
            .await?;
    }
    Ok(())
}

/// Deletes a block: `meta.json` first, so that it is none any more, and its deletion mark last, so that a deletion
/// that was cut off is still known as one.
///
/// # Errors
/// At the first object that cannot be deleted. One that is gone already is none.
pub async fn delete_block(bucket: &Bucket, objects: &BlockObjects) -> Result<(), BucketError> {
    // Whether or not it was listed: an upload may have ended since.
    bucket.delete(&objects.key(BlockMeta::FILE)).await?;
    let rest = objects.files.iter();
    let rest =
        rest.filter(|(name, _)| ![BlockMeta::FILE, DeletionMark::FILE].contains(&name.as_str()));
    stream::iter(rest)
        .map(|(_, object)| bucket.delete(&object.key))
        .buffer_unordered(DELETES)
        .try_collect::<()>()
        .await?;
    bucket.delete(&objects.key(DeletionMark::FILE)).await
}

/// Marks the block at `root` for deletion; tells whether it was not marked before.
///
/// # Errors
/// When the mark cannot be looked for or written.
pub async fn mark_for_deletion(
    bucket: &Bucket,
    root: &str,
    block: BlockId,
    details: &str,
    now: Timestamp,
) -> Result<bool, BucketError> {
    let mark = DeletionMark {
        id: block,
        version: 1,
        details: details.to_owned(),
        deletion_time: now.0.div_euclid(1000),
    };
    put_mark(bucket, &format!("{root}/{}", DeletionMark::FILE), &mark).await
}

/// Marks the block at `root` as not to be compacted; tells whether it was not marked before.
///
/// # Errors
/// When the mark cannot be looked for or written.
pub async fn mark_no_compact(
    bucket: &Bucket,
    root: &str,
    block: BlockId,
    reason: NoCompactReason,
    details: &str,
    now: Timestamp,
) -> Result<bool, BucketError> {
    let mark = NoCompactMark {
        id: block,
        version: 1,
        details: details.to_owned(),
        no_compact_time: now.0.div_euclid(1000),
        reason,
    };
    put_mark(bucket, &format!("{root}/{}", NoCompactMark::FILE), &mark).await
}

/// Marks the block at `root` as not to be downsampled; tells whether it was not marked before.
///
/// # Errors
/// When the mark cannot be looked for or written.
pub async fn mark_no_downsample(
    bucket: &Bucket,
    root: &str,
    block: BlockId,
    reason: &str,
    details: &str,
    now: Timestamp,
) -> Result<bool, BucketError> {
    let mark = NoDownsampleMark {
        id: block,
        version: 1,
        details: details.to_owned(),
        no_downsample_time: now.0.div_euclid(1000),
        reason: reason.to_owned(),
    };
    put_mark(bucket, &format!("{root}/{}", NoDownsampleMark::FILE), &mark).await
}

async fn put_mark<T: Serialize + Sync>(
    bucket: &Bucket,
    key: &str,
    mark: &T,
) -> Result<bool, BucketError> {
    if bucket.exists(key).await? {
        return Ok(false);
    }
    let json = serde_json::to_vec(mark).map_err(|source| BucketError::Store {
        operation: Operation::Upload,
        key: key.to_owned(),
        cause: source.into(),
    })?;
    bucket.put(key, json.into()).await?;
    Ok(true)
}

#[cfg(test)]
mod tests;
