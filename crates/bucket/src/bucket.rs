//! A bucket: named objects, read and written whole or in parts.

mod download;
mod folder;
mod in_folder;
mod listed;
mod put;
mod read_back;
mod settings;
mod upload;

use std::{fmt, ops::Range, sync::Arc, time::Instant};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use model::Timestamp;
use object_store::{
    GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _, memory::InMemory,
    path::Path as StorePath,
};
use prometheus_client::registry::Registry;
use tokio::task::JoinError;

pub use self::read_back::Uploaded;
pub(crate) use self::{
    folder::{Folder, Listed, Means, Staged},
    settings::Settings,
};
use crate::{BucketError, Object, Operation, metrics::BucketMetrics};

/// Ranges of one object that are read at once.
const RANGES: usize = 16;

/// A bucket. Clones share it.
///
/// Keys are `/`-separated and never start or end with a slash. Transient errors have been retried before an operation
/// fails.
#[derive(Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    /// The store again, where it is a folder.
    folder: Option<Arc<dyn Folder>>,
    settings: Arc<Settings>,
    metrics: Option<BucketMetrics>,
}

impl Bucket {
    /// An empty bucket in memory.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::new(Arc::new(InMemory::new()), Settings::new("memory"))
    }

    pub(crate) fn new(store: Arc<dyn ObjectStore>, settings: Settings) -> Self {
        Self {
            store,
            folder: None,
            settings: Arc::new(settings),
            metrics: None,
        }
    }

    /// The same bucket behind another store, such as one that injects faults; and no folder any more, as all is to go
    /// through that store.
    pub(crate) fn wrapped(
        &self,
        wrap: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>,
    ) -> Self {
        Self {
            store: wrap(Arc::clone(&self.store)),
            folder: None,
            ..self.clone()
        }
    }

    /// The bucket with its operations counted in `registry`, under Thanos's names; `now` is the time.
    #[must_use]
    pub fn metered(
        self,
        registry: &mut Registry,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        Self {
            metrics: Some(BucketMetrics::register(registry, self.name(), now)),
            ..self
        }
    }

    /// What the bucket is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Reads an object.
    ///
    /// # Errors
    /// [`BucketError::NotFound`], or as the store says.
    pub async fn get(&self, key: &str) -> Result<Bytes, BucketError> {
        let operation = Operation::Get;
        let read = async {
            let failed = |source| BucketError::store(operation, key, source);
            let found = self
                .store
                .get(&self.path(operation, key)?)
                .await
                .map_err(failed)?;
            found.bytes().await.map_err(failed)
        };
        self.fetched(operation, self.measured(operation, read).await)
    }

    /// Reads a part of an object. Where the object ends within `range`, gives what there is.
    ///
    /// # Errors
    /// [`BucketError::NotFound`], or as the store says; when the range starts after the object's end.
    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, BucketError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let operation = Operation::GetRange;
        let read = async {
            let path = self.path(operation, key)?;
            let read = self.store.get_range(&path, range).await;
            read.map_err(|source| BucketError::store(operation, key, source))
        };
        self.fetched(operation, self.measured(operation, read).await)
    }

    /// Reads a part of an object as [`Self::get_range`] does, if it is still the version that a listing showed with this
    /// ETag. A store that tells no ETag with the bytes is believed.
    ///
    /// # Errors
    /// [`BucketError::Changed`] if it is another version; else as [`Self::get_range`].
    pub async fn get_range_of_version(
        &self,
        key: &str,
        etag: &str,
        range: Range<u64>,
    ) -> Result<Bytes, BucketError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let operation = Operation::GetRange;
        let read = async {
            let failed = |source| BucketError::store(operation, key, source);
            let options = GetOptions::new().with_range(Some(range));
            let path = self.path(operation, key)?;
            let found = self.store.get_opts(&path, options).await.map_err(failed)?;
            let is_other = |found: &String| bare(found) != bare(etag);
            if found.meta.e_tag.as_ref().is_some_and(is_other) {
                let key = key.to_owned();
                return Err(BucketError::Changed { operation, key });
            }
            found.bytes().await.map_err(failed)
        };
        self.fetched(operation, self.measured(operation, read).await)
    }

    /// Reads parts of an object, some at a time, each with a request of its own: who wants neighbours read together
    /// asks for them as one range.
    ///
    /// # Errors
    /// As [`Self::get_range`], at the first range that cannot be read.
    pub async fn get_ranges(
        &self,
        key: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, BucketError> {
        stream::iter(ranges.iter().cloned())
            .map(|range| self.get_range(key, range))
            .buffered(RANGES)
            .try_collect()
            .await
    }

    /// Deletes an object. One that is not there is deleted.
    ///
    /// # Errors
    /// As the store says.
    pub async fn delete(&self, key: &str) -> Result<(), BucketError> {
        let operation = Operation::Delete;
        let delete = async {
            match self.store.delete(&self.path(operation, key)?).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(source) => Err(BucketError::store(operation, key, source)),
            }
        };
        self.measured(operation, delete).await
    }

    /// Deletes the object that some programs put in the place of a folder, and that holds nothing: on a store without
    /// folders, the one whose key is `folder` and a slash. A listing does not show it.
    ///
    /// # Errors
    /// As the store says.
    pub(crate) async fn delete_folder_object(&self, folder: &str) -> Result<(), BucketError> {
        // Here it would be the folder itself, which goes with what is in it.
        if self.settings.has_folders {
            return Ok(());
        }
        let operation = Operation::Delete;
        let delete = async {
            // A path that is read has no slash at its end.
            let path = self.path(operation, folder)?.join("");
            match self.store.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(source) => Err(BucketError::store(operation, folder, source)),
            }
        };
        self.measured(operation, delete).await
    }

    /// The objects below the folder `prefix` and its subfolders, sorted by key; those after the key `after`, if given.
    ///
    /// # Errors
    /// As the store says. Nothing below the prefix is an empty list. What has a name that no object of ours can have is
    /// passed over, whatever the store.
    pub async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<Object>, BucketError> {
        let operation = Operation::Iter;
        let list = async {
            let prefix = prefix.trim_end_matches('/');
            let root = self.path(operation, prefix)?;
            let root = (!root.as_ref().is_empty()).then_some(&root);
            let listed = match after {
                Some(after) => self
                    .store
                    .list_with_offset(root, &self.path(operation, after)?),
                None => self.store.list(root),
            };
            let objects = listed.map_ok(|meta| self.object(meta));
            let mut objects: Vec<Object> = objects
                .try_collect()
                .await
                .map_err(|source| BucketError::store(operation, prefix, source))?;
            objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            Ok(objects)
        };
        self.measured(operation, list).await
    }

    /// What a listing would tell of an object.
    ///
    /// # Errors
    /// [`BucketError::NotFound`], or as the store says.
    pub async fn head(&self, key: &str) -> Result<Object, BucketError> {
        let operation = Operation::Attributes;
        self.measured(operation, self.ask(operation, key)).await
    }

    /// Whether there is such an object.
    ///
    /// # Errors
    /// As the store says.
    pub async fn exists(&self, key: &str) -> Result<bool, BucketError> {
        let operation = Operation::Exists;
        match self.measured(operation, self.ask(operation, key)).await {
            Ok(_) => Ok(true),
            Err(BucketError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn ask(&self, operation: Operation, key: &str) -> Result<Object, BucketError> {
        let asked = self.store.head(&self.path(operation, key)?).await;
        let meta = asked.map_err(|source| BucketError::store(operation, key, source))?;
        Ok(self.object(meta))
    }

    /// Where the store has the object.
    fn path(&self, operation: Operation, key: &str) -> Result<StorePath, BucketError> {
        let full = match (self.settings.prefix.as_str(), key) {
            ("", key) => StorePath::parse(key),
            (prefix, "") => StorePath::parse(prefix),
            (prefix, key) => StorePath::parse(format!("{prefix}/{key}")),
        };
        full.map_err(|source| BucketError::Store {
            operation,
            key: key.to_owned(),
            cause: source.into(),
        })
    }

    /// The key of a path in the store.
    fn key(&self, path: &StorePath) -> String {
        let full = path.as_ref();
        let below = full.strip_prefix(&self.settings.prefix).unwrap_or(full);
        below.trim_start_matches('/').to_owned()
    }

    fn object(&self, meta: ObjectMeta) -> Object {
        Object {
            key: self.key(&meta.location),
            size: meta.size,
            last_modified: Timestamp(meta.last_modified.timestamp_millis()),
            etag: meta.e_tag,
        }
    }

    /// The error, which says whose credentials were refused.
    fn named(&self, error: BucketError) -> BucketError {
        match (error, &self.settings.who) {
            (
                BucketError::Denied {
                    operation,
                    key,
                    cause,
                    ..
                },
                Some(who),
            ) => BucketError::Denied {
                operation,
                key,
                who: who.clone(),
                cause,
            },
            (other, _) => other,
        }
    }

    /// Does `work`, and counts it.
    async fn measured<T>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T, BucketError>> + Send,
    ) -> Result<T, BucketError> {
        let start = Instant::now();
        let done = work.await.map_err(|error| self.named(error));
        let Some(metrics) = &self.metrics else {
            return done;
        };
        // Not to find something is no failure of the bucket.
        let failed = matches!(&done, Err(error) if !matches!(error, BucketError::NotFound { .. }));
        metrics.observe(operation, start.elapsed(), failed);
        done
    }

    fn fetched(
        &self,
        operation: Operation,
        read: Result<Bytes, BucketError>,
    ) -> Result<Bytes, BucketError> {
        if let (Some(metrics), Ok(bytes)) = (&self.metrics, &read) {
            metrics.fetched(operation, bytes.len() as u64);
        }
        read
    }
}

/// An ETag without quotes, which some servers leave out of listings, and without the sign of a weak one.
fn bare(etag: &str) -> &str {
    etag.trim_start_matches("W/").trim_matches('"')
}

/// Does work that waits for the disk.
async fn blocking<T: Send + 'static, E: From<JoinError> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(error.into()))
}

impl fmt::Debug for Bucket {
    /// The store is left out, as it knows secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket")
            .field("name", &self.settings.name)
            .field("prefix", &self.settings.prefix)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
