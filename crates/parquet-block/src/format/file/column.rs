//! A column as a file declares it.

use crate::format::page::Encoding;

/// A column of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: ColumnKind,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    /// Optional strings, by dictionary.
    Strings,
    /// Byte strings, one for each row.
    Bytes(ByteEncoding),
}

/// How byte strings are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByteEncoding {
    /// [`Encoding::DeltaLength`]
    Lengths,
    /// [`Encoding::DeltaByteArray`]
    Prefixes,
}

impl ColumnKind {
    /// How the values of data pages are encoded.
    pub(crate) const fn encoding(self) -> Encoding {
        match self {
            Self::Strings => Encoding::Dictionary,
            Self::Bytes(ByteEncoding::Lengths) => Encoding::DeltaLength,
            Self::Bytes(ByteEncoding::Prefixes) => Encoding::DeltaByteArray,
        }
    }
}
