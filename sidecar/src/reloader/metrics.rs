//! The reloader's metrics, under Thanos's names.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use service::Metrics;

use super::ReloadMethod;

/// The reloader's metrics.
#[derive(Clone, Debug)]
pub(super) struct ReloaderMetrics {
    pub(super) reloads: Counter,
    pub(super) reload_failures: Counter,
    pub(super) last_successful: Gauge,
    pub(super) last_success: Gauge<f64, AtomicU64>,
    pub(super) applies: Counter,
    pub(super) apply_failures: Counter,
    pub(super) expansion_errors: Gauge,
    pub(super) watches: Gauge,
    pub(super) watch_events: Counter,
    pub(super) watch_errors: Counter,
}

impl ReloaderMetrics {
    /// Registers them.
    pub(super) fn new(metrics: &Metrics, method: &ReloadMethod) -> Self {
        let counter = |name, help| metrics.register(name, help, Counter::default());
        let gauge = |name, help| metrics.register(name, help, Gauge::default());
        let info: Family<[(&'static str, &'static str); 1], Gauge> = metrics.register(
            "thanos_sidecar_reloader_info",
            "A metric with a constant '1' value labeled by reload method (either 'http' or 'signal')",
            Family::default(),
        );
        let method = match method {
            ReloadMethod::Http => "http",
            ReloadMethod::Signal(_) => "signal",
        };
        info.get_or_create_owned(&[("method", method)]).set(1);
        Self {
            reloads: counter(
                "thanos_sidecar_reloader_reloads_total",
                "Total number of reload requests",
            ),
            reload_failures: counter(
                "thanos_sidecar_reloader_reloads_failed_total",
                "Total number of reload requests that failed",
            ),
            last_successful: gauge(
                "thanos_sidecar_reloader_last_reload_successful",
                "Whether the last reload attempt was successful",
            ),
            last_success: metrics.register(
                "thanos_sidecar_reloader_last_reload_success_timestamp_seconds",
                "Timestamp of the last successful reload",
                Gauge::default(),
            ),
            applies: counter(
                "thanos_sidecar_reloader_config_apply_operations_total",
                "Total number of config apply operations",
            ),
            apply_failures: counter(
                "thanos_sidecar_reloader_config_apply_operations_failed_total",
                "Total number of config apply operations that failed",
            ),
            expansion_errors: gauge(
                "thanos_sidecar_reloader_config_environment_variable_expansion_errors",
                "Number of environment variable expansions that failed during the last operation",
            ),
            watches: gauge(
                "thanos_sidecar_reloader_watches",
                "Number of folders watched by the reloader",
            ),
            watch_events: counter(
                "thanos_sidecar_reloader_watch_events_total",
                "Total number of events received by the reloader from the watcher",
            ),
            watch_errors: counter(
                "thanos_sidecar_reloader_watch_errors_total",
                "Total number of errors received by the reloader from the watcher",
            ),
        }
    }
}
