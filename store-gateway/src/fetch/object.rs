//! An object of a block in the version that a listing showed.

use std::sync::Arc;

/// An object to read parts of. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ListedObject {
    /// Its name in the bucket.
    pub(crate) key: Arc<str>,
    /// What the store calls this version, if it does. Parts of another version are refused.
    pub(crate) etag: Option<Arc<str>>,
    /// How many bytes it has.
    pub(crate) size: u64,
    /// Names the object in this version in caches.
    pub(super) cache_key: Arc<str>,
}

impl ListedObject {
    /// The object `key` of `size` bytes; `stamp` tells its versions apart.
    pub(crate) fn new(key: &str, etag: Option<Arc<str>>, stamp: u64, size: u64) -> Self {
        Self {
            key: key.into(),
            etag,
            size,
            cache_key: format!("{key} {stamp:016x} {size}").into(),
        }
    }
}
