//! Looking at a bucket: one listing tells what there is, and only what is new or changed is read.
//!
//! ```text
//! LIST ─▶ blocks ─▶ meta.json and marks ─▶ known in this version? ─▶ on disk? ─▶ GET ─▶ Snapshot
//!                                                       at the start, in the catalog? ┘  └ failed: unread, retried
//! ```

mod cache;
mod document;
mod known;
mod load;
mod read;
mod splits;
mod view;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::Instant,
};

use futures::future::BoxFuture;
use model::{BlockMeta, ExternalLabels};

use self::{
    cache::DiskCache,
    document::Kind,
    known::Contents,
    load::{Loaded, Wanted},
    splits::Splits,
};
use crate::{
    BlockObjects, Bucket, BucketError, FileVersion, Object, PartialBlock, Snapshot, SyncMetrics,
    bucket::InParts,
    catalog::CATALOG,
    objects::{Grouping, ListedBlock, PARQUET_ROOT},
};

/// Synchronizes with a bucket, and remembers what it has read.
#[derive(Debug)]
pub struct MetaFetcher {
    bucket: Bucket,
    cache: Option<DiskCache>,
    concurrency: usize,
    metrics: SyncMetrics,
    known: Contents,
    /// The external labels in them.
    labels: HashSet<ExternalLabels>,
    /// The folders without `meta.json` at the last synchronization.
    without_meta: BTreeSet<Arc<str>>,
    /// Objects that were listed and not read at the last synchronization, by key.
    unread: BTreeMap<String, Unread>,
    /// How the next listing is split.
    splits: Splits,
    /// The last listing, as long as something of it is unread.
    listed: Option<Vec<ListedBlock>>,
    /// Whether the first synchronization is over: the catalog has nothing that is newer.
    is_started: bool,
}

/// What a listing has shown.
#[derive(Debug, Default)]
struct Listing {
    blocks: Grouping,
    catalog: Option<Object>,
}

/// An object that could not be read.
#[derive(Debug)]
struct Unread {
    wanted: Wanted,
    reason: String,
}

impl Listing {
    fn add(&mut self, object: Object) {
        match object.key == CATALOG {
            true => self.catalog = Some(object),
            false => self.blocks.add(&object),
        }
    }
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
            splits: match bucket.is_folder() {
                true => Splits::Useless,
                false => Splits::Unread,
            },
            bucket,
            cache: cache_dir.map(DiskCache::new),
            concurrency: concurrency.max(1),
            metrics,
            known: Contents::default(),
            labels: HashSet::new(),
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
    pub fn fetch(&mut self) -> BoxFuture<'_, Result<Snapshot, BucketError>> {
        Box::pin(async move {
            let metrics = self.metrics.clone();
            self.fetch_as(&metrics).await
        })
    }

    /// As [`Self::fetch`], counted by these metrics instead of its own.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub fn fetch_as<'a>(
        &'a mut self,
        metrics: &'a SyncMetrics,
    ) -> BoxFuture<'a, Result<Snapshot, BucketError>> {
        Box::pin(async move {
            let start = Instant::now();
            metrics.syncs.inc();
            let listed = self.list().await;
            let (mut blocks, catalog) = listed.inspect_err(|_| {
                metrics.failures.inc();
            })?;
            let catalog = catalog.filter(|_| !self.is_started);
            let mut wanted = Vec::new();
            for block in &mut blocks {
                self.known.share(&mut block.objects);
                self.wanted(&block.objects, &mut wanted);
            }
            let loaded = self.load(wanted, catalog.as_ref()).await;
            self.is_started = true;
            let before = std::mem::take(&mut self.unread);
            let was_empty = self.known.is_empty();
            let listed = self.take(loaded, blocks, &before);
            if !was_empty {
                self.forget(&listed);
            }
            self.clear_cache(&listed).await;
            Ok(self.seen(listed, start, metrics))
        })
    }

    /// Tries again to read what is unread of the last listing, with so many requests at once; returns the contents of
    /// the bucket by that listing. Objects that are gone are left out.
    ///
    /// # Errors
    /// As [`Self::fetch`], which it calls if nothing is unread.
    pub fn retry(&mut self, concurrency: usize) -> BoxFuture<'_, Result<Snapshot, BucketError>> {
        Box::pin(async move {
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
        })
    }

    /// The blocks, also those with an empty folder; and the catalog, if there is one.
    async fn list(&mut self) -> Result<(Vec<ListedBlock>, Option<Object>), BucketError> {
        let mut listed = match self.list_in_parts().await? {
            Some(listed) => listed,
            None => {
                let mut listed = Listing::default();
                let each = |object| listed.add(object);
                self.bucket.list_each("", None, each).await?;
                listed
            }
        };
        for folder in ["", PARQUET_ROOT] {
            for found in self.bucket.folders(folder).await? {
                listed.blocks.add_folder(&found);
            }
        }
        let blocks = listed.blocks.finish();
        self.splits.take(&blocks, self.cache.as_ref()).await;
        Ok((blocks, listed.catalog))
    }

    /// The objects, listed in parts at once; `None` if they cannot be.
    async fn list_in_parts(&mut self) -> Result<Option<Listing>, BucketError> {
        let keys = self.splits.keys(self.cache.as_ref()).await;
        if keys.is_empty() {
            return Ok(None);
        }
        let mut listed = Listing::default();
        let each = |object| listed.add(object);
        match self.bucket.list_in_parts(&keys, each).await? {
            InParts::Whole => return Ok(Some(listed)),
            InParts::Unproven => {}
            InParts::Unordered => self.splits.unordered(),
        }
        Ok(None)
    }

    /// Remembers what was read and what was not, and logs the latter if it was not unread `before`. Objects that
    /// vanished are removed from the listing; those for which an earlier version is used appear in that version.
    fn take(
        &mut self,
        loaded: Vec<Loaded>,
        mut listed: Vec<ListedBlock>,
        before: &BTreeMap<String, Unread>,
    ) -> Vec<ListedBlock> {
        // Files that are to be listed in another version, or in none.
        let mut changed: HashMap<Arc<str>, Vec<(Kind, Option<FileVersion>)>> = HashMap::new();
        let mut change = |wanted: &Wanted, version| {
            let of_block = changed.entry(Arc::clone(&wanted.block.root)).or_default();
            of_block.push((wanted.kind, version));
        };
        for Loaded { wanted, document } in loaded {
            let (root, kind) = (&wanted.block.root, wanted.kind);
            match document {
                Ok(mut document) => {
                    document.share(&mut self.labels);
                    // Then the listing may have the version that was used meanwhile.
                    if !before.is_empty() && before.contains_key(&wanted.key()) {
                        change(&wanted, Some(wanted.version.clone()));
                    }
                    let (block, version) = (&wanted.block, wanted.version);
                    self.known.insert(block, kind, version, document);
                }
                Err(BucketError::NotFound { .. }) => change(&wanted, None),
                Err(error) => {
                    let known = self.known.get(root, kind);
                    // A damaged object of the last synchronization counts as damaged still.
                    if known.is_some_and(|known| known.version == wanted.version) {
                        continue;
                    }
                    let key = wanted.key();
                    if !before.contains_key(&key) {
                        tracing::warn!(%error, "object not read, trying again later");
                    }
                    if let Some(known) = known {
                        change(&wanted, Some(known.version.clone()));
                    }
                    let reason = error.to_string();
                    self.unread.insert(key, Unread { wanted, reason });
                }
            }
        }
        if changed.is_empty() {
            return listed;
        }
        for block in &mut listed {
            let of_block = changed.remove(&block.objects.root).into_iter().flatten();
            for (kind, version) in of_block {
                let files = &mut Arc::make_mut(&mut block.objects).files;
                match version {
                    Some(version) => files.insert(kind.file(), version),
                    None => files.remove(kind.file()),
                }
            }
        }
        listed
    }

    /// What is in the bucket, as far as it was read.
    fn seen(
        &mut self,
        listed: Vec<ListedBlock>,
        start: Instant,
        metrics: &SyncMetrics,
    ) -> Snapshot {
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
    fn wanted(&self, block: &Arc<BlockObjects>, wanted: &mut Vec<Wanted>) {
        for kind in Kind::ALL {
            let Some(version) = block.files.get(kind.file()) else {
                continue;
            };
            let known = self.known.get(&block.root, kind);
            if known.is_none_or(|k| k.version != *version || !k.document.is_readable()) {
                wanted.push(Wanted {
                    block: Arc::clone(block),
                    kind,
                    version: version.clone(),
                });
            }
        }
    }

    /// Forgets what is in the bucket no more.
    fn forget(&mut self, blocks: &[ListedBlock]) {
        self.known.retain(blocks);
        self.labels.retain(ExternalLabels::is_shared);
    }

    /// Removes from the disk what is in the bucket no more.
    async fn clear_cache(&self, blocks: &[ListedBlock]) {
        if let Some(cache) = &self.cache {
            let blocks = blocks.iter().map(|block| &block.objects);
            let roots = blocks.filter(|objects| !objects.files.is_empty());
            let roots = roots.map(|objects| Arc::clone(&objects.root)).collect();
            cache.retain(roots).await;
        }
    }

    /// Names the blocks without `meta.json` that were not there at the last look.
    fn log_without_meta(&mut self, snapshot: &Snapshot) {
        let partial = snapshot.partial.iter();
        let partial = partial.filter(|p| !p.objects.files.contains(BlockMeta::FILE));
        let mut roots = BTreeSet::new();
        for PartialBlock { objects, reason } in partial {
            if !self.without_meta.contains(&objects.root) {
                tracing::warn!(
                    reason,
                    "block without meta.json: its upload is running or was aborted"
                );
            }
            roots.insert(Arc::clone(&objects.root));
        }
        self.without_meta = roots;
    }
}

#[cfg(test)]
mod tests;
