//! What was read of the bucket, kept on disk across restarts.
//!
//! ```text
//! <dir>/<ULID>/meta.json              the object as it was read
//! <dir>/<ULID>/meta.json.version      which version of it: etag, time, size, XXH64 of the object
//! <dir>/parquet/<ULID>/…              likewise
//! <dir>/listing.splits               the keys that split the last listing, one a line
//! ```
//! The version is written after the object and compared before it is used, so a crash between the two costs one read,
//! and so does a bit that has changed on the disk.
//! A cache that cannot be used is logged and done without.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use files::Durability;
use model::{BlockId, Xxh64};

use crate::{Object, objects::PARQUET_ROOT};

/// The file of the keys that split a listing.
const SPLITS: &str = "listing.splits";

#[derive(Clone, Debug)]
pub(super) struct DiskCache {
    dir: PathBuf,
}

impl DiskCache {
    pub(super) const fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The folders of blocks that are here: only in one of them can an object be. It waits for the disk.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub(super) fn roots(&self) -> io::Result<HashSet<String>> {
        let mut roots = HashSet::new();
        for prefix in [String::new(), format!("{PARQUET_ROOT}/")] {
            let Some(entries) = files::entries(&self.dir.join(&prefix))? else {
                continue;
            };
            for entry in entries {
                let name = entry?.file_name();
                let name = name.to_str().filter(|n| n.parse::<BlockId>().is_ok());
                roots.extend(name.map(|name| format!("{prefix}{name}")));
            }
        }
        Ok(roots)
    }

    /// The object, if it is here in this version. It waits for the disk.
    pub(super) fn get(&self, object: &Object) -> Option<Vec<u8>> {
        let path = self.dir.join(&object.key);
        let stored = fs::read_to_string(version_path(&path)).ok()?;
        let bytes = fs::read(&path).ok()?;
        (stored == version(object, &bytes)).then_some(bytes)
    }

    /// Keeps the object.
    pub(super) async fn put(&self, object: &Object, bytes: Bytes) {
        let (path, version) = (self.dir.join(&object.key), version(object, &bytes));
        let shown = path.display().to_string();
        let written = blocking(move || {
            if let Some(dir) = path.parent() {
                fs::create_dir_all(dir)?;
            }
            files::replace(&path, &bytes, Durability::Cached)?;
            files::replace(&version_path(&path), version.as_bytes(), Durability::Cached)
        });
        if let Some(Err(error)) = written.await {
            tracing::warn!(path = shown, %error, "not cached");
        }
    }

    /// The keys that split a listing; empty if there are none, or they cannot be read.
    pub(super) async fn splits(&self) -> String {
        let (path, shown) = (self.dir.join(SPLITS), self.dir.display().to_string());
        match blocking(move || files::read(&path)).await {
            Some(Ok(kept)) => String::from_utf8(kept.unwrap_or_default()).unwrap_or_default(),
            Some(Err(error)) => {
                tracing::warn!(dir = shown, %error, "keys that split a listing not read");
                String::new()
            }
            None => String::new(),
        }
    }

    /// Keeps the keys that split a listing.
    pub(super) async fn keep_splits(&self, keys: String) {
        let (dir, shown) = (self.dir.clone(), self.dir.display().to_string());
        let written = blocking(move || {
            fs::create_dir_all(&dir)?;
            files::replace(&dir.join(SPLITS), keys.as_bytes(), Durability::Cached)
        });
        if let Some(Err(error)) = written.await {
            tracing::warn!(dir = shown, %error, "keys that split a listing not kept");
        }
    }

    /// Removes the blocks that are not among `roots`. Other files stay.
    pub(super) async fn retain(&self, roots: HashSet<Arc<str>>) {
        let (this, shown) = (self.clone(), self.dir.display().to_string());
        let cleared = blocking(move || {
            for root in this.roots()? {
                if !roots.contains(root.as_str()) {
                    fs::remove_dir_all(this.dir.join(root))?;
                }
            }
            io::Result::Ok(())
        });
        if let Some(Err(error)) = cleared.await {
            tracing::warn!(dir = shown, %error, "cache not cleared");
        }
    }
}

fn version(object: &Object, bytes: &[u8]) -> String {
    let etag = object.etag.as_deref().unwrap_or_default();
    let (modified, size, hash) = (object.last_modified, object.size, Xxh64::of(bytes));
    format!("{etag} {modified} {size} {hash}\n")
}

fn version_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".version");
    name.into()
}

/// Runs `work` where it may block; does nothing if the runtime shuts down.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}
