//! What a store gateway is told. Names and defaults are those of Thanos's flags.

use std::{path::PathBuf, sync::Arc, time::Duration};

use model::{TimeBound, Timestamp};
use service::{Clock, CpuPool, GrpcOptions, Metrics, Probe};

/// Settings of a store gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where metadata of blocks and index headers are cached (`--data-dir`). Default: `./data`.
    pub data_dir: PathBuf,
    /// Where index headers are kept (`--no-cache-index-header`). Default: on the disk.
    pub index_headers: IndexHeaders,
    /// Time between two looks at the bucket (`--sync-block-duration`). Default: 15 m.
    pub sync_interval: Duration,
    /// Objects fetched at once while looking at the bucket (`--block-meta-fetch-concurrency`). Default: 32.
    pub meta_fetch_concurrency: usize,
    /// Blocks that one request opens and searches at once (`--block-sync-concurrency`). Default: 20.
    pub block_concurrency: usize,
    /// Only blocks that reach this time or a later one are served (`--min-time`). Default: all.
    pub min_time: TimeBound,
    /// Only blocks that begin at this time or an earlier one are served (`--max-time`). Default: all.
    pub max_time: TimeBound,
    /// How old a block must be before it is served (`--consistency-delay`). Default: 0 s.
    pub consistency_delay: Duration,
    /// How long a block marked for deletion is still served (`--ignore-deletion-marks-delay`). Must be
    /// shorter than the compactor's delay before it deletes. Default: 24 h.
    pub ignore_deletion_marks_delay: Duration,
    /// Series requests answered at once, 0 for no limit (`--store.grpc.series-max-concurrency`). Default: 20.
    pub series_concurrency: usize,
    /// How long a Series request waits for others to end where there are so many, 0 for no limit
    /// (`--store.grpc.series-max-wait`). Default: 90 s.
    pub series_wait: Duration,
    /// What one request may cost.
    pub limits: Limits,
    /// Bytes of opened blocks (Parquet footers, index headers that are in memory), whatever blocks there are; those in use
    /// by requests are kept beyond it. Default: 1 GiB.
    pub block_cache_bytes: u64,
    /// A file of a block of up to so many bytes is fetched whole at its first use, and its parts are then taken from
    /// memory: one wait for the bucket where a file is read in several steps. So is the index of a TSDB block of up to four
    /// times as many where its header has to be made. Default: 512 KiB.
    pub small_file_bytes: u64,
    /// How it is served (`--grpc-grace-period`, `--grpc-server-max-connection-age`); it brings its own descriptors.
    pub grpc: GrpcOptions,
}

/// Where index headers of TSDB blocks are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IndexHeaders {
    /// On the disk, with pages in memory that were used lately.
    #[default]
    OnDisk,
    /// In memory only.
    InMemory,
}

/// What one request may cost; 0 stands for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Series that match, counted in each block (`--store.limits.request-series`).
    pub request_series: u64,
    /// Samples sent, where a chunk counts as 120 (`--store.limits.request-samples`).
    pub request_samples: u64,
    /// Bytes fetched from the bucket (`--store.grpc.downloaded-bytes-limit`).
    pub downloaded_bytes: u64,
}

/// What the store gateway is given.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For searching blocks, decoding and merging.
    pub pool: CpuPool,
    /// Where its metrics go.
    pub metrics: Metrics,
    /// Told when it is ready.
    pub probe: Probe,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./data"),
            index_headers: IndexHeaders::default(),
            sync_interval: Duration::from_mins(15),
            meta_fetch_concurrency: 32,
            block_concurrency: 20,
            min_time: TimeBound::At(Timestamp::MIN),
            max_time: TimeBound::At(Timestamp::MAX),
            consistency_delay: Duration::ZERO,
            ignore_deletion_marks_delay: Duration::from_hours(24),
            series_concurrency: 20,
            series_wait: Duration::from_secs(90),
            limits: Limits::default(),
            block_cache_bytes: 1 << 30,
            small_file_bytes: 512 << 10,
            grpc: GrpcOptions::default(),
        }
    }
}
