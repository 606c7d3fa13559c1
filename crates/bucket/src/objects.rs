//! The blocks of a bucket, as one listing and their small files tell them.

use std::{collections::BTreeMap, sync::Arc};

use model::{BlockId, BlockMeta, DeletionMark, NoCompactMark, NoDownsampleMark, Timestamp};

/// Where Parquet blocks are; no ULID, so Thanos does not see them.
pub const PARQUET_ROOT: &str = "parquet";

/// An object, as a listing tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name in the bucket.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// When it was written.
    pub last_modified: Timestamp,
    /// Changes with the contents, where the store tells it.
    pub etag: Option<String>,
}

/// The objects of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockObjects {
    /// The block.
    pub id: BlockId,
    /// Where it lies: `01H…`, or `parquet/01H…`.
    pub root: String,
    /// The objects by their names below `root`; none, if it is an empty folder.
    pub files: BTreeMap<String, Object>,
}

/// A block whose `meta.json` is readable.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockView {
    /// Its objects.
    pub objects: BlockObjects,
    /// Its `meta.json`.
    pub meta: Arc<BlockMeta>,
    /// Set where it is to be deleted.
    pub deletion_mark: Option<DeletionMark>,
    /// Set where it is not to be compacted.
    pub no_compact_mark: Option<NoCompactMark>,
    /// Set where it is not to be downsampled.
    pub no_downsample_mark: Option<NoDownsampleMark>,
    /// Its marks that cannot be used. What they say is not known, so nothing is to be done with the block.
    pub unusable_marks: Vec<UnusableMark>,
}

/// A mark of a block that cannot be used: it is no JSON, of another version, another block's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableMark {
    /// The object's name below the block.
    pub file: &'static str,
    /// The object, what was expected of it and what was found.
    pub reason: String,
}

/// A block that cannot be used: no `meta.json`, or one that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialBlock {
    /// Its objects.
    pub objects: BlockObjects,
    /// The object, what was expected of it and what was found.
    pub reason: String,
}

/// A block with a `meta.json` or a mark that is listed and that the bucket did not give: refused, cut off, timed out.
/// Nothing is known to be wrong with the block; another attempt may read it.
#[derive(Clone, Debug, PartialEq)]
pub struct UnreadBlock {
    /// Its objects.
    pub objects: BlockObjects,
    /// The object that was not read; `meta.json`, if that is one of several.
    pub key: String,
    /// What was done, on what, and what the bucket said.
    pub reason: String,
    /// Its `meta.json`, as listed if only a mark is unread. Else as it was at an earlier look, if it was read then.
    pub meta: Option<Arc<BlockMeta>>,
}

/// What is in the bucket at one time. All lists are sorted by `root`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The blocks that can be used. One that is in [`Self::unread`] too is as it was at an earlier look, or lacks a mark.
    pub blocks: Vec<BlockView>,
    /// Those that cannot, by their own fault.
    pub partial: Vec<PartialBlock>,
    /// Those that are not known as they are listed, by the bucket's fault.
    pub unread: Vec<UnreadBlock>,
}

impl UnreadBlock {
    /// Whether it is its `meta.json` that was not read. If not, it is a mark.
    #[must_use]
    pub fn lacks_meta(&self) -> bool {
        self.key == self.objects.key(BlockMeta::FILE)
    }
}

impl BlockObjects {
    /// The object's name in the bucket of a file of the block.
    #[must_use]
    pub fn key(&self, file: &str) -> String {
        format!("{}/{file}", self.root)
    }
}

/// The blocks among `objects`; what belongs to none is left out.
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

/// The block whose folder a key names, if it does: an object of that name marks an empty folder.
pub(crate) fn folder(key: &str) -> Option<BlockObjects> {
    let id = below_root(key).parse().ok()?;
    Some(BlockObjects {
        id,
        root: key.to_owned(),
        files: BTreeMap::new(),
    })
}

/// The root, the block and the name below the root that a key is made of.
fn split(key: &str) -> Option<(&str, BlockId, &str)> {
    let (id, file) = below_root(key).split_once('/')?;
    let id: BlockId = id.parse().ok()?;
    let root = key.strip_suffix(file)?.strip_suffix('/')?;
    (!file.is_empty()).then_some((root, id, file))
}

/// What follows `parquet/` in a key, or else the key.
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
