//! The store gateway's metrics, under Thanos's names.

mod cost;
mod reads;

use std::{collections::BTreeMap, sync::atomic::AtomicU64, time::Duration};

use model::Timestamp;
use prometheus_client::metrics::{
    counter::Counter,
    family::Family,
    gauge::Gauge,
    histogram::{Histogram, exponential_buckets},
};
use service::Metrics;

pub(crate) use self::{
    cost::{Cost, CostMetrics},
    reads::{CacheMetrics, ReadMetrics, SharedCacheMetrics},
};
use crate::catalog::State;

type ByState = Family<[(&'static str, &'static str); 1], Gauge>;
type ByReason = Family<[(&'static str, &'static str); 2], Counter>;
type Histograms<const N: usize> =
    Family<[(&'static str, &'static str); N], Histogram, fn() -> Histogram>;

/// The tenant of all requests, as Thanos names one that is not named. Clients name tenants, and what clients choose
/// does not become labels.
const TENANT: (&str, &str) = ("tenant", "default-tenant");

/// Thanos's bounds of latencies.
const LATENCY_SECONDS: [f64; 14] = [
    0.001, 0.01, 0.1, 0.3, 0.6, 1.0, 3.0, 6.0, 9.0, 20.0, 30.0, 60.0, 90.0, 120.0,
];

/// Metrics of answers.
#[derive(Clone, Debug)]
pub(crate) struct StoreMetrics {
    pub(crate) block_load_failures: Counter,
    blocks_queried: Histogram,
    result_series: Histogram,
    dropped: ByReason,
    cost: CostMetrics,
}

/// Metrics of synchronizations.
#[derive(Clone, Debug)]
pub(crate) struct CatalogMetrics {
    block_loads: Counter,
    block_drops: Counter,
    blocks_loaded: Gauge,
    last_loaded: Gauge<f64, AtomicU64>,
    synced: ByState,
}

/// Metrics of opening and building index headers.
#[derive(Clone, Debug)]
pub(crate) struct HeaderMetrics {
    pub(crate) lazy_loads: Counter,
    pub(crate) lazy_load_failures: Counter,
    pub(crate) lazy_load_duration: Histogram,
    /// Of opening those on the disk.
    pub(crate) load_duration: Histogram,
    /// Of building the others.
    pub(crate) download_duration: Histogram,
    /// Headers that are no longer needed and could not be removed.
    pub(crate) drop_failures: Counter,
}

/// Metrics of the gate.
#[derive(Clone, Debug)]
pub(crate) struct GateMetrics {
    most: Gauge,
    in_flight: Gauge,
    waiting: Gauge,
    total: Counter,
    refused: Counter,
    duration: Histogram,
}

/// A request that waits to be let in.
#[derive(Debug)]
pub(crate) struct Waiting(Gauge);

/// Metrics of the memory of requests.
#[derive(Clone, Debug)]
pub(crate) struct MemoryMetrics {
    most: Gauge,
    used: Gauge,
    waiting: Gauge,
    refused: Counter,
}

impl StoreMetrics {
    /// Registers them.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let all = Self {
            block_load_failures: metrics.register(
                "thanos_bucket_store_block_load_failures_total",
                "Total number of failed attempts to open a block",
                Counter::default(),
            ),
            blocks_queried: histogram(
                metrics,
                "thanos_bucket_store_series_blocks_queried",
                "Number of blocks in a bucket store that were touched to satisfy a query",
                || Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            ),
            result_series: histogram(
                metrics,
                "thanos_bucket_store_series_result_series",
                "Number of series observed in the final result of a query",
                || Histogram::new(exponential_buckets(1.0, 2.0, 15)),
            ),
            dropped: metrics.register(
                "thanos_bucket_store_queries_dropped_total",
                "Number of queries that were dropped due to the limit",
                ByReason::default(),
            ),
            cost: CostMetrics::new(metrics),
        };
        for reason in ["series", "samples", "bytes"] {
            drop(all.dropped.get_or_create(&[("reason", reason), TENANT]));
        }
        all
    }

    pub(crate) fn blocks_queried(&self, count: usize) {
        self.blocks_queried.observe(float(count as u64));
    }

    fn result_series(&self, count: usize) {
        self.result_series.observe(float(count as u64));
    }

    pub(crate) fn dropped(&self, limit: &'static str) {
        let labels = [("reason", limit), TENANT];
        self.dropped.get_or_create(&labels).inc();
    }
}

impl CatalogMetrics {
    /// Registers them.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            block_loads: metrics.register(
                "thanos_bucket_store_block_loads_total",
                "Total number of blocks that began to be served",
                Counter::default(),
            ),
            block_drops: metrics.register(
                "thanos_bucket_store_block_drops_total",
                "Total number of blocks that are no longer served",
                Counter::default(),
            ),
            blocks_loaded: metrics.register(
                "thanos_bucket_store_blocks_loaded",
                "Number of currently loaded blocks",
                Gauge::default(),
            ),
            last_loaded: metrics.register(
                "thanos_bucket_store_blocks_last_loaded_timestamp_seconds",
                "Timestamp when last block got loaded",
                Gauge::default(),
            ),
            synced: metrics.register(
                "thanos_blocks_meta_synced",
                "Number of block metadata synced",
                ByState::default(),
            ),
        }
    }

    /// Counts the blocks that came and went, and sets the number of blocks.
    pub(crate) fn changed(&self, loaded: usize, dropped: usize, all: usize, now: Timestamp) {
        self.block_loads.inc_by(loaded as u64);
        self.block_drops.inc_by(dropped as u64);
        self.blocks_loaded
            .set(i64::try_from(all).unwrap_or(i64::MAX));
        if loaded > 0 {
            self.last_loaded.set(now.as_secs_f64());
        }
    }

    /// Sets the number of blocks in each state at the last synchronization.
    pub(crate) fn states(&self, states: &BTreeMap<State, usize>) {
        for (state, count) in states {
            self.state(state.name(), *count);
        }
    }

    /// As [`Self::states`], for states of blocks outside of the catalog.
    pub(crate) fn state(&self, name: &'static str, count: usize) {
        let gauge = self.synced.get_or_create(&[("state", name)]);
        gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

impl HeaderMetrics {
    /// Registers them.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let loading = [
            0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 30.0, 60.0, 90.0, 120.0, 300.0,
        ];
        Self {
            drop_failures: metrics.register(
                "thanos_bucket_store_block_drop_failures_total",
                "Total number of index headers of blocks no longer served that could not be removed from the disk",
                Counter::default(),
            ),
            lazy_loads: metrics.register(
                "thanos_bucket_store_indexheader_lazy_load_total",
                "Total number of index headers opened or built when a block was first queried",
                Counter::default(),
            ),
            lazy_load_failures: metrics.register(
                "thanos_bucket_store_indexheader_lazy_load_failed_total",
                "Total number of index headers that could be neither opened nor built",
                Counter::default(),
            ),
            lazy_load_duration: metrics.register(
                "thanos_bucket_store_indexheader_lazy_load_duration_seconds",
                "Duration of opening or building an index header",
                Histogram::new(loading),
            ),
            load_duration: metrics.register(
                "thanos_bucket_store_indexheader_load_duration_seconds",
                "Duration of opening an index header on the disk",
                Histogram::new(loading),
            ),
            download_duration: metrics.register(
                "thanos_bucket_store_indexheader_download_duration_seconds",
                "Duration of building an index header from the bucket",
                Histogram::new([
                    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 30.0, 60.0, 90.0, 120.0, 300.0,
                ]),
            ),
        }
    }
}

impl MemoryMetrics {
    /// Registers them.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            most: metrics.register(
                "varve_store_memory_budget_bytes",
                "Memory that requests may hold together",
                Gauge::default(),
            ),
            used: metrics.register(
                "varve_store_memory_used_bytes",
                "Memory that requests hold or have reserved",
                Gauge::default(),
            ),
            waiting: metrics.register(
                "varve_store_memory_requests_waiting",
                "Number of requests that wait for memory",
                Gauge::default(),
            ),
            refused: metrics.register(
                "varve_store_memory_requests_refused_total",
                "Total number of requests that waited for memory for too long",
                Counter::default(),
            ),
        }
    }

    pub(crate) fn most(&self, bytes: u64) {
        self.most.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(crate) fn used(&self, bytes: u64) {
        self.used.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Counts a request as waiting until the returned value is dropped.
    pub(crate) fn waiting(&self) -> Waiting {
        self.waiting.inc();
        Waiting(self.waiting.clone())
    }

    pub(crate) fn refused(&self) {
        self.refused.inc();
    }
}

impl GateMetrics {
    /// Registers them.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let duration = Histogram::new([0.01, 0.05, 0.1, 0.25, 0.6, 1.0, 2.0, 3.5, 5.0, 10.0]);
        // Thanos's alerts use the older of the two names.
        for name in ["gate_queries_duration_seconds", "gate_duration_seconds"] {
            metrics.register(
                &format!("thanos_bucket_store_series_{name}"),
                "How many seconds it took for queries to wait at the gate",
                duration.clone(),
            );
        }
        Self {
            most: metrics.register(
                "thanos_bucket_store_series_gate_queries_max",
                "Maximum number of concurrent queries",
                Gauge::default(),
            ),
            in_flight: metrics.register(
                "thanos_bucket_store_series_gate_queries_in_flight",
                "Number of queries that are currently in flight",
                Gauge::default(),
            ),
            waiting: metrics.register(
                "thanos_bucket_store_series_gate_queries_waiting",
                "Number of queries that wait at the gate",
                Gauge::default(),
            ),
            total: metrics.register(
                "thanos_bucket_store_series_gate_queries_total",
                "Total number of queries",
                Counter::default(),
            ),
            refused: metrics.register(
                "thanos_bucket_store_series_gate_queries_refused_total",
                "Total number of queries that waited at the gate for too long",
                Counter::default(),
            ),
            duration,
        }
    }

    pub(crate) fn most(&self, most: usize) {
        self.most.set(i64::try_from(most).unwrap_or(i64::MAX));
    }

    pub(crate) fn entered(&self, waited: Duration) {
        self.total.inc();
        self.in_flight.inc();
        self.duration.observe(waited.as_secs_f64());
    }

    /// Counts a request as waiting until the returned value is dropped.
    pub(crate) fn waiting(&self) -> Waiting {
        self.waiting.inc();
        Waiting(self.waiting.clone())
    }

    pub(crate) fn refused(&self, waited: Duration) {
        self.refused.inc();
        self.duration.observe(waited.as_secs_f64());
    }

    pub(crate) fn left(&self) {
        self.in_flight.dec();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count for a histogram")]
const fn float(count: u64) -> f64 {
    count as f64
}

/// A family of histograms.
fn histograms<const N: usize>(
    metrics: &Metrics,
    name: &str,
    help: &str,
    make: fn() -> Histogram,
) -> Histograms<N> {
    metrics.register(name, help, Family::new_with_constructor(make))
}

/// The histogram of all tenants.
fn histogram(metrics: &Metrics, name: &str, help: &str, make: fn() -> Histogram) -> Histogram {
    histograms(metrics, name, help, make).get_or_create_owned(&[TENANT])
}
