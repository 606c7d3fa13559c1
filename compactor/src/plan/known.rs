//! A block with what the planner works out of it once.

use std::{ops::Deref, sync::Arc};

use model::{BlockId, BlockMeta, Labels, Timestamp};

use super::Candidate;
use crate::{Replicas, group::GroupKey};

/// A block with what the planner works out of it once.
#[derive(Debug)]
pub(super) struct Known<'a> {
    block: &'a Candidate,
    /// The external labels of its group.
    pub(super) labels: Labels,
    /// Its group.
    pub(super) group: GroupKey,
    /// Its sources, sorted; without any it is its own.
    pub(super) sources: Vec<BlockId>,
}

impl<'a> Known<'a> {
    pub(super) fn new(block: &'a Candidate, replicas: &Replicas) -> Self {
        let labels = replicas.group(&block.meta.external_labels());
        Self {
            group: GroupKey::new(&labels, block.meta.resolution()),
            labels,
            sources: sources(&block.meta),
            block,
        }
    }

    pub(super) fn id(&self) -> BlockId {
        self.block.meta.ulid
    }

    /// First millisecond, included.
    pub(super) fn min(&self) -> Timestamp {
        self.block.meta.min_time
    }

    /// End in milliseconds, excluded.
    pub(super) fn max(&self) -> Timestamp {
        self.block.meta.max_time
    }

    /// What the planner was given.
    pub(super) fn candidate(&self) -> Candidate {
        self.block.clone()
    }

    /// Whether all of its sources are among `others`, which are sorted.
    pub(super) fn is_within(&self, others: &[BlockId]) -> bool {
        is_within(&self.sources, others)
    }
}

impl Deref for Known<'_> {
    type Target = Candidate;

    fn deref(&self) -> &Candidate {
        self.block
    }
}

/// The sources of a block, sorted; a block that names none is its own.
pub(crate) fn sources(meta: &BlockMeta) -> Vec<BlockId> {
    match meta.compaction.sources.is_empty() {
        true => vec![meta.ulid],
        false => sorted(meta.compaction.sources.iter().copied()),
    }
}

/// The sources of all these blocks, sorted.
pub(super) fn all_sources(blocks: &[&Known<'_>]) -> Vec<BlockId> {
    sorted(blocks.iter().flat_map(|b| b.sources.iter().copied()))
}

/// The sources of a merge of these blocks, sorted.
pub(super) fn merged_sources<'a>(metas: impl Iterator<Item = &'a Arc<BlockMeta>>) -> Vec<BlockId> {
    sorted(metas.flat_map(|m| sources(m)))
}

/// Whether all of `some` are among `others`; both are sorted.
pub(super) fn is_within(some: &[BlockId], others: &[BlockId]) -> bool {
    some.iter().all(|s| others.binary_search(s).is_ok())
}

fn sorted(ids: impl Iterator<Item = BlockId>) -> Vec<BlockId> {
    let mut ids: Vec<BlockId> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}
