//! Reads `meta.json` files and marks from the cheapest source.

use std::{
    collections::{HashMap, HashSet},
    iter,
    panic::resume_unwind,
    pin::pin,
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    thread,
};

use futures::{StreamExt as _, stream};
use parking_lot::Mutex;

use super::{
    MetaFetcher,
    cache::DiskCache,
    document::{self, Document, Kind},
};
use crate::{
    BlockObjects, BucketError, FileVersion, Object,
    catalog::{self, CATALOG},
    threads::threads,
};

/// The most bytes of a `meta.json` or mark that are read; real ones are far smaller.
pub(super) const MAX_DOCUMENT: u64 = 64 << 20;
/// Up to so many objects are read one by one instead of the whole catalog.
const FEW: usize = 16;
/// So many objects are looked for on the disk, or decoded, by one thread at once.
const AT_ONCE: usize = 256;
/// At most so many threads decode the entries of a catalog.
const THREADS: usize = 4;

/// A file of a block to read. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) block: Arc<BlockObjects>,
    pub(super) kind: Kind,
    pub(super) version: FileVersion,
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
            let wanted = missing.len();
            let (found, left) = self.look_in_catalog(catalog, missing).await;
            loaded.extend(found);
            missing = left;
            let found = wanted - missing.len();
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
    /// begin; and many are looked for only where the disk has something of their block.
    async fn look_on_disk(&self, wanted: Vec<Wanted>) -> Split {
        let mut loaded = Vec::new();
        let Some(cache) = &self.cache else {
            return (loaded, wanted);
        };
        let (mut looked_for, mut missing) = (wanted, Vec::new());
        if looked_for.len() > FEW {
            let of_disk = cache.clone();
            let roots = tokio::task::spawn_blocking(move || of_disk.roots()).await;
            // The runtime shuts down, if there is no answer.
            let roots = roots.unwrap_or_else(|_| Ok(HashSet::new()));
            let roots = roots.unwrap_or_else(|error| {
                tracing::warn!(%error, "cache not listed, reading from the bucket instead");
                HashSet::new()
            });
            let is_there = |wanted: &Wanted| roots.contains(&*wanted.block.root);
            (looked_for, missing) = looked_for.into_iter().partition(is_there);
        }
        let mut parts = Vec::new();
        while !looked_for.is_empty() {
            parts.push(looked_for.split_off(looked_for.len().saturating_sub(AT_ONCE)));
        }
        let looked = stream::iter(parts)
            .map(|part| async move {
                let (cache, looked) = (cache.clone(), part.clone());
                let found = move || looked.iter().map(|wanted| wanted.on_disk(&cache)).collect();
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

    /// What the catalog has of the wanted versions, and what it has not. It is a cache: its errors are logged and do no
    /// harm. Its entries are not kept on the disk, as the next start gets them again for one request.
    async fn look_in_catalog(&self, catalog: &Object, wanted: Vec<Wanted>) -> Split {
        let (found, max) = (catalog.size, catalog::MAX_SIZE);
        if found > max {
            tracing::warn!(
                "{CATALOG}: expected at most {max} bytes, found {found}; reading each meta.json instead"
            );
            return (Vec::new(), wanted);
        }
        let bytes = match self.bucket.get(CATALOG).await {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::warn!(%error, "catalog not read, reading each meta.json instead");
                return (Vec::new(), wanted);
            }
        };
        let wanted = Arc::new(wanted);
        let looked_for = Arc::clone(&wanted);
        let read = move || documents(&bytes, &looked_for);
        let documents = match tokio::task::spawn_blocking(read).await {
            Ok(Ok(documents)) => documents,
            Ok(Err(reason)) => {
                tracing::warn!(reason, "catalog damaged, reading each meta.json instead");
                Vec::new()
            }
            // A fault of ours, or the runtime shuts down.
            Err(error) => {
                tracing::warn!(%error, "catalog not decoded, reading each meta.json instead");
                Vec::new()
            }
        };
        split(Arc::unwrap_or_clone(wanted), documents)
    }
}

/// Entries of a catalog to be decoded: the place of each among the wanted ones, and its JSON.
type Batch = Vec<(usize, Vec<u8>)>;

/// Wanted objects that were found, and those that were not.
type Split = (Vec<Loaded>, Vec<Wanted>);

/// Splits the wanted objects by whether there is a document of their place.
fn split(wanted: Vec<Wanted>, mut documents: Vec<(usize, Document)>) -> Split {
    documents.sort_unstable_by_key(|(place, _)| *place);
    let mut documents = documents.into_iter().peekable();
    let (mut loaded, mut missing) = (Vec::with_capacity(wanted.len()), Vec::new());
    for (place, wanted) in wanted.into_iter().enumerate() {
        match documents.next_if(|(of, _)| *of == place) {
            Some((_, document)) => loaded.push(wanted.loaded(document)),
            None => missing.push(wanted),
        }
    }
    (loaded, missing)
}

/// The usable entries of a catalog for the wanted versions, by their places. Some threads decode them.
fn documents(bytes: &[u8], wanted: &[Wanted]) -> Result<Vec<(usize, Document)>, String> {
    let places: HashMap<(&str, &str), usize> = wanted
        .iter()
        .enumerate()
        .map(|(place, wanted)| ((&*wanted.block.root, wanted.kind.file()), place))
        .collect();
    let threads = threads(THREADS);
    let (send, batches) = sync_channel::<Batch>(threads);
    let batches = Arc::new(Mutex::new(batches));
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                let batches = Arc::clone(&batches);
                scope.spawn(move || decode_batches(&batches, wanted))
            })
            .collect();
        // So that they are gone if all threads are.
        drop(batches);
        let mut batch = Batch::new();
        let read = catalog::decode(bytes, |object, json| {
            // The names of `meta.json` and marks have no slash.
            let place = object.key.rsplit_once('/').and_then(|at| places.get(&at));
            let Some((place, wanted)) = place.and_then(|at| Some((*at, wanted.get(*at)?))) else {
                return;
            };
            if wanted.version == FileVersion::of(object) {
                batch.push((place, json.to_vec()));
                if batch.len() >= AT_ONCE {
                    // A thread that is gone is found below.
                    let _ = send.send(std::mem::take(&mut batch));
                }
            }
        });
        let _ = send.send(batch);
        drop(send);
        let mut documents = Vec::with_capacity(wanted.len());
        for thread in running {
            documents.extend(thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        read.map(|()| documents)
    })
}

/// Decodes batches until there are no more.
fn decode_batches(batches: &Mutex<Receiver<Batch>>, wanted: &[Wanted]) -> Vec<(usize, Document)> {
    let (mut documents, mut labels) = (Vec::new(), HashSet::new());
    let next = || batches.lock().recv();
    while let Ok(batch) = next() {
        for (place, json) in batch {
            let document = wanted.get(place).map(|wanted| wanted.decode(&json));
            if let Some(mut document) = document.filter(Document::is_readable) {
                document.share(&mut labels);
                documents.push((place, document));
            }
        }
    }
    documents
}

impl Wanted {
    /// The key of the file.
    pub(super) fn key(&self) -> String {
        self.block.key(self.kind.file())
    }

    pub(super) fn decode(&self, bytes: &[u8]) -> Document {
        document::decode(self.kind, self.block.id, || self.key(), bytes)
    }

    /// The document, if the disk has it in this version.
    fn on_disk(&self, cache: &DiskCache) -> Option<Document> {
        let bytes = cache.get(&self.version.object(self.key()))?;
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
