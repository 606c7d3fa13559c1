//! Downloads the sources.
//!
//! If the bucket is a folder on the same disk, a local file may be the object itself, under a second name. So files of
//! sources are read, removed and renamed, and never written to; new contents go into new files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bucket::{BlockView, Bucket};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use model::BlockMeta;
use parquet_block::Contents;
use service::blocking;

use crate::{CompactError, Config, Task, snapshot::Blocks};

/// A file of a source.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) key: String,
    pub(super) path: PathBuf,
    pub(super) size: u64,
}

/// Downloads the sources of a task into `dir/<ULID>`.
///
/// A file that exists in its full size is not fetched again.
///
/// # Errors
/// When a block lacks files, or one cannot be fetched or written.
pub(super) async fn inputs(
    task: &Task,
    blocks: &Blocks,
    bucket: &Bucket,
    dir: &Path,
    config: &Config,
) -> Result<(), CompactError> {
    let mut wanted = Vec::new();
    for id in task.input_ids() {
        let Some(view) = blocks.get(id) else {
            return Err(CompactError::Gone { block: id });
        };
        let to = dir.join(id.to_string());
        let meta = view.meta.encode();
        let prepared = to.clone();
        blocking(move || prepare(&prepared, &meta)).await?;
        wanted.extend(files(view, &to)?);
    }
    stream::iter(wanted)
        .map(|file| fetch(bucket, file))
        .buffer_unordered(config.blocks_fetch_concurrency.max(1))
        .try_collect::<()>()
        .await
}

/// Creates the block's folder with its `meta.json`.
fn prepare(dir: &Path, meta: &[u8]) -> Result<(), CompactError> {
    // A Parquet block does not need it, and it does no harm there.
    let chunks = dir.join("chunks");
    fs::create_dir_all(&chunks).map_err(CompactError::io(&chunks))?;
    let path = dir.join(BlockMeta::FILE);
    remove(&path)?;
    fs::write(&path, meta).map_err(CompactError::io(&path))
}

fn remove(path: &Path) -> Result<(), CompactError> {
    files::remove_file(path).map_err(CompactError::io(path))
}

/// The files of a block, without marks and foreign files.
///
/// # Errors
/// When they are not those that its `meta.json` states.
pub(super) fn files(view: &BlockView, to: &Path) -> Result<Vec<Wanted>, CompactError> {
    let objects = &view.objects;
    let needed = needed(view);
    if let Some(missing) = needed.iter().find(|name| !objects.files.contains(name)) {
        return Err(CompactError::Block {
            block: objects.id,
            reason: format!("expected {missing}, found none"),
        });
    }
    // Each file has the size that `meta.json` states, if it does.
    let stated = view.meta.thanos.iter().flat_map(|t| &t.files);
    for file in stated.filter(|f| f.size_bytes > 0) {
        let found = objects.files.get(&file.rel_path).map(|o| o.size);
        if found != Some(file.size_bytes) {
            let found = found.map_or("none".to_owned(), |size| format!("{size}"));
            let (name, size) = (&file.rel_path, file.size_bytes);
            return Err(CompactError::Block {
                block: objects.id,
                reason: format!("{name}: expected {size} bytes as meta.json states, found {found}"),
            });
        }
    }
    let is_tsdb = view.meta.parquet.is_none();
    let files = objects.files.iter();
    let files = files.filter(|(name, _)| {
        let name = &***name;
        let is_needed = needed.iter().any(|needed| needed == name);
        is_needed || (is_tsdb && (name == "tombstones" || is_segment(name)))
    });
    Ok(files
        .map(|(name, version)| Wanted {
            key: objects.key(name),
            path: to.join(&**name),
            size: version.size,
        })
        .collect())
}

/// The files that a block must have.
fn needed(view: &BlockView) -> Vec<String> {
    let Some(parquet) = &view.meta.parquet else {
        return vec!["index".to_owned()];
    };
    let numbers = 0..u32::try_from(parquet.shards.len()).unwrap_or(u32::MAX);
    let contents = Contents::of(view.meta.resolution());
    let files = numbers.flat_map(|number| contents.files(number));
    files.collect()
}

fn is_segment(name: &str) -> bool {
    let number = name.strip_prefix("chunks/");
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

async fn fetch(bucket: &Bucket, file: Wanted) -> Result<(), CompactError> {
    let path = file.path.clone();
    let is_here = blocking(move || match fs::metadata(&path) {
        Ok(here) if here.len() == file.size => Ok(true),
        // Renaming another name of the same file to this one would do nothing.
        _ => remove(&path).map(|()| false),
    });
    if is_here.await? {
        return Ok(());
    }
    // A file is complete once it has its own name.
    let mut part = file.path.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    bucket.download_linked(&file.key, &part).await?;
    let to = file.path;
    blocking(move || fs::rename(&part, &to).map_err(CompactError::io(&to))).await
}
