//! TSDB blocks that stay until a store gateway has served the Parquet block that replaces them.

use std::collections::BTreeSet;

use model::{BlockId, Timestamp};

use super::{Candidate, SkipReason};

/// What store gateways serve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// The Parquet blocks that one of them serves now.
    pub blocks: BTreeSet<BlockId>,
    /// Whether all of them said so: what is not among `blocks` is not served.
    pub is_complete: bool,
    /// For how many milliseconds a block must have been served.
    pub delay: i64,
}

impl Served {
    /// Why the blocks stay that the Parquet block `by` replaces, if they do.
    pub(super) fn keeps(&self, by: &Candidate, now: Timestamp) -> Option<SkipReason> {
        let block = by.meta.ulid;
        if !self.blocks.contains(&block) {
            return Some(SkipReason::WaitsForStore { block, until: None });
        }
        let since = by.served_since.unwrap_or(now);
        let until = Timestamp(since.0.saturating_add(self.delay));
        let until_then = SkipReason::WaitsForStore {
            block,
            until: Some(until),
        };
        (now < until).then_some(until_then)
    }

    /// Whether the Parquet block `by` was seen to be served, and is not any more.
    pub(super) fn is_over(&self, by: &Candidate) -> bool {
        self.is_complete && by.served_since.is_some() && !self.blocks.contains(&by.meta.ulid)
    }

    /// Whether the Parquet block `by` is served, and was not seen to be before.
    pub(super) fn is_new(&self, by: &Candidate) -> bool {
        by.served_since.is_none() && self.blocks.contains(&by.meta.ulid)
    }
}
