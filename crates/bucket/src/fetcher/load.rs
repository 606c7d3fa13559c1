//! Reads `meta.json` files and marks from the cheapest source.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use model::BlockId;

use super::{
    MetaFetcher,
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
        let mut loaded = Vec::with_capacity(wanted.len());
        let mut missing = BTreeMap::new();
        let mut on_disk = stream::iter(wanted)
            .map(|wanted| async move { (self.look_on_disk(&wanted).await, wanted) })
            .buffer_unordered(self.concurrency);
        while let Some((document, wanted)) = on_disk.next().await {
            match document {
                Some(document) => loaded.push(wanted.loaded(document)),
                None => {
                    missing.insert(wanted.object.key.clone(), wanted);
                }
            }
        }
        if let Some(catalog) = catalog.filter(|_| missing.len() > FEW) {
            let missing_before = missing.len();
            for (key, document) in self.look_in_catalog(catalog, &missing).await {
                if let Some(wanted) = missing.remove(&key) {
                    loaded.push(wanted.loaded(document));
                }
            }
            let found = missing_before - missing.len();
            tracing::info!(found, missing = missing.len(), "read the catalog");
        }
        let in_bucket = self.load_from_bucket(missing.into_values(), self.concurrency);
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

    async fn look_on_disk(&self, wanted: &Wanted) -> Option<Document> {
        let bytes = self.cache.as_ref()?.get(&wanted.object).await?;
        // Otherwise the disk may be at fault.
        Some(wanted.decode(&bytes)).filter(Document::is_readable)
    }

    /// The catalog's entries for the wanted versions. It is a cache: its errors are logged and do no harm. Its entries
    /// are not kept on the disk, as the next start gets them again for one request.
    async fn look_in_catalog(
        &self,
        catalog: &Object,
        missing: &BTreeMap<String, Wanted>,
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
        let missing = missing.clone();
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

    fn loaded(self, document: Document) -> Loaded {
        Loaded {
            wanted: self,
            document: Ok(document),
        }
    }
}
