//! Metrics of the cost of a request for series.

use std::{sync::Arc, time::Instant};

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use series::{Samples, Series};
use service::Metrics;

use super::{LATENCY_SECONDS, StoreMetrics, TENANT, float};
use crate::{
    budget::RequestBudget,
    usage::{Amount, DataKind},
};

/// Thanos's bounds of sizes of chunks.
const CHUNK_BYTES: [f64; 11] = [
    32.0,
    256.0,
    512.0,
    1024.0,
    32.0 * 1024.0,
    256.0 * 1024.0,
    512.0 * 1024.0,
    1024.0 * 1024.0,
    32.0 * 1024.0 * 1024.0,
    256.0 * 1024.0 * 1024.0,
    512.0 * 1024.0 * 1024.0,
];

/// Thanos's bounds of sizes of postings.
const POSTINGS_BYTES: [f64; 14] = [
    32.0,
    256.0,
    512.0,
    1024.0,
    32.0 * 1024.0,
    256.0 * 1024.0,
    512.0 * 1024.0,
    1024.0 * 1024.0,
    32.0 * 1024.0 * 1024.0,
    128.0 * 1024.0 * 1024.0,
    256.0 * 1024.0 * 1024.0,
    512.0 * 1024.0 * 1024.0,
    768.0 * 1024.0 * 1024.0,
    1024.0 * 1024.0 * 1024.0,
];

/// Metrics of the cost of a request.
#[derive(Clone, Debug)]
pub(crate) struct CostMetrics {
    /// Each by the kind of data, in the order of [`DataKind::OF_REQUESTS`].
    touched: [Histogram; 3],
    touched_bytes: [Histogram; 3],
    fetched: [Histogram; 3],
    fetched_bytes: [Histogram; 3],
    postings_bytes: Histogram,
    chunk_bytes: Histogram,
    get_all: Histogram,
    merge: Histogram,
}

/// A request in progress. What it has cost is counted when this is dropped.
#[derive(Debug)]
pub(crate) struct Cost {
    metrics: StoreMetrics,
    budget: Arc<RequestBudget>,
    started: Instant,
    /// When each block had given its first series, and merging began.
    merging: Option<Instant>,
}

impl CostMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let items = || Histogram::new(exponential_buckets(200.0, 2.0, 15));
        let bytes = || Histogram::new(exponential_buckets(1024.0, 2.0, 15));
        let by_kind = |name, help, make| kinds(metrics, name, help, make);
        let one = |name, help, make: fn() -> Histogram| {
            let name = format!("thanos_bucket_store_{name}");
            super::histogram(metrics, &name, help, make)
        };
        Self {
            touched: by_kind(
                "series_data_touched",
                "Number of items of a data type that a Series request worked with: posting lists and label pages of its searches, matching series, chunks to be sent",
                items,
            ),
            touched_bytes: by_kind(
                "series_data_size_touched_bytes",
                "Bytes of a data type that a Series request read, from memory or the bucket",
                bytes,
            ),
            fetched: by_kind(
                "series_data_fetched",
                "Number of items of a data type that a Series request read from the bucket: posting lists, series entries, chunks, pages of Parquet files",
                items,
            ),
            fetched_bytes: by_kind(
                "series_data_size_fetched_bytes",
                "Bytes of a data type that a Series request read from the bucket",
                bytes,
            ),
            postings_bytes: one(
                "postings_size_bytes",
                "Bytes of the postings of a Series request",
                || Histogram::new(POSTINGS_BYTES),
            ),
            chunk_bytes: one(
                "sent_chunk_size_bytes",
                "Bytes of the chunks of a series that was sent",
                || Histogram::new(CHUNK_BYTES),
            ),
            get_all: one(
                "series_get_all_duration_seconds",
                "Time until each block of a Series request has given its first series, in seconds",
                || Histogram::new(LATENCY_SECONDS),
            ),
            merge: one(
                "series_merge_duration_seconds",
                "Time from then to the end of the answer: merging, reading more, waiting for the client, in seconds",
                || Histogram::new(LATENCY_SECONDS),
            ),
        }
    }

    fn used(&self, budget: &RequestBudget) {
        let usage = budget.usage();
        for (i, kind) in DataKind::OF_REQUESTS.into_iter().enumerate() {
            let (touched, fetched) = (usage.touched(kind), usage.fetched(kind));
            for (of, count) in [
                (&self.touched, touched.items),
                (&self.touched_bytes, touched.bytes),
                (&self.fetched, fetched.items),
                (&self.fetched_bytes, fetched.bytes),
            ] {
                if let Some(histogram) = of.get(i) {
                    histogram.observe(float(count));
                }
            }
        }
        let Amount { bytes, .. } = usage.touched(DataKind::Postings);
        self.postings_bytes.observe(float(bytes));
    }
}

impl Cost {
    /// A request that begins now and uses `budget`.
    pub(crate) fn begin(metrics: StoreMetrics, budget: Arc<RequestBudget>) -> Self {
        Self {
            metrics,
            budget,
            started: Instant::now(),
            merging: None,
        }
    }

    /// Each block has given series. Only the first call counts.
    pub(crate) fn all_given(&mut self) {
        if self.merging.is_none() {
            let took = self.started.elapsed().as_secs_f64();
            self.metrics.cost.get_all.observe(took);
            self.merging = Some(Instant::now());
        }
    }

    /// So many series are the whole answer.
    pub(crate) fn answered(&mut self, series: usize) {
        self.metrics.result_series(series);
        if let Some(since) = self.merging {
            self.metrics
                .cost
                .merge
                .observe(since.elapsed().as_secs_f64());
        }
    }

    /// What counts the chunks of series.
    pub(crate) fn chunk_bytes(&self) -> ChunkBytes {
        ChunkBytes(self.metrics.cost.chunk_bytes.clone())
    }
}

impl Drop for Cost {
    fn drop(&mut self) {
        self.metrics.cost.used(&self.budget);
    }
}

/// Counts the chunks of series.
#[derive(Clone, Debug)]
pub(crate) struct ChunkBytes(Histogram);

impl ChunkBytes {
    /// These series are sent.
    pub(crate) fn sent(&self, series: &[Series]) {
        for one in series.iter().filter(|one| !one.chunks.is_empty()) {
            let chunks = one.chunks.iter().map(|chunk| match &chunk.samples {
                Samples::Raw(raw) => raw.data.len(),
                Samples::Aggregates(some) => some.iter().flatten().map(|one| one.data.len()).sum(),
            });
            self.0.observe(float(chunks.sum::<usize>() as u64));
        }
    }
}

/// Histograms of the kinds of data that a request reads.
fn kinds(metrics: &Metrics, name: &str, help: &str, make: fn() -> Histogram) -> [Histogram; 3] {
    let family =
        super::histograms::<2>(metrics, &format!("thanos_bucket_store_{name}"), help, make);
    DataKind::OF_REQUESTS
        .map(|kind| family.get_or_create_owned(&[("data_type", kind.data_type()), TENANT]))
}
