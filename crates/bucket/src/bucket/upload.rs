//! Files to objects, in bounded memory.
//!
//! ```text
//! file ── parts of 8 MiB, hashed, four in flight ──▶ object      visible once the last is there
//!      ── linked or copied, see `folder.rs` ──▶ object           where the bucket is a folder
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use futures::{TryStreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use object_store::{MultipartUpload, ObjectStore as _, PutMultipartOptions};
use tokio::{fs::File, io::AsyncReadExt as _};
use xxhash_rust::xxh64::Xxh64;

use super::{
    Asked, Bucket, Uploaded, blocking,
    folder::{self, Folder, Means},
    measured,
};
use crate::{BucketError, Operation};

/// Bytes of a part of a big upload, unless configured; S3 refuses less than 5 MiB.
pub(super) const PART: u64 = 8 << 20;
/// Parts in flight, and so in memory.
const PARTS_IN_FLIGHT: usize = 4;
/// The most parts that S3 accepts.
const MAX_PARTS: u64 = 10_000;

impl Bucket {
    /// Writes the file at `path` as an object and replaces one that exists. The object is a copy.
    ///
    /// # Errors
    /// When the file cannot be read or changes meanwhile; the store's error. Then the object is unchanged.
    pub fn upload<'a>(
        &'a self,
        key: &'a str,
        path: &'a Path,
    ) -> BoxFuture<'a, Result<(), BucketError>> {
        Box::pin(async move { self.send(key, path, Means::Copy).await.map(drop) })
    }

    /// As [`Self::upload`], for a file that is not written to any more: if the bucket is a folder that can give the
    /// file a second name, the object is the file, and nothing is copied. Writing to it would change the object;
    /// removing or renaming it does not.
    ///
    /// # Errors
    /// As [`Self::upload`].
    pub fn upload_linked<'a>(
        &'a self,
        key: &'a str,
        path: &'a Path,
    ) -> BoxFuture<'a, Result<Uploaded, BucketError>> {
        Box::pin(async move {
            let hash = self.send(key, path, Means::Link).await?;
            Ok(hash.map_or(Uploaded::Linked, |hash| Uploaded::Copied { hash }))
        })
    }

    /// Returns the hash of the bytes, if they went through this process.
    async fn send(&self, key: &str, path: &Path, means: Means) -> Result<Option<u64>, BucketError> {
        let unreadable = file_error(Operation::Upload, key, path);
        let mut file = File::open(path).await.map_err(&unreadable)?;
        let size = file.metadata().await.map_err(&unreadable)?.len();
        if let Some(folder) = &self.folder {
            let file = file.into_std().await;
            let place = self.place(Arc::clone(folder), key, path, file, means, size);
            let place = async { place.await.inspect(|_| measured::moved(size)) };
            let hash = self
                .measured(Asked::new(Operation::Upload, key), place)
                .await?;
            self.uploaded(size);
            return Ok(hash);
        }
        let mut hash = Xxh64::new(0);
        if size <= self.settings.single_put {
            let bytes = next_part(&mut file, size.saturating_add(1), size, &mut hash)
                .await
                .map_err(&unreadable)?;
            same_length(Operation::Upload, key, size, bytes.len() as u64)?;
            self.put(key, bytes).await?;
        } else {
            let write = self.upload_parts(key, path, file, size, &mut hash);
            let write = async { write.await.inspect(|()| measured::moved(size)) };
            self.measured(Asked::new(Operation::Upload, key), write)
                .await?;
            self.uploaded(size);
        }
        Ok(Some(hash.digest()))
    }

    /// Puts a file into the folder.
    async fn place(
        &self,
        folder: Arc<dyn Folder>,
        key: &str,
        path: &Path,
        file: fs::File,
        means: Means,
        size: u64,
    ) -> Result<Option<u64>, BucketError> {
        let operation = Operation::Upload;
        let object = self.path(operation, key)?;
        let (owned_key, path) = (key.to_owned(), path.to_owned());
        let place = move || {
            let key = &owned_key;
            let failed = |source| BucketError::store(operation, key, source);
            let staged = folder.stage(&object, file, &path, means).map_err(failed)?;
            same_length(operation, key, size, staged.len)?;
            let hash = staged.hash;
            let published = staged.publish().map_err(folder::failed);
            published.map_err(failed).map(|()| hash)
        };
        let placed = blocking(move || Ok(place())).await;
        placed.map_err(|source| BucketError::store(operation, key, source))?
    }

    async fn upload_parts(
        &self,
        key: &str,
        path: &Path,
        file: File,
        size: u64,
        hash: &mut Xxh64,
    ) -> Result<(), BucketError> {
        let failed = |source| BucketError::store(Operation::Upload, key, source);
        let options = PutMultipartOptions {
            attributes: self.settings.attributes.clone(),
            ..PutMultipartOptions::default()
        };
        let at = self.path(Operation::Upload, key)?;
        let mut upload = self
            .store
            .put_multipart_opts(&at, options)
            .await
            .map_err(failed)?;
        let sent = self
            .send_parts(key, path, file, size, upload.as_mut(), hash)
            .await;
        let done = match sent {
            Ok(()) => upload.complete().await.map(drop).map_err(failed),
            Err(error) => Err(error),
        };
        if done.is_err()
            && let Err(error) = upload.abort().await
        {
            tracing::warn!(key, %error, "parts of a failed upload stay in the bucket");
        }
        done
    }

    async fn send_parts(
        &self,
        key: &str,
        path: &Path,
        mut file: File,
        size: u64,
        upload: &mut dyn MultipartUpload,
        hash: &mut Xxh64,
    ) -> Result<(), BucketError> {
        let unreadable = file_error(Operation::Upload, key, path);
        let failed = |source| BucketError::store(Operation::Upload, key, source);
        let part_size = self.settings.part_size.max(size.div_ceil(MAX_PARTS));
        let mut in_flight = FuturesUnordered::new();
        let mut sent = 0;
        loop {
            let part = next_part(&mut file, part_size, size.saturating_sub(sent), hash)
                .await
                .map_err(&unreadable)?;
            if part.is_empty() {
                break;
            }
            sent += part.len() as u64;
            if in_flight.len() >= PARTS_IN_FLIGHT {
                in_flight.try_next().await.map_err(failed)?;
            }
            in_flight.push(upload.put_part(part.into()));
        }
        in_flight.try_collect::<()>().await.map_err(failed)?;
        same_length(Operation::Upload, key, size, sent)
    }
}

/// The next `limit` bytes of a file with `left` bytes left, hashed; fewer at its end.
async fn next_part(file: &mut File, limit: u64, left: u64, hash: &mut Xxh64) -> io::Result<Bytes> {
    // Slightly more capacity, as a full buffer would grow before the end is seen.
    let capacity = usize::try_from(limit.min(left))
        .unwrap_or(0)
        .saturating_add(64);
    let mut part = BytesMut::with_capacity(capacity);
    let mut limited = file.take(limit);
    loop {
        let before = part.len();
        if limited.read_buf(&mut part).await? == 0 {
            return Ok(part.freeze());
        }
        // In small steps, so that nothing waits long for this thread.
        hash.update(part.get(before..).unwrap_or_default());
    }
}

pub(super) fn same_length(
    operation: Operation,
    key: &str,
    expected: u64,
    found: u64,
) -> Result<(), BucketError> {
    if expected == found {
        return Ok(());
    }
    Err(BucketError::Length {
        operation,
        key: key.to_owned(),
        expected,
        found,
    })
}

pub(super) fn file_error(
    operation: Operation,
    key: &str,
    path: &Path,
) -> impl Fn(io::Error) -> BucketError {
    let (key, path): (String, PathBuf) = (key.to_owned(), path.to_owned());
    move |source| BucketError::File {
        operation,
        key: key.clone(),
        path: path.clone(),
        source,
    }
}
