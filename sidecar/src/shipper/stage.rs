//! Staging: a second name for each file of a block, so that Prometheus may delete the block while it is uploaded.
//!
//! ```text
//! <tsdb>/thanos/upload/<ULID>/chunks/000001   hard link, or a copy where the file system has none
//!                             index           the same
//!                             meta.json       written anew, with Thanos's section
//! ```
//! Tombstones stay behind, as with Thanos: what Prometheus deleted without rewriting is uploaded.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use model::{BlockMeta, FileMeta};

use crate::SidecarError;

/// A block that is ready to be uploaded. The folder is removed with it.
#[derive(Debug)]
pub(crate) struct Staged {
    /// The folder.
    pub(crate) dir: PathBuf,
    /// Its files but `meta.json`, with their sizes, sorted: the index last.
    pub(crate) files: Vec<FileMeta>,
}

impl Staged {
    /// Links or copies the files of `block`, a block's folder, into the new folder `dir`.
    pub(crate) fn new(block: &Path, dir: PathBuf) -> Result<Self, SidecarError> {
        remove(&dir)?;
        let chunks = dir.join("chunks");
        fs::create_dir_all(&chunks).map_err(SidecarError::io(&chunks))?;
        // From here on the folder is removed, whatever happens.
        let mut staged = Self {
            dir,
            files: Vec::new(),
        };
        let mut names = Vec::new();
        let source = block.join("chunks");
        for entry in fs::read_dir(&source).map_err(SidecarError::io(&source))? {
            let name = entry.map_err(SidecarError::io(&source))?.file_name();
            // Segments are numbered; all else is no part of the block.
            if let Some(name) = name.to_str()
                && name.parse::<u64>().is_ok()
            {
                names.push(format!("chunks/{name}"));
            }
        }
        names.sort_unstable();
        names.push("index".to_owned());
        for rel_path in names {
            let to = staged.dir.join(&rel_path);
            link_or_copy(&block.join(&rel_path), &to)?;
            let size_bytes = fs::metadata(&to).map_err(SidecarError::io(&to))?.len();
            staged.files.push(FileMeta {
                rel_path,
                size_bytes,
                ..FileMeta::default()
            });
        }
        Ok(staged)
    }

    /// Writes `meta.json`.
    pub(crate) fn write_meta(&self, meta: &BlockMeta) -> Result<(), SidecarError> {
        let path = self.dir.join(BlockMeta::FILE);
        fs::write(&path, meta.encode()).map_err(SidecarError::io(&path))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.dir) {
            tracing::warn!(%error, "upload folder not removed");
        }
    }
}

fn remove(dir: &Path) -> Result<(), SidecarError> {
    files::remove_folder(dir).map_err(SidecarError::io(dir))
}

fn link_or_copy(from: &Path, to: &Path) -> Result<(), SidecarError> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SidecarError::io(from)(error)),
        Err(_) => fs::copy(from, to).map(drop).map_err(SidecarError::io(from)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staged_block_outlives_its_source_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let block = dir.path().join("block");
        fs::create_dir_all(block.join("chunks")).unwrap();
        for (name, content) in [
            ("chunks/000002", "22"),
            ("chunks/000001", "1"),
            ("chunks/000003.tmp", "x"),
            ("index", "index"),
            ("tombstones", "t"),
            ("meta.json", "{}"),
        ] {
            fs::write(block.join(name), content).unwrap();
        }
        let to = dir.path().join("thanos/upload/block");
        // What an earlier pass left is cleared away.
        fs::create_dir_all(to.join("chunks/old")).unwrap();
        let staged = Staged::new(&block, to.clone()).unwrap();
        fs::remove_dir_all(&block).unwrap();
        let files: Vec<_> = staged
            .files
            .iter()
            .map(|f| (f.rel_path.as_str(), f.size_bytes))
            .collect();
        assert_eq!(
            files,
            [("chunks/000001", 1), ("chunks/000002", 2), ("index", 5)]
        );
        assert_eq!(fs::read_to_string(to.join("chunks/000002")).unwrap(), "22");
        assert!(!to.join("tombstones").try_exists().unwrap());
        assert!(!to.join("chunks/old").try_exists().unwrap());
        drop(staged);
        assert!(!to.try_exists().unwrap());
    }

    #[test]
    fn a_block_without_an_index_is_named_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let block = dir.path().join("block");
        fs::create_dir_all(block.join("chunks")).unwrap();
        let to = dir.path().join("upload");
        let error = Staged::new(&block, to.clone()).unwrap_err();
        assert!(error.to_string().contains("block/index: "), "{error}");
        assert!(!to.try_exists().unwrap());
    }
}
