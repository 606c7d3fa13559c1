//! Blocks that are not merged, but processed one by one.

use model::{BlockId, NoCompactReason, Resolution};

use super::GroupPlanner;
use crate::{
    metrics::DAMAGED,
    plan::{Known, SkipReason, WINDOWS, coarser::Length, skipped},
};

impl GroupPlanner<'_> {
    /// Makes tasks for blocks that are not merged: to downsample them, or to rewrite them without their deleted samples.
    pub(super) fn work_on_single_blocks(&mut self, blocks: &[&Known<'_>]) {
        let fresh = |id: BlockId| {
            let block = blocks.iter().find(|b| b.id() == id);
            block.is_some_and(|b| skipped::too_fresh(b, self.context.coarser.options).is_some())
        };
        let mut kept = Vec::new();
        for (block, reason) in std::mem::take(&mut self.skipped) {
            if let Some(reason) = self.awaits_task(block.min(), block.max()) {
                kept.push((block, reason));
                continue;
            }
            let waits = match &reason {
                SkipReason::TooFresh { .. }
                | SkipReason::Damaged { .. }
                | SkipReason::UnusableMark { .. }
                | SkipReason::WaitsForTask { .. } => true,
                SkipReason::NoCompact { mark, .. } => {
                    matches!(mark, NoCompactReason::Other(word) if word == DAMAGED)
                }
                // It will be merged soon, and downsampled with its neighbours.
                SkipReason::WaitsFor { block } => fresh(*block),
                _ => false,
            };
            let outputs = match waits {
                true => Vec::new(),
                false => self.outputs_of_single(block, &reason),
            };
            match outputs.is_empty() {
                true => kept.push((block, reason)),
                false => self.task(None, &[block], outputs),
            }
        }
        self.skipped = kept;
    }

    fn outputs_of_single(&self, block: &Known<'_>, reason: &SkipReason) -> Vec<Resolution> {
        // A block that may still be merged with blocks that it overlaps is downsampled together with them.
        let stays = matches!(
            reason,
            SkipReason::NoCompact { .. }
                | SkipReason::CompactionFailed
                | SkipReason::DownsampleVerticalCompaction
        );
        let length = match stays && self.context.overdue.contains(&block.id()) {
            true => Length::Any,
            false => Length::Enough,
        };
        let mut outputs = self.context.coarser.outputs(&[block], length);
        if matches!(reason, SkipReason::Alone | SkipReason::WindowOpen { .. })
            && self.has_much_deleted(block)
        {
            outputs.insert(0, self.group.resolution);
        }
        outputs
    }

    /// Thanos's rule: a block of 8 h or more in which more than a twentieth of the series have samples deleted.
    fn has_much_deleted(&self, block: &Known<'_>) -> bool {
        let [shortest, ..] = WINDOWS;
        let stats = &block.meta.stats;
        block.meta.parquet.is_none()
            && block.max().0.saturating_sub(block.min().0) >= shortest
            && stats.num_tombstones.saturating_mul(20) > stats.num_series.saturating_add(1)
    }
}
