//! Compares objects with the files that were uploaded.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt as _, path::Path, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use xxhash_rust::xxh64::Xxh64;

use super::{
    Bucket, blocking,
    upload::{file_error, same_length},
};
use crate::{BucketError, Operation};

/// Bytes that are read at once.
const PART: u64 = 4 << 20;
/// Parts in flight.
const PARTS: usize = 4;

/// How a file became an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uploaded {
    /// The object is the file itself, under a second name.
    Linked,
    /// The object has a copy of the bytes.
    Copied {
        /// The XXH64 of the sent bytes.
        hash: u64,
    },
}

impl Bucket {
    /// The XXH64 of the first `size` bytes of an object, which are read in parts.
    ///
    /// # Errors
    /// [`BucketError::NotFound`], or the store's error; when there are fewer bytes.
    pub fn hash<'a>(&'a self, key: &'a str, size: u64) -> BoxFuture<'a, Result<u64, BucketError>> {
        Box::pin(async move {
            let read = async |range: Range<u64>| {
                let expected = range.end - range.start;
                let bytes = self.get_range(key, range).await?;
                same_length(Operation::GetRange, key, expected, bytes.len() as u64)?;
                Ok::<_, BucketError>(bytes)
            };
            let hash = stream::iter(parts(size)).map(read).buffered(PARTS);
            let hash = hash.try_fold(Xxh64::new(0), async |mut hash, bytes| {
                hash.update(&bytes);
                Ok(hash)
            });
            Ok(hash.await?.digest())
        })
    }

    /// The first offset at which the first `size` bytes of an object differ from the file at `path`, if they do. An
    /// object that ends sooner differs at its end.
    ///
    /// # Errors
    /// [`BucketError::NotFound`], or the store's error; when the file cannot be read or has fewer bytes.
    pub fn first_difference<'a>(
        &'a self,
        key: &'a str,
        size: u64,
        path: &'a Path,
    ) -> BoxFuture<'a, Result<Option<u64>, BucketError>> {
        Box::pin(async move {
            let unreadable = &file_error(Operation::GetRange, key, path);
            let path = path.to_owned();
            let file = blocking(move || File::open(path)).await;
            let file = &Arc::new(file.map_err(unreadable)?);
            let compare = async |range: Range<u64>| {
                let there = self.get_range(key, range.clone()).await?;
                let file = Arc::clone(file);
                let compared = blocking(move || differ(&file, range, &there)).await;
                compared.map_err(unreadable)
            };
            let mut places = stream::iter(parts(size)).map(compare).buffered(PARTS);
            while let Some(place) = places.try_next().await? {
                if place.is_some() {
                    return Ok(place);
                }
            }
            Ok(None)
        })
    }
}

/// The first offset at which `there` differs from the file at `range`.
fn differ(file: &File, range: Range<u64>, there: &Bytes) -> io::Result<Option<u64>> {
    let mut here = vec![0; there.len()];
    file.read_exact_at(&mut here, range.start)?;
    let same = match here == *there {
        true => there.len(),
        false => here.iter().zip(there).take_while(|(a, b)| a == b).count(),
    };
    let place = range.start.saturating_add(same as u64);
    Ok((place < range.end).then_some(place))
}

fn parts(size: u64) -> impl Iterator<Item = Range<u64>> {
    let starts = (0..size.div_ceil(PART)).map(|n| n * PART);
    starts.map(move |start| start..size.min(start.saturating_add(PART)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_byte_that_differs_is_found_in_any_part() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut bytes = vec![7; 9 << 20];
        std::fs::write(&path, &bytes).unwrap();
        let size = bytes.len() as u64;
        let bucket = Bucket::in_memory();
        bucket.put("a", bytes.clone().into()).await.unwrap();
        let place = async || bucket.first_difference("a", size, &path).await.unwrap();
        assert_eq!(place().await, None);
        // From the last one on.
        for at in [size - 1, PART, PART - 1, 0] {
            bytes[usize::try_from(at).unwrap()] = 8;
            bucket.put("a", bytes.clone().into()).await.unwrap();
            assert_eq!(place().await, Some(at));
        }
        bytes.fill(7);
        bytes.truncate((5 << 20) + 3);
        bucket.put("a", bytes.into()).await.unwrap();
        assert_eq!(place().await, Some((5 << 20) + 3));
    }

    #[test]
    fn parts_cover_an_object_once() {
        for size in [0, 1, PART - 1, PART, PART + 1, 3 * PART] {
            let mut end = 0;
            for part in parts(size) {
                assert_eq!(part.start, end);
                assert!(part.end - part.start <= PART && part.end > part.start);
                end = part.end;
            }
            assert_eq!(end, size);
        }
    }
}
