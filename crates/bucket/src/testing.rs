//! For tests, of this crate and of others: a bucket that fails on demand, and what every bucket must do.

mod conformance;
mod failing;
mod folder;
mod hold;
mod store;
mod waves;

pub use crate::catalog::{decode as decode_catalog, encode as encode_catalog};

pub use self::{
    conformance::conformance,
    failing::{FailingBucket, ReadFault, WriteFault},
    hold::Held,
    waves::{Wave, WaveBucket},
};
