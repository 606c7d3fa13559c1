//! The blocks of a bucket, by one listing and their small files.

mod files;
mod grouping;

use std::sync::Arc;

use model::{BlockId, BlockMeta, DeletionMark, NoCompactMark, NoDownsampleMark, Timestamp};

pub use self::files::{FileVersion, Files};
pub(crate) use self::grouping::{Grouping, ListedBlock};

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
    pub root: Arc<str>,
    /// The objects by their names below `root`; empty for an empty folder.
    pub files: Files,
}

/// A block with a usable `meta.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockView {
    /// Its objects.
    pub objects: Arc<BlockObjects>,
    /// Its `meta.json`.
    pub meta: Arc<BlockMeta>,
    /// Its deletion mark.
    pub deletion_mark: Option<Arc<DeletionMark>>,
    /// Its no-compact mark.
    pub no_compact_mark: Option<Arc<NoCompactMark>>,
    /// Its no-downsample mark.
    pub no_downsample_mark: Option<Arc<NoDownsampleMark>>,
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
    pub objects: Arc<BlockObjects>,
    /// The object, what was expected of it and what was found.
    pub reason: String,
}

/// A block with a listed `meta.json` or mark that could not be read: refused, cut off, timed out. Another attempt may
/// succeed; the block is not known to be damaged.
#[derive(Clone, Debug, PartialEq)]
pub struct UnreadBlock {
    /// Its objects.
    pub objects: Arc<BlockObjects>,
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
