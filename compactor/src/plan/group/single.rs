//! Blocks that are not merged, but worked on each on its own.

use model::{BlockId, NoCompactReason, Resolution};

use super::GroupPlanner;
use crate::{
    metrics::DAMAGED,
    plan::{Known, LeftReason, WINDOWS, coarser::Length, left},
};

impl GroupPlanner<'_> {
    /// Makes tasks of blocks that are not merged, but downsampled, or written anew for what is deleted of them.
    pub(super) fn work_on_single_blocks(&mut self, blocks: &[&Known<'_>]) {
        let fresh = |id: BlockId| {
            let block = blocks.iter().find(|b| b.id() == id);
            block.is_some_and(|b| left::too_fresh(b, self.world.coarser.options).is_some())
        };
        let mut left = Vec::new();
        for (block, reason) in std::mem::take(&mut self.left) {
            if let Some(reason) = self.awaits_task(block.min(), block.max()) {
                left.push((block, reason));
                continue;
            }
            let waits = match &reason {
                LeftReason::TooFresh { .. }
                | LeftReason::Damaged { .. }
                | LeftReason::UnusableMark { .. }
                | LeftReason::WaitsForTask { .. } => true,
                LeftReason::NoCompact { mark, .. } => {
                    matches!(mark, NoCompactReason::Other(word) if word == DAMAGED)
                }
                // It will be merged soon, and downsampled with its neighbours.
                LeftReason::WaitsFor { block } => fresh(*block),
                _ => false,
            };
            let outputs = match waits {
                true => Vec::new(),
                false => self.outputs_of_single(block, &reason),
            };
            match outputs.is_empty() {
                true => left.push((block, reason)),
                false => self.task(None, &[block], outputs),
            }
        }
        self.left = left;
    }

    fn outputs_of_single(&self, block: &Known<'_>, reason: &LeftReason) -> Vec<Resolution> {
        // What may still be merged with blocks that it overlaps is downsampled with those.
        let stays = matches!(
            reason,
            LeftReason::NoCompact { .. }
                | LeftReason::CompactionFailed
                | LeftReason::DownsampleVerticalCompaction
        );
        let length = match stays && self.world.overdue.contains(&block.id()) {
            true => Length::Any,
            false => Length::Enough,
        };
        let mut outputs = self.world.coarser.outputs(&[block], length);
        if matches!(reason, LeftReason::Alone | LeftReason::WindowOpen { .. })
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
