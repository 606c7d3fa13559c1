//! Ranges of objects in memory. Each belongs to one version of an object, so none becomes stale. Pages of Parquet files
//! that are used again are kept decoded, too.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use parquet_block::{DecodedPage, DecodedPages};
use quick_cache::{DefaultHashBuilder, Equivalent, Lifecycle, Weighter, unsync};

use super::{ListedObject, halves, runs::size};
use crate::{metrics::CacheMetrics, usage::DataKind};

/// What a page takes besides its bytes.
const OVERHEAD: u64 = 256;

/// A page that takes more than this part of the cache is not kept: it would drive out many others.
const LARGE: u64 = 8;

/// About the bytes of a page.
const PAGE: u64 = 16 << 10;

/// A page of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PageKey {
    /// The cache key of the object.
    object: Arc<str>,
    start: u64,
    end: u64,
}

impl PageKey {
    pub(super) fn new(object: &Arc<str>, range: &Range<u64>) -> Self {
        Self {
            object: Arc::clone(object),
            start: range.start,
            end: range.end,
        }
    }
}

/// The same, as it is looked for.
#[derive(Hash)]
struct PageAt<'a> {
    object: &'a str,
    start: u64,
    end: u64,
}

impl<'a> PageAt<'a> {
    fn new(object: &'a str, range: &Range<u64>) -> Self {
        Self {
            object,
            start: range.start,
            end: range.end,
        }
    }
}

impl Equivalent<PageKey> for PageAt<'_> {
    fn equivalent(&self, key: &PageKey) -> bool {
        (self.start, self.end, self.object) == (key.start, key.end, &key.object)
    }
}

type Pages = unsync::Cache<PageKey, CachedPage, Size, DefaultHashBuilder, Replaced>;

/// A cache of ranges of objects.
#[derive(Debug)]
pub(crate) struct PageCache {
    pages: Mutex<Pages>,
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

#[derive(Debug)]
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

#[derive(Clone, Debug)]
struct Size;

impl Weighter<PageKey, CachedPage> for Size {
    fn weight(&self, _: &PageKey, page: &CachedPage) -> u64 {
        page.bytes() + OVERHEAD
    }
}

/// Collects what is dropped for a page: others, and the one of the same key.
#[derive(Debug)]
struct Replaced;

impl Lifecycle<PageKey, CachedPage> for Replaced {
    type RequestState = Vec<(PageKey, CachedPage)>;

    fn on_evict(&self, dropped: &mut Self::RequestState, key: PageKey, page: CachedPage) {
        dropped.push((key, page));
    }
}

impl PageCache {
    /// A cache of at most `max` bytes.
    pub(crate) fn new(max: u64, metrics: CacheMetrics) -> Self {
        let largest = max / LARGE;
        metrics.bounds(max, largest);
        let pages = usize::try_from(max / PAGE).unwrap_or(usize::MAX);
        let hasher = DefaultHashBuilder::default();
        Self {
            pages: Mutex::new(Pages::with_options(
                halves(pages, max),
                Size,
                hasher,
                Replaced,
            )),
            largest,
            metrics,
        }
    }

    /// The page, if it is here, which is wanted for `kind`.
    pub(crate) fn get(&self, kind: DataKind, key: &Arc<str>, range: &Range<u64>) -> Option<Bytes> {
        let at = PageAt::new(key, range);
        let stored = self.pages.lock().get(&at).map(|page| page.stored.clone());
        let metrics = self.metrics.of(kind);
        metrics.requests.inc();
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
        for (_, page) in pages.iter().filter(|(page, _)| page.object == *key) {
            self.went(page);
        }
        pages.retain(|page, _| page.object != *key);
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
        self.insert(&mut self.pages.lock(), PageKey::new(key, range), page);
    }

    /// Puts a page in, which is not too large.
    fn insert(&self, pages: &mut Pages, key: PageKey, page: CachedPage) {
        let (bytes, metrics) = (page.bytes(), self.metrics.of(page.kind));
        metrics.came(bytes, bytes + OVERHEAD);
        let mut dropped = Vec::new();
        pages.insert_with_lifecycle(key.clone(), page, &mut dropped);
        for (of, page) in dropped {
            let bytes = page.bytes();
            match of == key {
                true => self.went(&page),
                false => self.metrics.of(page.kind).evicted(bytes, bytes + OVERHEAD),
            }
        }
    }

    /// How many pages are here, how many of them decoded, and the bytes that they take.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> (usize, usize, u64) {
        let pages = self.pages.lock();
        let all = || pages.iter().map(|(_, page)| page);
        let decoded = all().filter(|page| page.decoded.is_some()).count();
        let bytes = all().map(|page| page.bytes() + OVERHEAD).sum();
        assert_eq!(pages.weight(), bytes);
        (pages.len(), decoded, bytes)
    }

    fn went(&self, page: &CachedPage) {
        let bytes = page.bytes();
        self.metrics.of(page.kind).went(bytes, bytes + OVERHEAD);
    }
}

impl DecodedOf {
    fn at(&self, range: &Range<u64>) -> PageAt<'_> {
        PageAt::new(&self.object.cache_key, range)
    }
}

impl DecodedPages for DecodedOf {
    fn get(&self, range: &Range<u64>) -> Option<DecodedPage> {
        let pages = self.pages.pages.lock();
        pages.get(&self.at(range))?.decoded.clone()
    }

    /// Keeps pages that were read from memory: whose bytes are kept, or whose object is.
    fn put(&self, range: &Range<u64>, stored: &Bytes, page: &DecodedPage) {
        let mut pages = self.pages.pages.lock();
        let kept = pages.get(&self.at(range));
        let kept = kept.filter(|kept| kept.stored.as_ptr() == stored.as_ptr());
        let (kind, stored) = match kept {
            Some(kept) => (kept.kind, kept.stored.clone()),
            // A part of the whole object would keep all of it in memory.
            None if page.shares(stored) => return,
            None => match pages.get(&self.at(&(0..self.object.size))) {
                Some(_) => (self.kind, Bytes::new()),
                None => return,
            },
        };
        let page = CachedPage {
            kind,
            stored,
            decoded: Some(page.clone()),
        };
        if page.bytes() + OVERHEAD <= self.pages.largest {
            let key = PageKey::new(&self.object.cache_key, range);
            self.pages.insert(&mut pages, key, page);
        }
    }
}

#[cfg(test)]
mod tests {
    use service::{Exposition, Metrics};

    use super::*;
    use crate::metrics::ReadMetrics;

    #[test]
    fn pages_that_are_used_again_stay_when_many_others_are_read_once() {
        let service = Metrics::new();
        let cache = PageCache::new(100 << 10, ReadMetrics::new(&service).cache);
        let (kind, object) = (DataKind::Chunks, Arc::from("object"));
        let page = |n: u64| n << 10..(n + 1) << 10;
        let bytes = Bytes::from(vec![0; 1 << 10]);
        let keep = |n| cache.put(kind, &object, &page(n), &bytes);
        let is_kept = |n| cache.get(kind, &object, &page(n)).is_some();
        // Full of others.
        (1000..2000).for_each(keep);
        (0..8).for_each(keep);
        assert!((0..8).all(is_kept));
        (2000..3000).for_each(keep);
        assert!((0..8).all(is_kept));
        let (pages, _, memory) = cache.kept();
        assert!(pages >= 75 && memory <= 100 << 10, "{pages}, {memory}");
        // In its place, not beside it.
        keep(0);
        assert_eq!(cache.kept(), (pages, 0, memory));
        cache.remove(&object);
        assert_eq!(cache.kept(), (0, 0, 0));
        let text = service.encode(Exposition::Prometheus);
        for (metric, expected) in [
            ("cache_items", 0),
            ("cache_items_size_bytes", 0),
            ("cache_items_added_total", 2009),
            ("cache_items_evicted_total", 2008 - pages),
        ] {
            let line = format!("thanos_store_index_{metric}{{item_type=\"Chunks\"}} {expected}\n");
            assert!(text.contains(&line), "{line}{text}");
        }
    }
}
