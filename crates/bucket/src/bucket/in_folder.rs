//! Operations of a bucket that is a folder.

use std::{path::Path, sync::Arc};

use futures::future::BoxFuture;
use model::Timestamp;
use object_store::local::LocalFileSystem;

#[cfg(any(test, feature = "testing"))]
use super::Folder;
use super::{Asked, Bucket, Listed, Settings, blocking};
use crate::{BucketError, Operation};

impl Bucket {
    /// A folder.
    pub(crate) fn in_folder(folder: LocalFileSystem, settings: Settings) -> Self {
        let folder = Arc::new(folder);
        let store = Arc::new(Listed(Arc::clone(&folder)));
        Self {
            folder: Some(folder),
            ..Self::new(store, settings)
        }
    }

    /// The same bucket on another folder, if `of` is one.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn in_folder_of(
        self,
        of: &Self,
        wrap: impl FnOnce(Arc<dyn Folder>) -> Arc<dyn Folder>,
    ) -> Self {
        Self {
            folder: of.folder.clone().map(wrap),
            ..self
        }
    }

    /// The folders right below `folder` on the disk, empty ones included; none on a store without folders.
    ///
    /// # Errors
    /// The store's error.
    pub(crate) async fn folders(&self, folder: &str) -> Result<Vec<String>, BucketError> {
        if !self.settings.has_folders {
            return Ok(Vec::new());
        }
        let operation = Operation::Iter;
        let list = async {
            let root = self.path(operation, folder)?;
            let listed = self.store.list_with_delimiter(Some(&root)).await;
            let listed = listed.map_err(|source| BucketError::store(operation, folder, source))?;
            let names = listed.common_prefixes.iter().map(|path| self.key(path));
            Ok(names.collect())
        };
        self.measured(Asked::new(operation, folder), list).await
    }

    /// In a bucket that is a folder, removes the files that interrupted uploads left below `prefix` before that time.
    /// They are no objects, and take space. Returns their number.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn remove_left<'a>(
        &'a self,
        prefix: &'a str,
        before: Timestamp,
    ) -> BoxFuture<'a, Result<usize, BucketError>> {
        Box::pin(async move {
            let Some(folder) = &self.folder else {
                return Ok(0);
            };
            let operation = Operation::Delete;
            let (folder, path) = (Arc::clone(folder), self.path(operation, prefix)?);
            let removed = blocking(move || folder.remove_left(&path, before)).await;
            removed.map_err(|source| BucketError::store(operation, prefix, source))
        })
    }

    /// Whether the object is the file at `path` itself, which is possible if the bucket is a folder.
    ///
    /// # Errors
    /// When one of them cannot be opened.
    pub fn is_file<'a>(
        &'a self,
        key: &'a str,
        path: &'a Path,
    ) -> BoxFuture<'a, Result<bool, BucketError>> {
        Box::pin(async move {
            let Some(folder) = &self.folder else {
                return Ok(false);
            };
            let operation = Operation::Attributes;
            let (folder, path) = (Arc::clone(folder), path.to_owned());
            let object = self.path(operation, key)?;
            let asked = blocking(move || folder.is_file(&object, &path)).await;
            asked.map_err(|source| BucketError::store(operation, key, source))
        })
    }
}
