//! Names and write options of a bucket's objects.

use object_store::Attributes;

use super::upload::PART;

/// Where objects are, and how they are written.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The bucket's name in metrics.
    pub(crate) name: String,
    /// The prefix of all keys; empty, or without slashes at its ends.
    pub(crate) prefix: String,
    /// Bytes of a part of a big upload.
    pub(crate) part_size: u64,
    /// Larger objects are uploaded in parts.
    pub(crate) single_put: u64,
    /// The attributes of created objects.
    pub(crate) attributes: Attributes,
    /// Whether empty folders exist, which a listing of objects does not show.
    pub(crate) has_folders: bool,
}

impl Settings {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            prefix: String::new(),
            part_size: PART,
            single_put: PART,
            attributes: Attributes::new(),
            has_folders: false,
        }
    }
}
