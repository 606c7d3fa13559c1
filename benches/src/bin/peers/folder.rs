//! A bucket that is a folder: copied, read, and what is in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    path::Path,
};

use anyhow::Context;
use benches::size;
use model::{BlockId, BlockMeta, DeletionMark, Resolution};

/// The live blocks of a bucket: what each says of itself, and its bytes.
pub(crate) type Live = Vec<(BlockMeta, u64)>;

/// What a run has made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    /// By resolution: blocks, their bytes, their samples.
    pub(crate) made: BTreeMap<Resolution, Made>,
    /// Blocks of the input that are neither deleted nor marked for it.
    pub(crate) left: usize,
}

/// Blocks of one resolution.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Made {
    pub(crate) blocks: usize,
    pub(crate) bytes: u64,
    pub(crate) samples: u64,
}

impl Contents {
    pub(crate) fn of(live: &Live, inputs: &Live) -> Self {
        let inputs: BTreeSet<BlockId> = inputs.iter().map(|(meta, _)| meta.ulid).collect();
        let mut contents = Self::default();
        for (meta, bytes) in live {
            if inputs.contains(&meta.ulid) {
                contents.left += 1;
                continue;
            }
            let thanos = meta.thanos.as_ref();
            let resolution = thanos.map(|t| t.downsample.resolution).unwrap_or_default();
            let made = contents.made.entry(resolution).or_default();
            made.blocks += 1;
            made.bytes += bytes;
            made.samples += meta.stats.num_samples;
        }
        contents
    }

    /// Bytes of all that was made.
    pub(crate) fn bytes(&self) -> u64 {
        self.made.values().map(|made| made.bytes).sum()
    }

    /// Which resolutions there are.
    pub(crate) fn resolutions(&self) -> Vec<Resolution> {
        self.made.keys().copied().collect()
    }
}

/// The blocks below a folder that are not marked for deletion.
pub(crate) fn live(folder: &Path) -> anyhow::Result<Live> {
    let mut found = Vec::new();
    blocks(folder, &mut |dir, meta, marked| {
        if !marked {
            found.push((meta, size(dir)));
        }
        Ok(())
    })?;
    Ok(found)
}

/// Deletes the blocks that are marked for it, as their compactor would two days later.
pub(crate) fn remove_marked(folder: &Path) -> anyhow::Result<()> {
    blocks(folder, &mut |dir, _, marked| match marked {
        true => fs::remove_dir_all(dir).with_context(|| format!("removing {}", dir.display())),
        false => Ok(()),
    })
}

/// Calls `visit` for each folder that is a block, with whether it is marked for deletion.
fn blocks(
    folder: &Path,
    visit: &mut impl FnMut(&Path, BlockMeta, bool) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let meta = folder.join(BlockMeta::FILE);
    if meta.try_exists()? {
        let meta = fs::read(&meta).with_context(|| format!("reading {}", meta.display()))?;
        let marked = folder.join(DeletionMark::FILE).try_exists()?;
        return visit(folder, BlockMeta::decode(&meta)?, marked);
    }
    let entries = fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            blocks(&path, visit)?;
        }
    }
    Ok(())
}

/// The same files in another folder. The large ones share their bytes, as no compactor changes them.
pub(crate) fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("making {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("listing {}", from.display()))? {
        let path = entry?.path();
        let name = path.file_name().context("a name")?;
        let to = to.join(name);
        if path.is_dir() {
            copy(&path, &to)?;
        } else if name == BlockMeta::FILE {
            fs::copy(&path, &to).with_context(|| format!("copying {}", path.display()))?;
        } else {
            fs::hard_link(&path, &to).with_context(|| format!("linking {}", path.display()))?;
        }
    }
    Ok(())
}

/// Reads every file, so that each program finds as much of them in memory.
pub(crate) fn read_all(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_all(&path)?;
        } else {
            io::copy(&mut File::open(&path)?, &mut io::sink())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use benches::make_scraped;

    use super::*;

    #[test]
    fn what_is_marked_for_deletion_does_not_count_and_what_was_there_before_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let (blocks, bucket) = (dir.path().join("blocks"), dir.path().join("bucket"));
        make_scraped(&blocks, 3).unwrap();
        copy(&blocks, &bucket).unwrap();
        let before = live(&bucket).unwrap();
        assert_eq!(before.len(), 3);
        let mut ids = before.iter().map(|(meta, _)| meta.ulid.to_string());
        let (made, marked) = (ids.next().unwrap(), ids.next().unwrap());
        fs::write(bucket.join(&marked).join(DeletionMark::FILE), "{}").unwrap();

        // As if one of the blocks had been made of the others.
        let others: Live = before[1..].to_vec();
        let contents = Contents::of(&live(&bucket).unwrap(), &others);
        assert_eq!(contents.left, 1);
        assert_eq!(contents.bytes(), size(&bucket.join(&made)));
        assert_eq!(contents.made[&Resolution::Raw].blocks, 1);

        remove_marked(&bucket).unwrap();
        assert!(!bucket.join(&marked).is_dir());
        // The copy is one.
        assert_eq!(live(&blocks).unwrap().len(), 3);
    }
}
