//! Compression of pages.

mod compress;
mod decompress;

pub(crate) use self::{
    compress::{Kind, compress},
    decompress::decompress,
};
