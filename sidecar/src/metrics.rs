//! The sidecar's metrics, under Thanos's names.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::{
    counter::Counter, family::Family, gauge::Gauge, histogram::Histogram,
};
use service::Metrics;

/// The sidecar's metrics.
#[derive(Clone, Debug)]
pub(crate) struct SidecarMetrics {
    pub(crate) prometheus_up: Gauge,
    pub(crate) last_heartbeat: Gauge<f64, AtomicU64>,
    pub(crate) dir_syncs: Counter,
    pub(crate) dir_sync_failures: Counter,
    pub(crate) uploads: Counter,
    pub(crate) upload_failures: Counter,
    pub(crate) corrupted_blocks: Counter,
    pub(crate) upload_compacted_done: Gauge,
}

impl SidecarMetrics {
    /// Registers them.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let counter = |name, help| metrics.register(name, help, Counter::default());
        Self {
            prometheus_up: metrics.register(
                "thanos_sidecar_prometheus_up",
                "Boolean indicator whether the sidecar can reach its Prometheus peer",
                Gauge::default(),
            ),
            last_heartbeat: metrics.register(
                "thanos_sidecar_last_heartbeat_success_time_seconds",
                "Timestamp of the last successful heartbeat in seconds",
                Gauge::default(),
            ),
            dir_syncs: counter(
                "thanos_shipper_dir_syncs_total",
                "Total number of dir syncs",
            ),
            dir_sync_failures: counter(
                "thanos_shipper_dir_sync_failures_total",
                "Total number of failed dir syncs",
            ),
            uploads: counter(
                "thanos_shipper_uploads_total",
                "Total number of uploaded blocks",
            ),
            upload_failures: counter(
                "thanos_shipper_upload_failures_total",
                "Total number of block upload failures",
            ),
            corrupted_blocks: counter(
                "thanos_shipper_corrupted_blocks_total",
                "Total number of corrupted blocks seen, once in each dir sync",
            ),
            upload_compacted_done: metrics.register(
                "thanos_shipper_upload_compacted_done",
                "If 1 it means shipper uploaded all compacted blocks from the filesystem",
                Gauge::default(),
            ),
        }
    }
}

/// The metrics of answers.
#[derive(Clone, Debug)]
pub(crate) struct ServeMetrics {
    pub(crate) received_frames: Histogram,
    dropped: Family<[(&'static str, &'static str); 1], Counter>,
}

impl ServeMetrics {
    /// Registers them.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let dropped: Family<[(&str, &str); 1], Counter> = metrics.register(
            "thanos_store_selects_dropped_total",
            "Number of select queries that were dropped due to configured limits",
            Family::default(),
        );
        for reason in ["series", "chunks"] {
            drop(dropped.get_or_create_owned(&[("reason", reason)]));
        }
        Self {
            received_frames: metrics.register(
                "prometheus_store_received_frames",
                "Number of frames received per streamed response",
                Histogram::new([10.0, 100.0, 1000.0, 10_000.0, 100_000.0]),
            ),
            dropped,
        }
    }

    /// Counts a request that exceeded a limit.
    pub(crate) fn dropped(&self, reason: &'static str) {
        self.dropped
            .get_or_create_owned(&[("reason", reason)])
            .inc();
    }
}
