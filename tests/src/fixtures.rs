//! The blocks that the tests work on: `fixtures/` beside this crate's sources.

mod made;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use model::{BlockId, BlockMeta};

pub use self::made::{MadeBlock, files};

/// The blocks of `fixtures/sample`, oldest first: six of two hours that a real Prometheus scraped. The first four fill
/// a window of eight hours.
pub const SAMPLE: [&str; 6] = [
    "01M8730YYK53DX21EDQCEJACBY",
    "01M8730Z9ADPS1ZRFG8H4AQGYD",
    "01M8730ZMD0DMX8CMNGRP6PKDH",
    "01M8731007J8R0N5Y01AAD4N8S",
    "01M87310CEE3FJSS5H0950MP0E",
    "01M87310NY5A2EQMNG169QQ1KJ",
];

/// How many of the sample's blocks the compactor merges; the two behind them are the newest.
pub const MERGED: usize = 4;

/// The golden block with samples of every kind, native histograms included.
pub const ALL_KINDS: &str = "01M84DQ2RXQ4VR0WWGPMBR2WG5";

/// The folder of the sample's blocks.
#[must_use]
pub fn sample_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sample")
}

/// The folder of [`ALL_KINDS`].
#[must_use]
pub fn all_kinds_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/tsdb/all-kinds")
}

/// The names as block ids.
///
/// # Errors
/// When one is none.
pub fn ids(blocks: &[&str]) -> anyhow::Result<Vec<BlockId>> {
    let parse = |block: &&str| block.parse().with_context(|| format!("block {block}"));
    blocks.iter().map(parse).collect()
}

/// Copies `blocks`, folders in `from`, into the folder `to`.
///
/// # Errors
/// When a file cannot be read or written.
pub fn copy_blocks(from: &Path, blocks: &[&str], to: &Path) -> anyhow::Result<()> {
    blocks
        .iter()
        .try_for_each(|block| copy(&from.join(block), &to.join(block)))
}

/// Changes the `meta.json` of the block in `dir`.
///
/// # Errors
/// When it cannot be read or written.
pub fn edit_meta(dir: &Path, edit: impl FnOnce(&mut BlockMeta)) -> anyhow::Result<()> {
    let path = dir.join(BlockMeta::FILE);
    let json = fs::read(&path).with_context(|| path.display().to_string())?;
    let mut meta = BlockMeta::decode(&json)?;
    edit(&mut meta);
    fs::write(&path, meta.encode()).with_context(|| path.display().to_string())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&path, &to)?;
        } else {
            fs::copy(&path, &to).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}
