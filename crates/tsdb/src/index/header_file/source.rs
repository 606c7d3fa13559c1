//! Where the pages of a header come from.

use std::{
    fmt,
    fs::File,
    io,
    ops::Range,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::{HeaderIdentity, HeaderRoot, TAIL_LEN};
use crate::{
    codec::{CRC_LEN, check_crc},
    error::{Error, Result},
    read_at::ReadAt,
};

/// The pages of one header: a file, perhaps behind a cache, or memory.
pub trait HeaderPages: fmt::Debug + Send + Sync {
    /// The bytes of a page, whose checksum is right.
    ///
    /// # Errors
    /// When they cannot be read, or are damaged.
    fn page(&self, range: Range<u64>) -> Result<Bytes>;

    /// What it is called in errors.
    fn name(&self) -> &str;

    /// Bytes held on the heap, without those in a cache.
    fn heap_size(&self) -> usize;
}

/// A header file on the disk. It is opened for each page that is read: a gateway has more blocks than a process may have
/// open files.
#[derive(Debug)]
pub struct HeaderFile {
    path: PathBuf,
    version: Version,
    /// The path as text.
    name: String,
    root: HeaderRoot,
    /// Where the pages end.
    end: u64,
}

/// Tells a file from another one of the same name: inode, size, and time of the last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version(u64, u64, i64, i64);

impl HeaderFile {
    /// Opens the header of an index. Reads the tail only.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or was made of another index.
    pub fn open(path: &Path, made_of: HeaderIdentity) -> Result<Self> {
        let name = path.display().to_string();
        let (file, version) = open(path).map_err(Error::io(path))?;
        let size = version.1;
        let start = size.saturating_sub(TAIL_LEN);
        let tail = read(&file, start..size).map_err(Error::io(path))?;
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

    /// Where to begin.
    #[must_use]
    pub fn root(&self) -> &HeaderRoot {
        &self.root
    }
}

impl HeaderPages for HeaderFile {
    fn page(&self, range: Range<u64>) -> Result<Bytes> {
        // What is allocated is no longer than the file.
        if range.start > range.end || range.end > self.end {
            return Err(outside(&self.name, &range, self.end));
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
        let bytes = read(&file, range.clone()).map_err(Error::io(&self.path))?;
        if let Some((summed, stored)) = bytes.split_last_chunk::<CRC_LEN>() {
            let at = range.start + summed.len() as u64;
            let stored = u32::from_be_bytes(*stored);
            check_crc(&self.name, at, "a page", summed, stored)?;
        }
        Ok(bytes.into())
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn heap_size(&self) -> usize {
        size_of::<Self>() + 2 * self.name.len()
    }
}

/// A header that this program has made and not written to a file: its checksums are not looked at again.
impl HeaderPages for Bytes {
    fn page(&self, range: Range<u64>) -> Result<Bytes> {
        let offset = |at: u64| usize::try_from(at).ok();
        offset(range.start)
            .zip(offset(range.end))
            .filter(|(start, end)| start <= end && *end <= self.len())
            .map(|(start, end)| self.slice(start..end))
            .ok_or_else(|| outside(self.name(), &range, self.len() as u64))
    }

    fn name(&self) -> &str {
        "index header in memory"
    }

    fn heap_size(&self) -> usize {
        self.len()
    }
}

fn open(path: &Path) -> io::Result<(File, Version)> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    let version = Version(meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec());
    Ok((file, version))
}

fn read(file: &File, range: Range<u64>) -> io::Result<Vec<u8>> {
    let len = usize::try_from(range.end.saturating_sub(range.start))
        .map_err(|_| io::ErrorKind::OutOfMemory)?;
    let mut bytes = vec![0; len];
    file.read_at(range.start, &mut bytes)?;
    Ok(bytes)
}

fn outside(name: &str, range: &Range<u64>, end: u64) -> Error {
    let expected = format!("a page before byte {end}");
    let found = format!("one at {} to {}", range.start, range.end);
    Error::corrupt(name, range.start, expected, found)
}
