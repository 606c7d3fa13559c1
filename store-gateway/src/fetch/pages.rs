//! Ranges of objects in memory. Each belongs to one version of an object, so none becomes stale.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{ListedObject, lru::Lru};
use crate::{metrics::CacheMetrics, usage::DataKind};

/// What a page takes besides its bytes.
const OVERHEAD: u64 = 256;

/// A page that takes more than this part of the cache is not kept: it would drive out many others.
const LARGE: u64 = 8;

/// The cache key of an object, and where in the object the page starts and ends.
pub(super) type PageKey = (Arc<str>, u64, u64);

/// A cache of ranges of objects.
#[derive(Debug)]
pub(crate) struct PageCache {
    pages: Mutex<Lru<PageKey, (DataKind, Bytes)>>,
    largest: u64,
    metrics: CacheMetrics,
}

impl PageCache {
    /// A cache of at most `max` bytes.
    pub(crate) fn new(max: u64, metrics: CacheMetrics) -> Self {
        let largest = max / LARGE;
        metrics.bounds(max, largest);
        Self {
            pages: Mutex::new(Lru::new(max)),
            largest,
            metrics,
        }
    }

    /// The page, if it is here, which is wanted for `kind`.
    pub(crate) fn get(&self, kind: DataKind, key: &Arc<str>, range: &Range<u64>) -> Option<Bytes> {
        let key = (Arc::clone(key), range.start, range.end);
        let found = self.pages.lock().get(&key);
        let metrics = self.metrics.of(kind);
        metrics.requests.inc();
        found.map(|(_, bytes)| {
            metrics.hits.inc();
            bytes
        })
    }

    /// All these pages of an object, if each is here.
    pub(crate) fn all(
        &self,
        kind: DataKind,
        object: &ListedObject,
        ranges: &[Range<u64>],
    ) -> Option<Vec<Bytes>> {
        let pages = ranges.iter();
        let pages = pages.map(|range| self.get(kind, &object.cache_key, range));
        pages.collect()
    }

    /// Forgets all pages of an object.
    pub(crate) fn remove(&self, key: &Arc<str>) {
        let mut pages = self.pages.lock();
        for (kind, bytes) in pages.remove_where(|(object, ..)| object == key) {
            let bytes = bytes.len() as u64;
            self.metrics.of(kind).went(bytes, bytes + OVERHEAD);
        }
    }

    /// Keeps a copy, since `bytes` may be a slice of much more.
    pub(crate) fn put(&self, kind: DataKind, key: &Arc<str>, range: &Range<u64>, bytes: &Bytes) {
        let len = bytes.len() as u64;
        let size = len + OVERHEAD;
        if size > self.largest {
            self.metrics.of(kind).overflowed.inc();
            return;
        }
        let copy = Bytes::copy_from_slice(bytes);
        let key = (Arc::clone(key), range.start, range.end);
        let mut pages = self.pages.lock();
        if let Some((kind, bytes)) = pages.remove(&key) {
            let bytes = bytes.len() as u64;
            self.metrics.of(kind).went(bytes, bytes + OVERHEAD);
        }
        let evicted = pages.put(key, (kind, copy), size);
        self.metrics.of(kind).came(len, size);
        for (kind, bytes) in evicted {
            let bytes = bytes.len() as u64;
            self.metrics.of(kind).evicted(bytes, bytes + OVERHEAD);
        }
    }
}
