//! Whole files into a bucket that is a folder, and out of it, and parts of them, as the system does it best.
//!
//! ```text
//! file ── linked, or copied ──▶ <object>#1 ── flushed ──▶ renamed to <object> ──▶ folder flushed
//! object ── linked ──▶ file
//! ```
//! The store shows no names that end so, and uses them for what it writes itself.
//!
//! What is linked is not copied: object and file are one then, so neither is ever written to. The store does not do
//! it, as it replaces objects by renaming. A copy between files of one disk need not take the bytes through this
//! process, and some file systems copy nothing at all.

mod left;
mod listed;
mod opened;
mod staged;

use std::{
    fmt,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use model::Timestamp;
use object_store::{Error, Result, local::LocalFileSystem, path::Path as StorePath};

pub(crate) use self::{listed::Listed, opened::Opened, staged::Staged};

/// Operations on whole files of a bucket that is a folder. They wait for the disk.
pub(crate) trait Folder: fmt::Debug + Send + Sync {
    /// Puts the rest of the file `from`, which is at `path`, beside the place of the object; creates its folder.
    fn stage(&self, object: &StorePath, from: File, path: &Path, means: Means) -> Result<Staged>;

    /// Gives an object the second name `to` and replaces a file of that name; returns whether that was possible.
    fn link(&self, object: &StorePath, to: &Path) -> Result<bool>;

    /// Removes the files that interrupted uploads left below `prefix` before that time; returns their number.
    fn remove_left(&self, prefix: &StorePath, before: Timestamp) -> Result<usize>;

    /// Opens an object to read parts of it; `None` if it is another version than that with this ETag.
    fn open(&self, object: &StorePath, etag: Option<&str>) -> Result<Option<Opened>>;

    /// Whether the object is the file at `path`.
    fn is_file(&self, object: &StorePath, path: &Path) -> Result<bool>;
}

/// How a file gets into the folder.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Means {
    /// It is copied.
    Copy,
    /// It gets a second name, or is copied if that is impossible.
    Link,
}

impl Folder for LocalFileSystem {
    fn stage(&self, object: &StorePath, from: File, path: &Path, means: Means) -> Result<Staged> {
        let object = self.path_to_filesystem(object)?;
        Staged::new(from, path, means, &object).map_err(failed)
    }

    fn link(&self, object: &StorePath, to: &Path) -> Result<bool> {
        let object = self.path_to_filesystem(object)?;
        // The cause does not matter, such as another file system: a copy follows, and reports what is wrong.
        Ok(link(&object, to).unwrap_or(false))
    }

    fn remove_left(&self, prefix: &StorePath, before: Timestamp) -> Result<usize> {
        let folder = self.path_to_filesystem(prefix)?;
        left::remove(&folder, before).map_err(failed)
    }

    fn open(&self, object: &StorePath, etag: Option<&str>) -> Result<Option<Opened>> {
        let path = self.path_to_filesystem(object)?;
        Opened::new(&path, object, etag).map_err(failed)
    }

    fn is_file(&self, object: &StorePath, path: &Path) -> Result<bool> {
        let object = self.path_to_filesystem(object)?;
        let same = || is_same(&File::open(object)?, &File::open(path)?.metadata()?);
        same().map_err(failed)
    }
}

/// The error of a folder.
pub(super) fn failed(error: io::Error) -> Error {
    Error::Generic {
        store: "folder",
        source: error.into(),
    }
}

/// Creates a file. A file of that name is removed first, as it may have other names.
pub(super) fn create_anew(path: &Path) -> io::Result<File> {
    files::remove_file(path)?;
    File::create_new(path)
}

fn link(object: &Path, to: &Path) -> io::Result<bool> {
    // A hard link to a symbolic link would not be one to the file.
    if !fs::symlink_metadata(object)?.is_file() {
        return Ok(false);
    }
    files::remove_file(to)?;
    fs::hard_link(object, to)?;
    Ok(true)
}

fn is_same(file: &File, other: &fs::Metadata) -> io::Result<bool> {
    let file = file.metadata()?;
    Ok((file.dev(), file.ino()) == (other.dev(), other.ino()))
}

#[cfg(test)]
mod tests;
