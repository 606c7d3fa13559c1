//! Looking at a bucket: one listing tells what there is, and only what is new or changed is read.
//!
//! ```text
//! LIST ─▶ blocks ─▶ meta.json and marks ─▶ known in this version? ─▶ on disk? ─▶ GET ─▶ Snapshot
//!                                                       at the start, in the catalog? ┘  └ failed: unread, retried
//! ```

mod cache;
mod document;
mod load;
mod read;
mod view;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Instant,
};

use model::BlockMeta;

use self::{
    cache::DiskCache,
    document::{Document, Kind},
    load::{Loaded, Wanted},
};
use crate::{
    BlockObjects, Bucket, BucketError, Object, PartialBlock, Snapshot, SyncMetrics,
    catalog::CATALOG,
    objects::{PARQUET_ROOT, folder, group},
};

/// Synchronizes with a bucket, and remembers what it has read.
#[derive(Debug)]
pub struct MetaFetcher {
    bucket: Bucket,
    cache: Option<DiskCache>,
    concurrency: usize,
    metrics: SyncMetrics,
    /// The contents of each `meta.json` and mark, by key.
    known: BTreeMap<String, Known>,
    /// The folders without `meta.json` at the last synchronization.
    without_meta: BTreeSet<String>,
    /// Objects that were listed and not read at the last synchronization, by key.
    unread: BTreeMap<String, Unread>,
    /// The last listing, as long as something of it is unread.
    listed: Option<Listed>,
    /// Whether the first synchronization is over: the catalog has nothing that is newer.
    is_started: bool,
}

#[derive(Debug)]
struct Known {
    /// The object as listed when it was read.
    object: Object,
    document: Document,
}

/// An object that could not be read.
#[derive(Debug)]
struct Unread {
    wanted: Wanted,
    reason: String,
}

/// The listed blocks.
#[derive(Clone, Debug)]
struct Listed {
    /// Blocks with objects.
    blocks: Vec<BlockObjects>,
    /// Blocks with a folder.
    folders: Vec<BlockObjects>,
}

impl MetaFetcher {
    /// Synchronizes with `bucket`; keeps what it reads below the folder `cache_dir`, if given, and reads `concurrency`
    /// objects at once.
    #[must_use]
    pub fn new(
        bucket: Bucket,
        cache_dir: Option<PathBuf>,
        concurrency: usize,
        metrics: SyncMetrics,
    ) -> Self {
        Self {
            bucket,
            cache: cache_dir.map(DiskCache::new),
            concurrency: concurrency.max(1),
            metrics,
            known: BTreeMap::new(),
            without_meta: BTreeSet::new(),
            unread: BTreeMap::new(),
            listed: None,
            is_started: false,
        }
    }

    /// Synchronizes: the contents of the bucket now.
    ///
    /// A block with an unusable `meta.json` is in [`Snapshot::partial`], and logged when it is first seen. A block
    /// whose objects could not be read is in [`Snapshot::unread`]; an earlier version is used if it was read before.
    ///
    /// # Errors
    /// When the bucket cannot be listed.
    pub async fn fetch(&mut self) -> Result<Snapshot, BucketError> {
        let metrics = self.metrics.clone();
        self.fetch_as(&metrics).await
    }

    /// As [`Self::fetch`], counted by these metrics instead of its own.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub async fn fetch_as(&mut self, metrics: &SyncMetrics) -> Result<Snapshot, BucketError> {
        let start = Instant::now();
        metrics.syncs.inc();
        let listed = self.list().await;
        let (objects, folders) = listed.inspect_err(|_| {
            metrics.failures.inc();
        })?;
        let catalog = objects.iter().find(|object| object.key == CATALOG);
        let catalog = catalog.filter(|_| !self.is_started).cloned();
        let blocks = group(objects);
        let wanted = blocks.iter().flat_map(|block| self.wanted(block)).collect();
        let loaded = self.load(wanted, catalog.as_ref()).await;
        self.is_started = true;
        let before = std::mem::take(&mut self.unread);
        let listed = self.take(loaded, Listed { blocks, folders }, &before);
        self.forget(&listed.blocks).await;
        Ok(self.seen(listed, start, metrics))
    }

    /// Tries again to read what is unread of the last listing, with so many requests at once; returns the contents of
    /// the bucket by that listing. Objects that are gone are left out.
    ///
    /// # Errors
    /// As [`Self::fetch`], which it calls if nothing is unread.
    pub async fn retry(&mut self, concurrency: usize) -> Result<Snapshot, BucketError> {
        let Some(listed) = self.listed.take() else {
            return self.fetch().await;
        };
        let start = Instant::now();
        self.metrics.syncs.inc();
        let before = std::mem::take(&mut self.unread);
        let wanted: Vec<Wanted> = before
            .values()
            .map(|unread| unread.wanted.clone())
            .collect();
        let loaded = self.load_from_bucket(wanted.into_iter(), concurrency).await;
        let listed = self.take(loaded, listed, &before);
        let metrics = self.metrics.clone();
        Ok(self.seen(listed, start, &metrics))
    }

    /// All objects, and the blocks with a folder, also an empty one.
    async fn list(&self) -> Result<(Vec<Object>, Vec<BlockObjects>), BucketError> {
        let objects = self.bucket.list("", None).await?;
        let mut folders = self.bucket.folders("").await?;
        folders.extend(self.bucket.folders(PARQUET_ROOT).await?);
        let names = objects.iter().map(|object| &object.key).chain(&folders);
        let blocks = names.filter_map(|name| folder(name)).collect();
        Ok((objects, blocks))
    }

    /// Remembers what was read and what was not, and logs the latter if it was not unread `before`. Objects that
    /// vanished are removed from the listing; those for which an earlier version is used appear in that version.
    fn take(
        &mut self,
        loaded: Vec<Loaded>,
        mut listed: Listed,
        before: &BTreeMap<String, Unread>,
    ) -> Listed {
        let mut now: BTreeMap<String, Option<Object>> = BTreeMap::new();
        for Loaded { wanted, document } in loaded {
            let object = wanted.object.clone();
            let key = object.key.clone();
            match document {
                Ok(document) => {
                    now.insert(key.clone(), Some(object.clone()));
                    self.known.insert(key, Known { object, document });
                }
                Err(BucketError::NotFound { .. }) => {
                    now.insert(key, None);
                }
                // A damaged object of the last synchronization counts as damaged still.
                Err(_)
                    if self
                        .known
                        .get(&key)
                        .is_some_and(|known| known.object == object) => {}
                Err(error) => {
                    if !before.contains_key(&key) {
                        tracing::warn!(%error, "object not read, trying again later");
                    }
                    if let Some(known) = self.known.get(&key) {
                        now.insert(key.clone(), Some(known.object.clone()));
                    }
                    let reason = error.to_string();
                    self.unread.insert(key, Unread { wanted, reason });
                }
            }
        }
        for block in &mut listed.blocks {
            block.files.retain(|_, object| match now.get(&object.key) {
                None => true,
                Some(None) => false,
                Some(Some(now)) => {
                    object.clone_from(now);
                    true
                }
            });
        }
        listed
    }

    /// What is in the bucket, as far as it was read.
    fn seen(&mut self, listed: Listed, start: Instant, metrics: &SyncMetrics) -> Snapshot {
        self.listed = (!self.unread.is_empty()).then(|| listed.clone());
        if !self.unread.is_empty() {
            metrics.failures.inc();
        }
        let snapshot = self.snapshot(listed);
        self.log_without_meta(&snapshot);
        metrics.duration.observe(start.elapsed().as_secs_f64());
        snapshot
    }

    /// The `meta.json` and marks of a block that are not known as they are listed, and those that were damaged: it costs
    /// little to see whether they still are.
    fn wanted(&self, block: &BlockObjects) -> Vec<Wanted> {
        let all = Kind::ALL.into_iter().filter_map(|kind| {
            let object = block.files.get(kind.file())?;
            let known = self.known.get(&object.key);
            let is_known =
                known.is_some_and(|known| known.object == *object && known.document.is_readable());
            (!is_known).then(|| Wanted {
                block: block.id,
                kind,
                object: object.clone(),
            })
        });
        all.collect()
    }

    /// Forgets what is in the bucket no more.
    async fn forget(&mut self, blocks: &[BlockObjects]) {
        let files = blocks.iter().flat_map(|block| block.files.values());
        let keys: BTreeSet<&str> = files.map(|object| object.key.as_str()).collect();
        self.known.retain(|key, _| keys.contains(key.as_str()));
        if let Some(cache) = &self.cache {
            let roots = blocks.iter().filter(|block| !block.files.is_empty());
            cache
                .retain(roots.map(|block| block.root.clone()).collect())
                .await;
        }
    }

    /// Names the blocks without `meta.json` that were not there at the last look.
    fn log_without_meta(&mut self, snapshot: &Snapshot) {
        let partial = snapshot.partial.iter();
        let partial = partial.filter(|p| !p.objects.files.contains_key(BlockMeta::FILE));
        let mut roots = BTreeSet::new();
        for PartialBlock { objects, reason } in partial {
            if !self.without_meta.contains(&objects.root) {
                tracing::warn!(
                    reason,
                    "block without meta.json: its upload is running or was aborted"
                );
            }
            roots.insert(objects.root.clone());
        }
        self.without_meta = roots;
    }
}

#[cfg(test)]
mod tests;
