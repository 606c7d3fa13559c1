//! Objects to files, in bounded memory.

use std::{fs, io, path::Path, sync::Arc};

use futures::{StreamExt as _, TryFutureExt as _, future::BoxFuture};
use object_store::{GetResultPayload, ObjectStoreExt as _};
use tokio::{
    fs::File,
    io::{AsyncWriteExt as _, BufWriter},
};

use super::{
    Asked, Bucket, blocking,
    folder::create_anew,
    measured,
    upload::{file_error, same_length},
};
use crate::{BucketError, Operation};

/// Bytes that are written to a file at once.
const WRITE_BUFFER: usize = 1 << 20;

impl Bucket {
    /// Writes an object to the file at `path` and replaces a file that exists. A failed download leaves a file that is
    /// cut off.
    ///
    /// An existing file is removed, not written to: it may be an object under a second name.
    ///
    /// # Errors
    /// [`BucketError::NotFound`], or the store's error; when the file cannot be written.
    pub fn download<'a>(
        &'a self,
        key: &'a str,
        path: &'a Path,
    ) -> BoxFuture<'a, Result<(), BucketError>> {
        Box::pin(async move {
            let operation = Operation::Get;
            let read = async {
                let failed = |source| BucketError::store(operation, key, source);
                let unwritable = file_error(operation, key, path);
                let found = self
                    .store
                    .get(&self.path(operation, key)?)
                    .await
                    .map_err(failed)?;
                let size = found.meta.size;
                let written = match found.payload {
                    GetResultPayload::File(from, _) => {
                        copy(from, path).await.map_err(&unwritable)?
                    }
                    GetResultPayload::Stream(mut body) => {
                        let file = create(path).await.map_err(&unwritable)?;
                        let mut file = BufWriter::with_capacity(WRITE_BUFFER, file);
                        let mut written = 0;
                        while let Some(bytes) = body.next().await {
                            let bytes = bytes.map_err(failed)?;
                            file.write_all(&bytes).await.map_err(&unwritable)?;
                            written += bytes.len() as u64;
                        }
                        file.flush().await.map_err(&unwritable)?;
                        written
                    }
                };
                same_length(operation, key, size, written)?;
                measured::moved(written);
                Ok(written)
            };
            let written = self.measured(Asked::new(operation, key), read).await?;
            if let Some(metrics) = &self.metrics {
                metrics.fetched(operation, written);
            }
            Ok(())
        })
    }

    /// As [`Self::download`], for a file that is only read: if the bucket is a folder that can give the object a
    /// second name, the file is the object, and nothing is copied. Writing to it would change the object; removing or
    /// renaming it does not.
    ///
    /// # Errors
    /// As [`Self::download`].
    pub fn download_linked<'a>(
        &'a self,
        key: &'a str,
        path: &'a Path,
    ) -> BoxFuture<'a, Result<(), BucketError>> {
        Box::pin(async move {
            let operation = Operation::Get;
            if let Some(folder) = &self.folder {
                let failed = |source| BucketError::store(operation, key, source);
                let (folder, to) = (Arc::clone(folder), path.to_owned());
                let object = self.path(operation, key)?;
                let link = blocking(move || folder.link(&object, &to)).map_err(failed);
                if self.measured(Asked::new(operation, key), link).await? {
                    return Ok(());
                }
            }
            self.download(key, path).await
        })
    }
}

/// Copies a file in the fastest way that the system has.
async fn copy(mut from: fs::File, to: &Path) -> io::Result<u64> {
    let to = to.to_owned();
    blocking(move || io::copy(&mut from, &mut create_anew(&to)?)).await
}

async fn create(path: &Path) -> io::Result<File> {
    let path = path.to_owned();
    let created = blocking(move || create_anew(&path)).await;
    created.map(File::from_std)
}
