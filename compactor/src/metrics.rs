//! The compactor's metrics, under Thanos's names.

mod resolutions;

use std::time::Duration;

use bucket::Mark;
use prometheus_client::metrics::{
    counter::Counter, family::Family, gauge::Gauge, histogram::Histogram,
};
use service::Metrics;

pub(crate) use self::resolutions::ByResolutions;
use crate::{Plan, SkipReason, Summary, Task, Todo};

type ByReason = Family<[(&'static str, &'static str); 1], Gauge>;
type ByMark = Family<[(&'static str, String); 2], Counter>;

/// Why a damaged block is marked as not to be compacted. Thanos has no word for it, and takes any.
pub(crate) const DAMAGED: &str = "damaged";

/// The reasons that this compactor marks blocks for, and those that Thanos's alerts know.
const NO_COMPACT_REASONS: [&str; 4] = [
    DAMAGED,
    "index-size-exceeding",
    "block-index-out-of-order-chunk",
    "downsample-vertical-compaction",
];

/// Bounds of Thanos's histogram.
const GARBAGE_COLLECTION_SECONDS: [f64; 16] = [
    0.01, 0.1, 0.3, 0.6, 1.0, 3.0, 6.0, 9.0, 20.0, 30.0, 60.0, 90.0, 120.0, 240.0, 360.0, 720.0,
];

/// The compactor's metrics.
#[derive(Clone, Debug)]
pub(crate) struct CompactMetrics {
    pub(crate) iterations: Counter,
    pub(crate) retries: Counter,
    pub(crate) blocks_cleaned: Counter,
    pub(crate) block_cleanup_failures: Counter,
    pub(crate) partial_upload_deletions: Counter,
    pub(crate) garbage_collected_blocks: Counter,
    pub(crate) cleanup_loops: Counter,
    pub(crate) todo: TodoMetrics,
    pub(crate) series_merged: Counter,
    pub(crate) blocks_fetched_again: Counter,
    pub(crate) store_failures: Counter,
    skipped: ByReason,
    failures: Gauge,
    /// What is counted by the resolution of what is read.
    pub(crate) by: ByResolutions,
    garbage_collections: Counter,
    garbage_collection_failures: Counter,
    garbage_collection_duration: Histogram,
    delete_delay: Gauge,
    marked: ByMark,
    marked_for_deletion: Counter,
}

/// What is to be done until nothing is left.
#[derive(Clone, Debug)]
pub(crate) struct TodoMetrics {
    pub(crate) compactions: Gauge,
    pub(crate) compaction_blocks: Gauge,
    pub(crate) downsample_blocks: Gauge,
    pub(crate) deletion_blocks: Gauge,
}

impl CompactMetrics {
    /// Registers them; those of a group start at 0, as alerts divide by them.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let counter = |name, help| metrics.register(name, help, Counter::default());
        let gauge = |name, help| metrics.register(name, help, Gauge::default());
        // Nothing halts; the alert on it stays quiet.
        gauge(
            "thanos_compact_halted",
            "Set to 1 if the compactor halted due to an unexpected error",
        );
        let all = Self {
            iterations: counter(
                "thanos_compact_iterations_total",
                "Total number of iterations that were executed successfully",
            ),
            retries: counter(
                "thanos_compact_retries_total",
                "Total number of retries after retriable compactor error",
            ),
            blocks_cleaned: counter(
                "thanos_compact_blocks_cleaned_total",
                "Total number of blocks deleted in compactor",
            ),
            block_cleanup_failures: counter(
                "thanos_compact_block_cleanup_failures_total",
                "Failures encountered while deleting blocks in compactor",
            ),
            partial_upload_deletions: counter(
                "thanos_compact_aborted_partial_uploads_deletion_attempts_total",
                "Total number of started deletions of blocks that are assumed aborted and only partially uploaded",
            ),
            garbage_collected_blocks: counter(
                "thanos_compact_garbage_collected_blocks_total",
                "Total number of blocks marked for deletion by compactor because another block holds their samples",
            ),
            cleanup_loops: counter(
                "thanos_compact_block_cleanup_loops_total",
                "Total number of concurrent cleanup loops of partially uploaded blocks and marked blocks that were executed successfully",
            ),
            todo: TodoMetrics {
                compactions: gauge(
                    "thanos_compact_todo_compactions",
                    "Number of compactions to be done",
                ),
                compaction_blocks: gauge(
                    "thanos_compact_todo_compaction_blocks",
                    "Number of blocks planned to be compacted",
                ),
                downsample_blocks: gauge(
                    "thanos_compact_todo_downsample_blocks",
                    "Number of blocks to be downsampled",
                ),
                deletion_blocks: gauge(
                    "thanos_compact_todo_deletion_blocks",
                    "Number of blocks that have crossed their retention period",
                ),
            },
            series_merged: counter(
                "varve_compact_series_merged_total",
                "Total number of input series that merges are done with",
            ),
            blocks_fetched_again: counter(
                "varve_compact_blocks_fetched_again_total",
                "Total number of blocks that were fetched again as their copy in the work folder was damaged",
            ),
            store_failures: counter(
                "varve_compact_store_request_failures_total",
                "Total number of times that a store gateway of --compact.keep-until-served did not tell what it serves",
            ),
            skipped: metrics.register(
                "varve_compact_blocks_skipped",
                "Number of blocks that the last plan leaves as they are, by the reason",
                Family::default(),
            ),
            failures: gauge(
                "varve_compact_failures",
                "Number of tasks, groups and blocks that the last iteration could not work on",
            ),
            marked: metrics.register(
                "thanos_compact_blocks_marked_total",
                "Total number of blocks marked in compactor",
                ByMark::default(),
            ),
            marked_for_deletion: counter(
                "thanos_compact_blocks_marked_for_deletion_total",
                "Total number of blocks marked for deletion in compactor, as Thanos's dashboards know it",
            ),
            garbage_collections: counter(
                "thanos_compact_garbage_collection_total",
                "Total number of garbage collection operations",
            ),
            garbage_collection_failures: counter(
                "thanos_compact_garbage_collection_failures_total",
                "Total number of failed garbage collection operations",
            ),
            garbage_collection_duration: metrics.register(
                "thanos_compact_garbage_collection_duration_seconds",
                "Time it took to perform garbage collection iteration",
                Histogram::new(GARBAGE_COLLECTION_SECONDS),
            ),
            delete_delay: gauge(
                "thanos_delete_delay_seconds",
                "Configured delete delay in seconds",
            ),
            by: ByResolutions::new(metrics),
        };
        let of_reasons = NO_COMPACT_REASONS.map(Mark::NoCompact);
        for mark in of_reasons.into_iter().chain([Mark::Deletion]) {
            drop(all.marked.get_or_create(&labels(mark)));
        }
        for reason in SkipReason::WORDS {
            drop(all.skipped.get_or_create(&[("reason", reason)]));
        }
        all
    }

    pub(crate) fn marked(&self, mark: Mark<'_>) {
        self.marked.get_or_create(&labels(mark)).inc();
        if mark == Mark::Deletion {
            self.marked_for_deletion.inc();
        }
    }

    /// Sets what the plan leaves as it is.
    pub(crate) fn planned(&self, plan: &Plan) {
        for word in SkipReason::WORDS {
            let of_word = plan.skipped.iter().filter(|one| one.reason.word() == word);
            let count = gauge(of_word.count());
            self.skipped.get_or_create(&[("reason", word)]).set(count);
        }
    }

    /// Sets what an iteration could not do.
    pub(crate) fn iterated(&self, summary: &Summary) {
        self.failures.set(gauge(summary.failed.len()));
    }

    /// Blocks whose samples others hold were marked, all of them if nothing failed.
    pub(crate) fn garbage_collected(&self, took: Duration, failures: usize) {
        self.garbage_collections.inc();
        self.garbage_collection_duration.observe(took.as_secs_f64());
        if failures > 0 {
            self.garbage_collection_failures.inc();
        }
    }

    pub(crate) fn set_delete_delay(&self, delay: Duration) {
        let seconds = i64::try_from(delay.as_secs()).unwrap_or(i64::MAX);
        self.delete_delay.set(seconds);
    }
}

impl TodoMetrics {
    pub(crate) fn set(&self, todo: Todo) {
        self.compactions.set(gauge(todo.compactions));
        self.compaction_blocks.set(gauge(todo.compaction_blocks));
        self.downsample_blocks.set(gauge(todo.downsample_blocks));
        self.deletion_blocks.set(gauge(todo.deletion_blocks));
    }

    /// A task has ended that read so many blocks, merged or not.
    pub(crate) fn ended(&self, task: &Task) {
        if task.merges() {
            self.compactions.dec();
            self.compaction_blocks.dec_by(gauge(task.inputs.len()));
        }
        let made = gauge(task.downsampled().count());
        self.downsample_blocks.dec_by(made);
    }
}

fn gauge(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn labels(mark: Mark<'_>) -> [(&'static str, String); 2] {
    let (marker, reason) = (mark.file().to_owned(), mark.reason().to_owned());
    [("marker", marker), ("reason", reason)]
}

#[cfg(test)]
mod tests {
    use model::{BlockId, Labels, Resolution, Timestamp};
    use service::Exposition;

    use crate::{CompactError, GroupKey, Skipped};

    use super::*;

    #[test]
    fn damaged_blocks_and_what_failed_move_gauges_and_go_back() {
        let registry = Metrics::new();
        let metrics = CompactMetrics::new(&registry);
        let block = BlockId::new(Timestamp(0), 1);
        let error = || CompactError::Block {
            block,
            reason: "torn".to_owned(),
        };
        let damaged = Skipped {
            block,
            group: GroupKey::new(&Labels::default(), Resolution::Raw),
            reason: SkipReason::Damaged {
                error: "torn".to_owned(),
            },
        };
        let plan = Plan {
            skipped: vec![damaged],
            ..Plan::default()
        };
        let summary = Summary {
            failed: vec![("group".to_owned(), error()), ("block".to_owned(), error())],
            ..Summary::default()
        };
        let says = |damaged: u8, failures: u8| {
            let text = registry.encode(Exposition::Prometheus);
            for line in [
                format!("varve_compact_blocks_skipped{{reason=\"damaged\"}} {damaged}\n"),
                "varve_compact_blocks_skipped{reason=\"unread\"} 0\n".to_owned(),
                format!("varve_compact_failures {failures}\n"),
            ] {
                assert!(text.contains(&line), "{line} in {text}");
            }
        };
        says(0, 0);
        metrics.planned(&plan);
        metrics.iterated(&summary);
        says(1, 2);
        metrics.planned(&Plan::default());
        metrics.iterated(&Summary::default());
        says(0, 0);
    }

    #[test]
    fn marks_are_counted_from_zero_by_their_reason() {
        let registry = Metrics::new();
        let metrics = CompactMetrics::new(&registry);
        metrics.marked(Mark::NoCompact(DAMAGED));
        metrics.marked(Mark::NoDownsample("no-samples"));
        let text = registry.encode(Exposition::Prometheus);
        for (mark, reason, count) in [
            ("deletion-mark.json", "", 0),
            ("no-compact-mark.json", "damaged", 1),
            ("no-compact-mark.json", "index-size-exceeding", 0),
            ("no-downsample-mark.json", "no-samples", 1),
        ] {
            let line = format!(
                "thanos_compact_blocks_marked_total{{marker=\"{mark}\",reason=\"{reason}\"}} {count}\n"
            );
            assert!(text.contains(&line), "{line} in {text}");
        }
    }
}
