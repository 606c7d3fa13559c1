//! Writes objects that are in memory.

use bytes::Bytes;
use futures::future::BoxFuture;
use object_store::{ObjectStore as _, PutMode, PutOptions};

use super::{Asked, Bucket, measured};
use crate::{BucketError, Operation};

impl Bucket {
    /// Writes an object and replaces one that exists.
    ///
    /// # Errors
    /// The store's error.
    pub fn put<'a>(&'a self, key: &'a str, bytes: Bytes) -> BoxFuture<'a, Result<(), BucketError>> {
        Box::pin(async move {
            let size = bytes.len() as u64;
            let write = self.write(key, bytes, PutMode::Overwrite);
            self.measured(Asked::new(Operation::Upload, key), write)
                .await?;
            self.uploaded(size);
            Ok(())
        })
    }

    /// Writes an object unless one of that name exists; returns whether it was written.
    ///
    /// Of several concurrent callers at most one gets `true`. It may be none, if an answer was lost and the request
    /// repeated: to be sure, read the object. This needs a store that honours the condition, which
    /// [`crate::Leases::self_test`] finds out.
    ///
    /// It does not count as the last upload, which alerts take as a sign that blocks are written.
    ///
    /// # Errors
    /// The store's error. Then the object may have been written.
    pub fn put_if_absent<'a>(
        &'a self,
        key: &'a str,
        bytes: Bytes,
    ) -> BoxFuture<'a, Result<bool, BucketError>> {
        Box::pin(async move {
            let write = self.write(key, bytes, PutMode::Create);
            self.measured(Asked::new(Operation::Upload, key), write)
                .await
        })
    }

    /// Writes an object; returns whether it was written, which for [`PutMode::Create`] is not so if one exists.
    async fn write(&self, key: &str, bytes: Bytes, mode: PutMode) -> Result<bool, BucketError> {
        use object_store::Error::{AlreadyExists, Precondition};
        let operation = Operation::Upload;
        let creates = mode == PutMode::Create;
        let options = PutOptions {
            attributes: self.settings.attributes.clone(),
            mode,
            ..PutOptions::default()
        };
        let path = self.path(operation, key)?;
        measured::moved(bytes.len() as u64);
        match self.store.put_opts(&path, bytes.into(), options).await {
            Ok(_) => Ok(true),
            Err(AlreadyExists { .. } | Precondition { .. }) if creates => Ok(false),
            Err(source) => Err(BucketError::store(operation, key, source)),
        }
    }
}
