//! Ranges of objects in memory. Each belongs to one version of an object, so none becomes stale.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{ListedObject, lru::Lru};

/// What a page takes besides its bytes.
const OVERHEAD: u64 = 256;

/// A page that takes more than this part of the cache is not kept: it would drive out many others.
const LARGE: u64 = 8;

/// The cache key of an object, and where in the object the page starts and ends.
pub(super) type PageKey = (Arc<str>, u64, u64);

/// A cache of ranges of objects.
#[derive(Debug)]
pub(crate) struct PageCache {
    pages: Mutex<Lru<PageKey, Bytes>>,
    largest: u64,
}

impl PageCache {
    /// A cache of at most `max` bytes.
    pub(crate) fn new(max: u64) -> Self {
        Self {
            pages: Mutex::new(Lru::new(max)),
            largest: max / LARGE,
        }
    }

    /// The page, if it is here.
    pub(crate) fn get(&self, key: &Arc<str>, range: &Range<u64>) -> Option<Bytes> {
        let key = (Arc::clone(key), range.start, range.end);
        self.pages.lock().get(&key)
    }

    /// All these pages of an object, if each is here.
    pub(crate) fn all(&self, object: &ListedObject, ranges: &[Range<u64>]) -> Option<Vec<Bytes>> {
        let pages = ranges.iter();
        let pages = pages.map(|range| self.get(&object.cache_key, range));
        pages.collect()
    }

    /// Forgets all pages of an object.
    pub(crate) fn remove(&self, key: &Arc<str>) {
        self.pages.lock().remove_where(|(object, ..)| object == key);
    }

    /// Keeps a copy, since `bytes` may be a slice of much more.
    pub(crate) fn put(&self, key: &Arc<str>, range: &Range<u64>, bytes: &Bytes) {
        let size = bytes.len() as u64 + OVERHEAD;
        if size > self.largest {
            return;
        }
        let copy = Bytes::copy_from_slice(bytes);
        let key = (Arc::clone(key), range.start, range.end);
        self.pages.lock().put(key, copy, size);
    }
}
