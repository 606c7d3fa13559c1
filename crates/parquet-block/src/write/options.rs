//! How files are written.

use model::METRIC_NAME;

use crate::format::page::Compression;
use crate::query::search::EAGER_BYTES;

/// Pages of both files, and filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteOptions {
    /// Of the labels file.
    pub labels: PageOptions,
    /// Of the chunks file, or the aggregates file.
    pub chunks: PageOptions,
    /// Which columns of the labels file have a bloom filter.
    pub bloom_filters: BloomFilters,
}

/// Labels whose columns have a bloom filter, of ten bits for each distinct value of a row group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BloomFilters {
    /// None of them.
    None,
    /// `__name__` alone, as with parquet-common.
    MetricName,
    /// `__name__`, and each label in the row groups where its dictionary takes more than 256 KiB: where a search
    /// asks the filter before it reads the dictionary.
    #[default]
    Large,
    /// All of them.
    All,
}

/// Pages of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageOptions {
    /// Bytes that the values of a page take at most before compression, unless one alone takes more.
    pub bytes: usize,
    /// Rows that a page has at most. A page without any values may have more.
    pub rows: usize,
    /// The level of zstd; with a least saving, that of pages that get smaller by 30 % or more: others are compressed
    /// at level 1.
    pub zstd_level: i32,
    /// How many per cent smaller compression must make a page; else it is stored as it is, and so read without
    /// being decompressed or copied. Some places of a page tell.
    pub least_saving: u8,
}

impl BloomFilters {
    /// Whether the column of the label `name` has one, whose dictionary takes so many bytes.
    pub(super) fn include(self, name: &[u8], dictionary: usize) -> bool {
        match self {
            Self::None => false,
            Self::MetricName => name == METRIC_NAME.as_bytes(),
            Self::Large => name == METRIC_NAME.as_bytes() || dictionary as u64 > EAGER_BYTES,
            Self::All => true,
        }
    }
}

impl PageOptions {
    pub(super) fn compression(&self) -> Compression {
        Compression::Zstd {
            level: self.zstd_level,
            least_saving: self.least_saving,
        }
    }
}

impl WriteOptions {
    /// For fewer bytes: all pages are compressed that get smaller at all. On random chunks that spares 6 % of the bytes
    /// for twice the CPU time; scraped ones get smaller anyway.
    #[must_use]
    pub fn small() -> Self {
        let default = Self::default();
        Self {
            chunks: PageOptions {
                least_saving: 0,
                ..default.chunks
            },
            ..default
        }
    }
}

impl Default for WriteOptions {
    /// Small pages for labels, since a search reads few rows of them; large ones for chunks, since a request to
    /// an object store costs more than the bytes. Chunks compress well or hardly at all, and a few per cent are not
    /// worth the time of all readers. `docs/performance.md` has the figures.
    fn default() -> Self {
        Self {
            labels: PageOptions {
                bytes: 64 << 10,
                rows: 8 << 10,
                zstd_level: 3,
                least_saving: 0,
            },
            chunks: PageOptions {
                bytes: 256 << 10,
                rows: 64 << 10,
                zstd_level: 3,
                least_saving: 10,
            },
            bloom_filters: BloomFilters::default(),
        }
    }
}
