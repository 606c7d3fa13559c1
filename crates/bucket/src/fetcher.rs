//! Looking at a bucket: one listing tells what there is, and only what is new or changed is read.
//!
//! ```text
//! LIST ─▶ blocks ─▶ meta.json and marks ─▶ known in this version? ─▶ on disk? ─▶ GET ─▶ Snapshot
//!                                                       at the start, in the catalog? ┘
//! ```

mod cache;
mod document;
mod load;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Instant,
};

use model::BlockMeta;

use self::{
    cache::DiskCache,
    document::{Document, Kind},
    load::{Loaded, Wanted},
};
use crate::{
    BlockObjects, BlockView, Bucket, BucketError, Object, PartialBlock, Snapshot, SyncMetrics,
    UnusableMark,
    catalog::CATALOG,
    objects::{PARQUET_ROOT, folder, group},
};

/// Looks at a bucket again and again, and remembers what it has read.
#[derive(Debug)]
pub struct MetaFetcher {
    bucket: Bucket,
    cache: Option<DiskCache>,
    concurrency: usize,
    metrics: SyncMetrics,
    /// What was read of each `meta.json` and mark, by its key.
    known: BTreeMap<String, Known>,
    /// The roots of blocks without `meta.json`, as of the last look.
    without_meta: BTreeSet<String>,
    /// Whether this is after the first look, so that the catalog has nothing that is new.
    is_started: bool,
}

#[derive(Debug)]
struct Known {
    /// As listed when it was read.
    object: Object,
    document: Document,
}

impl MetaFetcher {
    /// Looks at `bucket`, keeping what it reads below the folder `cache_dir` too, if given; reads `concurrency` objects
    /// at once.
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
            is_started: false,
        }
    }

    /// What is in the bucket now.
    ///
    /// What is wrong with one block is told in [`Snapshot::partial`], and logged when it is first seen. An object that
    /// cannot be fetched is taken as it was before, or else makes its block partial until the next look.
    ///
    /// # Errors
    /// When the bucket cannot be listed.
    pub async fn fetch(&mut self) -> Result<Snapshot, BucketError> {
        let start = Instant::now();
        self.metrics.syncs.inc();
        let listed = self.list().await;
        let (objects, folders) = listed.inspect_err(|_| {
            self.metrics.failures.inc();
        })?;
        let catalog = objects.iter().find(|object| object.key == CATALOG);
        let catalog = catalog.filter(|_| !self.is_started).cloned();
        let mut blocks = group(objects);
        let unread = self.read(&mut blocks, catalog.as_ref()).await;
        self.is_started = true;
        if !unread.is_empty() {
            self.metrics.failures.inc();
        }
        self.forget(&blocks).await;
        let mut snapshot = self.snapshot(blocks, &unread);
        add_empty(folders, &mut snapshot);
        self.log_without_meta(&snapshot);
        self.metrics.duration.observe(start.elapsed().as_secs_f64());
        Ok(snapshot)
    }

    /// All objects, and the blocks of which there is a folder, with objects or without.
    async fn list(&self) -> Result<(Vec<Object>, Vec<BlockObjects>), BucketError> {
        let objects = self.bucket.list("", None).await?;
        let mut folders = self.bucket.folders("").await?;
        folders.extend(self.bucket.folders(PARQUET_ROOT).await?);
        let names = objects.iter().map(|object| &object.key).chain(&folders);
        let blocks = names.filter_map(|name| folder(name)).collect();
        Ok((objects, blocks))
    }

    /// Reads what is new; returns what could not be read, with the reason. In `blocks`, what has vanished is taken out,
    /// and what is taken as it was before is told as it was before.
    async fn read(
        &mut self,
        blocks: &mut [BlockObjects],
        catalog: Option<&Object>,
    ) -> BTreeMap<String, String> {
        let wanted = blocks.iter().flat_map(|block| self.wanted(block)).collect();
        let loaded = self.load(wanted, catalog).await;
        let mut unread = BTreeMap::new();
        let mut as_before: BTreeMap<String, Option<Object>> = BTreeMap::new();
        for Loaded { object, document } in loaded {
            match document {
                Ok(document) => {
                    let known = Known { object, document };
                    self.known.insert(known.object.key.clone(), known);
                }
                Err(BucketError::NotFound { .. }) => {
                    as_before.insert(object.key, None);
                }
                Err(error) => {
                    tracing::warn!(%error, "not read, the next look tries again");
                    if let Some(known) = self.known.get(&object.key) {
                        as_before.insert(object.key, Some(known.object.clone()));
                    } else {
                        unread.insert(object.key, error.to_string());
                    }
                }
            }
        }
        for block in blocks {
            block
                .files
                .retain(|_, object| match as_before.get(&object.key) {
                    None => true,
                    Some(None) => false,
                    Some(Some(before)) => {
                        object.clone_from(before);
                        true
                    }
                });
        }
        unread
    }

    /// The `meta.json` and marks of a block that are not known as they are listed.
    fn wanted(&self, block: &BlockObjects) -> Vec<Wanted> {
        let all = Kind::ALL.into_iter().filter_map(|kind| {
            let object = block.files.get(kind.file())?;
            let known = self.known.get(&object.key);
            let changed = known.is_none_or(|known| known.object != *object);
            changed.then(|| Wanted {
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

    fn snapshot(&self, blocks: Vec<BlockObjects>, unread: &BTreeMap<String, String>) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for objects in blocks.into_iter().filter(|block| !block.files.is_empty()) {
            match self.view(objects, unread) {
                Ok(view) => snapshot.blocks.push(view),
                Err(partial) => snapshot.partial.push(partial),
            }
        }
        snapshot
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
                    "no block yet: its upload is under way, or was given up"
                );
            }
            roots.insert(objects.root.clone());
        }
        self.without_meta = roots;
    }

    /// A block as what is known of it tells.
    fn view(
        &self,
        objects: BlockObjects,
        unread: &BTreeMap<String, String>,
    ) -> Result<BlockView, PartialBlock> {
        let mut meta = None;
        let (mut deletion_mark, mut no_compact_mark, mut no_downsample_mark) = (None, None, None);
        let (mut unusable_marks, mut reason) = (Vec::new(), None);
        for (kind, object) in Kind::ALL
            .iter()
            .filter_map(|kind| Some((kind, objects.files.get(kind.file())?)))
        {
            reason = reason.or_else(|| unread.get(&object.key).cloned());
            match self.known.get(&object.key).map(|known| &known.document) {
                Some(Document::Meta(found)) => meta = Some(Arc::clone(found)),
                Some(Document::Deletion(mark)) => deletion_mark = Some(mark.clone()),
                Some(Document::NoCompact(mark)) => no_compact_mark = Some(mark.clone()),
                Some(Document::NoDownsample(mark)) => no_downsample_mark = Some(mark.clone()),
                Some(Document::Unusable(found)) if *kind == Kind::Meta => {
                    reason = reason.or_else(|| Some(found.clone()));
                }
                Some(Document::Unusable(reason)) => unusable_marks.push(UnusableMark {
                    file: kind.file(),
                    reason: reason.clone(),
                }),
                None => {}
            }
        }
        match (meta, reason) {
            (Some(meta), None) => Ok(BlockView {
                objects,
                meta,
                deletion_mark,
                no_compact_mark,
                no_downsample_mark,
                unusable_marks,
            }),
            (_, reason) => {
                let missing = || format!("{}: not found", objects.key(BlockMeta::FILE));
                let reason = reason.unwrap_or_else(missing);
                Err(PartialBlock { objects, reason })
            }
        }
    }
}

/// Adds those of `folders` in which there is nothing.
fn add_empty(folders: Vec<BlockObjects>, snapshot: &mut Snapshot) {
    let blocks = snapshot.blocks.iter().map(|block| &block.objects);
    let filled = blocks.chain(snapshot.partial.iter().map(|block| &block.objects));
    let filled: BTreeSet<String> = filled.map(|objects| objects.root.clone()).collect();
    for objects in folders {
        if !filled.contains(&objects.root) {
            let key = objects.key(BlockMeta::FILE);
            let reason = format!("{key}: not found, the folder is empty");
            snapshot.partial.push(PartialBlock { objects, reason });
        }
    }
    let partial = &mut snapshot.partial;
    partial.sort_by(|a, b| a.objects.root.cmp(&b.objects.root));
}

#[cfg(test)]
mod tests;
