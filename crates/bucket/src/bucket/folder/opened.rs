//! An object of a folder, opened to read parts of it.

use std::{fs::File, io, ops::Range, path::Path};

use bytes::Bytes;
use object_store::path::Path as StorePath;

use super::listed::object;
use crate::bucket::bare;

/// The most bytes of which the first and the last tell whether all are in memory.
const TOLD: u64 = 4 << 20;

/// The object.
#[derive(Debug)]
pub(crate) struct Opened {
    file: File,
    size: u64,
}

impl Opened {
    /// Opens the file at `path`, the object `key`; `None` if it is not of the version with this ETag.
    pub(super) fn new(
        path: &Path,
        key: &StorePath,
        etag: Option<&str>,
    ) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        let size = meta.len();
        let found = object(key.clone(), &meta).e_tag;
        let is_wanted =
            etag.is_none_or(|etag| found.is_some_and(|found| bare(&found) == bare(etag)));
        Ok(is_wanted.then_some(Self { file, size }))
    }

    /// Whether reading the part waits for no disk. A large one, of which its ends tell little, counts as on the disk.
    pub(crate) fn is_in_memory(&self, range: &Range<u64>) -> bool {
        let range = range.start..range.end.min(self.size);
        range.end.saturating_sub(range.start) <= TOLD && files::is_in_memory(&self.file, &range)
    }

    /// A part, up to the object's end.
    pub(crate) fn read(&self, range: &Range<u64>) -> io::Result<Bytes> {
        let end = range.end.min(self.size);
        if range.start >= end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        files::read_range(&self.file, range.start..end).map(Bytes::from)
    }
}
