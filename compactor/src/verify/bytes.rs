//! Comparing an object with a file byte by byte.

use std::{fs::File, ops::Range, os::unix::fs::FileExt as _, path::Path, sync::Arc};

use bucket::Bucket;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use service::blocking;

use crate::CompactError;

/// Bytes that are read back at once.
const PART: u64 = 4 << 20;
/// Parts in flight.
const PARTS: usize = 4;

/// Compares an object of `size` bytes with the file here.
///
/// # Errors
/// [`CompactError::Differs`] when they are not the same; when one of them cannot be read.
pub(crate) async fn same_bytes(
    path: &Path,
    key: &str,
    size: u64,
    bucket: &Bucket,
) -> Result<(), CompactError> {
    let here = &Arc::new(File::open(path).map_err(CompactError::io(path))?);
    let part = |range: Range<u64>| async move {
        let there = bucket.get_range(key, range.clone()).await?;
        let expected = range.end - range.start;
        if there.len() as u64 != expected {
            return Err(CompactError::Differs {
                key: key.to_owned(),
                reason: format!(
                    "expected {expected} bytes from {}, found {}",
                    range.start,
                    there.len()
                ),
            });
        }
        let here = Arc::clone(here);
        let start = range.start;
        match blocking(move || first_difference(&here, start, &there)).await {
            Ok(None) => Ok(()),
            Ok(Some(at)) => Err(CompactError::Differs {
                key: key.to_owned(),
                reason: format!("byte {at} is not the one in {}", path.display()),
            }),
            Err(error) => Err(CompactError::io(path)(error)),
        }
    };
    stream::iter(parts(size))
        .map(part)
        .buffer_unordered(PARTS)
        .try_collect::<()>()
        .await
}

fn parts(size: u64) -> impl Iterator<Item = Range<u64>> {
    let starts = (0..size.div_ceil(PART)).map(|n| n * PART);
    starts.map(move |start| start..size.min(start + PART))
}

/// Where `there`, which begins at `start` of the file, differs from `here` first.
fn first_difference(here: &File, start: u64, there: &Bytes) -> std::io::Result<Option<u64>> {
    let mut bytes = vec![0; there.len()];
    here.read_exact_at(&mut bytes, start)?;
    if bytes == *there {
        return Ok(None);
    }
    let same = bytes.iter().zip(there).take_while(|(a, b)| a == b).count();
    Ok(Some(start + same as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_a_file_once() {
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
