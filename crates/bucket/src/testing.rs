//! For tests of all crates: a bucket that fails on demand, and the conformance suite of buckets.

mod conformance;
mod failing;
mod faults;
mod folder;
mod hold;
mod leases;
mod store;
mod waves;

pub use crate::catalog::{decode as decode_catalog, encode as encode_catalog};

pub use self::{
    conformance::conformance,
    failing::FailingBucket,
    faults::{ListingOrder, ReadFault, WriteFault},
    hold::Held,
    leases::lease_conformance,
    waves::{Wave, WaveBucket},
};
