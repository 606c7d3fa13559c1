//! The plan of one group.

mod overdue;
mod single;

use std::collections::BTreeSet;

use model::{BlockId, Resolution, Timestamp};

use super::{
    Coarser, Known, Plan, Run, SkipReason, Skipped, Task, Window, coarser::Length, duplicates, run,
    skipped, window,
};
use crate::{OutputFormat, group::GroupKey};

/// What the plans of all groups have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct GroupContext<'a> {
    pub(super) coarser: Coarser<'a>,
    /// Blocks past their retention that still have to be downsampled.
    pub(super) overdue: &'a BTreeSet<BlockId>,
}

/// Plans a group. The groups of the same labels and finer resolutions are planned before.
pub(super) fn plan_group<'a>(
    group: GroupKey,
    mut blocks: Vec<&'a Known<'a>>,
    context: GroupContext<'a>,
    plan: &mut Plan,
) {
    let options = context.coarser.options;
    blocks.sort_unstable_by_key(|b| (b.min(), b.id()));
    // A block that is too fresh, or whose marks cannot be read, covers no other block, and its window waits for it.
    let (unclear, clear): (Vec<_>, Vec<_>) = blocks
        .into_iter()
        .partition(|b| !b.unusable_marks.is_empty());
    let (fresh, settled): (Vec<_>, Vec<_>) = clear
        .into_iter()
        .partition(|b| skipped::too_fresh(b, options).is_some());
    let mut blocks = duplicates::remove(settled, options, plan);
    blocks.extend(unclear);
    blocks.sort_unstable_by_key(|b| (b.min(), b.id()));
    let seen = Seen::of(&blocks);
    blocks.extend(fresh);
    blocks.sort_unstable_by_key(|b| (b.min(), b.id()));
    let mut planner = GroupPlanner {
        context,
        coming: coming(group, &plan.tasks),
        group,
        tasks: Vec::new(),
        skipped: Vec::new(),
    };
    let runs = run::runs(&blocks, seen.newest, options);
    let runs = planner.downsample_overdue(runs);
    planner.merge(runs, seen.high);
    planner.work_on_single_blocks(&blocks);
    planner.tasks.sort_by_key(|t| (t.min_time, t.max_time));
    planner.skipped.sort_by_key(|(b, _)| (b.min(), b.id()));
    plan.tasks.append(&mut planner.tasks);
    let skipped = planner.skipped.into_iter();
    plan.skipped
        .extend(skipped.map(|(b, reason)| Skipped::new(b, reason)));
}

#[derive(Debug)]
struct GroupPlanner<'a> {
    context: GroupContext<'a>,
    group: GroupKey,
    /// Blocks of this group that tasks of finer groups make.
    coming: Vec<Coming>,
    tasks: Vec<Task>,
    skipped: Vec<(&'a Known<'a>, SkipReason)>,
}

/// A block that a task will make.
#[derive(Debug)]
struct Coming {
    start: Timestamp,
    end: Timestamp,
    task: String,
}

fn coming(group: GroupKey, tasks: &[Task]) -> Vec<Coming> {
    let makes = |task: &&Task| {
        task.group.hash == group.hash
            && task.group.resolution < group.resolution
            && task.outputs.contains(&group.resolution)
    };
    let tasks = tasks.iter().filter(makes);
    tasks
        .map(|task| Coming {
            start: task.min_time,
            end: task.max_time,
            task: task.id.clone(),
        })
        .collect()
}

impl<'a> GroupPlanner<'a> {
    /// Makes tasks of complete windows, the largest first.
    fn merge(&mut self, runs: Vec<Run<'a>>, high: Timestamp) {
        let windows = &self.context.coarser.options.windows;
        let mut open = runs;
        for &length in windows.iter().rev() {
            let (complete, rest) = window::complete(open, length, high);
            open = rest;
            for (window, runs) in complete {
                self.finish_window(Some(window), runs);
            }
        }
        for run in open {
            match windows.iter().find_map(|l| run.window(*l)) {
                Some(window) => self.leave(run, &SkipReason::WindowOpen { window }),
                // Across the boundary of even the largest windows: on its own, once nothing can join it.
                None if run.max <= high => self.finish_window(None, vec![run]),
                None => {
                    let window = run.span();
                    self.leave(run, &SkipReason::WindowOpen { window });
                }
            }
        }
    }

    /// Makes tasks of a complete window.
    fn finish_window(&mut self, window: Option<Window>, runs: Vec<Run<'a>>) {
        let spans = runs.iter().map(Run::span);
        let awaited = spans
            .chain(window)
            .find_map(|w| self.awaits_task(w.start, w.end))
            .or_else(|| {
                let block = runs.iter().find_map(Run::awaited)?;
                Some(SkipReason::WaitsFor { block })
            });
        if let Some(reason) = awaited {
            for run in runs {
                self.leave(run, &reason);
            }
            return;
        }
        let mut part: Vec<&Known<'_>> = Vec::new();
        for run in runs {
            if run.is_ready() {
                part.extend(run.blocks);
            } else {
                // A block that stays as it is separates those before it from those after it.
                self.finish_part(window, std::mem::take(&mut part));
                self.leave(run, &SkipReason::Alone);
            }
        }
        self.finish_part(window, part);
    }

    fn finish_part(&mut self, window: Option<Window>, blocks: Vec<&'a Known<'a>>) {
        match blocks.as_slice() {
            [] => {}
            [one] if self.is_in_place(one) => {
                let reason = self.larger(window, one);
                self.skipped.push((one, reason));
            }
            blocks => {
                let coarser = self.context.coarser.outputs(blocks, Length::Enough);
                let outputs = [&[self.group.resolution], coarser.as_slice()].concat();
                self.task(window, blocks, outputs);
            }
        }
    }

    /// Whether it would be useless to rewrite a block that is merged with no other.
    fn is_in_place(&self, block: &Known<'_>) -> bool {
        match self.context.coarser.options.output {
            OutputFormat::Parquet => block.meta.parquet.is_some(),
            // Thanos's components read a TSDB block as it is; a Parquet block is rewritten only to merge it with others.
            OutputFormat::Tsdb => true,
        }
    }

    /// Why a block that fills its window alone is skipped: it waits for the next larger window, if there is one.
    fn larger(&self, window: Option<Window>, block: &Known<'_>) -> SkipReason {
        let length = |w: Window| w.end.0.saturating_sub(w.start.0);
        let own = window.map_or(i64::MAX, length);
        let windows = self.context.coarser.options.windows.iter();
        let larger = windows.filter(|l| **l > own).find_map(|length| {
            let window = Window::around(block.min(), *length);
            (block.max() <= window.end).then_some(window)
        });
        larger.map_or(SkipReason::Alone, |window| SkipReason::WindowOpen {
            window,
        })
    }

    /// The task, if any, that makes a block of this group in these times, whose end is excluded.
    fn awaits_task(&self, start: Timestamp, end: Timestamp) -> Option<SkipReason> {
        let coming = self.coming.iter().find(|c| c.start < end && start < c.end);
        coming.map(|c| SkipReason::WaitsForTask {
            task: c.task.clone(),
        })
    }

    fn task(&mut self, window: Option<Window>, blocks: &[&Known<'_>], outputs: Vec<Resolution>) {
        let options = self.context.coarser.options;
        self.tasks.push(Task::new(window, blocks, outputs, options));
    }

    fn leave(&mut self, run: Run<'a>, reason: &SkipReason) {
        self.skipped.extend(run.leave(reason));
    }
}

/// How far the blocks of a group have come in time.
struct Seen {
    /// The block that begins last: perhaps it was cut from the head just now.
    newest: Option<BlockId>,
    /// Where the last block but that one begins. What ends before is past.
    high: Timestamp,
}

impl Seen {
    /// From blocks in the order of their beginning.
    fn of(blocks: &[&Known<'_>]) -> Self {
        let mut last = blocks.iter().rev();
        Self {
            newest: last.next().map(|b| b.id()),
            high: last.next().map_or(Timestamp::MIN, |b| b.min()),
        }
    }
}
