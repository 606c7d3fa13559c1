//! Blocks that are listed and not served as they are listed, as the bucket did not give their `meta.json`.

use std::sync::Arc;

use bucket::{Snapshot, UnreadBlock};
use model::{BlockId, BlockMeta, Labels};

/// A block of which the `meta.json` that is listed was not read.
///
/// A block of which only a mark was not read is served as if it had none: its samples are there, and if it should not be
/// served any more, another block has them too.
#[derive(Clone, Debug)]
pub(crate) struct Missing {
    pub(crate) id: BlockId,
    /// What was done, on which object, and what the bucket said.
    pub(crate) reason: String,
    /// What an earlier version said, by which the block is served meanwhile.
    pub(crate) earlier: Option<EarlierMeta>,
}

/// What an earlier version of a `meta.json` said.
#[derive(Clone, Debug)]
pub(crate) struct EarlierMeta {
    pub(crate) meta: Arc<BlockMeta>,
    /// The external labels.
    pub(crate) labels: Labels,
}

/// The blocks of a bucket that are missing.
pub(super) fn of(snapshot: &Snapshot) -> Vec<Missing> {
    let unread = snapshot.unread.iter();
    unread
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
