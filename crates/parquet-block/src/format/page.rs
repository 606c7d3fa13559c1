//! One page; `decoder` draws it.

mod decoder;
mod encoder;

pub(crate) use self::{
    decoder::{Page, check_crc, check_header, column_chunk},
    encoder::{Compression, DataPage, EncodedColumn, EncodedPage, PageKind, dictionary},
};

/// The encoding of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Plain,
    /// As ids of the values of a dictionary page.
    Dictionary,
    /// The lengths of byte strings, then their bytes.
    DeltaLength,
    /// The lengths of the prefixes shared with the string before, then the rest of each string.
    DeltaByteArray,
}

impl Encoding {
    /// Its number in a file.
    pub(crate) const fn id(self) -> i32 {
        match self {
            Self::Plain => 0,
            Self::DeltaLength => 6,
            Self::DeltaByteArray => 7,
            Self::Dictionary => 8,
        }
    }
}
