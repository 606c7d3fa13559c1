//! What is to be merged: a function of the blocks' `meta.json`, their marks and the time.
//!
//! ```text
//! time ───────▶ 0       8h      16h     24h                        ranges: 2 h blocks; windows of 8 h, 2 d, 14 d
//!               AABBCCDDEEFFGGHHIIJJKK                             2 h TSDB blocks of one group
//!               └─ 8 h ─┘└─ 8 h ─┘└ open ┘                         K, the newest, is left alone
//!               └────────── 2 d: open ──────────▶
//! ```
//! The largest complete window is taken first and in one step, so a backlog is never rewritten level by level. A
//! window is complete when its blocks fill it, or when a block that is not the newest begins after it: Thanos's rule.

mod duplicates;
mod left;
mod retention;
mod run;
mod show;
mod task;
#[cfg(test)]
mod tests;
mod window;

use std::{collections::BTreeMap, sync::Arc};

use bucket::{BlockFilter, PartialBlock};
use model::{
    BlockId, BlockMeta, DeletionMark, NoCompactMark, NoDownsampleMark, Resolution, TimeRange,
    Timestamp,
};
use serde::{Serialize, Serializer, ser::SerializeStruct as _};

pub use self::{
    duplicates::{Covered, CoveredBy},
    left::{Left, LeftReason},
    retention::{Downsampling, Expired, GoDuration, Retention, RetentionError},
    task::Task,
    window::Window,
};
pub(crate) use self::{left::foreign, show::Bytes, task::Made};
use self::{
    retention::{Coarser, Verdict},
    run::Run,
    task::bytes_of,
};
use crate::{Shard, group::GroupKey};

const HOUR: i64 = 3_600_000;

/// Lengths of windows that Thanos compacts to, in milliseconds: 8 h, 2 d and 14 d.
///
/// Its 2 h are the length of the blocks that Prometheus cuts; to rewrite those one by one would gain nothing.
pub const WINDOWS: [i64; 3] = [8 * HOUR, 48 * HOUR, 14 * 24 * HOUR];

/// A block as the planner sees it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its `meta.json`.
    pub meta: Arc<BlockMeta>,
    /// Bytes of all its objects.
    pub bytes: u64,
    /// The deletion mark, if it has one.
    pub deletion_mark: Option<DeletionMark>,
    /// The no-compact mark, if it has one.
    pub no_compact_mark: Option<NoCompactMark>,
    /// The no-downsample mark, if it has one.
    pub no_downsample_mark: Option<NoDownsampleMark>,
    /// What is wrong with it, if an attempt to merge it has shown that.
    pub damage: Option<String>,
}

/// What the planner is told.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// Lengths of windows in milliseconds, ascending, each a multiple of the one before.
    pub windows: Vec<i64>,
    /// Blocks that were uploaded less than this many milliseconds ago are left.
    pub consistency_delay: i64,
    /// Blocks that lie outside of these times entirely are left.
    pub times: TimeRange,
    /// Blocks that it does not select are left.
    pub filter: BlockFilter,
    /// Blocks of other shards are left.
    pub shard: Shard,
    /// How long blocks are kept.
    pub retention: Retention,
    /// Whether blocks are downsampled, which their raw samples wait for.
    pub downsampling: Downsampling,
    /// Bytes of memory that a merge may take.
    pub memory_budget: u64,
    /// The time.
    pub now: Timestamp,
}

/// What is to be done, and why the rest is not.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Plan {
    /// Merges, in the order of group and time; they do not depend on one another.
    pub tasks: Vec<Task>,
    /// Blocks whose samples another block holds: to be marked for deletion.
    pub covered: Vec<Covered>,
    /// Blocks older than blocks of their resolution are kept: to be marked for deletion.
    pub expired: Vec<Expired>,
    /// Every other block.
    pub left: Vec<Left>,
    /// Blocks of `tasks` and `left` that would be in `expired`, had they been downsampled.
    pub overdue: Vec<Expired>,
    /// Blocks whose `meta.json` is missing or cannot be read; the planner itself knows of none.
    pub unusable: Vec<Unusable>,
}

/// A block that cannot be planned for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unusable {
    /// Where it is in the bucket.
    pub root: String,
    /// What was expected and found.
    pub reason: String,
}

/// Plans the merges of all groups.
#[must_use]
pub fn plan(blocks: &[Candidate], options: &PlanOptions) -> Plan {
    let mut groups: BTreeMap<GroupKey, Vec<&Candidate>> = BTreeMap::new();
    let mut plan = Plan::default();
    let coarser = Coarser::of(blocks);
    for block in blocks {
        if let Some(reason) = left::unseen(block, options) {
            plan.left.push(Left::new(block, reason));
            continue;
        }
        match options.retention.verdict(block, &coarser, options) {
            Verdict::Mark(expired) => {
                plan.expired.push(expired);
                continue;
            }
            Verdict::Hold(expired) => plan.overdue.push(expired),
            Verdict::Keep => {}
        }
        let group = groups.entry(GroupKey::of(&block.meta)).or_default();
        group.push(block);
    }
    for (group, mut blocks) in groups {
        blocks.sort_unstable_by_key(|b| (b.meta.min_time, b.meta.ulid));
        plan_group(group, &blocks, options, &mut plan);
    }
    plan
}

fn plan_group(group: GroupKey, blocks: &[&Candidate], options: &PlanOptions, plan: &mut Plan) {
    // A block that is too fresh vouches for no other, and its window waits for it.
    let (fresh, settled): (Vec<_>, Vec<_>) = blocks
        .iter()
        .copied()
        .partition(|b| left::too_fresh(b, options).is_some());
    let mut blocks = duplicates::remove(settled, &mut plan.covered);
    if group.resolution != Resolution::Raw {
        let left = blocks.into_iter().chain(fresh);
        plan.left
            .extend(left.map(|b| Left::new(b, LeftReason::Downsampled)));
        return;
    }
    let seen = Seen::of(&blocks);
    blocks.extend(fresh);
    blocks.sort_unstable_by_key(|b| (b.meta.min_time, b.meta.ulid));
    let runs = run::runs(&blocks, seen.newest, options);
    let mut open: Vec<Run<'_>> = runs;
    for &length in options.windows.iter().rev() {
        let (complete, rest) = window::complete(open, length, seen.high);
        open = rest;
        for (window, runs) in complete {
            finish_window(group, Some(window), runs, options, plan);
        }
    }
    for run in open {
        match options.windows.iter().find_map(|l| run.window(*l)) {
            Some(window) => run.leave(&LeftReason::WindowOpen { window }, plan),
            // Across the boundary of even the largest windows: on its own, once nothing can join it.
            None if run.max <= seen.high => {
                finish_window(group, None, vec![run], options, plan);
            }
            None => {
                let window = Window {
                    start: run.min,
                    end: run.max,
                };
                run.leave(&LeftReason::WindowOpen { window }, plan);
            }
        }
    }
}

/// Makes tasks of a window in which nothing more is awaited.
fn finish_window(
    group: GroupKey,
    window: Option<Window>,
    runs: Vec<Run<'_>>,
    options: &PlanOptions,
    plan: &mut Plan,
) {
    if let Some(awaited) = runs.iter().find_map(Run::awaited) {
        for run in runs {
            run.leave(&LeftReason::WaitsFor { block: awaited }, plan);
        }
        return;
    }
    let mut task: Vec<&Candidate> = Vec::new();
    let end_task = |blocks: Vec<&Candidate>, plan: &mut Plan| {
        if !blocks.is_empty() {
            let memory = options.memory_budget;
            plan.tasks.push(Task::new(group, window, &blocks, memory));
        }
    };
    for run in runs {
        if run.is_ready() {
            task.extend(run.blocks);
        } else {
            // What stays where it is parts what is before it from what is after.
            end_task(std::mem::take(&mut task), plan);
            run.leave(&LeftReason::Parquet, plan);
        }
    }
    end_task(task, plan);
}

/// What the blocks of a group say of how far its time has come.
struct Seen {
    /// The block that begins last: out of the head just now, perhaps.
    newest: Option<BlockId>,
    /// Where the last block but that one begins. What ends before is past.
    high: Timestamp,
}

impl Seen {
    /// From blocks in the order of their beginning.
    fn of(blocks: &[&Candidate]) -> Self {
        let mut last = blocks.iter().rev();
        Self {
            newest: last.next().map(|b| b.meta.ulid),
            high: last.next().map_or(Timestamp::MIN, |b| b.meta.min_time),
        }
    }
}

impl From<&PartialBlock> for Unusable {
    fn from(block: &PartialBlock) -> Self {
        Self {
            root: block.objects.root.clone(),
            reason: block.reason.clone(),
        }
    }
}

impl PlanOptions {
    /// Thanos's defaults at `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            windows: WINDOWS.to_vec(),
            consistency_delay: HOUR / 2,
            times: TimeRange::ALL,
            filter: BlockFilter::default(),
            shard: Shard::ALL,
            retention: Retention::default(),
            downsampling: Downsampling::On,
            memory_budget: 256 << 20,
            now,
        }
    }
}

impl Plan {
    /// How many blocks the tasks merge.
    #[must_use]
    pub fn blocks_to_merge(&self) -> usize {
        self.tasks.iter().map(|t| t.inputs.len()).sum()
    }

    /// The bytes that the tasks read.
    #[must_use]
    pub fn bytes_to_merge(&self) -> u64 {
        self.tasks
            .iter()
            .fold(0, |sum, task| sum.saturating_add(bytes_of(&task.inputs)))
    }
}

/// As an object of `ulid`, `minTime`, `maxTime` (excluded) and `bytes`.
impl Serialize for Candidate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Candidate", 4)?;
        out.serialize_field("ulid", &self.meta.ulid)?;
        out.serialize_field("minTime", &self.meta.min_time)?;
        out.serialize_field("maxTime", &self.meta.max_time)?;
        out.serialize_field("bytes", &self.bytes)?;
        out.end()
    }
}
