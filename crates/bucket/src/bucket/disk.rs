//! Files copied into a bucket that is a folder, as the system does it best: between files of one disk it need not take
//! the bytes through this process, and some file systems copy nothing at all.
//!
//! ```text
//! file ──▶ <object>#1 ── flushed ──▶ renamed to <object> ──▶ folder flushed
//! ```
//! The store shows no names that end so, and uses them for what it writes itself.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// A copy that is no object yet. Unless it becomes one, it is removed.
#[derive(Debug)]
pub(super) struct Staged {
    file: File,
    path: PathBuf,
    object: PathBuf,
    /// Bytes that were copied.
    pub(super) len: u64,
}

impl Staged {
    /// Copies what is left of `from` beside where the object will be; makes the folder for it.
    pub(super) fn copy(mut from: File, object: &Path) -> io::Result<Self> {
        let (file, path) = create_beside(object)?;
        let mut staged = Self {
            file,
            path,
            object: object.to_owned(),
            len: 0,
        };
        staged.len = io::copy(&mut from, &mut staged.file)?;
        Ok(staged)
    }

    /// Makes it the object, in place of one that is there. Afterwards it is on the disk.
    pub(super) fn publish(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.object)?;
        sync(folder_of(&self.object))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // It is not there any more if it was published, and else nothing depends on it.
        let _ = fs::remove_file(&self.path);
    }
}

/// A new file of a name that no other upload of the object uses.
fn create_beside(object: &Path) -> io::Result<(File, PathBuf)> {
    let mut number = 1_u64;
    let mut folders = 0;
    loop {
        let mut path = object.as_os_str().to_owned();
        path.push(format!("#{number}"));
        match File::create_new(&path) {
            Ok(file) => return Ok((file, path.into())),
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
    missing.into_iter().rev().map(folder_of).try_for_each(sync)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries.map(name).collect();
        names.sort();
        let names = names.into_iter();
        names.map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn a_copy_is_an_object_once_it_is_published_and_else_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::write(&from, "new").unwrap();
        let object = dir.path().join("a/b/object");
        let copy = || Staged::copy(File::open(&from).unwrap(), &object).unwrap();

        let staged = copy();
        assert_eq!(staged.len, 3);
        assert_eq!(names(&dir.path().join("a/b")), ["object#1"]);
        drop(staged);
        assert!(names(&dir.path().join("a/b")).is_empty());

        fs::write(&object, "what was there before").unwrap();
        let (one, other) = (copy(), copy());
        assert_eq!(
            fs::read_to_string(&object).unwrap(),
            "what was there before"
        );
        one.publish().unwrap();
        assert_eq!(fs::read_to_string(&object).unwrap(), "new");
        other.publish().unwrap();
        assert_eq!(names(&dir.path().join("a/b")), ["object"]);
    }
}
