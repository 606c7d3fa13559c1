//! One page; `decoder` draws it.

mod decoder;
mod encoder;

pub(crate) use self::{
    decoder::{Page, check_crc, check_header, column_chunk},
    encoder::{Compression, DataPage, EncodedColumn, EncodedPage, PageKind, dictionary},
};

/// How values are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Plain,
    /// As ids of the values of a dictionary page.
    Dictionary,
    /// The lengths of byte strings, then their bytes.
    DeltaLength,
    /// What byte strings share with the one before, then what differs.
    DeltaByteArray,
}

impl Encoding {
    /// The number that stands for it in a file.
    pub(crate) const fn id(self) -> i32 {
        match self {
            Self::Plain => 0,
            Self::DeltaLength => 6,
            Self::DeltaByteArray => 7,
            Self::Dictionary => 8,
        }
    }
}
