//! A served block, in the version that was listed.

use std::sync::Arc;

use bucket::{BlockObjects, BlockView, FileVersion, Files};
use model::{BlockId, BlockMeta, Labels, MARK_FILES};
use xxhash_rust::xxh64::{Xxh64, xxh64};

use crate::fetch::ListedObject;

/// A served block.
#[derive(Clone, Debug)]
pub(crate) struct CatalogBlock {
    pub(crate) id: BlockId,
    /// Its folder in the bucket, and its files.
    pub(crate) objects: Arc<BlockObjects>,
    pub(crate) meta: Arc<BlockMeta>,
    pub(crate) format: Format,
    /// The external labels.
    pub(crate) labels: Arc<Labels>,
    /// A hash that changes when the listing shows another version of any file but marks.
    pub(crate) version: u64,
}

/// The format of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Format {
    /// Varve's Parquet format; preferred if both hold the same samples.
    Parquet,
    /// Prometheus's format.
    Tsdb,
}

impl CatalogBlock {
    /// The block in this view, with its external labels.
    pub(crate) fn new(view: &BlockView, labels: Arc<Labels>) -> Self {
        Self {
            id: view.objects.id,
            objects: Arc::clone(&view.objects),
            meta: Arc::clone(&view.meta),
            format: Format::of(&view.meta),
            labels,
            version: version(&view.objects.files),
        }
    }

    /// Its files, to change what was listed.
    #[cfg(test)]
    pub(crate) fn files_mut(&mut self) -> &mut Files {
        &mut Arc::make_mut(&mut self.objects).files
    }

    /// Its folder in the bucket: `01H…` or `parquet/01H…`.
    pub(crate) fn root(&self) -> &Arc<str> {
        &self.objects.root
    }

    /// The key of a file of the block.
    pub(crate) fn key(&self, file: &str) -> String {
        self.objects.key(file)
    }

    /// A file of the block in the version that is served.
    pub(crate) fn object(&self, file: &str) -> ListedObject {
        let version = self.objects.files.get(file).cloned().unwrap_or_default();
        let stamp = stamp(&version);
        ListedObject::new(&self.key(file), version.etag, stamp, version.size)
    }
}

/// A hash that changes when the listing shows another version of a file.
pub(crate) fn stamp(version: &FileVersion) -> u64 {
    let etag = version.etag.as_deref().unwrap_or_default();
    let text = format!("{} {etag}", version.last_modified);
    xxh64(text.as_bytes(), 0)
}

impl Format {
    /// A block whose metadata lists Parquet files is in Parquet.
    pub(crate) const fn of(meta: &BlockMeta) -> Self {
        match meta.parquet {
            Some(_) => Self::Parquet,
            None => Self::Tsdb,
        }
    }
}

/// A hash over the versions of all files but marks.
fn version(files: &Files) -> u64 {
    let mut hash = Xxh64::new(0);
    for (name, version) in files.iter() {
        if MARK_FILES.contains(&&**name) {
            continue;
        }
        hash.update(name.as_bytes());
        hash.update(&[0]);
        hash.update(&version.size.to_le_bytes());
        hash.update(&stamp(version).to_le_bytes());
    }
    hash.digest()
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::*;
    use crate::testing::Drawn;

    #[test]
    fn a_block_has_another_version_when_any_of_its_files_changes_and_marks_are_none() {
        let view = &Drawn::snapshot(&[Drawn::raw('A', 0, 10)]).blocks[0];
        let of = |view: &BlockView| CatalogBlock::new(view, Arc::default()).version;
        let with = |file: &str, listed: FileVersion| {
            let mut view = view.clone();
            Arc::make_mut(&mut view.objects).files.insert(file, listed);
            of(&view)
        };
        let object = FileVersion {
            size: 1,
            last_modified: Timestamp(0),
            etag: Some("a".into()),
        };
        let before = with("index", object.clone());
        assert_eq!(with("index", object.clone()), before);
        for changed in [
            FileVersion {
                size: 2,
                ..object.clone()
            },
            FileVersion {
                last_modified: Timestamp(1),
                ..object.clone()
            },
            FileVersion {
                etag: Some("b".into()),
                ..object.clone()
            },
        ] {
            assert_ne!(with("index", changed.clone()), before, "{changed:?}");
            assert_ne!(
                with(BlockMeta::FILE, changed.clone()),
                with("x", object.clone())
            );
        }
        let without = of(view);
        for mark in MARK_FILES {
            assert_eq!(with(mark, object.clone()), without);
        }
    }
}
