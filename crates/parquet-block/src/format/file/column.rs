//! The declaration of a column in a file.

use crate::format::page::Encoding;

/// A column of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: ColumnKind,
}

/// The values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    /// Optional strings, by dictionary.
    Strings,
    /// Byte strings, one for each row.
    Bytes(ByteEncoding),
}

/// The encoding of byte strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByteEncoding {
    /// [`Encoding::DeltaLength`]
    Lengths,
    /// [`Encoding::DeltaByteArray`]
    Prefixes,
}

impl ColumnKind {
    /// The encoding of the values in data pages.
    pub(crate) const fn encoding(self) -> Encoding {
        match self {
            Self::Strings => Encoding::Dictionary,
            Self::Bytes(ByteEncoding::Lengths) => Encoding::DeltaLength,
            Self::Bytes(ByteEncoding::Prefixes) => Encoding::DeltaByteArray,
        }
    }
}
