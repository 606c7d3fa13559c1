//! Reads `meta.json` files and marks from the cheapest source.

use std::{collections::BTreeMap, iter, pin::pin};

use futures::{StreamExt as _, stream};
use model::BlockId;

use super::{
    MetaFetcher,
    cache::DiskCache,
    document::{self, Document, Kind},
};
use crate::{
    BucketError, Object,
    catalog::{self, CATALOG},
};

/// The most bytes of a `meta.json` or mark that are read; real ones are far smaller.
pub(super) const MAX_DOCUMENT: u64 = 64 << 20;
/// Up to so many objects are read one by one instead of the whole catalog.
const FEW: usize = 16;
/// So many objects are looked for on the disk by one thread.
const AT_ONCE: usize = 256;

/// An object to read.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) block: BlockId,
    pub(super) kind: Kind,
    pub(super) object: Object,
}

/// A wanted object and its contents.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) wanted: Wanted,
    pub(super) document: Result<Document, BucketError>,
}

impl MetaFetcher {
    /// Reads the wanted objects from the disk, else from the catalog if that exists and pays, else from the bucket.
    pub(super) async fn load(&self, wanted: Vec<Wanted>, catalog: Option<&Object>) -> Vec<Loaded> {
        let (mut loaded, mut missing) = self.look_on_disk(wanted).await;
        if let Some(catalog) = catalog.filter(|_| missing.len() > FEW) {
            let mut documents = self.look_in_catalog(catalog, &missing).await;
            let before = loaded.len();
            let mut left = Vec::new();
            for wanted in missing {
                match documents.remove(&wanted.object.key) {
                    Some(document) => loaded.push(wanted.loaded(document)),
                    None => left.push(wanted),
                }
            }
            missing = left;
            let found = loaded.len() - before;
            tracing::info!(found, missing = missing.len(), "read the catalog");
        }
        let in_bucket = self.load_from_bucket(missing.into_iter(), self.concurrency);
        loaded.extend(in_bucket.await);
        loaded
    }

    /// Reads the wanted objects from the bucket, so many at once.
    pub(super) async fn load_from_bucket(
        &self,
        wanted: impl Iterator<Item = Wanted> + Send,
        concurrency: usize,
    ) -> Vec<Loaded> {
        let reads = stream::iter(wanted).map(|wanted| async move {
            let document = self.read_object(&wanted).await;
            Loaded { wanted, document }
        });
        reads.buffer_unordered(concurrency.max(1)).collect().await
    }

    /// What is on the disk, and what is not. A thread reads many, as each is read in less time than a thread needs to
    /// begin.
    async fn look_on_disk(&self, mut wanted: Vec<Wanted>) -> (Vec<Loaded>, Vec<Wanted>) {
        let (mut loaded, mut missing) = (Vec::with_capacity(wanted.len()), Vec::new());
        let Some(cache) = &self.cache else {
            return (loaded, wanted);
        };
        let mut parts = Vec::new();
        while !wanted.is_empty() {
            parts.push(wanted.split_off(wanted.len().saturating_sub(AT_ONCE)));
        }
        let looked = stream::iter(parts)
            .map(|part| async move {
                let (cache, looked) = (cache.clone(), part.clone());
                let found = move || looked.iter().map(|wanted| wanted.on_disk(&cache)).collect();
                // The runtime shuts down, if there is no answer.
                let found = tokio::task::spawn_blocking(found).await;
                (part, found.unwrap_or_default())
            })
            .buffer_unordered(self.concurrency);
        let mut looked = pin!(looked);
        while let Some((part, found)) = looked.next().await {
            let found: Vec<Option<Document>> = found;
            let found = found.into_iter().chain(iter::repeat(None));
            for (wanted, document) in part.into_iter().zip(found) {
                match document {
                    Some(document) => loaded.push(wanted.loaded(document)),
                    None => missing.push(wanted),
                }
            }
        }
        (loaded, missing)
    }

    /// The catalog's entries for the wanted versions. It is a cache: its errors are logged and do no harm. Its entries
    /// are not kept on the disk, as the next start gets them again for one request.
    async fn look_in_catalog(
        &self,
        catalog: &Object,
        missing: &[Wanted],
    ) -> BTreeMap<String, Document> {
        let (found, max) = (catalog.size, catalog::MAX_SIZE);
        if found > max {
            tracing::warn!(
                "{CATALOG}: expected at most {max} bytes, found {found}; reading each meta.json instead"
            );
            return BTreeMap::new();
        }
        let bytes = match self.bucket.get(CATALOG).await {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::warn!(%error, "catalog not read, reading each meta.json instead");
                return BTreeMap::new();
            }
        };
        let missing: BTreeMap<String, Wanted> = missing
            .iter()
            .map(|wanted| (wanted.object.key.clone(), wanted.clone()))
            .collect();
        let read = move || {
            let mut documents = BTreeMap::new();
            let decoded = catalog::decode(&bytes, |object, json| {
                if let Some(wanted) = missing.get(&object.key)
                    && wanted.object == *object
                {
                    let document = wanted.decode(json);
                    if document.is_readable() {
                        documents.insert(object.key.clone(), document);
                    }
                }
            });
            decoded.map(|()| documents)
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(documents)) => documents,
            Ok(Err(reason)) => {
                tracing::warn!(reason, "catalog damaged, reading each meta.json instead");
                BTreeMap::new()
            }
            // The runtime shuts down.
            Err(_) => BTreeMap::new(),
        }
    }
}

impl Wanted {
    pub(super) fn decode(&self, bytes: &[u8]) -> Document {
        document::decode(self.kind, self.block, &self.object.key, bytes)
    }

    /// The document, if the disk has it in this version.
    fn on_disk(&self, cache: &DiskCache) -> Option<Document> {
        let bytes = cache.get(&self.object)?;
        // Otherwise the disk may be at fault.
        Some(self.decode(&bytes)).filter(Document::is_readable)
    }

    fn loaded(self, document: Document) -> Loaded {
        Loaded {
            wanted: self,
            document: Ok(document),
        }
    }
}
