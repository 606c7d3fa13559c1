//! Faults in a chunk's data.

use super::Encoding;

/// An unknown encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown chunk encoding {}{}", .0, name(*.0))]
pub struct UnknownEncoding(
    /// The encoding's number.
    pub u8,
);

/// Why the samples of a chunk cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The encoding is not known.
    #[error(transparent)]
    Encoding(#[from] UnknownEncoding),
    /// The encoding is known, but not the expected one.
    #[error("expected a chunk of {expected}, found encoding {found:?}")]
    Kind {
        /// What was expected.
        expected: &'static str,
        /// The encoding found.
        found: Encoding,
    },
    /// The data break the encoding's format.
    #[error("chunk data at byte {} bit {}: expected {expected}, found {found}", .bit / 8, .bit % 8)]
    Corrupt {
        /// The position in the chunk's data, in bits.
        bit: u64,
        /// What was expected.
        expected: &'static str,
        /// What was found.
        found: String,
    },
}

impl ChunkError {
    #[cold]
    pub(super) fn corrupt(bit: usize, expected: &'static str, found: impl Into<String>) -> Self {
        Self::Corrupt {
            bit: bit as u64,
            expected,
            found: found.into(),
        }
    }

    /// The data end too early.
    #[cold]
    pub(super) fn end(data: &[u8], expected: &'static str) -> Self {
        Self::corrupt(data.len() * 8, expected, "the end of the data")
    }
}

/// The name of an encoding in later versions of Prometheus.
fn name(encoding: u8) -> &'static str {
    match encoding {
        4 => " (XOR2)",
        5 => " (histogram with start times)",
        6 => " (float histogram with start times)",
        _ => "",
    }
}
