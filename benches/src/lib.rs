//! What the benchmarks share: the data that they run on, and how they measure.

mod cluster;
mod measure;

pub use crate::{
    cluster::{BLOCK, START, block_id, external_labels, make_blocks, range, some_pod},
    measure::{Usage, folder, median_ms, setting, size},
};
