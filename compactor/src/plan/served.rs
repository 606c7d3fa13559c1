//! TSDB blocks that stay until a store gateway has served the Parquet block that replaces them.

use std::collections::BTreeSet;

use model::{BlockId, Timestamp};

use super::{Candidate, Known, Plan, SkipReason};

/// So many milliseconds after it was made, a store gateway has found a block: some of its usual intervals.
const FOUND: i64 = 3_600_000;

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
    /// Why the blocks stay that the Parquet block `by` replaces, if they do; and plans its mark.
    pub(super) fn waits(
        &self,
        by: &Known<'_>,
        now: Timestamp,
        plan: &mut Plan,
    ) -> Option<SkipReason> {
        if self.is_new(by) {
            plan.served.insert(by.id());
        }
        if self.is_over(by) {
            plan.unserved.insert(by.id());
        }
        self.keeps(by, now)
    }

    fn keeps(&self, by: &Candidate, now: Timestamp) -> Option<SkipReason> {
        let block = by.meta.ulid;
        let is_served = self.blocks.contains(&block);
        // A gateway needs some time to find a block.
        if !is_served && now.0.saturating_sub(block.time().0) > FOUND {
            return Some(SkipReason::NotServed { block });
        }
        let since = by.served_since.filter(|_| is_served).unwrap_or(now);
        let until = Timestamp(since.0.saturating_add(self.delay));
        (!is_served || now < until).then_some(SkipReason::WaitsForStore { block, until })
    }

    /// Whether the Parquet block `by` was seen to be served, and is not any more.
    fn is_over(&self, by: &Candidate) -> bool {
        self.is_complete && by.served_since.is_some() && !self.blocks.contains(&by.meta.ulid)
    }

    /// Whether the Parquet block `by` is served, and was not seen to be before.
    fn is_new(&self, by: &Candidate) -> bool {
        by.served_since.is_none() && self.blocks.contains(&by.meta.ulid)
    }
}
