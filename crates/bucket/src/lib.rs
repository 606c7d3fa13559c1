//! Object storage, and the blocks in it; the only crate that knows how a bucket is reached.
//!
//! ```text
//! YAML ── BucketConfig ──▶ Bucket ──one LIST, few GETs── MetaFetcher ──▶ Snapshot of the blocks
//!                             ▲                                             │
//!                             ├──────────────── write_catalog ◀─────────────┘
//!                             ├── upload_block, delete_block, marks
//!                             └── Leases, so that several can share the work
//! ```
//! TLS needs one process-wide provider of cryptography: opening a bucket installs it.

mod bucket;
mod catalog;
mod config;
mod error;
mod fetcher;
mod filter;
mod lease;
mod metrics;
mod objects;
mod operations;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod threads;

pub use crate::{
    bucket::{Bucket, Uploaded},
    catalog::write_catalog,
    config::{BucketConfig, Retry},
    error::{BucketError, Operation},
    fetcher::MetaFetcher,
    filter::{BlockFilter, BlockFilterError},
    lease::{Acquired, Holder, Lease, Leases, Renewal},
    metrics::SyncMetrics,
    objects::{
        BlockObjects, BlockView, FileVersion, Files, Object, PARQUET_ROOT, PartialBlock, Snapshot,
        UnreadBlock, UnusableMark,
    },
    operations::{Mark, delete_block, mark_block, mark_served, upload_block},
};
