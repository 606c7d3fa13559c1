//! `parquet/catalog`: the `meta.json` and marks of all blocks in one object, so that a program that starts with an
//! empty disk reads one listing and one object, not one object for each block.
//!
//! It is a cache: an entry counts only for the version of an object that a listing shows, so entries of deleted
//! blocks, other buckets or older versions do no harm. It does not hold the bytes of the objects, but their decoded
//! contents, encoded anew.

mod format;

use std::sync::Arc;

use futures::future::BoxFuture;
use model::{BlockMeta, DeletionMark, NoCompactMark, NoDownsampleMark};
use serde::Serialize;

#[cfg_attr(
    not(any(test, feature = "testing")),
    expect(unreachable_pub, reason = "the feature `testing` gives it to others")
)]
pub use self::format::{decode, encode};
use crate::{BlockView, Bucket, BucketError, Object, Snapshot};

/// Its key.
pub(crate) const CATALOG: &str = "parquet/catalog";
/// The most bytes of it that are read; millions of blocks take less.
pub(crate) const MAX_SIZE: u64 = 512 << 20;

/// Writes the contents of the blocks in `snapshot`, which is of the last synchronization with `bucket`, unless the
/// catalog has them already; returns whether it was written.
///
/// If several write, the last one wins, which at worst costs readers some requests.
///
/// # Errors
/// When the bucket cannot be read or written.
pub fn write_catalog<'a>(
    bucket: &'a Bucket,
    snapshot: &'a Snapshot,
) -> BoxFuture<'a, Result<bool, BucketError>> {
    Box::pin(async move {
        let mut entries = Vec::new();
        for view in &snapshot.blocks {
            add(view, &mut entries);
        }
        let fingerprint = format::fingerprint(entries.iter().map(|entry| &entry.object));
        let there = match bucket.get_range(CATALOG, 0..format::HEADER).await {
            Ok(header) => Some(format::same(&header, fingerprint)),
            Err(BucketError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        // Without blocks, no catalog is written.
        if there == Some(true) || there.is_none() && entries.is_empty() {
            return Ok(false);
        }
        // A runtime that shuts down needs none.
        let encoded = tokio::task::spawn_blocking(move || {
            let entries = entries.iter();
            encode(entries.map(|entry| (&entry.object, entry.content.json())))
        });
        let Ok(encoded) = encoded.await else {
            return Ok(false);
        };
        bucket.put(CATALOG, encoded.into()).await?;
        Ok(true)
    })
}

/// A file of a block, as it will be written.
#[derive(Debug)]
struct Entry {
    object: Object,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Meta(Arc<BlockMeta>),
    Mark(Vec<u8>),
}

impl Content {
    fn json(&self) -> Vec<u8> {
        match self {
            Self::Meta(meta) => meta.encode(),
            Self::Mark(json) => json.clone(),
        }
    }
}

fn add(view: &BlockView, entries: &mut Vec<Entry>) {
    for (file, content) in [
        (BlockMeta::FILE, Some(Content::Meta(Arc::clone(&view.meta)))),
        (DeletionMark::FILE, mark(view.deletion_mark.as_deref())),
        (NoCompactMark::FILE, mark(view.no_compact_mark.as_deref())),
        (
            NoDownsampleMark::FILE,
            mark(view.no_downsample_mark.as_deref()),
        ),
    ] {
        if let (Some(version), Some(content)) = (view.objects.files.get(file), content) {
            let object = version.object(view.objects.key(file));
            entries.push(Entry { object, content });
        }
    }
}

fn mark(mark: Option<&impl Serialize>) -> Option<Content> {
    serde_json::to_vec(mark?).ok().map(Content::Mark)
}

#[cfg(test)]
mod tests;
