//! Proof, before anything is committed, that the output holds what the sources hold and that the bucket holds the output.
//!
//! ```text
//! files in the bucket ── byte for byte ── files in the work folder ── read as a reader would ── counts of the merge
//!         └── footers opened                                                                └── counts of the sources
//! ```
//! The files are read back in parts, so memory does not depend on their size.

mod counted;
mod sources;

use std::{
    fs::File,
    ops::Range,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use bucket::Bucket;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use model::{BlockId, FileMeta};
use parquet_block::{Contents, Footer, FooterRead, Shard, labels_file};
use service::{CpuPool, blocking};

use crate::{CompactError, MergeOutput, Task};

/// Bytes that are read back at once.
const PART: u64 = 4 << 20;
/// Parts in flight.
const PARTS: usize = 4;
/// Bytes of a file's end that are read first.
const TAIL: u64 = 256 << 10;

/// What is to be verified.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    /// The output's name.
    pub(crate) block: BlockId,
    /// The task.
    pub(crate) task: Arc<Task>,
    /// What the merge says it has written.
    pub(crate) output: Arc<MergeOutput>,
    /// Where the files are here.
    pub(crate) dir: PathBuf,
    /// Where the files are in the bucket.
    pub(crate) root: String,
    /// The files, with their sizes.
    pub(crate) files: Vec<FileMeta>,
}

/// Reads the outputs of a task here as a reader would, and counts. `dir` is the task's folder, with its sources.
///
/// # Errors
/// When one is not what the merge says, or holds less than the sources do, or they contradict one another; when a
/// source holds less than it says.
pub(crate) async fn local(
    claims: &[Claim],
    dir: &Path,
    pool: &CpuPool,
) -> Result<(), CompactError> {
    let (claims, dir) = (claims.to_vec(), dir.to_owned());
    pool.run(move || counted::check(&claims, &dir)).await
}

/// Reads the output back from the bucket.
///
/// # Errors
/// When it cannot be opened there, or differs from what is here.
pub(crate) async fn uploaded(
    claim: &Claim,
    bucket: &Bucket,
    pool: &CpuPool,
) -> Result<(), CompactError> {
    let objects = bucket.list(&format!("{}/", claim.root), None).await?;
    for file in &claim.files {
        let key = format!("{}/{}", claim.root, file.rel_path);
        let found = objects.iter().find(|o| o.key == key).map(|o| o.size);
        if found != Some(file.size_bytes) {
            let found = found.map_or("none".to_owned(), |size| format!("one of {size}"));
            let reason = format!(
                "expected an object of {} bytes, found {found}",
                file.size_bytes
            );
            return Err(CompactError::Differs { key, reason });
        }
        let path = claim.dir.join(&file.rel_path);
        same_bytes(&path, &key, file.size_bytes, bucket).await?;
    }
    for (number, expected) in claim.output.shards.iter().enumerate() {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let labels = footer(claim, &labels_file(number), bucket, pool).await?;
        let contents = Contents::of(claim.output.resolution);
        let chunks = footer(claim, &contents.file(number), bucket, pool).await?;
        let shard = Shard::open(labels, chunks)?;
        let rows: u64 = (0..shard.row_groups())
            .map(|g| u64::from(shard.rows(g)))
            .sum();
        equal("rows", expected.rows, rows)?;
        let row_groups = u64::try_from(shard.row_groups()).unwrap_or(u64::MAX);
        equal("row groups", expected.row_groups, row_groups)?;
    }
    Ok(())
}

/// The footer of a file in the bucket.
async fn footer(
    claim: &Claim,
    name: &str,
    bucket: &Bucket,
    pool: &CpuPool,
) -> Result<Footer, CompactError> {
    let key = format!("{}/{name}", claim.root);
    let size = claim.files.iter().find(|f| f.rel_path == name);
    let size = size.map_or(0, |f| f.size_bytes);
    let mut hint = TAIL;
    loop {
        let tail = bucket
            .get_range(&key, Footer::tail_range(size, hint))
            .await?;
        let file = key.clone();
        let read = pool.run(move || Footer::decode(file, size, tail)).await?;
        match read {
            FooterRead::Done(footer) => return Ok(footer),
            FooterRead::Short { needed } => hint = needed,
        }
    }
}

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

/// Refuses what is not as expected.
fn equal<T: PartialEq + ToString>(
    what: &'static str,
    expected: T,
    found: T,
) -> Result<(), CompactError> {
    if expected == found {
        return Ok(());
    }
    Err(CompactError::Output {
        what,
        expected: expected.to_string(),
        found: found.to_string(),
    })
}

/// The files of a folder by name, with their sizes.
///
/// # Errors
/// When one is not there.
pub(crate) fn sized(dir: &Path, names: &[String]) -> Result<Vec<FileMeta>, CompactError> {
    let size = |name: &String| {
        let path = dir.join(name);
        let metadata = std::fs::metadata(&path).map_err(CompactError::io(&path))?;
        Ok(FileMeta {
            rel_path: name.clone(),
            size_bytes: metadata.len(),
            ..FileMeta::default()
        })
    };
    names.iter().map(size).collect()
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
