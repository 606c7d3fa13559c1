//! Ranges of objects in memory. Each belongs to one version of an object, so none becomes stale. Pages of Parquet files
//! that are used again are kept decoded, too.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use parquet_block::{DecodedPage, DecodedPages};

use super::{ListedObject, lru::Lru, runs::size};
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
    pages: Mutex<Lru<PageKey, CachedPage>>,
    largest: u64,
    metrics: CacheMetrics,
}

/// The decoded pages of one object.
#[derive(Debug)]
pub(crate) struct DecodedOf {
    pub(crate) pages: Arc<PageCache>,
    pub(crate) object: ListedObject,
    /// What its pages are for.
    pub(crate) kind: DataKind,
}

#[derive(Clone, Debug)]
struct CachedPage {
    kind: DataKind,
    /// As in the object; empty if that is kept whole.
    stored: Bytes,
    decoded: Option<DecodedPage>,
}

impl CachedPage {
    /// The bytes that it takes; parts that both of its forms share count once.
    fn bytes(&self) -> u64 {
        let decoded = self.decoded.as_ref();
        let decoded = decoded.filter(|page| !page.shares(&self.stored));
        (self.stored.len() + decoded.map_or(0, DecodedPage::memory_size)) as u64
    }
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
        let stored = found.map(|page| page.stored);
        let stored = stored.filter(|bytes| bytes.len() as u64 == size(range));
        stored.inspect(|_| {
            metrics.hits.inc();
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
        for page in pages.remove_where(|(object, ..)| object == key) {
            self.went(&page);
        }
    }

    /// Keeps a copy, since `bytes` may be a slice of much more.
    pub(crate) fn put(&self, kind: DataKind, key: &Arc<str>, range: &Range<u64>, bytes: &Bytes) {
        if bytes.len() as u64 + OVERHEAD > self.largest {
            self.metrics.of(kind).overflowed.inc();
            return;
        }
        let page = CachedPage {
            kind,
            stored: Bytes::copy_from_slice(bytes),
            decoded: None,
        };
        let key = (Arc::clone(key), range.start, range.end);
        self.insert(&mut self.pages.lock(), key, page);
    }

    /// Puts a page in, which is not too large.
    fn insert(&self, pages: &mut Lru<PageKey, CachedPage>, key: PageKey, page: CachedPage) {
        if let Some(before) = pages.remove(&key) {
            self.went(&before);
        }
        let (bytes, metrics) = (page.bytes(), self.metrics.of(page.kind));
        let evicted = pages.put(key, page, bytes + OVERHEAD);
        metrics.came(bytes, bytes + OVERHEAD);
        for page in evicted {
            let bytes = page.bytes();
            self.metrics.of(page.kind).evicted(bytes, bytes + OVERHEAD);
        }
    }

    /// How many pages are here, how many of them decoded, and the bytes that they take.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> (usize, usize, u64) {
        let pages = self.pages.lock();
        let decoded = pages.values().filter(|page| page.decoded.is_some()).count();
        let bytes = pages.values().map(|page| page.bytes() + OVERHEAD).sum();
        assert_eq!(pages.size(), bytes);
        (pages.values().count(), decoded, bytes)
    }

    fn went(&self, page: &CachedPage) {
        let bytes = page.bytes();
        self.metrics.of(page.kind).went(bytes, bytes + OVERHEAD);
    }
}

impl DecodedOf {
    fn key(&self, start: u64, end: u64) -> PageKey {
        (Arc::clone(&self.object.cache_key), start, end)
    }
}

impl DecodedPages for DecodedOf {
    fn get(&self, range: &Range<u64>) -> Option<DecodedPage> {
        let mut pages = self.pages.pages.lock();
        pages.get(&self.key(range.start, range.end))?.decoded
    }

    /// Keeps pages that were read from memory: whose bytes are kept, or whose object is.
    fn put(&self, range: &Range<u64>, stored: &Bytes, page: &DecodedPage) {
        let mut pages = self.pages.pages.lock();
        let key = self.key(range.start, range.end);
        let kept = pages.get(&key);
        let page = match kept.filter(|kept| kept.stored.as_ptr() == stored.as_ptr()) {
            Some(kept) => CachedPage {
                decoded: Some(page.clone()),
                ..kept
            },
            // A part of the whole object would keep all of it in memory.
            None if !page.shares(stored) && pages.get(&self.key(0, self.object.size)).is_some() => {
                CachedPage {
                    kind: self.kind,
                    stored: Bytes::new(),
                    decoded: Some(page.clone()),
                }
            }
            None => return,
        };
        if page.bytes() + OVERHEAD <= self.pages.largest {
            self.pages.insert(&mut pages, key, page);
        }
    }
}
