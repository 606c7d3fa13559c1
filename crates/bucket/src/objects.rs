//! The blocks of a bucket, by one listing and their small files.

use std::{collections::BTreeMap, sync::Arc};

use model::{BlockId, BlockMeta, DeletionMark, NoCompactMark, NoDownsampleMark, Timestamp};

/// The folder of Parquet blocks. It is not a ULID, so Thanos does not see them.
pub const PARQUET_ROOT: &str = "parquet";

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was written.
    pub last_modified: Timestamp,
    /// Changes with the contents, if the store has it.
    pub etag: Option<String>,
}

/// The objects of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockObjects {
    /// The block.
    pub id: BlockId,
    /// Its folder: `01H…`, or `parquet/01H…`.
    pub root: String,
    /// The objects by their names below `root`; empty for an empty folder.
    pub files: BTreeMap<String, Object>,
}

/// A block with a usable `meta.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockView {
    /// Its objects.
    pub objects: BlockObjects,
    /// Its `meta.json`.
    pub meta: Arc<BlockMeta>,
    /// Its deletion mark.
    pub deletion_mark: Option<DeletionMark>,
    /// Its no-compact mark.
    pub no_compact_mark: Option<NoCompactMark>,
    /// Its no-downsample mark.
    pub no_downsample_mark: Option<NoDownsampleMark>,
    /// Its marks that cannot be used. As their contents are unknown, nothing is done with the block.
    pub unusable_marks: Vec<UnusableMark>,
}

/// A mark that cannot be used: not JSON, of another version, or of another block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableMark {
    /// The object's name below the block.
    pub file: &'static str,
    /// The object, what was expected of it and what was found.
    pub reason: String,
}

/// A block without a usable `meta.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialBlock {
    /// Its objects.
    pub objects: BlockObjects,
    /// The object, what was expected of it and what was found.
    pub reason: String,
}

/// A block with a listed `meta.json` or mark that could not be read: refused, cut off, timed out. Another attempt may
/// succeed; the block is not known to be damaged.
#[derive(Clone, Debug, PartialEq)]
pub struct UnreadBlock {
    /// Its objects.
    pub objects: BlockObjects,
    /// The key of the unread object; that of `meta.json`, if it is among several.
    pub key: String,
    /// What was done, on which object, and the bucket's error.
    pub reason: String,
    /// Its `meta.json`: the listed one if only a mark is unread, else an earlier version if one was read.
    pub meta: Option<Arc<BlockMeta>>,
}

/// The contents of a bucket at one time. All lists are sorted by `root`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The usable blocks. One that is also in [`Self::unread`] is in an earlier version, or lacks a mark.
    pub blocks: Vec<BlockView>,
    /// The unusable blocks, by their own fault.
    pub partial: Vec<PartialBlock>,
    /// The blocks that are not known as listed, by the bucket's fault.
    pub unread: Vec<UnreadBlock>,
}

impl UnreadBlock {
    /// Whether its `meta.json` is unread. If not, a mark is.
    #[must_use]
    pub fn lacks_meta(&self) -> bool {
        self.key == self.objects.key(BlockMeta::FILE)
    }
}

impl BlockObjects {
    /// The key of a file of the block.
    #[must_use]
    pub fn key(&self, file: &str) -> String {
        format!("{}/{file}", self.root)
    }
}

/// The blocks among `objects`. Objects of no block are left out.
pub(crate) fn group(objects: Vec<Object>) -> Vec<BlockObjects> {
    let mut blocks: BTreeMap<String, BlockObjects> = BTreeMap::new();
    for object in objects {
        let Some((root, id, file)) = split(&object.key) else {
            continue;
        };
        let (root, file) = (root.to_owned(), file.to_owned());
        let block = blocks.entry(root.clone()).or_insert_with(|| BlockObjects {
            id,
            root,
            files: BTreeMap::new(),
        });
        block.files.insert(file, object);
    }
    blocks.into_values().collect()
}

/// The block whose folder a key names, if any: an object of that name marks an empty folder.
pub(crate) fn folder(key: &str) -> Option<BlockObjects> {
    let id = below_root(key).parse().ok()?;
    Some(BlockObjects {
        id,
        root: key.to_owned(),
        files: BTreeMap::new(),
    })
}

/// The root, the block and the name below the root in a key.
fn split(key: &str) -> Option<(&str, BlockId, &str)> {
    let (id, file) = below_root(key).split_once('/')?;
    let id: BlockId = id.parse().ok()?;
    let root = key.strip_suffix(file)?.strip_suffix('/')?;
    (!file.is_empty()).then_some((root, id, file))
}

/// The part of a key after `parquet/`, or the key.
fn below_root(key: &str) -> &str {
    let below = key.strip_prefix(PARQUET_ROOT);
    below.and_then(|rest| rest.strip_prefix('/')).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_both_kinds_are_told_from_foreign_objects() {
        let id = "01HF8J5JG0RAVB4GMS32W7ZJ2B";
        let keys = [
            format!("{id}/index"),
            format!("{id}/chunks/000001"),
            format!("parquet/{id}/meta.json"),
            // A folder's marker, a foreign file, a catalog, another case.
            id.to_owned(),
            "debug/metas/x.json".to_owned(),
            "parquet/catalog".to_owned(),
            format!("parquet/other/{id}/meta.json"),
            format!("{}/index", id.to_lowercase()),
        ];
        let objects = keys.map(|key| Object {
            key,
            size: 1,
            last_modified: Timestamp(0),
            etag: None,
        });
        let blocks = group(objects.into());
        let drawn: Vec<_> = blocks
            .iter()
            .map(|b| (b.root.clone(), b.files.keys().cloned().collect::<Vec<_>>()))
            .collect();
        assert_eq!(
            drawn,
            [
                (
                    id.to_owned(),
                    vec!["chunks/000001".to_owned(), "index".to_owned()]
                ),
                (format!("parquet/{id}"), vec!["meta.json".to_owned()]),
            ]
        );
        assert_eq!(blocks[1].key("index"), format!("parquet/{id}/index"));
        assert_eq!(blocks[1].files["meta.json"].key, keys_of(&blocks[1]));
    }

    fn keys_of(block: &BlockObjects) -> String {
        block.key("meta.json")
    }
}
