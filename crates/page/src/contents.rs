//! What is in a bucket, as far as the page shows it. It shares the contents of the listing.

use std::{collections::BTreeMap, sync::Arc};

use bucket::{BlockObjects, BlockView, Snapshot};
use model::{BlockMeta, DeletionMark, NoCompactMark, NoDownsampleMark};
use serde::Serialize;

/// The blocks of a bucket at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contents {
    /// The usable blocks, sorted by `root`.
    pub blocks: Vec<Block>,
    /// The folders of which the page knows no times: they are in no timeline.
    pub broken: Vec<Broken>,
}

/// A block with a usable `meta.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Its folder and its files.
    pub objects: Arc<BlockObjects>,
    /// Its `meta.json`.
    pub meta: Arc<BlockMeta>,
    /// Its deletion mark.
    pub deletion: Option<Arc<DeletionMark>>,
    /// Its no-compact mark.
    pub no_compact: Option<Arc<NoCompactMark>>,
    /// Its no-downsample mark.
    pub no_downsample: Option<Arc<NoDownsampleMark>>,
    /// What is wrong with its marks.
    pub unusable_marks: Box<[String]>,
    /// Why its `meta.json` or a mark could not be read again. What is shown may be out of date.
    pub unread: Option<Box<str>>,
    /// Whether the component works with it: the gateway serves it, the compactor may compact it.
    pub loaded: bool,
}

/// A folder whose contents are not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// The folder.
    pub root: String,
    /// Whose fault it is.
    pub fault: Fault,
    /// What was done, on which object, and what was found.
    pub reason: String,
    /// Bytes of all its objects.
    pub bytes: u64,
}

/// Whose fault it is that a block is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The block's: its `meta.json` is damaged.
    Damaged,
    /// Its upload runs or was aborted: it has no `meta.json`.
    Incomplete,
    /// The bucket's: it did not give an object that it lists.
    Unread,
}

impl Contents {
    /// What is in `snapshot`; `is_loaded` tells which blocks the component works with.
    #[must_use]
    pub fn of(snapshot: &Snapshot, is_loaded: impl Fn(&BlockView) -> bool) -> Self {
        let mut unread: BTreeMap<&str, &str> = snapshot
            .unread
            .iter()
            .map(|block| (&*block.objects.root, block.reason.as_str()))
            .collect();
        let mut of_view = |view: &BlockView| Block {
            objects: Arc::clone(&view.objects),
            meta: Arc::clone(&view.meta),
            deletion: view.deletion_mark.clone(),
            no_compact: view.no_compact_mark.clone(),
            no_downsample: view.no_downsample_mark.clone(),
            unusable_marks: view
                .unusable_marks
                .iter()
                .map(|mark| mark.reason.clone())
                .collect(),
            unread: unread.remove(&*view.objects.root).map(Box::from),
            loaded: is_loaded(view),
        };
        let blocks: Vec<Block> = snapshot.blocks.iter().map(&mut of_view).collect();
        let partial = snapshot.partial.iter().map(|block| Broken {
            root: block.objects.root.to_string(),
            fault: match block.objects.files.contains(BlockMeta::FILE) {
                true => Fault::Damaged,
                false => Fault::Incomplete,
            },
            reason: block.reason.clone(),
            bytes: block.objects.files.bytes(),
        });
        // The others are shown as they were.
        let unknown = snapshot.unread.iter();
        let unknown = unknown.filter(|block| unread.contains_key(&*block.objects.root));
        let unknown = unknown.map(|block| Broken {
            root: block.objects.root.to_string(),
            fault: Fault::Unread,
            reason: block.reason.clone(),
            bytes: block.objects.files.bytes(),
        });
        Self {
            blocks,
            broken: partial.chain(unknown).collect(),
        }
    }

    /// The block in this folder.
    #[must_use]
    pub fn get(&self, root: &str) -> Option<&Block> {
        let found = self
            .blocks
            .binary_search_by(|block| (*block.objects.root).cmp(root));
        found.ok().and_then(|at| self.blocks.get(at))
    }
}
