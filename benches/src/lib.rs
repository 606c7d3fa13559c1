//! What the benchmarks share: the data that they run on, and how they measure.

mod block;
mod cluster;
mod ids;
mod measure;
mod random;
mod scraped;

pub use crate::{
    block::{BLOCK, START, times},
    cluster::{Replica, make_blocks, make_replica, range, some_pod},
    ids::make_ids,
    measure::{Cost, Usage, cost, folder, median_cpu_ms, setting, size},
    scraped::{make_scraped, sample_blocks},
};
