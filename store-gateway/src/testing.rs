//! Blocks for tests: named by a letter, without contents; and ones with contents, downsampled and raw.

pub(crate) mod downsampled;
pub(crate) mod scraped;

use std::sync::Arc;

use bucket::{BlockObjects, BlockView, FileVersion, PARQUET_ROOT, Snapshot};
use model::{
    BlockId, BlockMeta, BlockStats, CompactionMeta, DeletionMark, Downsample, ParquetMeta,
    Resolution, ThanosMeta, Timestamp,
};

use crate::catalog::{CatalogBlock, Format};

/// A block as a test draws it.
#[derive(Clone, Debug)]
pub(crate) struct Drawn(BlockView);

impl Drawn {
    /// The block's name.
    pub(crate) fn id(letter: char) -> BlockId {
        BlockId::new(Timestamp(0), u128::from(u32::from(letter)))
    }

    /// The letter of a block's name.
    pub(crate) fn letter(id: BlockId) -> char {
        ('A'..='Z').find(|letter| Self::id(*letter) == id).unwrap()
    }

    /// A TSDB block of raw samples, the end excluded; its only source is itself.
    pub(crate) fn raw(letter: char, min: i64, max: i64) -> Self {
        let id = Self::id(letter);
        let meta = BlockMeta {
            ulid: id,
            min_time: Timestamp(min),
            max_time: Timestamp(max),
            stats: BlockStats::default(),
            compaction: CompactionMeta::default(),
            version: 1,
            thanos: Some(ThanosMeta::default()),
            parquet: None,
            extra: Default::default(),
        };
        Self(BlockView {
            objects: objects(id, id.to_string(), [(BlockMeta::FILE, 1)]),
            meta: Arc::new(meta),
            deletion_mark: None,
            no_compact_mark: None,
            no_downsample_mark: None,
            unusable_marks: Vec::new(),
        })
    }

    pub(crate) fn labels(self, labels: &[(&str, &str)]) -> Self {
        let labels = labels.iter().map(|&(n, v)| (n.to_owned(), v.to_owned()));
        self.thanos(|thanos| thanos.labels = labels.collect())
    }

    pub(crate) fn resolution(self, resolution: Resolution) -> Self {
        self.thanos(|thanos| thanos.downsample = Downsample { resolution })
    }

    /// Who made it.
    pub(crate) fn source(self, source: &str) -> Self {
        self.thanos(|thanos| source.clone_into(&mut thanos.source))
    }

    /// The blocks whose samples it holds.
    pub(crate) fn sources(self, letters: &str) -> Self {
        self.meta(|meta| meta.compaction.sources = letters.chars().map(Self::id).collect())
    }

    /// The same block in the other format.
    pub(crate) fn parquet(self) -> Self {
        let mut drawn = self.meta(|meta| meta.parquet = Some(ParquetMeta::default()));
        let id = drawn.0.objects.id;
        drawn.0.objects = objects(id, format!("{PARQUET_ROOT}/{id}"), [(BlockMeta::FILE, 1)]);
        drawn
    }

    /// Marked for deletion at this time, in seconds.
    pub(crate) fn marked_at(mut self, seconds: i64) -> Self {
        self.0.deletion_mark = Some(Arc::new(DeletionMark {
            id: self.0.objects.id,
            version: 1,
            details: String::new(),
            deletion_time: seconds,
        }));
        self
    }

    /// A bucket that has these blocks.
    pub(crate) fn snapshot(blocks: &[Self]) -> Snapshot {
        let mut blocks: Vec<_> = blocks.iter().map(|drawn| drawn.0.clone()).collect();
        blocks.sort_by(|a, b| a.objects.root.cmp(&b.objects.root));
        Snapshot {
            blocks,
            ..Snapshot::default()
        }
    }

    fn meta(mut self, change: impl FnOnce(&mut BlockMeta)) -> Self {
        change(Arc::make_mut(&mut self.0.meta));
        self
    }

    fn thanos(self, change: impl FnOnce(&mut ThanosMeta)) -> Self {
        self.meta(|meta| change(meta.thanos.get_or_insert_default()))
    }
}

/// A file of which only the size is known.
pub(crate) fn sized(size: u64) -> FileVersion {
    FileVersion {
        size,
        ..FileVersion::default()
    }
}

fn objects<N: AsRef<str>>(
    id: BlockId,
    root: String,
    files: impl IntoIterator<Item = (N, u64)>,
) -> Arc<BlockObjects> {
    let files = files.into_iter();
    Arc::new(BlockObjects {
        id,
        root: root.into(),
        files: files
            .map(|(name, size)| (name.as_ref().into(), sized(size)))
            .collect(),
    })
}

/// A block of these files as the catalog has it.
pub(crate) fn catalog_block<N: AsRef<str>>(
    root: String,
    meta: BlockMeta,
    files: impl IntoIterator<Item = (N, u64)>,
) -> CatalogBlock {
    CatalogBlock {
        id: meta.ulid,
        objects: objects(meta.ulid, root, files),
        format: Format::of(&meta),
        labels: Arc::new(meta.external_labels()),
        meta: Arc::new(meta),
        version: 0,
    }
}
