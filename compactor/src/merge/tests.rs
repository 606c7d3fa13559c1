//! Merges of small blocks, of both formats and into both.

mod blocks;
mod borders;
mod formats;
mod model_of_samples;
mod passthrough;
mod resolutions;
mod shard_cuts;
