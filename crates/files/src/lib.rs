//! Files of the local disk: replaced whole, read in parts, read and removed if they are there.
//!
//! Every function blocks.

use std::{
    fs::{self, File, ReadDir},
    io::{self, Write as _},
    ops::Range,
    path::Path,
};

use rustix::{buffer::spare_capacity, io::Errno};

/// What a crash of the machine may do to a file that was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: it is on the disk, its name too.
    Durable,
    /// Spoil it. For a cache, whose reader finds that out.
    Cached,
}

/// Writes a file, in place of one that is there: whoever reads it finds the old content or the new one, whole.
///
/// The content is written to `<name>.tmp` beside it first.
///
/// # Errors
/// As the system says. The old file is then still there.
pub fn replace(path: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    if durability == Durability::Durable {
        file.sync_all()?;
    }
    fs::rename(&temporary, path)?;
    match (durability, path.parent()) {
        (Durability::Durable, Some(folder)) => sync_folder(folder),
        _ => Ok(()),
    }
}

/// Makes the names in a folder durable.
///
/// # Errors
/// As the system says.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The bytes of a part of an open file, whose place in it is left as it is.
///
/// # Errors
/// As the system says; `UnexpectedEof` if the file ends before `range` does.
pub fn read_range(file: &File, range: Range<u64>) -> io::Result<Vec<u8>> {
    let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
    // Filled by the system at once: memory that is cleared first costs as much as what is read into it.
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length)?;
    while bytes.len() < length {
        let at = range.start + bytes.len() as u64;
        match rustix::io::pread(file, spare_capacity(&mut bytes), at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// The content of a file, if it is there.
///
/// # Errors
/// As the system says, but for a file that is not there.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    if_there(fs::read(path))
}

/// The entries of a folder, if it is there.
///
/// # Errors
/// As the system says, but for a folder that is not there.
pub fn entries(folder: &Path) -> io::Result<Option<ReadDir>> {
    if_there(fs::read_dir(folder))
}

/// Removes a file, if it is there.
///
/// # Errors
/// When it stays there.
pub fn remove_file(path: &Path) -> io::Result<()> {
    if_there(fs::remove_file(path)).map(drop)
}

/// Removes a folder and all that is in it, if it is there.
///
/// # Errors
/// When some of it stays there.
pub fn remove_folder(path: &Path) -> io::Result<()> {
    if_there(fs::remove_dir_all(path)).map(drop)
}

fn if_there<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        outcome => outcome.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        for (content, durability) in [("1", Durability::Durable), ("2", Durability::Cached)] {
            replace(&path, content.as_bytes(), durability).unwrap();
            assert_eq!(read(&path).unwrap().unwrap(), content.as_bytes());
        }
        assert_eq!(entries(dir.path()).unwrap().unwrap().count(), 1);
        // A folder of that name stays, and says why.
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).unwrap();
        replace(&folder, b"", Durability::Cached).unwrap_err();
        assert!(fs::metadata(&folder).unwrap().is_dir());
    }

    #[test]
    fn a_part_of_a_file_is_all_of_it_or_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "0123456789").unwrap();
        let file = File::open(&path).unwrap();
        assert_eq!(read_range(&file, 3..7).unwrap(), b"3456");
        assert_eq!(read_range(&file, 7..10).unwrap(), b"789");
        assert_eq!(read_range(&file, 4..4).unwrap(), b"");
        for range in [8..11, 20..21] {
            let error = read_range(&file, range).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
        let whole = read_range(&file, 0..u64::MAX).unwrap_err();
        assert_eq!(whole.kind(), io::ErrorKind::OutOfMemory);
    }

    #[test]
    fn what_is_not_there_is_removed_already() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        assert!(read(&path).unwrap().is_none());
        assert!(entries(&path).unwrap().is_none());
        remove_file(&path).unwrap();
        remove_folder(&path).unwrap();
        fs::create_dir(&path).unwrap();
        remove_file(&path).unwrap_err();
        fs::write(path.join("b"), "").unwrap();
        remove_folder(&path).unwrap();
        assert!(!path.try_exists().unwrap());
    }
}
