//! Files to objects and back, in bounded memory.
//!
//! ```text
//! file ── parts of 8 MiB, four in flight ──▶ object      visible once the last is there; see `disk.rs` for a folder
//! object ── as it comes ──▶ file
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _, stream::FuturesUnordered};
use object_store::{
    GetResultPayload, MultipartUpload, ObjectStore as _, ObjectStoreExt as _, PutMultipartOptions,
    local::LocalFileSystem,
};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufWriter},
};

use super::{Bucket, disk::Staged};
use crate::{BucketError, Operation};

/// Bytes of a part of a big upload, unless configured; S3 takes none under 5 MiB.
pub(super) const PART: u64 = 8 << 20;
/// Parts in flight, so at most this many of them in memory.
const PARTS_IN_FLIGHT: usize = 4;
/// The most parts that S3 takes.
const MAX_PARTS: u64 = 10_000;
/// Bytes that are written to a file at once.
const WRITE_BUFFER: usize = 1 << 20;

impl Bucket {
    /// Writes the file at `path` as an object, over one that is there.
    ///
    /// # Errors
    /// When the file cannot be read or changes meanwhile; as the store says. Then the object is as it was.
    pub async fn upload(&self, key: &str, path: &Path) -> Result<(), BucketError> {
        let unreadable = file_error(Operation::Upload, key, path);
        let mut file = File::open(path).await.map_err(&unreadable)?;
        let size = file.metadata().await.map_err(&unreadable)?.len();
        if let Some(folder) = &self.folder {
            let copy = self.copy_into(folder, key, file.into_std().await, size);
            self.measured(Operation::Upload, copy).await?;
            self.uploaded();
            return Ok(());
        }
        if size <= self.settings.single_put {
            let bytes = next_part(&mut file, size.saturating_add(1), size)
                .await
                .map_err(&unreadable)?;
            same_length(Operation::Upload, key, size, bytes.len() as u64)?;
            return self.put(key, bytes).await;
        }
        let write = self.upload_parts(key, path, file, size);
        self.measured(Operation::Upload, write).await?;
        self.uploaded();
        Ok(())
    }

    async fn copy_into(
        &self,
        folder: &LocalFileSystem,
        key: &str,
        file: fs::File,
        size: u64,
    ) -> Result<(), BucketError> {
        let operation = Operation::Upload;
        let failed = |source| BucketError::store(operation, key, source);
        let object = self.path(operation, key)?;
        let object = folder.path_to_filesystem(&object).map_err(failed)?;
        let owned_key = key.to_owned();
        let copy = move || {
            let key = &owned_key;
            let failed = |error: io::Error| {
                let source = object_store::Error::Generic {
                    store: "folder",
                    source: error.into(),
                };
                BucketError::store(operation, key, source)
            };
            let staged = Staged::copy(file, &object).map_err(failed)?;
            same_length(operation, key, size, staged.len)?;
            staged.publish().map_err(failed)
        };
        tokio::task::spawn_blocking(copy)
            .await
            .unwrap_or_else(|error| Err(failed(error.into())))
    }

    async fn upload_parts(
        &self,
        key: &str,
        path: &Path,
        file: File,
        size: u64,
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
            .send_parts(key, path, file, size, upload.as_mut())
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
    ) -> Result<(), BucketError> {
        let unreadable = file_error(Operation::Upload, key, path);
        let failed = |source| BucketError::store(Operation::Upload, key, source);
        let part_size = self.settings.part_size.max(size.div_ceil(MAX_PARTS));
        let mut in_flight = FuturesUnordered::new();
        let mut sent = 0;
        loop {
            let part = next_part(&mut file, part_size, size.saturating_sub(sent))
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

    /// Writes an object to the file at `path`, over one that is there. A failed download leaves a file that is cut.
    ///
    /// # Errors
    /// [`BucketError::NotFound`], or as the store says; when the file cannot be written.
    pub async fn download(&self, key: &str, path: &Path) -> Result<(), BucketError> {
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
                GetResultPayload::File(from, _) => copy(from, path).await.map_err(&unwritable)?,
                GetResultPayload::Stream(mut body) => {
                    let file = File::create(path).await.map_err(&unwritable)?;
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
            Ok(written)
        };
        let written = self.measured(operation, read).await?;
        if let Some(metrics) = &self.metrics {
            metrics.fetched(operation, written);
        }
        Ok(())
    }
}

/// Copies a file, as the system does it best.
async fn copy(mut from: fs::File, to: &Path) -> io::Result<u64> {
    let to = to.to_owned();
    let copy = move || io::copy(&mut from, &mut fs::File::create(to)?);
    tokio::task::spawn_blocking(copy)
        .await
        .unwrap_or_else(|error| Err(error.into()))
}

/// The next `limit` bytes of a file of which `left` are said to be left; fewer at its end.
async fn next_part(file: &mut File, limit: u64, left: u64) -> io::Result<Bytes> {
    // Some more than fits, as a full buffer would grow before the end is seen.
    let capacity = usize::try_from(limit.min(left))
        .unwrap_or(0)
        .saturating_add(64);
    let mut part = BytesMut::with_capacity(capacity);
    let mut limited = file.take(limit);
    while limited.read_buf(&mut part).await? > 0 {}
    Ok(part.freeze())
}

fn same_length(
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

fn file_error(operation: Operation, key: &str, path: &Path) -> impl Fn(io::Error) -> BucketError {
    let (key, path): (String, PathBuf) = (key.to_owned(), path.to_owned());
    move |source| BucketError::File {
        operation,
        key: key.clone(),
        path: path.clone(),
        source,
    }
}
