//! An object of a folder, opened to read parts of it.

use std::{
    fs::File,
    io::{self, IoSliceMut},
    ops::Range,
    path::Path,
};

use bytes::Bytes;
use object_store::path::Path as StorePath;
use rustix::io::{ReadWriteFlags, preadv2};

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

    /// Whether reading the part waits for no disk, as its first and its last byte tell. A large one, of which they tell
    /// little, counts as on the disk, as does all on a file system that cannot tell.
    pub(crate) fn is_in_memory(&self, range: &Range<u64>) -> bool {
        let end = range.end.min(self.size);
        let has = |at: u64| {
            let mut byte = [0];
            let read = preadv2(
                &self.file,
                &mut [IoSliceMut::new(&mut byte)],
                at,
                ReadWriteFlags::NOWAIT,
            );
            read == Ok(1)
        };
        let len = end.saturating_sub(range.start);
        (1..=TOLD).contains(&len) && has(range.start) && has(end - 1)
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
