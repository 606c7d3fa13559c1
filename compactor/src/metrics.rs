//! The compactor's metrics, under Thanos's names.

use model::Resolution;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use service::Metrics;

type ByResolution = Family<[(&'static str, String); 1], Counter>;
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

/// The compactor's metrics.
#[derive(Clone, Debug)]
pub(crate) struct CompactMetrics {
    pub(crate) iterations: Counter,
    pub(crate) retries: Counter,
    pub(crate) blocks_cleaned: Counter,
    pub(crate) block_cleanup_failures: Counter,
    pub(crate) partial_upload_deletions: Counter,
    pub(crate) garbage_collected: Counter,
    pub(crate) todo_compactions: Gauge,
    pub(crate) todo_compaction_blocks: Gauge,
    pub(crate) todo_deletion_blocks: Gauge,
    pub(crate) series_merged: Counter,
    marked: ByMark,
    compactions: ByResolution,
    runs_started: ByResolution,
    runs_completed: ByResolution,
    failures: ByResolution,
}

impl CompactMetrics {
    /// Registers them; those of a group start at 0, as alerts divide by them.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let counter = |name, help| metrics.register(name, help, Counter::default());
        let gauge = |name, help| metrics.register(name, help, Gauge::default());
        let family = |name, help| {
            let family = metrics.register(name, help, ByResolution::default());
            drop(family.get_or_create(&resolution(Resolution::Raw)));
            family
        };
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
            garbage_collected: counter(
                "thanos_compact_garbage_collected_blocks_total",
                "Total number of blocks marked for deletion by compactor because another block holds their samples",
            ),
            todo_compactions: gauge(
                "thanos_compact_todo_compactions",
                "Number of compactions to be done",
            ),
            todo_compaction_blocks: gauge(
                "thanos_compact_todo_compaction_blocks",
                "Number of blocks planned to be compacted",
            ),
            todo_deletion_blocks: gauge(
                "thanos_compact_todo_deletion_blocks",
                "Number of blocks that have crossed their retention period",
            ),
            series_merged: counter(
                "varve_compact_series_merged_total",
                "Total number of input series that merges are done with",
            ),
            marked: metrics.register(
                "thanos_compact_blocks_marked_total",
                "Total number of blocks marked in compactor",
                ByMark::default(),
            ),
            compactions: family(
                "thanos_compact_group_compactions_total",
                "Total number of group compaction attempts that resulted in a new block",
            ),
            runs_started: family(
                "thanos_compact_group_compaction_runs_started_total",
                "Total number of group compaction attempts",
            ),
            runs_completed: family(
                "thanos_compact_group_compaction_runs_completed_total",
                "Total number of group completed compaction runs",
            ),
            failures: family(
                "thanos_compact_group_compactions_failures_total",
                "Total number of failed group compactions",
            ),
        };
        drop(all.marked.get_or_create(&deletion_mark()));
        for reason in NO_COMPACT_REASONS {
            drop(all.marked.get_or_create(&no_compact_mark(reason)));
        }
        all
    }

    pub(crate) fn marked_for_deletion(&self) {
        self.marked.get_or_create(&deletion_mark()).inc();
    }

    pub(crate) fn marked_no_compact(&self, reason: &str) {
        self.marked.get_or_create(&no_compact_mark(reason)).inc();
    }

    pub(crate) fn started(&self, of: Resolution) {
        self.runs_started.get_or_create(&resolution(of)).inc();
    }

    pub(crate) fn completed(&self, of: Resolution) {
        self.runs_completed.get_or_create(&resolution(of)).inc();
        self.compactions.get_or_create(&resolution(of)).inc();
    }

    pub(crate) fn failed(&self, of: Resolution) {
        self.failures.get_or_create(&resolution(of)).inc();
    }
}

fn resolution(of: Resolution) -> [(&'static str, String); 1] {
    [("resolution", of.millis().to_string())]
}

fn deletion_mark() -> [(&'static str, String); 2] {
    let marker = model::DeletionMark::FILE.to_owned();
    [("marker", marker), ("reason", String::new())]
}

fn no_compact_mark(reason: &str) -> [(&'static str, String); 2] {
    let marker = model::NoCompactMark::FILE.to_owned();
    [("marker", marker), ("reason", reason.to_owned())]
}

#[cfg(test)]
mod tests {
    use service::Exposition;

    use super::*;

    #[test]
    fn marks_are_counted_from_zero_by_their_reason() {
        let registry = Metrics::new();
        let metrics = CompactMetrics::new(&registry);
        metrics.marked_no_compact(DAMAGED);
        let text = registry.encode(Exposition::Prometheus);
        for (mark, reason, count) in [
            ("deletion-mark.json", "", 0),
            ("no-compact-mark.json", "damaged", 1),
            ("no-compact-mark.json", "index-size-exceeding", 0),
        ] {
            let line = format!(
                "thanos_compact_blocks_marked_total{{marker=\"{mark}\",reason=\"{reason}\"}} {count}\n"
            );
            assert!(text.contains(&line), "{line} in {text}");
        }
    }
}
