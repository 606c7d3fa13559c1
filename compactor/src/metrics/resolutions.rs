//! What is counted by the resolution of the blocks that are read.

use std::time::Duration;

use model::Resolution;
use prometheus_client::metrics::{counter::Counter, family::Family, histogram::Histogram};
use service::Metrics;

use crate::Task;

type Label = [(&'static str, String); 1];
type Counters = Family<Label, Counter>;

/// Bounds of Thanos's histogram: 1 m to 4 h.
const DOWNSAMPLE_SECONDS: [f64; 7] = [60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0];

/// What is counted by the resolution of the blocks that are read.
#[derive(Clone, Debug)]
pub(crate) struct ByResolutions {
    compactions: Counters,
    vertical: Counters,
    runs_started: Counters,
    runs_completed: Counters,
    failures: Counters,
    downsamples: Counters,
    downsample_failures: Counters,
    /// A name that Thanos's dashboards know and Thanos has no more.
    downsample_failed: Counters,
    downsample_duration: Family<Label, Histogram, fn() -> Histogram>,
}

impl ByResolutions {
    /// Registers them; they start at 0, as alerts divide by them.
    pub(super) fn new(metrics: &Metrics) -> Self {
        let family = |name, help, resolutions: &[Resolution]| {
            let family = metrics.register(name, help, Counters::default());
            for resolution in resolutions {
                drop(family.get_or_create(&label(*resolution)));
            }
            family
        };
        use Resolution::{FiveMinutes, OneHour, Raw};
        let merged = |name, help| family(name, help, &[Raw, FiveMinutes, OneHour]);
        let downsampled = |name, help| family(name, help, &[Raw, FiveMinutes]);
        let histogram: fn() -> Histogram = || Histogram::new(DOWNSAMPLE_SECONDS);
        let downsample_duration = metrics.register(
            "thanos_compact_downsample_duration_seconds",
            "Duration of downsample runs that merge nothing",
            Family::new_with_constructor(histogram),
        );
        for resolution in [Raw, FiveMinutes] {
            drop(downsample_duration.get_or_create(&label(resolution)));
        }
        Self {
            compactions: merged(
                "thanos_compact_group_compactions_total",
                "Total number of group compaction attempts that resulted in a new block",
            ),
            vertical: merged(
                "thanos_compact_group_vertical_compactions_total",
                "Total number of group compaction attempts that resulted in a new block based on overlapping blocks",
            ),
            runs_started: merged(
                "thanos_compact_group_compaction_runs_started_total",
                "Total number of group compaction attempts",
            ),
            runs_completed: merged(
                "thanos_compact_group_compaction_runs_completed_total",
                "Total number of group completed compaction runs",
            ),
            failures: merged(
                "thanos_compact_group_compactions_failures_total",
                "Total number of failed group compactions",
            ),
            downsamples: downsampled(
                "thanos_compact_downsample_total",
                "Total number of downsampling attempts that resulted in a new block",
            ),
            downsample_failures: downsampled(
                "thanos_compact_downsample_failures_total",
                "Total number of failed downsampling attempts",
            ),
            downsample_failed: downsampled(
                "thanos_compact_downsample_failed_total",
                "Total number of failed downsampling attempts, as Thanos's dashboards know it",
            ),
            downsample_duration,
        }
    }

    /// A task begins.
    pub(crate) fn started(&self, task: &Task) {
        if task.merges() {
            self.runs_started.get_or_create(&own(task)).inc();
        }
    }

    /// A task is done.
    pub(crate) fn completed(&self, task: &Task, took: Duration) {
        let own = own(task);
        if task.merges() {
            self.runs_completed.get_or_create(&own).inc();
            self.compactions.get_or_create(&own).inc();
            if task.is_vertical() {
                self.vertical.get_or_create(&own).inc();
            }
        } else {
            let duration = self.downsample_duration.get_or_create(&own);
            duration.observe(took.as_secs_f64());
        }
        for of in task.downsampled() {
            self.downsamples.get_or_create(&label(of)).inc();
        }
    }

    /// A task cannot be done.
    pub(crate) fn failed(&self, task: &Task) {
        if task.merges() {
            self.failures.get_or_create(&own(task)).inc();
            return;
        }
        for of in task.downsampled() {
            self.downsample_failures.get_or_create(&label(of)).inc();
            self.downsample_failed.get_or_create(&label(of)).inc();
        }
    }
}

fn own(task: &Task) -> Label {
    label(task.group.resolution)
}

fn label(of: Resolution) -> Label {
    [("resolution", of.millis().to_string())]
}
