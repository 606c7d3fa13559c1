//! Whether a compacted block overlaps what is in the bucket: then its samples are there already, in other blocks.

use bucket::{Bucket, BucketError};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use model::{BlockId, BlockMeta};

/// `meta.json` fetched at once.
const CONCURRENCY: usize = 32;

/// A block in the bucket with the labels of `meta` that shares time with it.
///
/// Looks at every block: it is asked for compacted blocks only, of which there are few.
///
/// # Errors
/// When the bucket cannot be listed or a `meta.json` cannot be fetched. One that cannot be read is no block.
pub(crate) async fn find(
    bucket: &Bucket,
    meta: &BlockMeta,
) -> Result<Option<BlockId>, BucketError> {
    let objects = bucket.list("", None).await?;
    let metas = objects.into_iter().filter(|object| is_meta(&object.key));
    let labels = meta.external_labels();
    let mut others = stream::iter(metas)
        .map(|object| async move {
            // What was damaged on the way only is no reason to upload samples that are there.
            let is_usable = |json: &[u8]| BlockMeta::decode(json).is_ok();
            match bucket.get_listed(&object, &is_usable).await {
                Ok(json) => Ok(BlockMeta::decode(&json).ok()),
                Err(BucketError::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        })
        .buffer_unordered(CONCURRENCY);
    while let Some(other) = others.try_next().await? {
        let Some(other) = other else {
            continue;
        };
        let apart = other.max_time <= meta.min_time || meta.max_time <= other.min_time;
        if !apart && other.ulid != meta.ulid && other.external_labels() == labels {
            return Ok(Some(other.ulid));
        }
    }
    Ok(None)
}

/// Whether it is the `meta.json` of a TSDB or of a Parquet block.
fn is_meta(key: &str) -> bool {
    let block = key
        .strip_suffix(BlockMeta::FILE)
        .and_then(|k| k.strip_suffix('/'));
    let id = block.map(|b| b.strip_prefix("parquet/").unwrap_or(b));
    id.is_some_and(|id| id.parse::<BlockId>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_both_kinds_are_known_by_their_keys() {
        for key in [
            "01HF8J5JG0RAVB4GMS32W7ZJ2B/meta.json",
            "parquet/01HF8J5JG0RAVB4GMS32W7ZJ2B/meta.json",
        ] {
            assert!(is_meta(key), "{key}");
        }
        for key in [
            "meta.json",
            "debug/01HF8J5JG0RAVB4GMS32W7ZJ2B/meta.json",
            "01HF8J5JG0RAVB4GMS32W7ZJ2B/xmeta.json",
            "01HF8J5JG0RAVB4GMS32W7ZJ2B/index",
        ] {
            assert!(!is_meta(key), "{key}");
        }
    }
}
