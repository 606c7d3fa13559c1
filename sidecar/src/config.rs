//! What the sidecar is told, and what it is given.

use std::{fmt, num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use model::{Labels, TimeBound, Timestamp};
use service::{Clock, CpuPool, GrpcOptions, HttpClientConfig, Metrics, Probe, without_password};

use crate::{ReloaderConfig, UnequalBlocks};

/// What the sidecar is told. Each field is a flag of Thanos's.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the external labels come from.
    pub labels: LabelSource,
    /// `--tsdb.path`: Prometheus's data folder, or any folder of blocks.
    pub tsdb_path: PathBuf,
    /// `--shipper.upload-compacted`: which levels of blocks are uploaded.
    pub levels: Levels,
    /// `--shipper.meta-file-name`: the file in the folder that says what was uploaded.
    pub meta_file_name: String,
    /// `--shipper.allow-out-of-order-uploads`: whether compacted blocks that overlap the bucket's are uploaded.
    pub overlaps: Overlaps,
    /// `--shipper.upload-concurrency`: files of a block that are uploaded at once, `meta.json` apart, which is last.
    pub upload_concurrency: NonZeroUsize,
    /// `--hash-func`: the hash of each file that `meta.json` gets.
    pub hash_func: HashFunc,
    /// What `meta.json` names as the block's source: the component that uploads.
    pub source: &'static str,
    /// Time between two looks at the folder.
    pub upload_interval: Duration,
    /// `--min-time`: the first time that is served.
    pub min_time: TimeBound,
    /// What one request for series may take.
    pub limits: Limits,
    /// `--store.grpc.series-max-concurrency`: requests for series at once; 0 for no limit.
    pub series_concurrency: usize,
    /// How long a request for series waits for its turn.
    pub series_wait: Duration,
    /// The gRPC server. Its descriptors are set by the sidecar.
    pub grpc: GrpcOptions,
}

/// What one request for series may take; 0 for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `--store.limits.request-series`: the most series.
    pub request_series: u64,
    /// `--store.limits.request-samples`: the most samples, counted as 120 for each chunk.
    pub request_samples: u64,
    /// `--store.limits.request-sort-bytes`: the most bytes of series that wait to be sorted.
    pub request_sort_bytes: usize,
}

impl Default for Limits {
    /// Thanos's defaults, and 256 MiB to sort in.
    fn default() -> Self {
        Self {
            request_series: 0,
            request_samples: 0,
            request_sort_bytes: 256 << 20,
        }
    }
}

/// Where the external labels come from.
#[derive(Clone, Debug)]
pub enum LabelSource {
    /// From the configuration of a Prometheus.
    Prometheus(Box<PrometheusConfig>),
    /// These; no Prometheus is asked for anything.
    Fixed(Labels),
}

/// The Prometheus beside the sidecar.
#[derive(Clone)]
pub struct PrometheusConfig {
    /// `--prometheus.url`; its path is kept.
    pub url: String,
    /// `--prometheus.ready_timeout`: how long it may take to answer at first.
    pub ready_timeout: Duration,
    /// `--prometheus.get_config_interval`: time between two questions for its labels.
    pub get_config_interval: Duration,
    /// `--prometheus.get_config_timeout`: how long one answer may take.
    pub get_config_timeout: Duration,
    /// `--prometheus.http-client`: how it is reached.
    pub http_client: HttpClientConfig,
    /// `--shipper.ignore-unequal-block-size`.
    pub unequal_blocks: UnequalBlocks,
    /// `--reloader.*`: which files it loads, and how it hears of changes.
    pub reloader: ReloaderConfig,
}

/// Which levels of blocks are uploaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Levels {
    /// Those that were cut from the head.
    #[default]
    First,
    /// Those that Prometheus has compacted too.
    All,
}

/// What becomes of a compacted block that overlaps blocks of the bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlaps {
    /// It is not uploaded: its samples are in the bucket already.
    #[default]
    Refuse,
    /// It is uploaded without a look at the others.
    Upload,
}

/// The hash of each file that `meta.json` gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashFunc {
    /// None.
    #[default]
    Nothing,
    /// SHA-256.
    Sha256,
}

/// What the sidecar is given.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For reading indexes.
    pub pool: CpuPool,
    /// Where its metrics go.
    pub metrics: Metrics,
    /// Told when it is ready.
    pub probe: Probe,
}

impl fmt::Debug for PrometheusConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrometheusConfig")
            .field("url", &without_password(&self.url))
            .field("ready_timeout", &self.ready_timeout)
            .field("get_config_interval", &self.get_config_interval)
            .field("get_config_timeout", &self.get_config_timeout)
            .field("http_client", &self.http_client)
            .field("unequal_blocks", &self.unequal_blocks)
            .field("reloader", &self.reloader)
            .finish()
    }
}

impl Default for PrometheusConfig {
    fn default() -> Self {
        Self {
            url: "http://localhost:9090".to_owned(),
            ready_timeout: Duration::from_secs(600),
            get_config_interval: Duration::from_secs(30),
            get_config_timeout: Duration::from_secs(30),
            http_client: HttpClientConfig::default(),
            unequal_blocks: UnequalBlocks::default(),
            reloader: ReloaderConfig::default(),
        }
    }
}

impl Config {
    /// Thanos's defaults.
    #[must_use]
    pub fn new(labels: LabelSource, tsdb_path: impl Into<PathBuf>) -> Self {
        Self {
            labels,
            tsdb_path: tsdb_path.into(),
            levels: Levels::default(),
            meta_file_name: "thanos.shipper.json".to_owned(),
            overlaps: Overlaps::default(),
            upload_concurrency: NonZeroUsize::MIN,
            hash_func: HashFunc::default(),
            source: "sidecar",
            upload_interval: Duration::from_secs(30),
            min_time: TimeBound::At(Timestamp::MIN),
            limits: Limits::default(),
            series_concurrency: 20,
            series_wait: Duration::from_secs(90),
            grpc: GrpcOptions::default(),
        }
    }

    /// The file that says what was uploaded.
    pub(crate) fn shipper_file(&self) -> PathBuf {
        self.tsdb_path.join(&self.meta_file_name)
    }
}
