//! Object storage, and the blocks in it; the only crate that knows how a bucket is reached.
//!
//! ```text
//! YAML ── BucketConfig ──▶ Bucket ──one LIST, few GETs── MetaFetcher ──▶ Snapshot of the blocks
//!                             ▲
//!                             └── upload_block, delete_block, marks
//! ```
//! TLS needs one process-wide provider of cryptography: opening an S3 bucket installs it, and
//! [`install_crypto_provider`] does for those who need it without a bucket.

mod bucket;
mod config;
mod error;
mod fetcher;
mod filter;
mod metrics;
mod objects;
mod operations;
pub mod testing;

pub use crate::{
    bucket::Bucket,
    config::{BucketConfig, Retry, install_crypto_provider},
    error::{BucketError, Operation},
    fetcher::MetaFetcher,
    filter::{BlockFilter, BlockFilterError},
    metrics::SyncMetrics,
    objects::{BlockObjects, BlockView, Object, PARQUET_ROOT, PartialBlock, Snapshot},
    operations::{delete_block, mark_for_deletion, mark_no_compact, upload_block},
};
