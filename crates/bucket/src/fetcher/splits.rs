//! Where a listing is split into parts that are listed at once: by the blocks of the listing before.
//!
//! What has changed since then makes the parts unequal and loses nothing.

use model::BlockId;

use super::cache::DiskCache;
use crate::objects::{ListedBlock, PARQUET_ROOT};

/// The most parts.
const PARTS: usize = 16;
/// The fewest objects of a part: ten answers of a store. A part may cost an answer more than its objects need.
const OBJECTS: usize = 10_000;

/// How the next listing is split.
#[derive(Debug)]
pub(super) enum Splits {
    /// As the process before has kept it.
    Unread,
    /// The keys with which parts end, all but the last: folders of blocks, so that no block is in two parts.
    Keys(Vec<String>),
    /// Parts are of no use: a folder is listed by all cores, or the store lists in another order.
    Useless,
}

impl Splits {
    /// The keys; at first those that were kept in `cache`.
    pub(super) async fn keys(&mut self, cache: Option<&DiskCache>) -> Vec<String> {
        if matches!(self, Self::Unread) {
            let kept = match cache {
                Some(cache) => parsed(&cache.splits().await),
                None => Vec::new(),
            };
            *self = Self::Keys(kept);
        }
        match self {
            Self::Keys(keys) => keys.clone(),
            Self::Unread | Self::Useless => Vec::new(),
        }
    }

    /// The store does not list in order.
    pub(super) fn unordered(&mut self) {
        tracing::warn!(
            "the bucket is not listed in the order of keys, so it is listed in one part"
        );
        *self = Self::Useless;
    }

    /// Splits the next listing by the `blocks` of this one, sorted by their folders, and keeps the keys in `cache`.
    pub(super) async fn take(&mut self, blocks: &[ListedBlock], cache: Option<&DiskCache>) {
        let Self::Keys(keys) = self else {
            return;
        };
        let blocks = blocks.iter().map(|block| &block.objects);
        let next = split(blocks.map(|objects| (&*objects.root, objects.files.iter().len())));
        if next == *keys {
            return;
        }
        *keys = next;
        if let Some(cache) = cache {
            cache.keep_splits(keys.join("\n")).await;
        }
    }
}

/// Parts of as many objects, by the blocks' folders and numbers of objects.
fn split<'a>(blocks: impl Iterator<Item = (&'a str, usize)> + Clone) -> Vec<String> {
    let all: usize = blocks.clone().map(|(_, objects)| objects).sum();
    let parts = (all / OBJECTS).min(PARTS);
    let share = all.div_ceil(parts.max(1));
    let (mut keys, mut before) = (Vec::new(), 0);
    for (root, objects) in blocks {
        if keys.len() + 1 < parts && before >= share * (keys.len() + 1) {
            keys.push(root.to_owned());
        }
        before += objects;
    }
    keys
}

/// The keys that were kept; none if they are not what was written.
fn parsed(kept: &str) -> Vec<String> {
    let keys: Vec<String> = kept.lines().map(str::to_owned).collect();
    let below = format!("{PARQUET_ROOT}/");
    let is_root = |key: &String| {
        let id = key.strip_prefix(&below).unwrap_or(key);
        id.parse::<BlockId>().is_ok()
    };
    let is_whole = keys.iter().all(is_root) && keys.is_sorted_by(|a, b| a < b);
    match is_whole && keys.len() < PARTS {
        true => keys,
        false => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(count: u64) -> Vec<String> {
        let root = |n: u64| match n < count / 2 {
            true => format!("01HF8B9V80{n:016}"),
            false => format!("parquet/01HF8B9V80{n:016}"),
        };
        (0..count).map(root).collect()
    }

    #[test]
    fn parts_have_as_many_objects_and_a_small_bucket_is_one() {
        for (blocks, objects, parts) in [
            (0, 4, 1),
            (1, 100_000, 1),
            (4_999, 4, 1),
            (5_000, 4, 2),
            (10_000, 4, 4),
            (100_000, 4, 16),
        ] {
            let roots = roots(blocks);
            let keys = split(roots.iter().map(|root| (root.as_str(), objects)));
            assert_eq!(keys.len() + 1, parts, "{blocks}");
            assert_eq!(parsed(&keys.join("\n")), keys);
            let mut rest = roots.len();
            for key in keys.iter().rev() {
                let at = roots.binary_search(key).unwrap();
                let part = rest - at;
                assert!(
                    part.abs_diff(roots.len() / parts) <= parts,
                    "{blocks}: {part}"
                );
                rest = at;
            }
        }
    }

    #[test]
    fn keys_that_are_not_as_they_were_written_are_none() {
        let [a, b] = [
            "01HF8B9V80XM795QY4ZC4QZX6R",
            "parquet/01HF8B9V80XM795QY4ZC4QZX6R",
        ];
        assert_eq!(parsed(&format!("{a}\n{b}")), [a, b]);
        for kept in [
            String::new(),
            format!("{b}\n{a}"),
            format!("{a}\n{a}"),
            format!("{a}\n{}", &b[..20]),
            format!("{a}\n\n{b}"),
            roots(40).join("\n"),
        ] {
            assert_eq!(parsed(&kept), [""; 0], "{kept}");
        }
    }
}
