//! Listed blocks whose `meta.json` could not be read.

use std::sync::Arc;

use bucket::{BlockFilter, Snapshot, UnreadBlock};
use model::{BlockId, BlockMeta, Labels};

/// A block whose listed `meta.json` was not read.
///
/// A block of which only a mark was not read is served as if it had no mark: its samples are there, and if it should
/// no longer be served, another block has them too.
#[derive(Clone, Debug)]
pub(crate) struct Missing {
    pub(crate) id: BlockId,
    /// What was done, on which object, and the bucket's error.
    pub(crate) reason: String,
    /// An earlier version, which is served meanwhile.
    pub(crate) earlier: Option<EarlierMeta>,
}

/// An earlier version of a `meta.json`.
#[derive(Clone, Debug)]
pub(crate) struct EarlierMeta {
    pub(crate) meta: Arc<BlockMeta>,
    /// The external labels.
    pub(crate) labels: Labels,
}

/// The unread blocks that `filter` may select.
pub(crate) fn unread<'a>(
    snapshot: &'a Snapshot,
    filter: &BlockFilter,
) -> impl Iterator<Item = &'a UnreadBlock> {
    snapshot.unread.iter().filter(|block| match &block.meta {
        Some(meta) => filter.selects(block.objects.id, || meta.external_labels()),
        None => filter.may_select(block.objects.id),
    })
}

/// The blocks of a bucket that are missing.
pub(super) fn of(snapshot: &Snapshot, filter: &BlockFilter) -> Vec<Missing> {
    unread(snapshot, filter)
        .filter(|block| block.lacks_meta())
        .map(Missing::of)
        .collect()
}

impl Missing {
    fn of(unread: &UnreadBlock) -> Self {
        let earlier = unread.meta.as_ref().map(|meta| EarlierMeta {
            labels: meta.external_labels(),
            meta: Arc::clone(meta),
        });
        Self {
            id: unread.objects.id,
            reason: unread.reason.clone(),
            earlier,
        }
    }
}
