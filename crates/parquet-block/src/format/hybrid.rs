//! The hybrid of run lengths and bit packing; `decoder` draws it.

mod decoder;
mod encoder;

#[cfg(test)]
pub(crate) use self::decoder::tests;
pub(crate) use self::{
    decoder::{Hybrid, unpack},
    encoder::{encode, pack, put_run, width_of},
};
