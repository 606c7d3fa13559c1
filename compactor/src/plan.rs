//! What is to be merged and downsampled: a function of the blocks' `meta.json`, their marks and the time.
//!
//! ```text
//! time ───────▶ 0       8h      16h     24h                        ranges: 2 h blocks; windows of 8 h, 2 d, 14 d
//!               AABBCCDDEEFFGGHHIIJJKK                             2 h TSDB blocks of one group
//!               └─ 8 h ─┘└─ 8 h ─┘└ open ┘                         K, the newest, is left alone
//!               └────────── 2 d: open ──────────▶
//! ```
//! The largest complete window is taken first and in one step, so a backlog is never rewritten level by level. A
//! window is complete when its blocks fill it, or when a block that is not the newest begins after it: Thanos's rule.
//! Where a merge makes a block that is long enough, it is downsampled in the same pass.

mod coarser;
mod cover;
mod duplicates;
mod group;
mod known;
mod retention;
mod run;
mod served;
mod show;
mod shown;
mod skipped;
mod task;
#[cfg(test)]
mod tests;
mod todo;
mod window;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bucket::{BlockFilter, PartialBlock, UnreadBlock, UnusableMark};
use model::{
    BlockId, BlockMeta, DeletionMark, NoCompactMark, NoDownsampleMark, TimeRange, Timestamp,
};
use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use self::{
    coarser::Coarser, cover::Cover, group::GroupContext, known::Known, retention::Verdict,
    run::Run, task::bytes_of,
};
pub use self::{
    duplicates::{Covered, CoveredBy},
    retention::{Downsampling, Expired, GoDuration, Retention, RetentionError},
    served::Served,
    skipped::{SkipReason, Skipped},
    task::Task,
    todo::{Todo, todo},
    window::Window,
};
pub(crate) use self::{
    show::Bytes,
    skipped::foreign,
    task::{Made, SOURCE},
};
use crate::{OutputFormat, Replicas, Shard, group::GroupKey};

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
    /// Its marks that cannot be read; a block with any is skipped.
    pub unusable_marks: Vec<UnusableMark>,
    /// When a store gateway was first seen to serve it, if one was.
    pub served_since: Option<Timestamp>,
    /// What is wrong with it, if an attempt to merge it has failed.
    pub damage: Option<String>,
    /// Why the bucket could not give its `meta.json` or one of its marks, if so. Nothing is planned for its labels.
    pub unread: Option<String>,
}

/// What the planner is told.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// Lengths of windows in milliseconds, ascending, each a multiple of the one before.
    pub windows: Vec<i64>,
    /// Blocks that were uploaded less than this many milliseconds ago are skipped.
    pub consistency_delay: i64,
    /// Blocks that lie outside of these times entirely are skipped.
    pub times: TimeRange,
    /// Blocks that it does not select are skipped.
    pub filter: BlockFilter,
    /// Blocks of other shards are skipped.
    pub shard: Shard,
    /// How long blocks are kept.
    pub retention: Retention,
    /// Whether blocks are downsampled; if so, raw samples are kept until they are.
    pub downsampling: Downsampling,
    /// The labels of replicas, and how their samples are merged.
    pub replicas: Replicas,
    /// The format of the blocks that are made.
    pub output: OutputFormat,
    /// Bytes of memory that a merge may take.
    pub memory_budget: u64,
    /// What store gateways serve, if TSDB blocks stay until one has served the Parquet block that replaces them, or
    /// what is left of them after their retention.
    pub served: Option<Arc<Served>>,
    /// Why the `meta.json` of a block could not be read of which nothing else is known, if there is one. It may belong to
    /// any group, so nothing is planned.
    pub unread: Option<String>,
    /// The time.
    pub now: Timestamp,
}

/// The work to do, and why the other blocks are skipped.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Plan {
    /// Merges and downsamplings, in the order of group and time; they do not depend on one another.
    pub tasks: Vec<Task>,
    /// Blocks whose samples another block holds: to be marked for deletion.
    pub covered: Vec<Covered>,
    /// Parquet blocks that a store gateway serves, as is seen for the first time: to be marked as served.
    pub served: BTreeSet<BlockId>,
    /// Parquet blocks that are marked as served, and that no store gateway serves any more: to lose that mark.
    pub unserved: BTreeSet<BlockId>,
    /// Blocks older than the retention of their resolution: to be marked for deletion.
    pub expired: Vec<Expired>,
    /// Every other block.
    #[serde(rename = "left")]
    pub skipped: Vec<Skipped>,
    /// Blocks of `tasks` and `left` that would be in `expired`, had they been downsampled.
    pub overdue: Vec<Expired>,
    /// Blocks whose `meta.json` is missing or cannot be read; the planner itself knows of none.
    pub unusable: Vec<Unusable>,
    /// Blocks whose `meta.json` or mark is listed but could not be read; nothing is planned where they may
    /// belong. The planner itself knows of none.
    pub unread: Vec<Unusable>,
}

/// A block that the planner cannot use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unusable {
    /// Where it is in the bucket.
    pub root: String,
    /// What was expected and found.
    pub reason: String,
}

/// Plans the work on all groups.
#[must_use]
pub fn plan(blocks: &[Candidate], options: &PlanOptions) -> Plan {
    let mut plan = Plan::default();
    let known: Vec<Known<'_>> = blocks
        .iter()
        .map(|block| Known::new(block, &options.replicas))
        .collect();
    let cover = Cover::of(&known);
    let coarser = Coarser {
        options,
        cover: &cover,
    };
    let waiting: BTreeMap<u64, &str> = known
        .iter()
        .filter_map(|block| Some((block.group.hash, block.unread.as_deref()?)))
        .collect();
    let mut groups: BTreeMap<GroupKey, Vec<&Known<'_>>> = BTreeMap::new();
    for block in &known {
        if let Some(reason) = skipped::unseen(block, options) {
            plan.skipped.push(Skipped::new(block, reason));
            continue;
        }
        let of_group = waiting.get(&block.group.hash).copied();
        if let Some(error) = options.unread.as_deref().or(of_group) {
            let error = error.to_owned();
            plan.skipped
                .push(Skipped::new(block, SkipReason::Unread { error }));
            continue;
        }
        if let Some(reason) = skipped::wrong_times(block, options.now) {
            plan.skipped.push(Skipped::new(block, reason));
            continue;
        }
        match options.retention.verdict(block, coarser) {
            Verdict::Mark(expired) => {
                match coarser.awaits_store(block, &mut plan) {
                    Some(reason) => plan.skipped.push(Skipped::new(block, reason)),
                    None => plan.expired.push(expired),
                }
                continue;
            }
            Verdict::Hold(expired) => plan.overdue.push(expired),
            Verdict::Keep => {}
        }
        groups.entry(block.group).or_default().push(block);
    }
    let overdue: BTreeSet<BlockId> = plan.overdue.iter().map(|e| e.block).collect();
    let context = GroupContext {
        coarser,
        overdue: &overdue,
    };
    // The finest resolutions come first, as what they become is awaited by the others.
    for (group, blocks) in groups {
        group::plan_group(group, blocks, context, &mut plan);
    }
    plan
}

impl From<&PartialBlock> for Unusable {
    fn from(block: &PartialBlock) -> Self {
        Self {
            root: block.objects.root.to_string(),
            reason: block.reason.clone(),
        }
    }
}

impl From<&UnreadBlock> for Unusable {
    fn from(block: &UnreadBlock) -> Self {
        Self {
            root: block.objects.root.to_string(),
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
            replicas: Replicas::default(),
            output: OutputFormat::default(),
            memory_budget: 256 << 20,
            served: None,
            unread: None,
            now,
        }
    }
}

impl Plan {
    /// How many blocks the tasks read.
    #[must_use]
    pub fn blocks_to_read(&self) -> usize {
        self.tasks.iter().map(|t| t.inputs.len()).sum()
    }

    /// The tasks of each group, in their order.
    #[must_use]
    pub fn by_group(&self) -> BTreeMap<GroupKey, Vec<&Task>> {
        let mut groups: BTreeMap<GroupKey, Vec<&Task>> = BTreeMap::new();
        for task in &self.tasks {
            groups.entry(task.group).or_default().push(task);
        }
        groups
    }

    /// The bytes that the tasks read.
    #[must_use]
    pub fn bytes_to_read(&self) -> u64 {
        self.tasks
            .iter()
            .fold(0, |sum, task| sum.saturating_add(bytes_of(&task.inputs)))
    }
}

impl Candidate {
    /// A block that is only here, in the work folder.
    pub(crate) fn of_run(meta: Arc<BlockMeta>) -> Self {
        Self {
            meta,
            bytes: 0,
            deletion_mark: None,
            no_compact_mark: None,
            no_downsample_mark: None,
            served_since: None,
            unusable_marks: Vec::new(),
            damage: None,
            unread: None,
        }
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
