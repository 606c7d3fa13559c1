//! Files of the local disk: replaced whole, read in parts, and read or removed if they exist.
//!
//! Every function blocks.

use std::{
    fs::{self, File, ReadDir},
    io::{self, IoSliceMut, Write as _},
    ops::Range,
    path::Path,
};

use rustix::{
    buffer::spare_capacity,
    io::{Errno, ReadWriteFlags, preadv2},
};

/// What a crash of the machine may do to a replaced file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: the file and its name are durable.
    Durable,
    /// Damage it. For a cache whose reader notices that.
    Cached,
}

/// Writes a file and replaces one that exists: readers see the old content or the new one, whole.
///
/// The content is first written to `<name>.tmp` beside it.
///
/// # Errors
/// The system's error. The old file is then unchanged.
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
/// The system's error.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The bytes of a part of an open file. The position of the file does not change.
///
/// # Errors
/// The system's error; `UnexpectedEof` if the file ends before `range` does.
pub fn read_range(file: &File, range: Range<u64>) -> io::Result<Vec<u8>> {
    let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
    // The system fills uninitialized memory: clearing it first costs as much as the read.
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

/// Whether [`read_range`] of a part of an open file waits for no disk, as the part's first and its last byte tell. It is
/// false for an empty part, and on a file system that cannot tell.
#[must_use]
pub fn is_in_memory(file: &File, range: &Range<u64>) -> bool {
    let has = |at: u64| {
        let mut byte = [0];
        let buffers = &mut [IoSliceMut::new(&mut byte)];
        preadv2(file, buffers, at, ReadWriteFlags::NOWAIT) == Ok(1)
    };
    !range.is_empty() && has(range.start) && has(range.end - 1)
}

/// The content of a file, if it exists.
///
/// # Errors
/// The system's error, except for a missing file.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    if_there(fs::read(path))
}

/// The entries of a folder, if it exists.
///
/// # Errors
/// The system's error, except for a missing folder.
pub fn entries(folder: &Path) -> io::Result<Option<ReadDir>> {
    if_there(fs::read_dir(folder))
}

/// Removes a file, if it exists.
///
/// # Errors
/// When it stays there.
pub fn remove_file(path: &Path) -> io::Result<()> {
    if_there(fs::remove_file(path)).map(drop)
}

/// Removes a folder and its contents, if it exists.
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
        assert!(!is_in_memory(&file, &(4..4)));
        // What was just written is in memory. Some file systems cannot tell.
        let mut byte = [0];
        let buffers = &mut [IoSliceMut::new(&mut byte)];
        let told = preadv2(&file, buffers, 0, ReadWriteFlags::NOWAIT) != Err(Errno::OPNOTSUPP);
        assert_eq!(is_in_memory(&file, &(3..10)), told);
        assert!(!is_in_memory(&file, &(8..11)));
        let whole = read_range(&file, 0..u64::MAX).unwrap_err();
        assert_eq!(whole.kind(), io::ErrorKind::OutOfMemory);
    }

    #[test]
    fn removing_a_missing_file_or_folder_succeeds() {
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
