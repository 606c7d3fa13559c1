//! What interrupted uploads left in a folder: files under the names that they have before they become objects.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

use model::Timestamp;

/// Removes such files below `folder` that were written before that time, and the folders that become empty; returns
/// their number.
pub(super) fn remove(folder: &Path, before: Timestamp) -> io::Result<usize> {
    let Some(entries) = files::entries(folder)? else {
        return Ok(0);
    };
    let mut removed = 0;
    for entry in entries {
        let path = entry?.path();
        removed += match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => remove(&path, before)?,
            Ok(found) if Timestamp::from_seconds(found.mtime()) < before && is_staged(&path) => {
                fs::remove_file(&path)?;
                1
            }
            // It does not exist, or is not such a folder.
            _ => 0,
        };
    }
    if removed > 0 {
        // A folder that is not empty stays.
        let _ = fs::remove_dir(folder);
    }
    Ok(removed)
}

/// Whether it is a name that the store does not show: `<object>#<number>`.
pub(super) fn is_staged(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let number = name.and_then(|name| name.rsplit_once('#'));
    number.is_some_and(|(_, n)| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn only_old_files_that_are_no_objects_are_removed_with_the_folders_they_leave_empty() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("block");
        let write = |name: &str, second: u64| {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let file = fs::File::create(path).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            file.set_modified(time).unwrap();
        };
        for (name, second) in [
            ("a/old#1", 5),
            ("b/old#12", 5),
            ("b/object", 5),
            ("b/object#x", 5),
            ("c/young#1", 7),
        ] {
            write(name, second);
        }
        fs::create_dir(root.join("empty")).unwrap();
        assert_eq!(remove(&root, Timestamp(6_000)).unwrap(), 2);
        let left = |names: &[&str]| {
            for name in names {
                assert!(root.join(name).try_exists().unwrap(), "{name}");
            }
        };
        left(&["b/object", "b/object#x", "c/young#1", "empty"]);
        assert!(!root.join("a").try_exists().unwrap());
        assert!(!root.join("b/old#12").try_exists().unwrap());
        assert_eq!(remove(&root, Timestamp(8_000)).unwrap(), 1);
        assert_eq!(remove(&dir.path().join("none"), Timestamp(0)).unwrap(), 0);
        fs::remove_dir_all(&root).unwrap();
        write("chunks/000001#1", 5);
        assert_eq!(remove(&root, Timestamp(6_000)).unwrap(), 1);
        assert!(!root.try_exists().unwrap());
    }
}
