//! The blocks of the bucket, as the planner and the tasks need them.

use std::{collections::BTreeMap, sync::Arc};

use bucket::{BlockView, Snapshot};
use model::BlockId;

use crate::Candidate;

/// The blocks of the bucket by their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blocks(BTreeMap<BlockId, BlockView>);

impl Blocks {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        let views = snapshot.blocks.iter();
        Self(views.map(|v| (v.objects.id, v.clone())).collect())
    }

    pub(crate) fn get(&self, block: BlockId) -> Option<&BlockView> {
        self.0.get(&block)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &BlockView> {
        self.0.values()
    }

    /// As the planner sees them; `set_aside` are blocks that turned out to be damaged.
    pub(crate) fn candidates(&self, set_aside: &BTreeMap<BlockId, String>) -> Vec<Candidate> {
        let candidate = |view: &BlockView| Candidate {
            meta: Arc::clone(&view.meta),
            bytes: view.objects.files.values().map(|o| o.size).sum(),
            deletion_mark: view.deletion_mark.clone(),
            no_compact_mark: view.no_compact_mark.clone(),
            no_downsample_mark: view.no_downsample_mark.clone(),
            damage: set_aside.get(&view.objects.id).cloned(),
        };
        self.iter().map(candidate).collect()
    }
}
