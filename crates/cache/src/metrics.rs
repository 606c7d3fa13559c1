//! Metrics under the names of Thanos's clients.

use std::time::Duration;

use prometheus_client::metrics::{counter::Counter, family::Family, histogram::Histogram};
use service::Metrics;

type Labels = Vec<(&'static str, String)>;
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// What is done with one cache.
#[derive(Clone, Debug)]
pub(crate) struct ClientMetrics {
    name: String,
    operations: Family<Labels, Counter>,
    failures: Family<Labels, Counter>,
    skipped: Family<Labels, Counter>,
    duration: Histograms,
    size: Histograms,
}

/// What is asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Get,
    Set,
}

impl Operation {
    const ALL: [Self; 2] = [Self::Get, Self::Set];

    const fn name(self) -> &'static str {
        match self {
            Self::Get => "getmulti",
            Self::Set => "set",
        }
    }
}

/// Why nothing is asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skipped {
    /// The item is too large.
    MaxItemSize,
    /// Too many items wait.
    BufferFull,
    /// The server has failed before.
    CircuitOpen,
}

impl Skipped {
    const fn name(self) -> &'static str {
        match self {
            Self::MaxItemSize => "max-item-size",
            Self::BufferFull => "async-buffer-full",
            Self::CircuitOpen => "circuit-breaker-open",
        }
    }
}

fn durations() -> Histogram {
    Histogram::new([
        0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 3.0, 6.0, 10.0,
    ])
}

fn sizes() -> Histogram {
    let kib = 1024.0;
    let mib = 1024.0 * kib;
    Histogram::new([
        kib,
        32.0 * kib,
        256.0 * kib,
        512.0 * kib,
        mib,
        32.0 * mib,
        256.0 * mib,
    ])
}

impl ClientMetrics {
    /// `kind` is `memcached` or `redis`; `name` tells caches of one process apart.
    pub(crate) fn new(metrics: &Metrics, kind: &str, name: &str) -> Self {
        let full = |end: &str| format!("thanos_{kind}_{end}");
        let made = Self {
            name: name.to_owned(),
            operations: metrics.register(
                &full("operations_total"),
                "Total number of operations against the cache",
                Family::default(),
            ),
            failures: metrics.register(
                &full("operation_failures_total"),
                "Total number of operations against the cache that failed",
                Family::default(),
            ),
            skipped: metrics.register(
                &full("operation_skipped_total"),
                "Total number of operations against the cache that were skipped",
                Family::default(),
            ),
            duration: metrics.register(
                &full("operation_duration_seconds"),
                "Duration of operations against the cache",
                Family::new_with_constructor(durations as fn() -> Histogram),
            ),
            size: metrics.register(
                &full("operation_data_size_bytes"),
                "Size of the data of an operation against the cache",
                Family::new_with_constructor(sizes as fn() -> Histogram),
            ),
        };
        for operation in Operation::ALL {
            let labels = made.labels(operation);
            drop(made.operations.get_or_create(&labels));
            drop(made.duration.get_or_create(&labels));
            drop(made.size.get_or_create(&labels));
            drop(
                made.failures
                    .get_or_create(&made.because(operation, "timeout")),
            );
        }
        let too_large = made.because(Operation::Set, Skipped::MaxItemSize.name());
        drop(made.skipped.get_or_create(&too_large));
        made
    }

    fn labels(&self, operation: Operation) -> Labels {
        vec![
            ("name", self.name.clone()),
            ("operation", operation.name().to_owned()),
        ]
    }

    fn because(&self, operation: Operation, reason: &str) -> Labels {
        let mut labels = self.labels(operation);
        labels.push(("reason", reason.to_owned()));
        labels
    }

    pub(crate) fn succeeded(&self, operation: Operation, took: Duration, bytes: usize) {
        let labels = self.labels(operation);
        self.operations.get_or_create(&labels).inc();
        self.duration
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
        self.size.get_or_create(&labels).observe(bytes as f64);
    }

    pub(crate) fn failed(&self, operation: Operation, reason: &str) {
        self.operations.get_or_create(&self.labels(operation)).inc();
        self.failures
            .get_or_create(&self.because(operation, reason))
            .inc();
    }

    pub(crate) fn skipped(&self, operation: Operation, why: Skipped) {
        self.skipped
            .get_or_create(&self.because(operation, why.name()))
            .inc();
    }
}
