//! Where a path leads, and in which folders a change would lead it elsewhere.

use std::{
    collections::{BTreeSet, VecDeque},
    ffi::OsString,
    fs, io,
    path::{Component, Path, PathBuf},
};

/// The most links that one path may go through, as on Linux.
const MAX_LINKS: usize = 40;

/// The folders, without links, in which a name of this path is looked up that is a link, and the one in which it ends:
/// what makes the path mean another file changes one of them.
///
/// # Errors
/// When the path leads nowhere, or goes through more than 40 links.
pub(super) fn folders(path: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut out = BTreeSet::new();
    let mut rest: VecDeque<OsString> = VecDeque::new();
    push(&mut rest, &std::path::absolute(path)?);
    let mut at = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        if fs::symlink_metadata(&next)?.is_symlink() {
            links += 1;
            if links > MAX_LINKS {
                return Err(io::Error::other("too many levels of symbolic links"));
            }
            out.insert(at.clone());
            let target = fs::read_link(&next)?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            push(&mut rest, &target);
        } else if rest.is_empty() {
            out.insert(at.clone());
        } else {
            at = next;
        }
    }
    Ok(out)
}

/// Puts the names of `path` before the others.
fn push(rest: &mut VecDeque<OsString>, path: &Path) {
    let names = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    });
    for name in names {
        rest.push_front(name);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn each_folder_that_holds_a_link_of_the_path_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        for folder in ["config/..1", "elsewhere/deep"] {
            fs::create_dir_all(dir.join(folder)).unwrap();
        }
        fs::write(dir.join("config/..1/a.yaml"), "").unwrap();
        fs::write(dir.join("elsewhere/deep/b.yaml"), "").unwrap();
        symlink("..1", dir.join("config/..data")).unwrap();
        symlink("..data/a.yaml", dir.join("config/a.yaml")).unwrap();
        symlink("../elsewhere/deep", dir.join("config/sub")).unwrap();
        symlink(dir.join("config/sub/b.yaml"), dir.join("b.yaml")).unwrap();
        symlink("loop", dir.join("loop")).unwrap();
        let of = |path: &str| -> Vec<String> {
            let all = folders(&dir.join(path)).unwrap().into_iter();
            // Links above the folder of this test are none of its business.
            all.filter_map(|p| Some(p.strip_prefix(&dir).ok()?.display().to_string()))
                .collect()
        };
        assert_eq!(of("config/a.yaml"), ["config", "config/..1"]);
        assert_eq!(of("b.yaml"), ["", "config", "elsewhere/deep"]);
        assert_eq!(of("elsewhere/deep"), ["elsewhere"]);
        assert_eq!(of("elsewhere/../config/..1"), ["config"]);
        assert!(folders(&dir.join("loop")).is_err());
        let gone = folders(&dir.join("config/gone.yaml")).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }
}
