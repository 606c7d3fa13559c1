//! Index headers on the disk: built when a block is first queried, kept as long as the block is served.
//!
//! ```text
//! <data-dir>/index-headers/<ULID>          a header, as `tsdb` writes it
//! <data-dir>/index-headers/<ULID>.N.part   one being built
//! ```
//! If the folder cannot be written, headers are in memory, where they count as their block's size.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufWriter},
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use model::BlockId;
use service::blocking;
use tokio::sync::Semaphore;
use tsdb::{HeaderFile, HeaderIdentity, HeaderPages, IndexHeader};

use crate::{fetch::PageCache, metrics::HeaderMetrics, usage::DataKind};

/// Name below the data folder.
const DIR: &str = "index-headers";
/// Suffix of files that are being written.
const PART: &str = ".part";
/// Bytes of a write.
const BUFFER: usize = 256 << 10;
/// Jobs that may wait for the disk at once.
const JOBS: usize = 4;

/// The headers on the disk.
#[derive(Debug)]
pub(crate) struct HeaderFiles {
    /// `None` if headers are in memory.
    dir: Option<PathBuf>,
    pub(super) metrics: HeaderMetrics,
    /// Whether the last header could not be written.
    refused: AtomicBool,
    /// Gives files that are being written distinct names.
    written: AtomicU64,
    /// The jobs that may still start.
    jobs: Arc<Semaphore>,
}

/// A header being written.
#[derive(Debug)]
pub(super) struct NewHeader {
    pub(super) path: PathBuf,
    /// Its name once it is complete.
    target: PathBuf,
}

/// A header file whose pages are kept in memory for a while.
#[derive(Debug)]
struct CachedFile {
    file: HeaderFile,
    /// The cache key of its pages. The header of another index under the same name has another key.
    key: Arc<str>,
    pages: Arc<PageCache>,
}

impl HeaderFiles {
    /// Headers below `data_dir`, or in memory without it.
    pub(crate) fn new(data_dir: Option<&Path>, metrics: HeaderMetrics) -> Self {
        Self {
            dir: data_dir.map(|dir| dir.join(DIR)),
            metrics,
            refused: AtomicBool::new(false),
            written: AtomicU64::new(0),
            jobs: Arc::new(Semaphore::new(JOBS)),
        }
    }

    /// Does work with headers that may wait for the disk, on a thread beside the workers and the CPU pool. Only a few
    /// jobs run at once.
    pub(super) async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let turn = Arc::clone(&self.jobs).acquire_owned().await;
        let job = move || {
            let done = work();
            drop(turn);
            done
        };
        blocking(job).await
    }

    /// The header of an index, if it is on the disk. One that cannot be used is removed.
    pub(super) fn open(
        &self,
        id: BlockId,
        made_of: HeaderIdentity,
        pages: &Arc<PageCache>,
    ) -> Option<IndexHeader> {
        let path = self.path(id)?;
        match HeaderFile::open(&path, made_of) {
            Ok(file) => {
                let key = format!("{id} {:016x} {}", made_of.stamp, made_of.index_size);
                let root = file.root().clone();
                let pages = CachedFile {
                    file,
                    key: key.into(),
                    pages: Arc::clone(pages),
                };
                Some(IndexHeader::new(root, Arc::new(pages)))
            }
            Err(tsdb::Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                self.discard(id, &error);
                None
            }
        }
    }

    /// Starts a header; `None` if headers are in memory or the file cannot be created.
    pub(super) fn create(&self, id: BlockId) -> Option<(NewHeader, BufWriter<File>)> {
        let target = self.path(id)?;
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let path = target.with_extension(format!("{number}{PART}"));
        let file = fs::create_dir_all(target.parent().unwrap_or(&target));
        match file.and_then(|()| File::create(&path)) {
            Ok(file) => {
                let header = NewHeader { path, target };
                Some((header, BufWriter::with_capacity(BUFFER, file)))
            }
            Err(error) => {
                self.refused(&path, &error);
                None
            }
        }
    }

    /// Gives a complete header its name.
    pub(super) fn keep(&self, header: &NewHeader) {
        // It is not synced to the disk: checksums find what a crash spoils.
        match fs::rename(&header.path, &header.target) {
            Ok(()) => self.refused.store(false, Ordering::Relaxed),
            Err(error) => self.refused(&header.path, &error),
        }
    }

    /// Logs that a header cannot be written, once until one can.
    pub(super) fn refused(&self, path: &Path, error: &impl std::fmt::Display) {
        if !self.refused.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                path = %path.display(),
                %error,
                "index headers cannot be written to the disk; keeping them in memory"
            );
        }
    }

    /// Removes the header of a block, which is damaged or of another index; not one that only cannot be read.
    pub(super) fn discard(&self, id: BlockId, error: &tsdb::Error) {
        if let Some(path) = self.path(id) {
            tracing::warn!(block = %id, %error, "index header cannot be used; building a new one");
            if !is_io(error) {
                remove(&path);
            }
        }
    }

    /// Removes files that a stopped program left unfinished.
    pub(crate) fn remove_parts(&self) {
        self.remove_unless(|name| !name.ends_with(PART));
    }

    /// Removes the headers of all other blocks.
    pub(crate) fn retain(&self, blocks: &BTreeSet<BlockId>) {
        self.remove_unless(|name| {
            let block = name.split('.').next().unwrap_or_default().parse();
            // Other files are not ours.
            block.map_or(true, |block| blocks.contains(&block))
        });
    }

    fn remove_unless(&self, wanted: impl Fn(&str) -> bool) {
        let Some(dir) = &self.dir else { return };
        let entries = match files::entries(dir) {
            Ok(Some(entries)) => entries,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(dir = %dir.display(), %error, "old index headers not removed");
                self.metrics.drop_failures.inc();
                return;
            }
        };
        for entry in entries.flatten() {
            if entry.file_name().to_str().is_some_and(|name| !wanted(name))
                && !remove(&entry.path())
            {
                self.metrics.drop_failures.inc();
            }
        }
    }

    fn path(&self, id: BlockId) -> Option<PathBuf> {
        Some(self.dir.as_ref()?.join(id.to_string()))
    }
}

impl Drop for NewHeader {
    /// Removes a header that was not kept.
    fn drop(&mut self) {
        // Usually it was renamed.
        let _ = fs::remove_file(&self.path);
    }
}

impl HeaderPages for CachedFile {
    fn page(&self, range: Range<u64>) -> tsdb::Result<Bytes> {
        if let Some(bytes) = self.pages.get(DataKind::Header, &self.key, &range) {
            return Ok(bytes);
        }
        let bytes = self.file.page(range.clone())?;
        self.pages.put(DataKind::Header, &self.key, &range, &bytes);
        Ok(bytes)
    }

    fn page_in_memory(&self, range: Range<u64>) -> tsdb::Result<Option<Bytes>> {
        if let Some(bytes) = self.pages.get(DataKind::Header, &self.key, &range) {
            return Ok(Some(bytes));
        }
        let read = self.file.page_in_memory(range.clone())?;
        if let Some(bytes) = &read {
            self.pages.put(DataKind::Header, &self.key, &range, bytes);
        }
        Ok(read)
    }

    fn name(&self) -> &str {
        self.file.name()
    }

    fn heap_size(&self) -> usize {
        self.file.heap_size() + size_of::<Self>() + self.key.len()
    }
}

fn is_io(error: &tsdb::Error) -> bool {
    match error {
        tsdb::Error::Header(error) => is_io(error),
        error => matches!(error, tsdb::Error::Io { .. }),
    }
}

/// Removes a file, and tells whether it is gone.
fn remove(path: &Path) -> bool {
    let removed = files::remove_file(path);
    if let Err(error) = &removed {
        tracing::warn!(path = %path.display(), %error, "index header not removed");
    }
    removed.is_ok()
}
