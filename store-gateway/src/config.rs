//! The settings of a store gateway. Names and defaults are those of Thanos's flags.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bucket::BlockFilter;
use model::{TimeBound, Timestamp};
use page::Board;
use service::{Clock, CpuPool, GrpcOptions, Metrics, Probe};

use crate::fetch::Caches;

/// Settings of a store gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Folder of the caches of block metadata and index headers (`--data-dir`). Default: `./data`.
    pub data_dir: PathBuf,
    /// Where index headers are kept (`--no-cache-index-header`). Default: on the disk.
    pub index_headers: IndexHeaders,
    /// Time between two synchronizations (`--sync-block-duration`). Default: 15 m.
    pub sync_interval: Duration,
    /// Objects that a synchronization fetches at once (`--block-meta-fetch-concurrency`). Default: 32.
    pub meta_fetch_concurrency: usize,
    /// Blocks that one request opens and searches at once (`--block-sync-concurrency`). Default: 20.
    pub block_concurrency: usize,
    /// Blocks that end before this time are not served (`--min-time`). Default: all are.
    pub min_time: TimeBound,
    /// Blocks that begin after this time are not served (`--max-time`). Default: all are.
    pub max_time: TimeBound,
    /// Which blocks are served, by external labels and id (`--selector.relabel-config`). Default: all are.
    pub blocks: BlockFilter,
    /// The least age of a served block (`--consistency-delay`). Default: 0 s.
    pub consistency_delay: Duration,
    /// How long a block is still served after it was marked for deletion (`--ignore-deletion-marks-delay`). Must be
    /// shorter than the delay after which the compactor deletes. Default: 24 h.
    pub ignore_deletion_marks_delay: Duration,
    /// Series requests answered at once, 0 for no limit (`--store.grpc.series-max-concurrency`). Default: 20.
    pub series_concurrency: usize,
    /// How long a Series request waits while `series_concurrency` others are answered, 0 for no limit
    /// (`--store.grpc.series-max-wait`). Default: 90 s.
    pub series_wait: Duration,
    /// The limits of one request.
    pub limits: Limits,
    /// The memory of requests and of what is kept for the next ones (`--store.memory-budget`). Default: 2 GiB.
    pub memory: MemoryBudget,
    /// What postings, label pages and the like of all blocks may take of the memory, in bytes, at most a half of it
    /// (`--index-cache-size`, `max_size` of a cache in memory). Default: an eighth.
    pub max_page_bytes: Option<u64>,
    /// A file of a block of at most so many bytes is fetched whole at its first use and kept in memory, which saves
    /// waits for the bucket. So is the index of a TSDB block of up to four times as many if its header has to be
    /// built. Default: 512 KiB.
    pub small_file_bytes: u64,
    /// Options of the gRPC server (`--grpc-grace-period`, `--grpc-server-max-connection-age`). The gateway adds its
    /// own descriptors.
    pub grpc: GrpcOptions,
}

/// Where index headers of TSDB blocks are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IndexHeaders {
    /// On the disk; pages that are used again are in memory.
    #[default]
    OnDisk,
    /// In memory only.
    InMemory,
}

/// The memory of requests, and of what is kept for the next ones, in bytes. The list of the bucket's blocks and the
/// buffers of connections come on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryBudget(pub u64);

impl MemoryBudget {
    /// For opened blocks (Parquet footers, index headers without a data folder): a quarter. Blocks in use by requests
    /// may exceed it.
    pub(crate) const fn opened_blocks(self) -> u64 {
        self.0 / 4
    }

    /// For pages, unless told otherwise.
    const fn default_pages(self) -> u64 {
        self.0 / 8
    }
}

impl Default for MemoryBudget {
    fn default() -> Self {
        Self(2 << 30)
    }
}

/// The limits of one request; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Matching series, counted in each block (`--store.limits.request-series`).
    pub request_series: u64,
    /// Samples sent; a chunk counts as 120 (`--store.limits.request-samples`).
    pub request_samples: u64,
    /// Bytes fetched from the bucket (`--store.grpc.downloaded-bytes-limit`).
    pub downloaded_bytes: u64,
}

/// What the store gateway shares with its process.
#[derive(Clone, Debug)]
pub struct Deps {
    /// Gives the time.
    pub clock: Arc<dyn Clock>,
    /// Searches blocks, decodes and merges.
    pub pool: CpuPool,
    /// The registry of its metrics.
    pub metrics: Metrics,
    /// Reports whether it is ready.
    pub probe: Probe,
    /// Shows what it sees and does.
    pub board: Board,
    /// Caches that several processes share.
    pub caches: Caches,
}

impl Config {
    /// For small files, postings, series entries, dictionaries, label pages and pages of index headers, over all
    /// blocks.
    pub(crate) fn page_bytes(&self) -> u64 {
        let most = self.memory.0 / 2;
        let wanted = self.max_page_bytes;
        wanted.map_or(self.memory.default_pages(), |bytes| bytes.min(most))
    }

    /// For what requests read: what opened blocks and pages leave of the memory.
    pub(crate) fn request_bytes(&self) -> u64 {
        self.memory.0 - self.memory.opened_blocks() - self.page_bytes()
    }
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
            blocks: BlockFilter::default(),
            consistency_delay: Duration::ZERO,
            ignore_deletion_marks_delay: Duration::from_hours(24),
            series_concurrency: 20,
            series_wait: Duration::from_secs(90),
            limits: Limits::default(),
            memory: MemoryBudget::default(),
            max_page_bytes: None,
            small_file_bytes: 512 << 10,
            grpc: GrpcOptions::default(),
        }
    }
}
