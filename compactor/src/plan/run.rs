//! Runs: blocks that overlap and so are merged together or not at all.

use model::{BlockId, Resolution, Timestamp};

use super::{Known, PlanOptions, SkipReason, Window, skipped};

/// Blocks of which each overlaps one before it; most often just one block.
#[derive(Debug)]
pub(super) struct Run<'a> {
    /// In the order of their beginning.
    pub(super) blocks: Vec<&'a Known<'a>>,
    /// First millisecond, included.
    pub(super) min: Timestamp,
    /// End in milliseconds, excluded.
    pub(super) max: Timestamp,
    /// Blocks that keep the run from being merged, with the reason.
    held: Vec<(BlockId, SkipReason)>,
}

/// Joins overlapping blocks, which are in the order of their beginning.
///
/// Blocks that may not be compacted at all overlap nothing: each is a run of its own.
pub(super) fn runs<'a>(
    blocks: &[&'a Known<'a>],
    newest: Option<BlockId>,
    options: &PlanOptions,
) -> Vec<Run<'a>> {
    let mut runs: Vec<Run<'a>> = Vec::new();
    let mut apart = Vec::new();
    for &block in blocks {
        if let Some(reason) = skipped::forbidden(block) {
            let mut run = Run::new(block);
            run.held.push((block.id(), reason));
            apart.push(run);
            continue;
        }
        match runs.last_mut() {
            Some(run) if block.min() < run.max => {
                run.max = run.max.max(block.max());
                run.blocks.push(block);
            }
            _ => runs.push(Run::new(block)),
        }
        if let Some(run) = runs.last_mut() {
            let reason = skipped::too_fresh(block, options)
                .or_else(|| (newest == Some(block.id())).then_some(SkipReason::Newest));
            run.held.extend(reason.map(|r| (block.id(), r)));
        }
    }
    for run in &mut runs {
        run.hold_aggregates();
    }
    runs.extend(apart);
    runs.sort_by_key(|run| run.min);
    runs
}

impl<'a> Run<'a> {
    fn new(block: &'a Known<'a>) -> Self {
        Self {
            min: block.min(),
            max: block.max(),
            blocks: vec![block],
            held: Vec::new(),
        }
    }

    /// Holds blocks of aggregates that overlap.
    fn hold_aggregates(&mut self) {
        let [first, _, ..] = self.blocks.as_slice() else {
            return;
        };
        if first.group.resolution == Resolution::Raw {
            return;
        }
        for block in &self.blocks {
            if !self.held.iter().any(|(id, _)| *id == block.id()) {
                let reason = SkipReason::DownsampleVerticalCompaction;
                self.held.push((block.id(), reason));
            }
        }
    }

    /// Whether it can be merged.
    pub(super) fn is_ready(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether it can be merged, except that it may be the newest.
    pub(super) fn is_free_but_for_age(&self) -> bool {
        let is_newest = |(_, reason): &(BlockId, SkipReason)| *reason == SkipReason::Newest;
        self.held.iter().all(is_newest)
    }

    /// The block, if any, that will be ready in time, so that its window should wait for it.
    pub(super) fn awaited(&self) -> Option<BlockId> {
        self.held
            .iter()
            .find(|(_, r)| matches!(r, SkipReason::Newest | SkipReason::TooFresh { .. }))
            .map(|(id, _)| *id)
    }

    /// The window of `length` milliseconds that holds all of it, if one does.
    pub(super) fn window(&self, length: i64) -> Option<Window> {
        let window = Window::around(self.min, length);
        (self.max <= window.end).then_some(window)
    }

    /// The times that it spans.
    pub(super) fn span(&self) -> Window {
        Window {
            start: self.min,
            end: self.max,
        }
    }

    /// Its blocks, each with the reason why it cannot be merged, or else with `reason`.
    pub(super) fn leave(
        self,
        reason: &SkipReason,
    ) -> impl Iterator<Item = (&'a Known<'a>, SkipReason)> {
        let held = self.held;
        self.blocks.into_iter().map(move |block| {
            let own = held.iter().find(|(id, _)| *id == block.id());
            let reason = own.map_or(reason, |(_, reason)| reason);
            (block, reason.clone())
        })
    }
}
