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

use model::{BlockId, BlockMeta, FileMeta};
use serde_json::json;

use crate::{SidecarError, sha256};

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
        Self::with(|from, to| fs::hard_link(from, to), block, dir)
    }

    fn with(link: Link, block: &Path, dir: PathBuf) -> Result<Self, SidecarError> {
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
            link_or_copy(link, &block.join(&rel_path), &to)?;
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

    /// Notes the SHA-256 of each file, as Thanos does.
    pub(crate) fn hash(&mut self) -> Result<(), SidecarError> {
        for file in &mut self.files {
            let path = self.dir.join(&file.rel_path);
            let value = sha256::of_file(&path).map_err(SidecarError::io(&path))?;
            let hash = json!({"hashFunc": "SHA256", "value": sha256::hex(&value)});
            file.extra.insert("hash".to_owned(), hash);
        }
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.dir) {
            tracing::warn!(%error, "upload folder not removed");
        }
    }
}

/// Removes what a sidecar that was killed has left in `uploads`, the folder of all upload folders: links there keep
/// the bytes of blocks that Prometheus has deleted.
pub(crate) fn clear(uploads: &Path) -> Result<(), SidecarError> {
    let failed = || SidecarError::io(uploads);
    for entry in files::entries(uploads)
        .map_err(failed())?
        .into_iter()
        .flatten()
    {
        let entry = entry.map_err(failed())?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|n| n.parse::<BlockId>().is_ok()) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

fn remove(dir: &Path) -> Result<(), SidecarError> {
    files::remove_folder(dir).map_err(SidecarError::io(dir))
}

/// Gives a file a second name.
type Link = fn(&Path, &Path) -> io::Result<()>;

fn link_or_copy(link: Link, from: &Path, to: &Path) -> Result<(), SidecarError> {
    match link(from, to) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SidecarError::io(from)(error)),
        // No links on this file system, or not to this file.
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
    fn what_a_killed_pass_left_is_cleared_away_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let uploads = dir.path().join("thanos/upload");
        clear(&uploads).unwrap();
        let block = uploads.join("01HF8J5JG0RAVB4GMS32W7ZJ2B");
        fs::create_dir_all(block.join("chunks")).unwrap();
        fs::write(block.join("chunks/000001"), "").unwrap();
        fs::create_dir(uploads.join("other")).unwrap();
        clear(&uploads).unwrap();
        assert!(!block.try_exists().unwrap());
        assert!(uploads.join("other").try_exists().unwrap());
    }

    #[test]
    fn a_disk_without_hard_links_gets_copies() {
        let refusals: [Link; 3] = [
            |_, _| Err(rustix::io::Errno::PERM.into()),
            |_, _| Err(rustix::io::Errno::XDEV.into()),
            |_, _| Err(rustix::io::Errno::OPNOTSUPP.into()),
        ];
        for link in refusals {
            let dir = tempfile::tempdir().unwrap();
            let block = dir.path().join("block");
            fs::create_dir_all(block.join("chunks")).unwrap();
            fs::write(block.join("chunks/000001"), "chunks").unwrap();
            fs::write(block.join("index"), "index").unwrap();
            let staged = Staged::with(link, &block, dir.path().join("upload")).unwrap();
            // What becomes of the block is nothing to a copy.
            fs::write(block.join("index"), "other").unwrap();
            let copy = |name| fs::read_to_string(staged.dir.join(name)).unwrap();
            assert_eq!(copy("chunks/000001"), "chunks");
            assert_eq!(copy("index"), "index");
            let sizes: Vec<u64> = staged.files.iter().map(|f| f.size_bytes).collect();
            assert_eq!(sizes, [6, 5]);
        }
    }

    #[test]
    fn each_file_gets_its_hash_as_thanos_notes_it() {
        let dir = tempfile::tempdir().unwrap();
        let block = dir.path().join("block");
        fs::create_dir_all(block.join("chunks")).unwrap();
        fs::write(block.join("chunks/000001"), "").unwrap();
        fs::write(block.join("index"), "abc").unwrap();
        let mut staged = Staged::new(&block, dir.path().join("upload")).unwrap();
        staged.hash().unwrap();
        let hashes: Vec<String> = staged
            .files
            .iter()
            .map(|f| serde_json::to_string(f).unwrap())
            .collect();
        assert_eq!(
            hashes,
            [
                r#"{"rel_path":"chunks/000001","hash":{"hashFunc":"SHA256","value":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}"#,
                r#"{"rel_path":"index","size_bytes":3,"hash":{"hashFunc":"SHA256","value":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}}"#,
            ]
        );
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
