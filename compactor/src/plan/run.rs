//! Runs: blocks that overlap and so are merged together or not at all.

use model::{BlockId, Timestamp};

use super::{Candidate, Left, LeftReason, Plan, PlanOptions, Window, left};

/// Blocks of which each overlaps one before it; most often just one block.
#[derive(Debug)]
pub(super) struct Run<'a> {
    /// In the order of their beginning.
    pub(super) blocks: Vec<&'a Candidate>,
    /// First millisecond, included.
    pub(super) min: Timestamp,
    /// End in milliseconds, excluded.
    pub(super) max: Timestamp,
    /// Blocks that keep the run from being merged, with the reason.
    held: Vec<(BlockId, LeftReason)>,
}

/// Joins overlapping blocks, which are in the order of their beginning.
///
/// Blocks that may not be compacted at all overlap nothing: each is a run of its own.
pub(super) fn runs<'a>(
    blocks: &[&'a Candidate],
    newest: Option<BlockId>,
    options: &PlanOptions,
) -> Vec<Run<'a>> {
    let mut runs: Vec<Run<'a>> = Vec::new();
    let mut apart = Vec::new();
    for &block in blocks {
        if let Some(reason) = left::forbidden(block) {
            let mut run = Run::new(block);
            run.held.push((block.meta.ulid, reason));
            apart.push(run);
            continue;
        }
        match runs.last_mut() {
            Some(run) if block.meta.min_time < run.max => {
                run.max = run.max.max(block.meta.max_time);
                run.blocks.push(block);
            }
            _ => runs.push(Run::new(block)),
        }
        if let Some(run) = runs.last_mut() {
            let reason = left::too_fresh(block, options)
                .or_else(|| (newest == Some(block.meta.ulid)).then_some(LeftReason::Newest));
            run.held.extend(reason.map(|r| (block.meta.ulid, r)));
        }
    }
    for run in &mut runs {
        run.hold_mixed();
    }
    runs.extend(apart);
    runs.sort_by_key(|run| run.min);
    runs
}

impl<'a> Run<'a> {
    fn new(block: &'a Candidate) -> Self {
        Self {
            min: block.meta.min_time,
            max: block.meta.max_time,
            blocks: vec![block],
            held: Vec::new(),
        }
    }

    /// Holds TSDB blocks that overlap a Parquet block: the merge reads only the former.
    fn hold_mixed(&mut self) {
        let is_parquet = |b: &&&Candidate| b.meta.parquet.is_some();
        let Some(parquet) = self.blocks.iter().find(is_parquet).map(|b| b.meta.ulid) else {
            return;
        };
        for block in &self.blocks {
            let reason = match block.meta.parquet {
                Some(_) => LeftReason::Parquet,
                None => LeftReason::OverlapsParquet { block: parquet },
            };
            if !self.held.iter().any(|(id, _)| *id == block.meta.ulid) {
                self.held.push((block.meta.ulid, reason));
            }
        }
    }

    /// Whether it can be merged.
    pub(super) fn is_ready(&self) -> bool {
        self.held.is_empty()
    }

    /// The block, if any, that will be ready in time, so that its window should wait for it.
    pub(super) fn awaited(&self) -> Option<BlockId> {
        self.held
            .iter()
            .find(|(_, r)| matches!(r, LeftReason::Newest | LeftReason::TooFresh { .. }))
            .map(|(id, _)| *id)
    }

    /// The window of `length` milliseconds that holds all of it, if one does.
    pub(super) fn window(&self, length: i64) -> Option<Window> {
        let window = Window::around(self.min, length);
        (self.max <= window.end).then_some(window)
    }

    /// Leaves its blocks, each for the reason it is held for, otherwise for `reason`.
    pub(super) fn leave(self, reason: &LeftReason, plan: &mut Plan) {
        for block in &self.blocks {
            let own = self.held.iter().find(|(id, _)| *id == block.meta.ulid);
            let reason = own.map_or(reason, |(_, reason)| reason);
            plan.left.push(Left::new(block, reason.clone()));
        }
    }
}
