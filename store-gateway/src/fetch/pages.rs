//! Pages of objects in memory, each of one version of an object, so nothing here becomes wrong.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;

use super::lru::Lru;

/// What a page costs besides its bytes.
const OVERHEAD: u64 = 256;

/// A page that takes more than this part of the cache is not kept: it would drive out many others.
const LARGE: u64 = 8;

/// The cache key of an object, and where in the object the page starts and ends.
pub(super) type PageKey = (Arc<str>, u64, u64);

/// Ranges of objects, as they were asked for before.
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
