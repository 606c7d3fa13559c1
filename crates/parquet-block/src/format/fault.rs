//! A fault in bytes, before the file is known.

use std::fmt;

use parquet::errors::ParquetError;

/// A fault at an offset of the bytes that a decoder was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Offset within the bytes given.
    pub at: u64,
    /// What was expected and what was found.
    pub reason: String,
}

impl Fault {
    /// Damage at `at`.
    #[cold]
    pub(crate) fn new(at: usize, reason: impl Into<String>) -> Self {
        Self {
            at: at as u64,
            reason: reason.into(),
        }
    }

    /// The same fault, for bytes that begin `offset` earlier.
    pub(crate) fn within(mut self, offset: usize) -> Self {
        self.at = self.at.saturating_add(offset as u64);
        self
    }
}

impl std::error::Error for Fault {}

impl From<ParquetError> for Fault {
    /// The crate gives no offset: it is that of all it decoded.
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::General(reason) | ParquetError::EOF(reason) => Self::new(0, reason),
            other => Self::new(0, other.to_string()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.at, self.reason)
    }
}
