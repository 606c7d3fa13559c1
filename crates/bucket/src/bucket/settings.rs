//! How a bucket's objects are named and written.

use object_store::Attributes;

use super::upload::PART;

/// How objects are written, and where.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// What metrics call the bucket.
    pub(crate) name: String,
    /// What errors say of who asks, where that has a name: the bucket, and where its credentials come from.
    pub(crate) who: Option<String>,
    /// All keys lie below it; empty, or without slashes at its ends.
    pub(crate) prefix: String,
    /// Bytes of a part of a big upload.
    pub(crate) part_size: u64,
    /// Above this, objects are uploaded in parts.
    pub(crate) single_put: u64,
    /// What each object is written with.
    pub(crate) attributes: Attributes,
    /// Whether there are folders without objects in them, which a listing of objects does not show.
    pub(crate) has_folders: bool,
}

impl Settings {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            who: None,
            prefix: String::new(),
            part_size: PART,
            single_put: PART,
            attributes: Attributes::new(),
            has_folders: false,
        }
    }
}
