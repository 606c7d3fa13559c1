//! What the benchmarks share: the data that they run on, and how they measure.

mod cluster;
mod measure;

pub use crate::{
    cluster::{
        BLOCK, START, block_id, external_labels, make_blocks, range, sample_blocks, some_pod,
    },
    measure::{Cost, Usage, cost, folder, median_cpu_ms, setting, size},
};
