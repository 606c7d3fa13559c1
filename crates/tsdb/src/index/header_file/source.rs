//! The sources of a header's pages.

use std::{
    fmt,
    fs::File,
    io,
    ops::Range,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;

use super::{HeaderIdentity, HeaderRoot, TAIL_LEN};
use crate::{
    codec::{CRC_LEN, check_crc},
    error::{Error, Result},
};

/// The pages of one header: a file, perhaps with a cache, or memory.
pub trait HeaderPages: fmt::Debug + Send + Sync {
    /// The bytes of a page, with a valid checksum.
    ///
    /// # Errors
    /// When they cannot be read, or are damaged.
    fn page(&self, range: Range<u64>) -> Result<Bytes>;

    /// As [`Self::page`], but `None` if reading the page could wait for a disk. Opening its file is not counted as that.
    ///
    /// # Errors
    /// As [`Self::page`].
    fn page_in_memory(&self, range: Range<u64>) -> Result<Option<Bytes>>;

    /// Its name in errors.
    fn name(&self) -> &str;

    /// Bytes on the heap, without those in a cache.
    fn heap_size(&self) -> usize;
}

/// A header file on the disk. It is opened for each page that is read: a gateway has more blocks than a process may
/// have open files.
#[derive(Debug)]
pub struct HeaderFile {
    path: PathBuf,
    version: Version,
    /// The path as text.
    name: String,
    root: HeaderRoot,
    /// The end of the pages.
    end: u64,
}

/// Identifies a file among others of the same name: inode, size, and time of the last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version(u64, u64, i64, i64);

impl HeaderFile {
    /// Opens the header of an index. Reads only the tail.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or was built from another index.
    pub fn open(path: &Path, made_of: HeaderIdentity) -> Result<Self> {
        let name = path.display().to_string();
        let (file, version) = open(path).map_err(Error::io(path))?;
        let size = version.1;
        let start = size.saturating_sub(TAIL_LEN);
        let tail = files::read_range(&file, start..size).map_err(Error::io(path))?;
        let root = HeaderRoot::decode(&tail, size, &name)?;
        if root.identity != made_of {
            let show = |of: HeaderIdentity| format!("{} bytes, {:016x}", of.index_size, of.stamp);
            let expected = format!("the header of an index of {}", show(made_of));
            let found = format!("that of one of {}", show(root.identity));
            return Err(Error::corrupt(&name, start, expected, found));
        }
        Ok(Self {
            path: path.to_owned(),
            version,
            name,
            root,
            end: start,
        })
    }

    /// The start of a search.
    #[must_use]
    pub fn root(&self) -> &HeaderRoot {
        &self.root
    }

    /// The file, which must be the one that was opened first and have a page in `range`.
    fn opened(&self, range: &Range<u64>) -> Result<File> {
        // The allocation is not longer than the file.
        if range.start > range.end || range.end > self.end {
            return Err(outside(&self.name, range, self.end));
        }
        let (file, version) = open(&self.path).map_err(Error::io(&self.path))?;
        if version != self.version {
            let found = "another in its place";
            return Err(Error::corrupt(
                &self.name,
                0,
                "the file that was opened",
                found,
            ));
        }
        Ok(file)
    }

    /// A page, whose checksum is compared.
    fn read(&self, file: &File, range: Range<u64>) -> Result<Bytes> {
        let bytes = files::read_range(file, range.clone()).map_err(Error::io(&self.path))?;
        if let Some((summed, stored)) = bytes.split_last_chunk::<CRC_LEN>() {
            let at = range.start + summed.len() as u64;
            let stored = u32::from_be_bytes(*stored);
            check_crc(&self.name, at, "a page", summed, stored)?;
        }
        Ok(bytes.into())
    }
}

impl HeaderPages for HeaderFile {
    fn page(&self, range: Range<u64>) -> Result<Bytes> {
        let file = self.opened(&range)?;
        self.read(&file, range)
    }

    fn page_in_memory(&self, range: Range<u64>) -> Result<Option<Bytes>> {
        let file = self.opened(&range)?;
        match files::is_in_memory(&file, &range) {
            true => self.read(&file, range).map(Some),
            false => Ok(None),
        }
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn heap_size(&self) -> usize {
        size_of::<Self>() + 2 * self.name.len()
    }
}

/// A header that this program has built in memory: its checksums are not compared again.
impl HeaderPages for Bytes {
    fn page(&self, range: Range<u64>) -> Result<Bytes> {
        let offset = |at: u64| usize::try_from(at).ok();
        offset(range.start)
            .zip(offset(range.end))
            .filter(|(start, end)| start <= end && *end <= self.len())
            .map(|(start, end)| self.slice(start..end))
            .ok_or_else(|| outside(self.name(), &range, self.len() as u64))
    }

    fn page_in_memory(&self, range: Range<u64>) -> Result<Option<Bytes>> {
        self.page(range).map(Some)
    }

    fn name(&self) -> &str {
        "index header in memory"
    }

    fn heap_size(&self) -> usize {
        self.len()
    }
}

/// Pages of which those that are not in memory are errors.
#[derive(Debug)]
pub(in crate::index) struct InMemory(pub(in crate::index) Arc<dyn HeaderPages>);

impl HeaderPages for InMemory {
    fn page(&self, range: Range<u64>) -> Result<Bytes> {
        let page = self.page_in_memory(range)?;
        page.ok_or_else(|| Error::io(self.name().as_ref())(io::ErrorKind::WouldBlock.into()))
    }

    fn page_in_memory(&self, range: Range<u64>) -> Result<Option<Bytes>> {
        self.0.page_in_memory(range)
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn heap_size(&self) -> usize {
        self.0.heap_size()
    }
}

fn open(path: &Path) -> io::Result<(File, Version)> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    let version = Version(meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec());
    Ok((file, version))
}

fn outside(name: &str, range: &Range<u64>, end: u64) -> Error {
    let expected = format!("a page before byte {end}");
    let found = format!("one at {} to {}", range.start, range.end);
    Error::corrupt(name, range.start, expected, found)
}
