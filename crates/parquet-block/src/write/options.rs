//! Write options of files.

use model::METRIC_NAME;

use crate::format::page::Compression;
use crate::layout::schema::EAGER_BYTES;

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
    /// No label.
    None,
    /// Only `__name__`, as in parquet-common.
    MetricName,
    /// `__name__`, and each label in the row groups where its dictionary takes more than 256 KiB: where a search
    /// asks the filter before it reads the dictionary.
    #[default]
    Large,
    /// All labels.
    All,
}

/// Pages of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageOptions {
    /// The most bytes of a page's values before compression, unless one alone has more.
    pub bytes: usize,
    /// The most rows of a page. A page without any values may have more.
    pub rows: usize,
    /// The level of zstd. With a least saving, it applies to pages that get smaller by 30 % or more; others are
    /// compressed at level 1.
    pub zstd_level: i32,
    /// By how many per cent compression must make a page smaller. Otherwise the page is stored as it is, and read
    /// without being decompressed or copied. Samples of the page decide.
    pub least_saving: u8,
}

impl BloomFilters {
    /// Whether the column of the label `name`, whose dictionary has so many bytes, gets a filter.
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
    /// For fewer bytes: all pages are compressed that get smaller at all. On random chunks that saves 6 % of the bytes
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
