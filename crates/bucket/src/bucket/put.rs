//! Writing objects that are in memory.

use bytes::Bytes;
use object_store::{ObjectStore as _, PutMode, PutOptions};

use super::Bucket;
use crate::{BucketError, Operation};

impl Bucket {
    /// Writes an object, over one that is there.
    ///
    /// # Errors
    /// As the store says.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BucketError> {
        let write = self.write(key, bytes, PutMode::Overwrite);
        self.measured(Operation::Upload, write).await?;
        self.uploaded();
        Ok(())
    }

    /// Writes an object if there is none of that name; tells whether it was written.
    ///
    /// Of those who try it at the same time one at most is told so. It may be none, where an answer was lost and the
    /// request was sent again: who must know reads what is there. And it holds only in a store that does what it is
    /// asked for, which [`crate::Leases::self_test`] finds out.
    ///
    /// It is not counted as the last upload: alerts take that for a sign that blocks are written.
    ///
    /// # Errors
    /// As the store says. Then the object may be written or not.
    pub async fn put_if_absent(&self, key: &str, bytes: Bytes) -> Result<bool, BucketError> {
        let write = self.write(key, bytes, PutMode::Create);
        self.measured(Operation::Upload, write).await
    }

    /// Writes an object; tells whether it was written, which for [`PutMode::Create`] it is not where there is one.
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
        match self.store.put_opts(&path, bytes.into(), options).await {
            Ok(_) => Ok(true),
            Err(AlreadyExists { .. } | Precondition { .. }) if creates => Ok(false),
            Err(source) => Err(BucketError::store(operation, key, source)),
        }
    }

    /// Notes that something was uploaded.
    pub(super) fn uploaded(&self) {
        if let Some(metrics) = &self.metrics {
            metrics.uploaded();
        }
    }
}
