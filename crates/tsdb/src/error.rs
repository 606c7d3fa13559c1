//! What can go wrong with a block, and where in it.

use std::{
    io,
    path::{Path, PathBuf},
};

use model::MetaError;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is wrong with a block.
///
/// `file` is the path below the block (`index`, `chunks/000001`, `tombstones`) if only bytes were given, and the path
/// on the disk if a file was read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes break the format.
    #[error("{file} at byte {offset}: expected {expected}, found {found}")]
    Corrupt {
        /// The file.
        file: String,
        /// The offset in the file, in bytes.
        offset: u64,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// An unknown version of the format.
    #[error("{file}: expected version {expected}, found {found}")]
    Version {
        /// The file.
        file: String,
        /// The known versions.
        expected: &'static str,
        /// The version in the file.
        found: u8,
    },
    /// The samples within a chunk cannot be read.
    #[error("{file} at byte {offset}: {source}")]
    Chunk {
        /// The segment.
        file: String,
        /// The offset of the chunk's record in the segment, in bytes.
        offset: u64,
        /// What is wrong.
        source: crate::ChunkError,
    },
    /// The block's `meta.json` cannot be used.
    #[error("{file}: {source}")]
    Meta {
        /// The file.
        file: String,
        /// What is wrong.
        source: MetaError,
    },
    /// A header built from the index cannot be used. It must be rebuilt; the index may be intact.
    #[error("{0}")]
    Header(Box<Self>),
    /// The operating system reported an error.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The data to write are not in order.
    #[error("{what}: expected one after {previous}, found {found}")]
    OutOfOrder {
        /// The kind: a symbol, a series, a chunk.
        what: &'static str,
        /// The one before.
        previous: String,
        /// The one that should follow.
        found: String,
    },
    /// A label of a series to write is not among the symbols.
    #[error("label text {symbol} is not among the symbols")]
    UnknownSymbol {
        /// The text, as shown.
        symbol: String,
    },
    /// The data to write do not fit the format.
    #[error("{file}: {what}: expected at most {limit} bytes, found {size}")]
    TooLarge {
        /// The file.
        file: String,
        /// The part of the file.
        what: &'static str,
        /// Its size in bytes.
        size: u64,
        /// The largest size.
        limit: u64,
    },
}

impl Error {
    /// An error for bytes that break the format.
    pub(crate) fn corrupt(
        file: &str,
        offset: u64,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::Corrupt {
            file: file.to_owned(),
            offset,
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// Whether a page of an index header has to be read from the disk first ([`crate::IndexHeader::in_memory`]).
    #[must_use]
    pub fn would_block(&self) -> bool {
        match self {
            Self::Header(error) => error.would_block(),
            Self::Io { source, .. } => source.kind() == io::ErrorKind::WouldBlock,
            _ => false,
        }
    }

    /// An error for a record that needs more bytes than its file has: for [`crate::Fetched::Short`] when `needed`
    /// bytes from `offset` on do not exist.
    #[must_use]
    pub fn truncated(file: &str, offset: u64, needed: u64, size: u64) -> Self {
        Self::corrupt(
            file,
            offset,
            format!("a record of {needed} bytes"),
            format!("the end of the data at byte {size}"),
        )
    }

    /// An error of the operating system on `path`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// The same error, of a header.
    pub(crate) fn of_header(self) -> Self {
        Self::Header(Box::new(self))
    }

    /// The same error, with the file's name below `dir`.
    pub(crate) fn in_dir(mut self, dir: &Path) -> Self {
        match &mut self {
            Self::Corrupt { file, .. }
            | Self::Version { file, .. }
            | Self::Chunk { file, .. }
            | Self::Meta { file, .. } => *file = dir.join(&*file).display().to_string(),
            _ => {}
        }
        self
    }
}
