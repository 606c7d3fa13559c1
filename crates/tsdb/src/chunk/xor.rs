//! Chunks of floats.
//!
//! ```text
//! be16     number of samples
//! varint   first time            8      first float, raw
//! uvarint  second time − first   …      second float, see `window`
//! then for each sample:
//!   0                            the time is as far from the last one as that from the one before
//!   10    i14                    how much farther, in the fewest bits
//!   110   i17
//!   1110  i20
//!   1111  i64
//!   …                            the float, see `window`
//! ```
//! All is a stream of bits, the highest of each byte first. The numbers of `n` bits go from
//! `1 − 2^(n−1)` to `2^(n−1)`: not quite two's complement.

mod decode;
mod encode;
mod stretch;

pub use self::{
    decode::{decode_xor, decode_xor_at},
    encode::{encode_xor, encode_xor_onto},
};

/// Floats with their times in milliseconds; as many of the ones as of the others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Floats {
    /// The times.
    pub timestamps: Vec<i64>,
    /// The floats.
    pub values: Vec<f64>,
}

#[cfg(test)]
mod tests;
