//! A gateway on a bucket in memory, asked over a real connection.

mod downsampled;
mod failures;
mod labels;
mod metrics;
mod series;
mod world;
