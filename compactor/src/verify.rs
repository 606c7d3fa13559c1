//! Verifies, before anything is committed, that the output holds what the sources hold and that the bucket holds the
//! output.
//!
//! ```text
//! object ── the same file, or the same hash ── file in the work folder ── read by a witness ─────── counts of the merge
//!    └── footer opened                                                                          └── counts of the sources
//! ```
//! The witness of a Parquet block is the reader of `arrow`, which shares no code of the container with what wrote the block.
//!
//! Each file is read once to count its contents, and each object that is not a hard link of it is read once more:
//! - If the bucket is a folder, the object is the same file under a second name, and nobody has written to it since:
//!   what was counted is what the object holds. Both are opened before they are compared, because a name may have been
//!   given to another file.
//! - Otherwise the bytes are hashed as they leave the file, and the object is read back and hashed. A change during the
//!   upload, in the store, or during the download gives another hash. If the hashes differ, file and object are compared
//!   to name the byte.
//!
//! Damage to a file while it is written, or on the disk, is found when it is counted: lengths, checksums and statistics of
//! its pages, its chunks and its index do not agree. Damage after the count and before the upload is not found, nor is
//! damage after the comparison. For a hard link, that is damage to the object itself.
//!
//! The objects are read back in parts, so memory does not depend on their size.

mod counted;
mod sources;
pub(crate) mod witness;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bucket::{Bucket, Uploaded};
use model::{BlockId, FileMeta, FileSum, Resolution};
use parquet_block::{Contents, Footer, FooterRead, Shard};
use service::CpuPool;

use crate::{CompactError, MergeOutput, Task};

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

/// Reads the local outputs of a task as a reader would, and counts. `dir` is the task's folder, with its sources.
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

/// Reads the sources of a task of which nothing was made, which are below `dir`.
///
/// # Errors
/// When they hold a sample that is not deleted, or one holds less than it says.
pub(crate) async fn nothing_held(
    task: &Arc<Task>,
    dir: &Path,
    pool: &CpuPool,
) -> Result<(), CompactError> {
    let (task, dir) = (Arc::clone(task), dir.to_owned());
    pool.run(move || sources::hold_at_most(0, &task, &dir))
        .await
}

/// Checks that a raw output has no fewer samples than its sources, which are below `dir`, by the rules of the merge.
/// [`local`] does not where sources overlap.
///
/// # Errors
/// When it has fewer; when a source holds fewer than it states.
pub(crate) async fn complete(
    claim: &Claim,
    dir: &Path,
    pool: &CpuPool,
) -> Result<(), CompactError> {
    let found = claim.output.stats.num_samples;
    let stated = claim.task.inputs.iter().map(|b| b.meta.stats.num_samples);
    let is_raw = claim.output.resolution == Resolution::Raw;
    if !is_raw || found >= stated.fold(0, u64::saturating_add) {
        return Ok(());
    }
    let (task, dir) = (Arc::clone(&claim.task), dir.to_owned());
    pool.run(move || sources::hold_at_most(found, &task, &dir))
        .await
}

/// Reads the output back from the bucket. `uploaded` says how each of its files was uploaded.
///
/// # Errors
/// When it cannot be opened there, or is not what was uploaded.
pub(crate) async fn uploaded(
    claim: &Claim,
    uploaded: &[Uploaded],
    bucket: &Bucket,
    pool: &CpuPool,
) -> Result<(), CompactError> {
    let objects = bucket.list(&format!("{}/", claim.root), None).await?;
    for (file, uploaded) in claim.files.iter().zip(uploaded) {
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
        as_uploaded(&path, &key, file.size_bytes, *uploaded, bucket).await?;
    }
    for (number, expected) in claim.output.shards.iter().enumerate() {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let contents = Contents::of(claim.output.resolution);
        let [labels, chunks] = contents.files(number);
        let sums = (expected.labels_sum(), expected.chunks_sum());
        let labels = footer(claim, &labels, sums.0, bucket, pool).await?;
        let chunks = footer(claim, &chunks, sums.1, bucket, pool).await?;
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

/// Checks that an object of `size` bytes is what the upload of the file made.
async fn as_uploaded(
    path: &Path,
    key: &str,
    size: u64,
    uploaded: Uploaded,
    bucket: &Bucket,
) -> Result<(), CompactError> {
    let reason = match uploaded {
        Uploaded::Linked if bucket.is_file(key, path).await? => return Ok(()),
        Uploaded::Linked => format!("expected the file {}, found another", path.display()),
        Uploaded::Copied { hash } => {
            let found = bucket.hash(key, size).await?;
            if found == hash {
                return Ok(());
            }
            same_bytes(path, key, size, bucket).await?;
            format!("expected bytes of the hash {hash:016x}, as sent, found {found:016x}")
        }
    };
    let key = key.to_owned();
    Err(CompactError::Differs { key, reason })
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
    match bucket.first_difference(key, size, path).await? {
        None => Ok(()),
        Some(at) => Err(CompactError::Differs {
            key: key.to_owned(),
            reason: format!("byte {at} is not the one in {}", path.display()),
        }),
    }
}

/// The footer of a file in the bucket.
async fn footer(
    claim: &Claim,
    name: &str,
    listed: Option<FileSum>,
    bucket: &Bucket,
    pool: &CpuPool,
) -> Result<Footer, CompactError> {
    let key = format!("{}/{name}", claim.root);
    let size = claim.files.iter().find(|f| f.rel_path == name);
    let size = size.map_or(0, |f| f.size_bytes);
    let mut range = Footer::listed_range(size, listed.as_ref(), TAIL);
    loop {
        let tail = bucket.get_range(&key, range).await?;
        let file = key.clone();
        let decode = move || Footer::decode_listed(file, size, tail, listed.as_ref());
        match pool.run(decode).await? {
            FooterRead::Done(footer) => return Ok(footer),
            FooterRead::Short { needed } => range = Footer::tail_range(size, needed),
        }
    }
}

/// An error if something is not as expected.
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
    use bucket::{
        BucketConfig,
        testing::{FailingBucket, ReadFault},
    };

    use super::*;

    #[tokio::test]
    async fn an_object_that_differs_from_its_file_is_named_with_the_offset() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "0123456789").unwrap();
        let failing = FailingBucket::new(&Bucket::in_memory());
        let bucket = failing.bucket();
        let sent = bucket.upload_linked("a/file", &path).await.unwrap();
        let check = async |bucket: &Bucket, uploaded| {
            let checked = as_uploaded(&path, "a/file", 10, uploaded, bucket).await;
            checked.map_err(|error| error.to_string())
        };
        assert_eq!(check(&bucket, sent).await, Ok(()));
        failing.fail_reads("a/file", ReadFault::Flipped);
        let here = path.display();
        let expected = format!("a/file: byte 5 is not the one in {here}");
        assert_eq!(check(&bucket, sent).await, Err(expected));
        failing.heal();
        // The file was another when it was sent.
        let error = check(&bucket, Uploaded::Copied { hash: 1 }).await;
        let expected = "a/file: expected bytes of the hash 0000000000000001, as sent, found ";
        assert!(
            error.clone().unwrap_err().starts_with(expected),
            "{error:?}"
        );

        let folder = BucketConfig::filesystem(&dir.path().join("bucket"));
        let folder = folder.open().unwrap();
        let sent = folder.upload_linked("a/file", &path).await.unwrap();
        assert_eq!(sent, Uploaded::Linked);
        assert_eq!(check(&folder, sent).await, Ok(()));
        folder.put("a/file", "0123456789".into()).await.unwrap();
        let expected = format!("a/file: expected the file {here}, found another");
        assert_eq!(check(&folder, sent).await, Err(expected));
    }
}
