//! What can go wrong with a block's files.

use std::{io, ops::Range};

/// A block that cannot be read, or not be written.
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
    /// A file is damaged, or not laid out as a block's files are.
    #[error("{file} at byte {offset}: {reason}")]
    Corrupt {
        /// The file.
        file: String,
        /// Where in the file.
        offset: u64,
        /// What was expected, and what was found.
        reason: String,
    },
    /// A lookup was not given the bytes it had asked for.
    #[error(
        "lookup: expected bytes {} to {}, found {}", range.start, range.end,
        found.map_or("nothing".to_owned(), |len| format!("{len} bytes"))
    )]
    Supply {
        /// What was asked for.
        range: Range<u64>,
        /// How many bytes were supplied.
        found: Option<usize>,
    },
    /// What is to be written does not fit the layout.
    #[error("{reason}")]
    Layout {
        /// What was expected, and what was found.
        reason: String,
    },
    /// There are no rows to write. Other readers of the layout cannot open files without any, so a block
    /// without series has no files.
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
