//! Looking whether an object is what was uploaded.

use std::ops::Range;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use xxhash_rust::xxh64::Xxh64;

use super::{Bucket, upload::same_length};
use crate::{BucketError, Operation};

/// Bytes that are read at once.
const PART: u64 = 4 << 20;
/// Parts in flight.
const PARTS: usize = 4;

/// What an upload made of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uploaded {
    /// The object is the file itself, under a second name.
    Linked,
    /// The object has a copy of the bytes.
    Copied {
        /// Their XXH64, taken of what was sent.
        hash: u64,
    },
}

impl Bucket {
    /// The XXH64 of the first `size` bytes of an object, which are read in parts.
    ///
    /// # Errors
    /// [`BucketError::NotFound`], or as the store says; when there are fewer.
    pub async fn hash(&self, key: &str, size: u64) -> Result<u64, BucketError> {
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
    }
}

fn parts(size: u64) -> impl Iterator<Item = Range<u64>> {
    let starts = (0..size.div_ceil(PART)).map(|n| n * PART);
    starts.map(move |start| start..size.min(start.saturating_add(PART)))
}

#[cfg(test)]
mod tests {
    use super::*;

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
