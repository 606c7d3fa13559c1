//! Reading what is watched: the configuration file, and the files below the rule folders.
//!
//! Kubernetes puts the files of a volume into a folder of its own and swaps a link to it:
//!
//! ```text
//! rules/..2026_08_22/a.yaml     the file
//!       ..data                  link to ..2026_08_22, swapped
//!       a.yaml                  link to ..data/a.yaml
//! ```
//! So links are followed, also to folders, and folders whose names start with `..` are left out: what is in them is
//! found under its own name.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use super::{
    ReloaderConfig, links,
    render::{self, Rendered},
};
use crate::{
    SidecarError,
    sha256::{self, Hash},
};

/// A hash of all that is watched: names and contents.
pub(super) type Fingerprint = Hash;

/// What there is to watch, at one time.
#[derive(Debug)]
pub(super) struct Sources {
    pub(super) fingerprint: Fingerprint,
    /// The configuration for Prometheus, where it goes to a file of its own.
    pub(super) rendered: Option<Rendered>,
    /// The folders, without links, in which each change shows.
    pub(super) folders: BTreeSet<PathBuf>,
    /// What below the rule folders cannot be read.
    pub(super) unread: Vec<SidecarError>,
}

/// Reads it all.
///
/// # Errors
/// When the configuration file or a rule folder itself cannot be read, or the configuration names variables that are
/// not set.
pub(super) fn read(config: &ReloaderConfig) -> Result<Sources, SidecarError> {
    let mut walk = Walk::default();
    let mut rendered = None;
    if let Some(path) = &config.config_file {
        let failed = || SidecarError::io(path);
        walk.folders.extend(links::folders(path).map_err(failed())?);
        let bytes = fs::read(path).map_err(failed())?;
        if config.output_file.is_some() {
            let file = render::render(&bytes, config.variable, config.unset);
            let file = file.map_err(|source| SidecarError::Render {
                path: path.clone(),
                source,
            })?;
            walk.note(path, &file.bytes);
            rendered = Some(file);
        } else {
            walk.note(path, &bytes);
        }
    }
    for pattern in &config.rule_dirs {
        for root in walk.roots(pattern)? {
            walk.root(&root)?;
        }
    }
    Ok(Sources {
        fingerprint: walk.hash.finalize().into(),
        rendered,
        folders: walk.folders,
        unread: walk.unread,
    })
}

#[derive(Default)]
struct Walk {
    hash: Sha256,
    folders: BTreeSet<PathBuf>,
    /// Folders that were entered, without links.
    entered: BTreeSet<PathBuf>,
    unread: Vec<SidecarError>,
}

impl Walk {
    /// The folders that a flag names; one that is no pattern must be there.
    fn roots(&mut self, pattern: &str) -> Result<Vec<PathBuf>, SidecarError> {
        let path = Path::new(pattern);
        let is_there = path.try_exists().map_err(SidecarError::io(path))?;
        let is_pattern = |text: &str| text.contains(['*', '?', '[']);
        if is_there || !is_pattern(pattern) {
            return Ok(vec![path.to_owned()]);
        }
        let wrong = |reason: &dyn std::fmt::Display| SidecarError::Io {
            path: path.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidInput, reason.to_string()),
        };
        let mut roots = Vec::new();
        for found in glob::glob(pattern).map_err(|error| wrong(&error))? {
            match found {
                Ok(root) => roots.push(root),
                Err(error) => {
                    let path = error.path().to_owned();
                    self.unread.push(SidecarError::Io {
                        path,
                        source: error.into(),
                    });
                }
            }
        }
        // What will match later appears below the part that is no pattern.
        let plain = path.components().map(|part| part.as_os_str());
        let plain: PathBuf = plain
            .take_while(|part| !is_pattern(&part.to_string_lossy()))
            .collect();
        let plain = if plain.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            plain
        };
        if let Ok(real) = fs::canonicalize(&plain) {
            self.folders.insert(real);
        }
        Ok(roots)
    }

    fn root(&mut self, root: &Path) -> Result<(), SidecarError> {
        let failed = || SidecarError::io(root);
        self.folders.extend(links::folders(root).map_err(failed())?);
        if fs::metadata(root).map_err(failed())?.is_dir() {
            self.folder(root).map_err(failed())
        } else {
            self.file(root).map_err(failed())
        }
    }

    fn folder(&mut self, folder: &Path) -> io::Result<()> {
        let real = fs::canonicalize(folder)?;
        self.folders.insert(real.clone());
        if !self.entered.insert(real.clone()) {
            // Another name for what was seen, or a loop.
            self.note(folder, real.as_os_str().as_encoded_bytes());
            return Ok(());
        }
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder)? {
            paths.push(entry?.path());
        }
        paths.sort_unstable();
        for path in paths {
            if let Err(source) = self.entry(&path) {
                self.note(&path, source.kind().to_string().as_bytes());
                self.unread.push(SidecarError::Io { path, source });
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path) -> io::Result<()> {
        if fs::symlink_metadata(path)?.is_symlink() {
            // It can lead elsewhere by a change of another folder.
            self.folders.extend(links::folders(path)?);
        }
        let kind = fs::metadata(path)?;
        let name = path.file_name().unwrap_or_default();
        let is_internal = name.as_encoded_bytes().starts_with(b"..");
        if kind.is_dir() && !is_internal {
            self.folder(path)
        } else if kind.is_file() {
            self.file(path)
        } else {
            Ok(())
        }
    }

    fn file(&mut self, path: &Path) -> io::Result<()> {
        let content = sha256::of_file(path)?;
        self.note(path, &content);
        Ok(())
    }

    /// Adds a name and what is there to the hash.
    fn note(&mut self, path: &Path, content: &[u8]) {
        for part in [path.as_os_str().as_encoded_bytes(), content] {
            self.hash.update((part.len() as u64).to_le_bytes());
            self.hash.update(part);
        }
    }
}

#[cfg(test)]
mod tests;
