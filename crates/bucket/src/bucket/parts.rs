//! Reads parts of objects.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use object_store::{GetOptions, path::Path as StorePath};

use super::{Bucket, Folder, bare, measured::Asked};
use crate::{BucketError, Operation};

/// Parts of one object that are read at once.
const AT_ONCE: usize = 16;

impl Bucket {
    /// Reads a part of an object. If the object ends within `range`, gives the bytes up to its end.
    ///
    /// # Errors
    /// [`BucketError::NotFound`], or the store's error; when the range starts after the object's end.
    pub fn get_range<'a>(
        &'a self,
        key: &'a str,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<Bytes, BucketError>> {
        Box::pin(self.get_part(key, None, range))
    }

    /// Reads parts of an object, some at once. To read neighbours together, pass them as one range.
    ///
    /// With an ETag, which a listing showed, the object must still be that version. If the store sends no ETag, the
    /// version is not checked.
    ///
    /// # Errors
    /// [`BucketError::Changed`] if it is another version; else as [`Self::get_range`], for the first range that cannot
    /// be read.
    pub fn get_ranges<'a>(
        &'a self,
        key: &'a str,
        etag: Option<&'a str>,
        ranges: &'a [Range<u64>],
    ) -> BoxFuture<'a, Result<Vec<Bytes>, BucketError>> {
        Box::pin(async move {
            if let Some(folder) = &self.folder
                && let Some(all) = around(ranges)
            {
                let read = async {
                    let path = self.path(Operation::GetRange, key)?;
                    match opened(folder, path, etag, ranges).await {
                        Some(bytes) => Ok(bytes),
                        // What is wrong, the store tells.
                        None => {
                            let parts = ranges.iter().cloned();
                            let parts =
                                stream::iter(parts).then(|range| self.part(key, etag, range));
                            parts.try_collect().await
                        }
                    }
                };
                let size = |bytes: &Vec<Bytes>| bytes.iter().map(|part| part.len() as u64).sum();
                let asked = Asked::new(Operation::GetRange, key).of(&all);
                return self.fetched(asked, size, read).await;
            }
            stream::iter(ranges.iter().cloned())
                .map(|range| self.get_part(key, etag, range))
                .buffered(AT_ONCE)
                .try_collect()
                .await
        })
    }

    async fn get_part(
        &self,
        key: &str,
        etag: Option<&str>,
        range: Range<u64>,
    ) -> Result<Bytes, BucketError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let size = |bytes: &Bytes| bytes.len() as u64;
        let asked = Asked::new(Operation::GetRange, key);
        let read = self.part(key, etag, range.clone());
        self.fetched(asked.of(&range), size, read).await
    }

    async fn part(
        &self,
        key: &str,
        etag: Option<&str>,
        range: Range<u64>,
    ) -> Result<Bytes, BucketError> {
        let operation = Operation::GetRange;
        let failed = |source| BucketError::store(operation, key, source);
        let options = GetOptions::new().with_range(Some(range));
        let path = self.path(operation, key)?;
        let found = self.store.get_opts(&path, options).await.map_err(failed)?;
        let is_other = |found: &String| etag.is_some_and(|etag| bare(found) != bare(etag));
        if found.meta.e_tag.as_ref().is_some_and(is_other) {
            let key = key.to_owned();
            return Err(BucketError::Changed { operation, key });
        }
        found.bytes().await.map_err(failed)
    }
}

/// From the first start to the last end; `None` if there is no byte to read in one of the ranges.
fn around(ranges: &[Range<u64>]) -> Option<Range<u64>> {
    if ranges.iter().any(Range::is_empty) {
        return None;
    }
    let start = ranges.iter().map(|range| range.start).min()?;
    let end = ranges.iter().map(|range| range.end).max()?;
    Some(start..end)
}

/// Parts of a file: those in memory by one job, the others by several, each of which may wait for the disk. `None` if
/// anything is wrong.
async fn opened(
    folder: &Arc<dyn Folder>,
    path: StorePath,
    etag: Option<&str>,
    ranges: &[Range<u64>],
) -> Option<Vec<Bytes>> {
    let (folder, etag) = (Arc::clone(folder), etag.map(str::to_owned));
    let wanted = ranges.to_vec();
    let in_memory = move || {
        let file = folder.open(&path, etag.as_deref()).ok()??;
        let part = |range| match file.is_in_memory(range) {
            true => file.read(range).ok().map(Some),
            false => Some(None),
        };
        let parts = wanted.iter().map(part).collect::<Option<Vec<_>>>()?;
        Some((Arc::new(file), parts))
    };
    let (file, parts) = tokio::task::spawn_blocking(in_memory).await.ok()??;
    let parts = parts.into_iter().zip(ranges.iter().cloned());
    let parts = parts.map(|(part, range)| {
        let file = Arc::clone(&file);
        async move {
            match part {
                Some(bytes) => Some(bytes),
                None => {
                    let read = move || file.read(&range).ok();
                    tokio::task::spawn_blocking(read).await.ok()?
                }
            }
        }
    });
    let parts: Vec<_> = stream::iter(parts).buffered(AT_ONCE).collect().await;
    parts.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;
    use crate::BucketConfig;

    /// Reads each range by itself through the store.
    async fn one_by_one(bucket: &Bucket, etag: &str, ranges: &[Range<u64>]) -> Vec<Bytes> {
        let bucket = bucket.wrapped(|store| store);
        bucket.get_ranges("o", Some(etag), ranges).await.unwrap()
    }

    #[tokio::test]
    async fn parts_of_a_file_are_those_that_the_store_gives() {
        let dir = tempfile::tempdir().unwrap();
        let bucket = BucketConfig::filesystem(dir.path()).open().unwrap();
        let bytes: Vec<u8> = (0..100_000_u32).map(|i| (i % 251) as u8).collect();
        bucket.put("o", bytes.into()).await.unwrap();
        let etag = bucket.head("o").await.unwrap().etag.unwrap();
        let ranges = [
            0..1,
            5..70_000,
            6..7,
            40_000..40_000,
            99_999..100_000,
            90_000..100_500,
        ];
        for ranges in [&ranges[..], &ranges[..3], &ranges[4..], &[]] {
            let read = bucket.get_ranges("o", Some(&etag), ranges).await.unwrap();
            assert_eq!(read, one_by_one(&bucket, &etag, ranges).await);
        }
        let file = (bucket.folder.as_ref().unwrap())
            .open(&"o".into(), Some(&etag))
            .unwrap()
            .unwrap();
        assert!(!file.is_in_memory(&(100_000..100_001)));
        assert_eq!(file.read(&(7..9)).unwrap(), &[7, 8][..]);
    }

    #[tokio::test]
    async fn what_is_not_known_to_be_in_memory_is_read_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let bucket = BucketConfig::filesystem(dir.path()).open().unwrap();
        let bytes: Vec<u8> = (0..6_000_000_u32).map(|i| (i % 251) as u8).collect();
        bucket.put("o", bytes.into()).await.unwrap();
        let etag = bucket.head("o").await.unwrap().etag.unwrap();
        let ranges = [3..9, 10..5_900_000, 7..5_000_000, 5_999_990..6_000_100];
        let read = bucket.get_ranges("o", Some(&etag), &ranges).await.unwrap();
        assert!(read == one_by_one(&bucket, &etag, &ranges).await);
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_file_is_told_as_by_the_store() {
        let dir = tempfile::tempdir().unwrap();
        let bucket = BucketConfig::filesystem(dir.path()).open().unwrap();
        bucket.put("o", "0123456789".into()).await.unwrap();
        let etag = bucket.head("o").await.unwrap().etag.unwrap();
        let failed = async |key: &str, etag: &str, ranges: &[Range<u64>]| {
            let read = bucket.get_ranges(key, Some(etag), ranges).await;
            read.unwrap_err()
        };
        assert!(matches!(
            failed("none", &etag, slice::from_ref(&(0..1))).await,
            BucketError::NotFound { .. }
        ));
        assert!(matches!(
            failed("o", "other", &[0..1, 2..3]).await,
            BucketError::Changed { .. }
        ));
        let error = failed("o", &etag, &[0..1, 10..11]).await.to_string();
        assert!(error.contains("10"), "{error}");
        // Whatever was cut off since is an error, not less of the object.
        std::fs::write(dir.path().join("o"), "01234").unwrap();
        assert!(matches!(
            failed("o", &etag, slice::from_ref(&(2..8))).await,
            BucketError::Changed { .. }
        ));
    }
}
