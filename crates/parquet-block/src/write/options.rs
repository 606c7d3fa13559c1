//! How files are written.

use super::page::Compression;

/// Pages of both files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteOptions {
    /// Of the labels file.
    pub labels: PageOptions,
    /// Of the chunks file, or the aggregates file.
    pub chunks: PageOptions,
}

/// Pages of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageOptions {
    /// Bytes that the values of a page take at most before compression, unless one alone takes more.
    pub bytes: usize,
    /// Rows that a page has at most. A page without any values may have more.
    pub rows: usize,
    /// The level of zstd.
    pub zstd_level: i32,
    /// How many per cent smaller compression must make a page; else it is stored as it is, and so read without
    /// being decompressed or copied. Some places of a page tell.
    pub least_saving: u8,
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
    /// For fewer bytes: a higher level for chunks, and all pages are compressed that get smaller at all. On random
    /// chunks that spares 6 % of the bytes for twice the CPU time; scraped ones get 4 % smaller.
    #[must_use]
    pub fn small() -> Self {
        let default = Self::default();
        Self {
            chunks: PageOptions {
                zstd_level: 3,
                least_saving: 0,
                ..default.chunks
            },
            ..default
        }
    }
}

impl Default for WriteOptions {
    /// Small pages for labels, since a search reads few rows of them; large ones for chunks, since a request to
    /// an object store costs more than the bytes. Chunks compress well or not at all, so more than level 1 is not
    /// worth its time, and a few per cent are not worth that of all readers. `docs/performance.md` has the figures.
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
                zstd_level: 1,
                least_saving: 10,
            },
        }
    }
}
