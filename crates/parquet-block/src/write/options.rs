//! How files are written.

/// Pages of both files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteOptions {
    /// Of the labels file.
    pub labels: PageOptions,
    /// Of the chunks file.
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
}

impl Default for WriteOptions {
    /// Small pages for labels, since a search reads few rows of them; large ones for chunks, since a request to
    /// an object store costs more than the bytes. Chunks hardly compress, so more than level 1 is not worth its
    /// time.
    fn default() -> Self {
        Self {
            labels: PageOptions {
                bytes: 64 << 10,
                rows: 8 << 10,
                zstd_level: 3,
            },
            chunks: PageOptions {
                bytes: 256 << 10,
                rows: 64 << 10,
                zstd_level: 1,
            },
        }
    }
}
