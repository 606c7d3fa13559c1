//! Blocks past their retention that are kept only until they are downsampled.

use model::Resolution;

use super::GroupPlanner;
use crate::plan::{Known, Run, WINDOWS, Window, coarser::Length};

impl<'a> GroupPlanner<'a> {
    /// Removes the blocks that are kept only until they are downsampled: they are too old to grow any more. Neighbours become
    /// one block, as far as one window of the largest length goes.
    pub(super) fn downsample_overdue(&mut self, runs: Vec<Run<'a>>) -> Vec<Run<'a>> {
        let (overdue, rest): (Vec<_>, Vec<_>) =
            runs.into_iter().partition(|run| self.is_overdue(run));
        let mut together: Vec<Run<'a>> = Vec::new();
        for run in overdue {
            if let Some(last) = together.last()
                && !self.are_neighbours(last, &run, &rest)
            {
                self.downsample(std::mem::take(&mut together));
            }
            together.push(run);
        }
        self.downsample(together);
        rest
    }

    fn is_overdue(&self, run: &Run<'_>) -> bool {
        let waits = |b: &&Known<'_>| self.context.overdue.contains(&b.id());
        run.is_free_but_for_age()
            && run.blocks.iter().all(waits)
            && self.awaits_task(run.min, run.max).is_none()
    }

    /// Whether two runs may become one block of aggregates: it must not overlap another one, as such blocks are
    /// never merged, nor across raw blocks that become one later.
    fn are_neighbours(&self, one: &Run<'_>, next: &Run<'_>, others: &[Run<'_>]) -> bool {
        let [.., largest] = WINDOWS;
        let largest = self
            .context
            .coarser
            .options
            .windows
            .last()
            .unwrap_or(&largest);
        let window = |run: &Run<'_>| Window::around(run.min, *largest);
        let gap = (one.max, next.min);
        let in_gap = |run: &Run<'_>| run.min < gap.1 && gap.0 < run.max;
        let cover = self.context.coarser.cover;
        let has = |resolution| cover.any_in(self.group.hash, resolution, gap);
        let coarser = [Resolution::FiveMinutes, Resolution::OneHour].into_iter();
        window(one) == window(next)
            && !others.iter().any(in_gap)
            && !coarser.filter(|r| *r > self.group.resolution).any(has)
    }

    fn downsample(&mut self, runs: Vec<Run<'a>>) {
        let blocks: Vec<&Known<'_>> = runs.into_iter().flat_map(|run| run.blocks).collect();
        let outputs = self.context.coarser.outputs(&blocks, Length::Any);
        if !outputs.is_empty() {
            self.task(None, &blocks, outputs);
        }
    }
}
