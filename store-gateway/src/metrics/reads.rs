//! Metrics of reading blocks: the pages in memory, and what is fetched from the bucket.

use std::time::Duration;

use prometheus_client::metrics::{
    counter::Counter, family::Family, gauge::Gauge, histogram::Histogram,
};
use service::Metrics;

use super::{LATENCY_SECONDS, TENANT, histogram};
use crate::usage::DataKind;

type ByItem = [(&'static str, &'static str); 1];
type ByItemAndTenant = [(&'static str, &'static str); 2];
type ByOperation = [(&'static str, &'static str); 2];

/// Metrics of reading blocks.
#[derive(Clone, Debug)]
pub(crate) struct ReadMetrics {
    /// Of opening a block.
    pub(crate) load_duration: Histogram,
    pub(crate) cache: CacheMetrics,
    pub(crate) shared: SharedCacheMetrics,
    postings_fetch: Histogram,
    series_fetch: Histogram,
    chunks_fetch: Histogram,
}

/// Metrics of the pages in memory, under the names of Thanos's index cache.
#[derive(Clone, Debug)]
pub(crate) struct CacheMetrics {
    kinds: [KindMetrics; 4],
    most: Gauge,
    most_of_page: Gauge,
}

/// Metrics of caches that several processes share.
#[derive(Clone, Debug)]
pub(crate) struct SharedCacheMetrics {
    kinds: [(Counter, Counter); 4],
}

/// Metrics of the pages of one kind.
#[derive(Clone, Debug)]
pub(crate) struct KindMetrics {
    pub(crate) requests: Counter,
    pub(crate) hits: Counter,
    added: Counter,
    evicted: Counter,
    pub(crate) overflowed: Counter,
    items: Gauge,
    bytes: Gauge,
    total_bytes: Gauge,
}

impl ReadMetrics {
    /// Registers them.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let fetch = |kind: &str, help| {
            let name = format!("thanos_bucket_store_{kind}_fetch_duration_seconds");
            histogram(metrics, &name, help, || Histogram::new(LATENCY_SECONDS))
        };
        Self {
            load_duration: metrics.register(
                "thanos_bucket_store_block_load_duration_seconds",
                "Duration of opening a block in seconds",
                Histogram::new([
                    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 30.0, 60.0, 90.0, 120.0, 300.0,
                ]),
            ),
            cache: CacheMetrics::new(metrics),
            shared: SharedCacheMetrics::new(metrics),
            postings_fetch: fetch(
                "postings",
                "Duration of a read of posting lists, from memory or the bucket, in seconds",
            ),
            series_fetch: fetch(
                "series",
                "Duration of a read of series, from memory or the bucket, in seconds",
            ),
            chunks_fetch: fetch(
                "chunks",
                "Duration of a read of chunks, from memory or the bucket, in seconds",
            ),
        }
    }

    /// Counts a read for a request.
    pub(crate) fn fetched(&self, kind: DataKind, took: Duration) {
        let histogram = match kind {
            DataKind::Header => return,
            DataKind::Postings => &self.postings_fetch,
            DataKind::Series => &self.series_fetch,
            DataKind::Chunks => &self.chunks_fetch,
        };
        histogram.observe(took.as_secs_f64());
    }
}

impl SharedCacheMetrics {
    fn new(metrics: &Metrics) -> Self {
        let counters = |what, help| -> Family<ByOperation, Counter> {
            let name = format!("thanos_store_bucket_cache_operation_{what}_total");
            metrics.register(&name, help, Family::default())
        };
        let requests = counters(
            "requests",
            "Total number of ranges that were looked for in a shared cache",
        );
        let hits = counters(
            "hits",
            "Total number of ranges that were found in a shared cache",
        );
        Self {
            kinds: DataKind::ALL.map(|kind| {
                let labels = [("operation", "get_range"), ("config", kind.data_type())];
                (
                    requests.get_or_create_owned(&labels),
                    hits.get_or_create_owned(&labels),
                )
            }),
        }
    }

    /// Counts ranges that were looked for, and those of them that were missing.
    pub(crate) fn looked_up(&self, kind: DataKind, ranges: usize, missing: usize) {
        let [header, postings, series, chunks] = &self.kinds;
        let (requests, hits) = match kind {
            DataKind::Header => header,
            DataKind::Postings => postings,
            DataKind::Series => series,
            DataKind::Chunks => chunks,
        };
        requests.inc_by(ranges as u64);
        hits.inc_by(ranges.saturating_sub(missing) as u64);
    }
}

impl CacheMetrics {
    fn new(metrics: &Metrics) -> Self {
        let name = |name: &str| format!("thanos_store_index_cache_{name}");
        let by_tenant = |what, help| -> Family<ByItemAndTenant, Counter> {
            metrics.register(&name(what), help, Family::default())
        };
        let counters = |what, help| -> Family<ByItem, Counter> {
            metrics.register(&name(what), help, Family::default())
        };
        let gauges = |what, help| -> Family<ByItem, Gauge> {
            metrics.register(&name(what), help, Family::default())
        };
        let requests = by_tenant(
            "requests_total",
            "Total number of pages of blocks that were looked for in memory",
        );
        let hits = by_tenant(
            "hits_total",
            "Total number of pages of blocks that were found in memory",
        );
        let added = counters(
            "items_added_total",
            "Total number of pages that were put into memory",
        );
        let evicted = counters(
            "items_evicted_total",
            "Total number of pages that were dropped for others",
        );
        let overflowed = counters(
            "items_overflowed_total",
            "Total number of pages that were too large to be kept",
        );
        let items = gauges("items", "Number of pages in memory");
        let bytes = gauges("items_size_bytes", "Bytes of the pages in memory");
        let total_bytes = gauges(
            "total_size_bytes",
            "Bytes of the pages in memory, with what is needed to find them",
        );
        let kinds = DataKind::ALL.map(|kind| {
            let item = ("item_type", kind.item_type());
            KindMetrics {
                requests: requests.get_or_create_owned(&[item, TENANT]),
                hits: hits.get_or_create_owned(&[item, TENANT]),
                added: added.get_or_create_owned(&[item]),
                evicted: evicted.get_or_create_owned(&[item]),
                overflowed: overflowed.get_or_create_owned(&[item]),
                items: items.get_or_create_owned(&[item]),
                bytes: bytes.get_or_create_owned(&[item]),
                total_bytes: total_bytes.get_or_create_owned(&[item]),
            }
        });
        let gauge = |what, help| metrics.register(&name(what), help, Gauge::default());
        Self {
            kinds,
            most: gauge(
                "max_size_bytes",
                "Most bytes of pages in memory, with what is needed to find them",
            ),
            most_of_page: gauge(
                "max_item_size_bytes",
                "Most bytes of a page in memory, with what is needed to find it",
            ),
        }
    }

    /// Tells the most bytes of all pages, and of one.
    pub(crate) fn bounds(&self, most: u64, most_of_page: u64) {
        self.most.set(signed(most));
        self.most_of_page.set(signed(most_of_page));
    }

    /// The metrics of a kind.
    pub(crate) const fn of(&self, kind: DataKind) -> &KindMetrics {
        let [header, postings, series, chunks] = &self.kinds;
        match kind {
            DataKind::Header => header,
            DataKind::Postings => postings,
            DataKind::Series => series,
            DataKind::Chunks => chunks,
        }
    }
}

impl KindMetrics {
    /// Counts a page that came, of so many bytes, which takes `total`.
    pub(crate) fn came(&self, bytes: u64, total: u64) {
        self.added.inc();
        self.items.inc();
        self.bytes.inc_by(signed(bytes));
        self.total_bytes.inc_by(signed(total));
    }

    /// Counts a page that was dropped for another.
    pub(crate) fn evicted(&self, bytes: u64, total: u64) {
        self.evicted.inc();
        self.went(bytes, total);
    }

    /// Counts a page that is no longer in memory.
    pub(crate) fn went(&self, bytes: u64, total: u64) {
        self.items.dec();
        self.bytes.dec_by(signed(bytes));
        self.total_bytes.dec_by(signed(total));
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
