//! The arguments of `varve store`.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{CacheArgs, GrpcArgs, HttpArgs, ObjstoreArgs, SelectorArgs, TimeArgs, WebArgs};
use crate::values;

/// `varve store`.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// Folder for caches of the bucket: index headers and metadata.
    #[arg(long = "data-dir", default_value = "./data", value_name = "PATH")]
    pub(crate) data_dir: PathBuf,
    /// Keep index headers in memory, not on the disk.
    #[arg(long = "no-cache-index-header", overrides_with = "cache_index_header")]
    pub(crate) no_cache_index_header: bool,
    /// Keep index headers on the disk, which is the default.
    #[arg(
        long = "cache-index-header",
        overrides_with = "no_cache_index_header",
        hide = true
    )]
    pub(crate) cache_index_header: bool,
    /// Interval between two syncs with the bucket.
    #[arg(long = "sync-block-duration", default_value = "15m", value_name = "DURATION", value_parser = values::interval)]
    pub(crate) sync_block_duration: Duration,
    /// Number of meta.json to fetch at once.
    #[arg(
        long = "block-meta-fetch-concurrency",
        value_name = "N",
        default_value_t = 32
    )]
    pub(crate) meta_fetch_concurrency: usize,
    /// Number of blocks that a request opens and searches at once.
    #[arg(
        long = "block-sync-concurrency",
        value_name = "N",
        default_value_t = 20
    )]
    pub(crate) block_concurrency: usize,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) selector: SelectorArgs,
    /// Minimum age of a block before it is served.
    #[arg(long = "consistency-delay", default_value = "0s", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) consistency_delay: Duration,
    /// Maximum number of series that a request may touch; 0 is no limit.
    #[arg(
        long = "store.limits.request-series",
        alias = "store.grpc.touched-series-limit",
        value_name = "N",
        default_value_t = 0
    )]
    pub(crate) request_series: u64,
    /// Maximum number of samples that a request may touch, at 120 a chunk; 0 is no limit.
    #[arg(
        long = "store.limits.request-samples",
        alias = "store.grpc.series-sample-limit",
        value_name = "N",
        default_value_t = 0
    )]
    pub(crate) request_samples: u64,
    /// Maximum number of bytes that a request may fetch from the bucket; 0 is no limit.
    #[arg(long = "store.grpc.downloaded-bytes-limit", default_value = "0", value_name = "SIZE", value_parser = values::bytes)]
    pub(crate) downloaded_bytes: u64,
    /// Maximum number of Series requests at once.
    #[arg(
        long = "store.grpc.series-max-concurrency",
        value_name = "N",
        default_value_t = 20
    )]
    pub(crate) series_max_concurrency: usize,
    /// Time that a Series request waits for its turn; 0s is no limit.
    #[arg(long = "store.grpc.series-max-wait", default_value = "90s", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) series_max_wait: Duration,
    /// Memory of requests, opened blocks and cached pages together; default: two thirds of the control group's limit, or
    /// 2GB without one.
    #[arg(long = "store.memory-budget", value_name = "SIZE", value_parser = values::bytes)]
    pub(crate) memory_budget: Option<u64>,
    /// Time for which a block is served after it was marked for deletion.
    #[arg(long = "ignore-deletion-marks-delay", default_value = "24h", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) ignore_deletion_marks_delay: Duration,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
    #[command(flatten)]
    pub(crate) objstore: ObjstoreArgs,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) web: WebArgs,
    #[command(flatten)]
    pub(crate) grpc: GrpcArgs,
}
