//! What can go wrong with a block's files.

use std::{io, ops::Range};

/// A block cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// A file is damaged, or does not have a block's layout.
    #[error("{file} at byte {offset}: {reason}")]
    Corrupt {
        /// The file.
        file: String,
        /// The offset in the file.
        offset: u64,
        /// What was expected, and what was found.
        reason: String,
    },
    /// A lookup was not given the bytes that it asked for.
    #[error(
        "lookup: expected bytes {} to {}, found {}", range.start, range.end,
        found.map_or("nothing".to_owned(), |len| format!("{len} bytes"))
    )]
    Supply {
        /// The requested range.
        range: Range<u64>,
        /// How many bytes were supplied.
        found: Option<usize>,
    },
    /// The data to write do not fit the layout.
    #[error("{reason}")]
    Layout {
        /// What was expected, and what was found.
        reason: String,
    },
    /// There are no rows to write. Other readers of the layout cannot open files without rows, so a block without
    /// series has no files.
    #[error("no rows to write")]
    Empty,
}

impl Error {
    pub(crate) fn io(file: &str, source: io::Error) -> Self {
        let file = file.to_owned();
        Self::Io { file, source }
    }

    pub(crate) fn corrupt(file: &str, offset: u64, reason: impl Into<String>) -> Self {
        Self::Corrupt {
            file: file.to_owned(),
            offset,
            reason: reason.into(),
        }
    }

    pub(crate) fn layout(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::Layout { reason }
    }
}
