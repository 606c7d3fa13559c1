//! A bucket: named objects, read and written whole or in parts.

mod download;
mod folder;
mod in_folder;
mod list;
mod listed;
mod measured;
mod parts;
mod put;
mod read_back;
mod settings;
mod upload;

use std::{fmt, sync::Arc};

use bytes::Bytes;
use futures::future::BoxFuture;
use model::Timestamp;
use object_store::{
    ObjectMeta, ObjectStore, ObjectStoreExt as _, memory::InMemory, path::Path as StorePath,
};
use prometheus_client::registry::Registry;
use tokio::task::JoinError;

#[cfg(any(test, feature = "testing"))]
pub(crate) use self::folder::{Means, Opened, Staged};
use self::measured::Asked;
pub use self::read_back::Uploaded;
pub(crate) use self::{
    folder::{Folder, Listed},
    list::InParts,
    settings::Settings,
};
use crate::{BucketError, Object, Operation, metrics::BucketMetrics};

/// A bucket. Clones share it.
///
/// Keys are `/`-separated and never start or end with a slash. An operation fails only after transient errors were
/// retried.
#[derive(Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    /// The same store, if it is a folder.
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

    /// The same bucket on another store, such as one that injects faults. It is no folder any more, as every operation
    /// must go through that store.
    #[cfg(any(test, feature = "testing"))]
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

    /// The bucket with its operations counted in `registry`, under Thanos's names; `now` gives the time.
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

    /// The name of the bucket.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Whether it is a folder, of which parts of a file cost less together than each by itself.
    #[must_use]
    pub const fn is_folder(&self) -> bool {
        self.folder.is_some()
    }

    /// Reads an object.
    ///
    /// # Errors
    /// [`BucketError::NotFound`], or the store's error.
    pub fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Bytes, BucketError>> {
        Box::pin(async move {
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
            let size = |bytes: &Bytes| bytes.len() as u64;
            self.fetched(Asked::new(operation, key), size, read).await
        })
    }

    /// Deletes an object. An object that does not exist counts as deleted.
    ///
    /// # Errors
    /// The store's error.
    pub fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), BucketError>> {
        Box::pin(async move {
            let operation = Operation::Delete;
            let delete = async {
                match self.store.delete(&self.path(operation, key)?).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                    Err(source) => Err(BucketError::store(operation, key, source)),
                }
            };
            self.measured(Asked::new(operation, key), delete).await
        })
    }

    /// Deletes the empty object that some programs create for a folder: on a store without folders, the one whose key
    /// is `folder` and a slash. Listings do not show it.
    ///
    /// # Errors
    /// The store's error.
    pub(crate) async fn delete_folder_object(&self, folder: &str) -> Result<(), BucketError> {
        // Here it would be the folder itself, which is removed with its contents.
        if self.settings.has_folders {
            return Ok(());
        }
        let operation = Operation::Delete;
        let delete = async {
            // A parsed path has no slash at its end.
            let path = self.path(operation, folder)?.join("");
            match self.store.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(source) => Err(BucketError::store(operation, folder, source)),
            }
        };
        self.measured(Asked::new(operation, folder), delete).await
    }

    /// The size, time and ETag of an object.
    ///
    /// # Errors
    /// [`BucketError::NotFound`], or the store's error.
    pub fn head<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Object, BucketError>> {
        Box::pin(async move {
            let operation = Operation::Attributes;
            let asked = Asked::new(operation, key);
            self.measured(asked, self.ask(operation, key)).await
        })
    }

    /// Whether the object exists.
    ///
    /// # Errors
    /// The store's error.
    pub fn exists<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<bool, BucketError>> {
        Box::pin(async move {
            let operation = Operation::Exists;
            let asked = Asked::new(operation, key);
            match self.measured(asked, self.ask(operation, key)).await {
                Ok(_) => Ok(true),
                Err(BucketError::NotFound { .. }) => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    async fn ask(&self, operation: Operation, key: &str) -> Result<Object, BucketError> {
        let asked = self.store.head(&self.path(operation, key)?).await;
        let meta = asked.map_err(|source| BucketError::store(operation, key, source))?;
        Ok(self.object(meta))
    }

    /// The path of a key in the store.
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
}

/// An ETag without quotes, which some servers omit in listings, and without the mark of a weak one.
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
    /// The store is left out, as it holds secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket")
            .field("name", &self.settings.name)
            .field("prefix", &self.settings.prefix)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
