//! What the fuzz targets share: one target for each decoder of bytes that come from outside.
//!
//! A target fails by a panic, by more than five seconds on one input, and by memory out of
//! proportion to it ([`bounded`]).

mod histograms;
mod memory;
mod seal;
mod shard;

pub use crate::{
    histograms::{Meaning, meaning},
    memory::bounded,
    seal::{put_uvarint, seal_section, seal_series, seal_toc, seal_tombstones, sealed_record},
    shard::{Files, answer, open, split_files},
};
