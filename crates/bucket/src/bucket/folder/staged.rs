//! A file that will become an object of a folder.

use std::{
    fs::{self, File},
    hash::Hasher as _,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use xxhash_rust::xxh64::Xxh64;

use super::{Means, is_same};

/// Bytes that are copied at once.
const BUFFER: usize = 1 << 20;

/// A file beside an object. It is removed unless it becomes the object.
#[derive(Debug)]
pub(crate) struct Staged {
    file: File,
    path: PathBuf,
    object: PathBuf,
    /// Its size in bytes.
    pub(crate) len: u64,
    /// The XXH64 of its bytes, if they were copied by this process.
    pub(crate) hash: Option<u64>,
}

impl Staged {
    /// Puts the rest of `from`, which is at `path`, beside the place of the object; creates its folder.
    pub(super) fn new(from: File, path: &Path, means: Means, object: &Path) -> io::Result<Self> {
        match means {
            Means::Copy => Self::copy(from, object),
            // The cause does not matter, such as another file system: a copy follows, or reports what is wrong.
            Means::Link => Self::link(from.try_clone()?, path, object)
                .or_else(|_| Self::copy_hashed(from, object)),
        }
    }

    fn copy(mut from: File, object: &Path) -> io::Result<Self> {
        let mut staged = Self::create(object)?;
        staged.len = io::copy(&mut from, &mut staged.file)?;
        Ok(staged)
    }

    fn copy_hashed(mut from: File, object: &Path) -> io::Result<Self> {
        let mut staged = Self::create(object)?;
        let mut hash = Xxh64::new(0);
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = match from.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            let bytes = buffer.get(..read).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            hash.update(bytes);
            staged.file.write_all(bytes)?;
            staged.len += bytes.len() as u64;
        }
        staged.hash = Some(hash.finish());
        Ok(staged)
    }

    fn create(object: &Path) -> io::Result<Self> {
        let (file, path) = beside(object, File::create_new)?;
        Ok(Self {
            file,
            path,
            object: object.to_owned(),
            len: 0,
            hash: None,
        })
    }

    fn link(file: File, path: &Path, object: &Path) -> io::Result<Self> {
        let ((), staged) = beside(object, |name| fs::hard_link(path, name))?;
        let linked = fs::symlink_metadata(&staged).and_then(|linked| is_same(&file, &linked));
        if !matches!(linked, Ok(true)) {
            fs::remove_file(&staged)?;
            return Err(io::Error::other("the name is not that of the open file"));
        }
        Ok(Self {
            len: file.metadata()?.len(),
            file,
            path: staged,
            object: object.to_owned(),
            hash: None,
        })
    }

    /// Makes it the object and replaces one that exists. Afterwards it is durable.
    pub(crate) fn publish(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.object)?;
        self.remove()?;
        files::sync_folder(folder_of(&self.object))
    }

    /// Removes the staged name, if it still exists: also after renaming, which does nothing if both names are of one
    /// file.
    fn remove(&self) -> io::Result<()> {
        match fs::symlink_metadata(&self.path) {
            // Another upload may have taken the name meanwhile; then it stays.
            Ok(found) if is_same(&self.file, &found)? => fs::remove_file(&self.path),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Nothing depends on it.
        let _ = self.remove();
    }
}

/// Makes a name that no other upload of the object uses.
fn beside<T>(object: &Path, make: impl Fn(PathBuf) -> io::Result<T>) -> io::Result<(T, PathBuf)> {
    let mut number = 1_u64;
    let mut folders = 0;
    loop {
        let mut path = object.as_os_str().to_owned();
        path.push(format!("#{number}"));
        let path = PathBuf::from(path);
        match make(path.clone()) {
            Ok(made) => return Ok((made, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            // An empty folder may have been removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound && folders < 3 => {
                folders += 1;
                make_folder(folder_of(object))?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Creates a folder and those above it, durably.
fn make_folder(folder: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    for folder in folder.ancestors() {
        if folder.as_os_str().is_empty() || folder.try_exists()? {
            break;
        }
        missing.push(folder);
    }
    fs::create_dir_all(folder)?;
    missing
        .into_iter()
        .rev()
        .map(folder_of)
        .try_for_each(files::sync_folder)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}
