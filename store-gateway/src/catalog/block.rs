//! A served block, in the version that was listed.

use std::{collections::BTreeMap, sync::Arc};

use bucket::{BlockView, Object};
use model::{BlockId, BlockMeta, Labels, MARK_FILES};
use xxhash_rust::xxh64::{Xxh64, xxh64};

use crate::fetch::ListedObject;

/// A served block.
#[derive(Debug)]
pub(crate) struct CatalogBlock {
    pub(crate) id: BlockId,
    /// Its folder in the bucket: `01H…` or `parquet/01H…`.
    pub(crate) root: String,
    pub(crate) meta: Arc<BlockMeta>,
    pub(crate) format: Format,
    /// The external labels.
    pub(crate) labels: Labels,
    /// Its files by their paths below `root`, without marks.
    pub(crate) files: BTreeMap<String, FileVersion>,
    /// A hash that changes when the listing shows another version of any file.
    pub(crate) version: u64,
}

/// What a listing shows of a file of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileVersion {
    /// Bytes.
    pub(crate) size: u64,
    /// A hash that changes when the listing shows another version of the file.
    pub(crate) stamp: u64,
    /// The store's name for this version, if it has one.
    pub(crate) etag: Option<Arc<str>>,
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
    pub(crate) fn new(view: &BlockView) -> Self {
        let files = view.objects.files.iter();
        let files = files.filter(|(name, _)| !MARK_FILES.contains(&name.as_str()));
        let files: BTreeMap<String, FileVersion> = files
            .map(|(name, object)| (name.clone(), FileVersion::of(object)))
            .collect();
        Self {
            id: view.objects.id,
            root: view.objects.root.clone(),
            meta: Arc::clone(&view.meta),
            format: Format::of(&view.meta),
            labels: view.meta.external_labels(),
            version: version(&files),
            files,
        }
    }

    /// The key of a file of the block.
    pub(crate) fn key(&self, file: &str) -> String {
        format!("{}/{file}", self.root)
    }

    /// A file of the block in the version that is served.
    pub(crate) fn object(&self, file: &str) -> ListedObject {
        let version = self.files.get(file).cloned().unwrap_or_default();
        ListedObject::new(&self.key(file), version.etag, version.stamp, version.size)
    }
}

impl FileVersion {
    fn of(object: &Object) -> Self {
        let etag = object.etag.as_deref();
        let text = format!("{} {}", object.last_modified, etag.unwrap_or_default());
        Self {
            size: object.size,
            stamp: xxh64(text.as_bytes(), 0),
            etag: etag.map(Arc::from),
        }
    }
}

/// A file of which only the size is known.
#[cfg(test)]
impl From<u64> for FileVersion {
    fn from(size: u64) -> Self {
        Self {
            size,
            ..Self::default()
        }
    }
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

/// A hash over the versions of all files.
fn version(files: &BTreeMap<String, FileVersion>) -> u64 {
    let mut hash = Xxh64::new(0);
    for (name, FileVersion { size, stamp, .. }) in files {
        hash.update(name.as_bytes());
        hash.update(&[0]);
        hash.update(&size.to_le_bytes());
        hash.update(&stamp.to_le_bytes());
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
        let with = |file: &str, object: Object| {
            let mut view = view.clone();
            view.objects.files.insert(file.to_owned(), object);
            CatalogBlock::new(&view).version
        };
        let object = Object {
            key: String::new(),
            size: 1,
            last_modified: Timestamp(0),
            etag: Some("a".to_owned()),
        };
        let before = with("index", object.clone());
        assert_eq!(with("index", object.clone()), before);
        for changed in [
            Object {
                size: 2,
                ..object.clone()
            },
            Object {
                last_modified: Timestamp(1),
                ..object.clone()
            },
            Object {
                etag: Some("b".to_owned()),
                ..object.clone()
            },
        ] {
            assert_ne!(with("index", changed.clone()), before, "{changed:?}");
            assert_ne!(
                with(BlockMeta::FILE, changed.clone()),
                with("x", object.clone())
            );
        }
        let without = CatalogBlock::new(view).version;
        for mark in MARK_FILES {
            assert_eq!(with(mark, object.clone()), without);
        }
    }
}
