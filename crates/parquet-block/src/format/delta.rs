//! The delta encodings of byte strings; `decoder` draws them.

mod decoder;
mod encoder;

pub(crate) use self::{
    decoder::lengths,
    encoder::{encode_byte_arrays, encode_lengths},
};
