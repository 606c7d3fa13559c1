//! The metrics of a bucket and of synchronizations, under Thanos's names.
//!
//! The library adds `_total` to a counter's name.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use model::Timestamp;
use prometheus_client::{
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Metric, Registry},
};

use crate::Operation;

type ByOperation = [(&'static str, String); 2];
type ByBucket = [(&'static str, String); 1];

/// Metrics of a bucket's operations.
#[derive(Clone)]
pub(crate) struct BucketMetrics {
    bucket: String,
    operations: Family<ByOperation, Counter>,
    failures: Family<ByOperation, Counter>,
    durations: Family<ByOperation, Histogram, fn() -> Histogram>,
    fetched_bytes: Family<ByOperation, Counter>,
    transferred_bytes: Family<ByOperation, Histogram, fn() -> Histogram>,
    last_upload: Family<ByBucket, Gauge<f64, AtomicU64>>,
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

/// Metrics of synchronizations.
#[derive(Clone, Debug)]
pub struct SyncMetrics {
    pub(crate) syncs: Counter,
    pub(crate) failures: Counter,
    pub(crate) duration: Histogram,
}

impl BucketMetrics {
    /// Registers them, each operation at 0.
    pub(crate) fn register(
        registry: &mut Registry,
        bucket: &str,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        let metrics = Self {
            bucket: bucket.to_owned(),
            operations: register(
                registry,
                "thanos_objstore_bucket_operations",
                "Total number of operations against the bucket",
                Family::default(),
            ),
            failures: register(
                registry,
                "thanos_objstore_bucket_operation_failures",
                "Total number of operations against the bucket that failed, except on objects that were not found",
                Family::default(),
            ),
            durations: register(
                registry,
                "thanos_objstore_bucket_operation_duration_seconds",
                "Duration of successful operations against the bucket",
                Family::new_with_constructor(operation_seconds as fn() -> Histogram),
            ),
            fetched_bytes: register(
                registry,
                "thanos_objstore_bucket_operation_fetched_bytes",
                "Total number of bytes read from the bucket",
                Family::default(),
            ),
            transferred_bytes: register(
                registry,
                "thanos_objstore_bucket_operation_transferred_bytes",
                "Number of bytes that an operation has read from the bucket or written to it",
                Family::new_with_constructor(operation_bytes as fn() -> Histogram),
            ),
            last_upload: register(
                registry,
                "thanos_objstore_bucket_last_successful_upload_time",
                "Unix time in seconds of the last successful upload to the bucket",
                Family::default(),
            ),
            now: Arc::new(now),
        };
        for operation in Operation::ALL {
            let labels = metrics.labels(operation);
            drop(metrics.operations.get_or_create(&labels));
            drop(metrics.failures.get_or_create(&labels));
            drop(metrics.durations.get_or_create(&labels));
            let reads = matches!(operation, Operation::Get | Operation::GetRange);
            if reads {
                drop(metrics.fetched_bytes.get_or_create(&labels));
            }
            if reads || operation == Operation::Upload {
                drop(metrics.transferred_bytes.get_or_create(&labels));
            }
        }
        drop(metrics.last_upload.get_or_create(&metrics.bucket_label()));
        metrics
    }

    pub(crate) fn observe(&self, operation: Operation, took: Duration, failed: bool) {
        let labels = self.labels(operation);
        self.operations.get_or_create(&labels).inc();
        if failed {
            self.failures.get_or_create(&labels).inc();
        } else {
            self.durations
                .get_or_create(&labels)
                .observe(took.as_secs_f64());
        }
    }

    pub(crate) fn fetched(&self, operation: Operation, bytes: u64) {
        self.fetched_bytes
            .get_or_create(&self.labels(operation))
            .inc_by(bytes);
        self.transferred(operation, bytes);
    }

    /// Counts an upload that alerts take as a sign that blocks are written.
    pub(crate) fn uploaded(&self, bytes: u64) {
        self.transferred(Operation::Upload, bytes);
        self.last_upload
            .get_or_create(&self.bucket_label())
            .set((self.now)().as_secs_f64());
    }

    #[expect(clippy::cast_precision_loss, reason = "a size for a histogram")]
    fn transferred(&self, operation: Operation, bytes: u64) {
        let transferred = self
            .transferred_bytes
            .get_or_create(&self.labels(operation));
        transferred.observe(bytes as f64);
    }

    fn labels(&self, operation: Operation) -> ByOperation {
        [
            ("bucket", self.bucket.clone()),
            ("operation", operation.name().to_owned()),
        ]
    }

    fn bucket_label(&self) -> ByBucket {
        [("bucket", self.bucket.clone())]
    }
}

impl SyncMetrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        Self::named(registry, "thanos_blocks_meta")
    }

    /// Registers those of synchronizations for the page alone, under Thanos's names.
    pub fn register_page(registry: &mut Registry) -> Self {
        Self::named(registry, "thanos_bucket_uiblocks_meta")
    }

    fn named(registry: &mut Registry, prefix: &str) -> Self {
        Self {
            syncs: register(
                registry,
                &format!("{prefix}_syncs"),
                "Total number of synchronizations of block metadata",
                Counter::default(),
            ),
            failures: register(
                registry,
                &format!("{prefix}_sync_failures"),
                "Total number of synchronizations of block metadata that failed or were incomplete",
                Counter::default(),
            ),
            duration: register(
                registry,
                &format!("{prefix}_sync_duration_seconds"),
                "Duration of a synchronization of block metadata",
                Histogram::new([0.01, 1.0, 10.0, 100.0, 300.0, 600.0, 1000.0]),
            ),
        }
    }
}

impl fmt::Debug for BucketMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketMetrics")
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

fn operation_seconds() -> Histogram {
    Histogram::new([
        0.001, 0.01, 0.1, 0.3, 0.6, 1.0, 3.0, 6.0, 9.0, 20.0, 30.0, 60.0, 90.0, 120.0,
    ])
}

fn operation_bytes() -> Histogram {
    Histogram::new(exponential_buckets(32_768.0, 2.0, 16))
}

fn register<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}
