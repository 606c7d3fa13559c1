//! Why the compactor leaves a block as it is for now.

use std::fmt;

use bucket::UnusableMark;
use model::{BlockId, BlockMeta, DeletionMark, NoCompactReason, Rfc3339, ThanosMeta, Timestamp};
use serde::Serialize;

use super::{Candidate, Known, PlanOptions, Window};
use crate::group::GroupKey;

const DAY: i64 = 24 * 3_600_000;
/// The longest that a block may be, in milliseconds: ten years.
const LONGEST: i64 = 3653 * DAY;
/// How far in the future a block may end that has begun, in milliseconds: the largest window of Thanos.
const AHEAD: i64 = 14 * DAY;

/// A block that stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The block.
    pub block: BlockId,
    /// Its group.
    pub group: GroupKey,
    /// Why.
    #[serde(flatten)]
    pub reason: SkipReason,
}

/// Why a block stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum SkipReason {
    /// It lies outside of `--min-time` and `--max-time`.
    OutsideTimes,
    /// Its external labels are not selected.
    NotSelected,
    /// Its group belongs to another compactor.
    OtherShard,
    /// It is going to be deleted.
    MarkedForDeletion {
        /// When it was marked, unix **seconds**.
        deletion_time: i64,
    },
    /// It was uploaded so recently that readers and listings may not agree on it.
    TooFresh {
        /// When it no longer is too fresh.
        until: Timestamp,
    },
    /// A mark says so.
    NoCompact {
        /// The mark's reason.
        mark: NoCompactReason,
        /// What the mark says in words.
        details: String,
    },
    /// One of its marks cannot be read, so it is not known what the mark forbids.
    UnusableMark {
        /// The object, what was expected of it and what was found.
        error: String,
    },
    /// Prometheus says that a compaction of it failed.
    CompactionFailed,
    /// It is damaged, as an attempt to merge it has shown.
    Damaged {
        /// What is wrong, and where.
        error: String,
    },
    /// The times of its `meta.json` cannot be right, so no window waits for it, nor does retention delete it.
    WrongTimes {
        /// What was expected and found.
        error: String,
    },
    /// It may belong together with a block that could not be read from the bucket.
    Unread {
        /// What was done, on which object, and what the bucket said.
        error: String,
    },
    /// It is the newest block of its group, so others may still be uploaded beside it.
    Newest,
    /// Its window may still get blocks.
    WindowOpen {
        /// The smallest window that holds it.
        window: Window,
    },
    /// Its window is complete but for a block that cannot be merged yet.
    WaitsFor {
        /// That block.
        block: BlockId,
    },
    /// Its window is complete but for a block that a task of a finer resolution will make.
    WaitsForTask {
        /// That task.
        task: String,
    },
    /// A Parquet block has its samples, or what is left of them after its retention, and no store gateway is known to
    /// serve that for an hour after it was made.
    NotServed {
        /// The Parquet block.
        block: BlockId,
    },
    /// A Parquet block has its samples, or what is left of them after its retention, and a store gateway must have served
    /// that for long enough.
    WaitsForStore {
        /// The Parquet block.
        block: BlockId,
        /// When it will have been served for long enough, at the earliest.
        until: Timestamp,
    },
    /// Its window is complete, and there is nothing to merge it with.
    Alone,
    /// It overlaps another block of aggregates. Aggregates of the same time in two blocks may count the same samples, so
    /// to merge them would be wrong: <https://github.com/thanos-io/thanos/issues/6775>.
    DownsampleVerticalCompaction,
}

impl Skipped {
    pub(super) fn new(block: &Known<'_>, reason: SkipReason) -> Self {
        Self {
            block: block.id(),
            group: block.group,
            reason,
        }
    }
}

/// Why this compactor has nothing to do with a block, if so.
pub(crate) fn foreign(meta: &BlockMeta, options: &PlanOptions) -> Option<SkipReason> {
    let labels = meta.external_labels();
    let replicas = &options.replicas;
    if meta.max_time < options.times.min || meta.min_time > options.times.max {
        Some(SkipReason::OutsideTimes)
    } else if !options
        .filter
        .selects(meta.ulid, || replicas.strip(&labels))
    {
        Some(SkipReason::NotSelected)
    } else if !options.shard.has(&replicas.group(&labels)) {
        Some(SkipReason::OtherShard)
    } else {
        None
    }
}

/// Why the planner does not look at a block at all, if so.
pub(super) fn unseen(block: &Candidate, options: &PlanOptions) -> Option<SkipReason> {
    if let Some(reason) = foreign(&block.meta, options) {
        return Some(reason);
    }
    let mark = block.deletion_mark.as_ref()?;
    Some(SkipReason::MarkedForDeletion {
        deletion_time: mark.deletion_time,
    })
}

/// Why a block is skipped in any case: the times in its `meta.json` cannot be right.
///
/// Such times come from a writer that takes seconds or microseconds for milliseconds, or writes 0 for unknown. Such a
/// block overlaps all others of its group, which would wait for it for ever.
pub(super) fn wrong_times(block: &Candidate, now: Timestamp) -> Option<SkipReason> {
    let (min, max) = (block.meta.min_time, block.meta.max_time);
    let ends = |at: Timestamp| Rfc3339(at).to_string();
    let error = if max < min {
        format!(
            "expected maxTime from {} on, found {}",
            ends(min),
            ends(max)
        )
    } else if max.0.saturating_sub(min.0) > LONGEST {
        let days = LONGEST / DAY;
        format!(
            "expected {days} days at most, found {} to {}",
            ends(min),
            ends(max)
        )
    } else if min <= now && max.0 > now.0.saturating_add(AHEAD) {
        let until = Timestamp(now.0.saturating_add(AHEAD));
        format!(
            "expected maxTime by {} at the latest, found {}",
            ends(until),
            ends(max)
        )
    } else {
        return None;
    };
    // Once it is marked, the mark says so.
    Some(match (&block.no_compact_mark, &block.damage) {
        (None, Some(error)) => SkipReason::Damaged {
            error: error.clone(),
        },
        (None, None) => SkipReason::WrongTimes { error },
        (Some(_), _) => forbidden(block)?,
    })
}

/// Why a block may not be merged, now or later, if so.
pub(super) fn forbidden(block: &Candidate) -> Option<SkipReason> {
    if let Some(mark) = block.unusable_marks.first() {
        let error = mark.reason.clone();
        return Some(SkipReason::UnusableMark { error });
    }
    if let Some(error) = block.damage.clone() {
        return Some(SkipReason::Damaged { error });
    }
    if let Some(mark) = &block.no_compact_mark {
        return Some(SkipReason::NoCompact {
            mark: mark.reason.clone(),
            details: mark.details.clone(),
        });
    }
    (block.meta.compaction.failed).then_some(SkipReason::CompactionFailed)
}

/// Whether a block may be deleted soon, so that it must not be the only one to hold another block's samples.
pub(super) fn may_go(block: &Candidate) -> bool {
    let is_deletion = |mark: &UnusableMark| mark.file == DeletionMark::FILE;
    block.deletion_mark.is_some() || block.unusable_marks.iter().any(is_deletion)
}

/// Thanos's consistency delay: from the upload, or from the ULID where the block does not say when that was. What a
/// compactor or a repair has written is exempt.
pub(super) fn too_fresh(block: &Candidate, options: &PlanOptions) -> Option<SkipReason> {
    let thanos = block.meta.thanos.as_ref();
    if thanos.is_some_and(ThanosMeta::is_rewritten) {
        return None;
    }
    let said = thanos.and_then(ThanosMeta::uploaded_at);
    let since = said.unwrap_or_else(|| block.meta.ulid.time());
    let until = Timestamp(since.0.saturating_add(options.consistency_delay));
    (options.now < until).then_some(SkipReason::TooFresh { until })
}

impl SkipReason {
    /// All words of [`Self::word`].
    pub(crate) const WORDS: [&'static str; 19] = [
        "outside-times",
        "not-selected",
        "other-shard",
        "marked-for-deletion",
        "too-fresh",
        "no-compact",
        "unusable-mark",
        "compaction-failed",
        "damaged",
        "wrong-times",
        "unread",
        "newest",
        "window-open",
        "waits-for",
        "waits-for-task",
        "not-served",
        "waits-for-store",
        "alone",
        "downsample-vertical-compaction",
    ];

    /// The reason as one word, as in the JSON.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::OutsideTimes => "outside-times",
            Self::NotSelected => "not-selected",
            Self::OtherShard => "other-shard",
            Self::MarkedForDeletion { .. } => "marked-for-deletion",
            Self::TooFresh { .. } => "too-fresh",
            Self::NoCompact { .. } => "no-compact",
            Self::UnusableMark { .. } => "unusable-mark",
            Self::CompactionFailed => "compaction-failed",
            Self::Damaged { .. } => "damaged",
            Self::WrongTimes { .. } => "wrong-times",
            Self::Unread { .. } => "unread",
            Self::Newest => "newest",
            Self::WindowOpen { .. } => "window-open",
            Self::WaitsFor { .. } => "waits-for",
            Self::WaitsForTask { .. } => "waits-for-task",
            Self::NotServed { .. } => "not-served",
            Self::WaitsForStore { .. } => "waits-for-store",
            Self::Alone => "alone",
            Self::DownsampleVerticalCompaction => "downsample-vertical-compaction",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutsideTimes => f.write_str("outside of --min-time to --max-time"),
            Self::NotSelected => f.write_str("not selected by its labels"),
            Self::OtherShard => f.write_str("its group belongs to another shard"),
            Self::MarkedForDeletion { deletion_time } => {
                let at = Timestamp::from_seconds(*deletion_time);
                write!(f, "marked for deletion at {}", Rfc3339(at))
            }
            Self::TooFresh { until } => {
                write!(
                    f,
                    "uploaded too recently; skipped until {}",
                    Rfc3339(*until)
                )
            }
            Self::NoCompact { mark, details } => {
                write!(f, "marked as not to be compacted, {mark}")?;
                if details.is_empty() {
                    return Ok(());
                }
                write!(f, ": {details}")
            }
            Self::UnusableMark { error } => write!(f, "a mark cannot be used: {error}"),
            Self::CompactionFailed => f.write_str("meta.json says that its compaction failed"),
            Self::Damaged { error } => write!(f, "damaged: {error}"),
            Self::WrongTimes { error } => write!(f, "wrong times in its meta.json: {error}"),
            Self::Unread { error } => {
                write!(
                    f,
                    "a block that may be of its group could not be read: {error}"
                )
            }
            Self::Newest => f.write_str("the newest block of its group"),
            Self::WindowOpen { window } => write!(f, "its window, {window}, is not complete"),
            Self::WaitsFor { block } => write!(f, "its window waits for block {block}"),
            Self::WaitsForTask { task } => write!(f, "its window waits for task {task}"),
            Self::NotServed { block } => {
                write!(
                    f,
                    "in parquet/{block}, which no store gateway is known to serve"
                )
            }
            Self::WaitsForStore { block, until } => write!(
                f,
                "in parquet/{block}, which a store gateway must serve until {}",
                Rfc3339(*until)
            ),
            Self::Alone => f.write_str("alone in its window"),
            Self::DownsampleVerticalCompaction => {
                f.write_str("overlaps another downsampled block; these are not merged")
            }
        }
    }
}
