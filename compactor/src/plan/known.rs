//! A block with what the planner derives from it once.

use std::{ops::Deref, sync::Arc};

use model::{BlockId, BlockMeta, Coverable, Labels, Sources, Timestamp};

use super::Candidate;
use crate::{Replicas, group::GroupKey};

/// A block with what the planner derives from it once.
#[derive(Debug)]
pub(super) struct Known<'a> {
    block: &'a Candidate,
    /// The external labels of its group.
    pub(super) labels: Labels,
    /// Its group.
    pub(super) group: GroupKey,
    /// Its sources.
    pub(super) sources: Sources,
}

impl<'a> Known<'a> {
    pub(super) fn new(block: &'a Candidate, replicas: &Replicas) -> Self {
        let labels = replicas.group(&block.meta.external_labels());
        Self {
            group: GroupKey::new(&labels, block.meta.resolution()),
            labels,
            sources: Sources::of(&block.meta),
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

    /// What decides whether another block covers it.
    pub(super) fn coverable(&self) -> Coverable<'_> {
        Coverable::new(&self.meta, &self.sources)
    }

    /// What the planner was given.
    pub(super) fn candidate(&self) -> Candidate {
        self.block.clone()
    }
}

impl Deref for Known<'_> {
    type Target = Candidate;

    fn deref(&self) -> &Candidate {
        self.block
    }
}

/// The sources of all these blocks.
pub(super) fn all_sources(blocks: &[&Known<'_>]) -> Sources {
    Sources::union(blocks.iter().map(|b| &b.sources))
}

/// The sources of a merge of these blocks.
pub(super) fn merged_sources<'a>(metas: impl Iterator<Item = &'a Arc<BlockMeta>>) -> Sources {
    metas.flat_map(|m| Sources::of(m).into_vec()).collect()
}
