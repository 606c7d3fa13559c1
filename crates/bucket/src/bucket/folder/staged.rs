//! A file that is to become an object of a folder.

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

/// A file beside an object. Unless it becomes the object, it is removed.
#[derive(Debug)]
pub(crate) struct Staged {
    file: File,
    path: PathBuf,
    object: PathBuf,
    /// Its bytes.
    pub(crate) len: u64,
    /// The XXH64 of the bytes, if they went through this process: where they could not be linked.
    pub(crate) hash: Option<u64>,
}

impl Staged {
    /// Puts what is left of `from`, which is at `path`, beside where the object will be; makes the folder for it.
    pub(super) fn new(from: File, path: &Path, means: Means, object: &Path) -> io::Result<Self> {
        match means {
            Means::Copy => Self::copy(from, object),
            // Whatever is in the way, such as another file system: a copy is made, or else says what is wrong.
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

    /// Makes it the object, in place of one that is there. Afterwards it is on the disk.
    pub(crate) fn publish(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.object)?;
        self.remove()?;
        files::sync_folder(folder_of(&self.object))
    }

    /// Removes its name, if it still has it: after renaming too, which does nothing where both names are of one file.
    fn remove(&self) -> io::Result<()> {
        match fs::symlink_metadata(&self.path) {
            // Another's, who took the name when it was free again, is left.
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

/// Makes something of a name that no other upload of the object uses.
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
            // Where it has become empty meanwhile, somebody may have removed it again.
            Err(error) if error.kind() == io::ErrorKind::NotFound && folders < 3 => {
                folders += 1;
                make_folder(folder_of(object))?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Makes a folder and those above it; they are on the disk then.
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
