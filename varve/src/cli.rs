//! The arguments: the one place that reads them and the environment.
//!
//! Names, defaults and spellings are Thanos's where the meaning is the same.

mod accepted;
mod compact;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum, error::ErrorKind};
use model::TimeBound;
use service::{LogFormat, LogLevel};

pub(crate) use self::compact::{BlockFormat, CompactArgs, CompactCommand};
use crate::values::{self, LabelFlag, ListenAddress};

/// Long-term storage for Prometheus: a sidecar, a compactor to Parquet and a store gateway that
/// take the place of Thanos's, one by one.
#[derive(Debug, Parser)]
#[command(name = "varve", version, max_term_width = 110)]
pub(crate) struct Cli {
    /// What to run.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Logging.
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// The components.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Uploads the blocks of the Prometheus beside it to object storage.
    Sidecar(SidecarArgs),
    /// Merges blocks in object storage into Parquet blocks.
    Compact(CompactArgs),
    /// Serves the blocks in object storage over Thanos's StoreAPI (gRPC).
    Store(StoreArgs),
    /// Sidecar, compactor and store in one process, on a folder as the bucket.
    Standalone(StandaloneArgs),
    /// Questions to ask by hand.
    #[command(subcommand)]
    Tools(Tools),
}

/// `varve tools`.
#[derive(Debug, Subcommand)]
pub(crate) enum Tools {
    /// Asks a StoreAPI server for series and prints them.
    Series(SeriesArgs),
}

/// How much is logged, and how.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// The least level that is logged.
    #[arg(long = "log.level", global = true, default_value = "info", value_enum)]
    pub(crate) level: Level,
    /// The form of a log line.
    #[arg(
        long = "log.format",
        global = true,
        default_value = "logfmt",
        value_enum
    )]
    pub(crate) format: Format,
}

/// Levels of Thanos.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Level {
    /// A human must look.
    Error,
    /// Something is wrong and was dealt with.
    Warn,
    /// What was done.
    Info,
    /// Each step.
    Debug,
}

/// Forms of a log line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// `key=value` pairs; the journal takes them too.
    #[value(alias = "journald")]
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// Where metrics and readiness are served.
#[derive(Debug, Args)]
pub(crate) struct HttpArgs {
    /// Listen address for HTTP: /metrics, /-/healthy, /-/ready.
    #[arg(
        long = "http-address",
        global = true,
        default_value = "0.0.0.0:10902",
        value_name = "HOST:PORT"
    )]
    pub(crate) http_address: ListenAddress,
    /// How long HTTP requests under way are waited for at the end.
    #[arg(long = "http-grace-period", global = true, default_value = "2m", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) http_grace_period: Duration,
}

/// Where the StoreAPI is served.
#[derive(Debug, Args)]
pub(crate) struct GrpcArgs {
    /// Listen address for gRPC.
    #[arg(
        long = "grpc-address",
        default_value = "0.0.0.0:10901",
        value_name = "HOST:PORT"
    )]
    pub(crate) grpc_address: ListenAddress,
    /// How long gRPC calls under way are waited for at the end.
    #[arg(long = "grpc-grace-period", default_value = "2m", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) grpc_grace_period: Duration,
    /// Age of a connection after which its client is asked to connect anew; 0s for never.
    #[arg(long = "grpc-server-max-connection-age", default_value = "60m", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) max_connection_age: Duration,
}

/// The bucket.
#[derive(Debug, Args)]
pub(crate) struct ObjstoreArgs {
    /// YAML file that says where the bucket is, as Thanos has it; $(VAR) is taken from the environment.
    #[arg(
        long = "objstore.config-file",
        global = true,
        conflicts_with = "objstore_config",
        value_name = "PATH"
    )]
    pub(crate) objstore_config_file: Option<PathBuf>,
    /// The same YAML, given here.
    #[arg(long = "objstore.config", global = true, value_name = "YAML")]
    pub(crate) objstore_config: Option<String>,
}

/// Which times count.
#[derive(Debug, Args)]
pub(crate) struct TimeArgs {
    /// Start of the time range to work on, RFC 3339 or relative to now as in -2w.
    #[arg(
        long = "min-time",
        global = true,
        default_value = "0000-01-01T00:00:00Z",
        value_parser = values::time,
        value_name = "TIME",
        allow_hyphen_values = true
    )]
    pub(crate) min_time: TimeBound,
    /// End of the time range to work on, RFC 3339 or relative to now as in -2w.
    #[arg(
        long = "max-time",
        global = true,
        default_value = "9999-12-31T23:59:59Z",
        value_parser = values::time,
        value_name = "TIME",
        allow_hyphen_values = true
    )]
    pub(crate) max_time: TimeBound,
}

/// `varve sidecar`.
#[derive(Debug, Args)]
pub(crate) struct SidecarArgs {
    /// The Prometheus that this is beside of.
    #[arg(
        long = "prometheus.url",
        default_value = "http://localhost:9090",
        value_name = "URL"
    )]
    pub(crate) prometheus_url: String,
    /// How long to wait for the external labels of Prometheus before giving up.
    #[arg(long = "prometheus.ready_timeout", default_value = "10m", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) ready_timeout: Duration,
    /// How often Prometheus is asked for its external labels.
    #[arg(long = "prometheus.get_config_interval", default_value = "30s", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) get_config_interval: Duration,
    /// How long one such question may take.
    #[arg(long = "prometheus.get_config_timeout", default_value = "30s", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) get_config_timeout: Duration,
    /// Prometheus's data folder.
    #[arg(long = "tsdb.path", default_value = "./data", value_name = "PATH")]
    pub(crate) tsdb_path: PathBuf,
    /// External label of the blocks; where given, no Prometheus is asked. Repeatable.
    #[arg(long = "label", value_name = "NAME=\"VALUE\"")]
    pub(crate) labels: Vec<LabelFlag>,
    /// Upload blocks that Prometheus has compacted too.
    #[arg(long = "shipper.upload-compacted")]
    pub(crate) upload_compacted: bool,
    /// Go on where Prometheus's least and greatest block durations differ.
    #[arg(long = "shipper.ignore-unequal-block-size", hide = true)]
    pub(crate) ignore_unequal_block_size: bool,
    /// The file in the data folder that lists what was uploaded.
    #[arg(long = "shipper.meta-file-name", default_value = "thanos.shipper.json")]
    pub(crate) meta_file_name: String,
    /// Upload what there is, then end.
    #[arg(long = "once")]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) objstore: ObjstoreArgs,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) grpc: GrpcArgs,
}

/// `varve store`.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// Folder for what is cached of the bucket.
    #[arg(long = "data-dir", default_value = "./data", value_name = "PATH")]
    pub(crate) data_dir: PathBuf,
    /// Keep index headers in memory, not on the disk.
    #[arg(long = "no-cache-index-header", overrides_with = "cache_index_header")]
    pub(crate) no_cache_index_header: bool,
    /// Keep index headers on the disk, as is done anyway.
    #[arg(
        long = "cache-index-header",
        overrides_with = "no_cache_index_header",
        hide = true
    )]
    pub(crate) cache_index_header: bool,
    /// Time between two looks at the bucket.
    #[arg(long = "sync-block-duration", default_value = "15m", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) sync_block_duration: Duration,
    /// How many meta.json are fetched at once.
    #[arg(
        long = "block-meta-fetch-concurrency",
        value_name = "N",
        default_value_t = 32
    )]
    pub(crate) meta_fetch_concurrency: usize,
    /// How many blocks one request opens and searches at once.
    #[arg(
        long = "block-sync-concurrency",
        value_name = "N",
        default_value_t = 20
    )]
    pub(crate) block_concurrency: usize,
    /// Least age of a block before it is served.
    #[arg(long = "consistency-delay", default_value = "0s", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) consistency_delay: Duration,
    /// Most series that one request may touch; 0 is no limit.
    #[arg(
        long = "store.limits.request-series",
        alias = "store.grpc.touched-series-limit",
        value_name = "N",
        default_value_t = 0
    )]
    pub(crate) request_series: u64,
    /// Most samples that one request may touch, at 120 a chunk; 0 is no limit.
    #[arg(
        long = "store.limits.request-samples",
        alias = "store.grpc.series-sample-limit",
        value_name = "N",
        default_value_t = 0
    )]
    pub(crate) request_samples: u64,
    /// Most bytes that one request may fetch from the bucket; 0 is no limit.
    #[arg(long = "store.grpc.downloaded-bytes-limit", default_value = "0", value_name = "SIZE", value_parser = values::bytes)]
    pub(crate) downloaded_bytes: u64,
    /// Most Series requests at once.
    #[arg(
        long = "store.grpc.series-max-concurrency",
        value_name = "N",
        default_value_t = 20
    )]
    pub(crate) series_max_concurrency: usize,
    /// How long a block stays in use after it was marked for deletion.
    #[arg(long = "ignore-deletion-marks-delay", default_value = "24h", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) ignore_deletion_marks_delay: Duration,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
    #[command(flatten)]
    pub(crate) objstore: ObjstoreArgs,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) grpc: GrpcArgs,
}

/// `varve standalone`.
#[derive(Debug, Args)]
pub(crate) struct StandaloneArgs {
    /// Prometheus's data folder, or any folder of blocks.
    #[arg(long = "tsdb.path", default_value = "./data", value_name = "PATH")]
    pub(crate) tsdb_path: PathBuf,
    /// Folder for the bucket and what is cached of it.
    #[arg(long = "data-dir", default_value = "./varve-data", value_name = "PATH")]
    pub(crate) data_dir: PathBuf,
    /// External label of the blocks. Repeatable, at least one.
    #[arg(long = "label", value_name = "NAME=\"VALUE\"", required = true)]
    pub(crate) labels: Vec<LabelFlag>,
    /// Upload blocks that Prometheus has compacted too.
    #[arg(long = "shipper.upload-compacted")]
    pub(crate) upload_compacted: bool,
    /// Time between two rounds of upload, compaction and sync.
    #[arg(long = "interval", default_value = "1m", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) interval: Duration,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) grpc: GrpcArgs,
}

/// `varve tools series`.
#[derive(Debug, Args)]
pub(crate) struct SeriesArgs {
    /// The StoreAPI server.
    #[arg(long = "endpoint", value_name = "HOST:PORT")]
    pub(crate) endpoint: String,
    /// Which series, as in PromQL: up{job="node"}.
    #[arg(value_name = "SELECTOR")]
    pub(crate) selector: String,
    /// Text for people or JSON for programs, one object a line.
    #[arg(long = "output", default_value = "text", value_enum)]
    pub(crate) output: Output,
    /// How long to wait for the server to be ready.
    #[arg(long = "wait", default_value = "0s", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) wait: Duration,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
}

/// Forms of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Cli {
    /// The arguments of this process, and what to say of those that have no effect. Arguments that are wrong end it
    /// with one message and status 2; `--help` and `--version` end it too.
    pub(crate) fn read() -> (Self, Vec<String>) {
        let line = accepted::accept(std::env::args_os());
        if let Some(refused) = line.refused.first() {
            Self::command()
                .error(ErrorKind::InvalidValue, refused)
                .exit();
        }
        match Self::parse_words(line.words) {
            Ok(cli) => (cli, line.said),
            Err(error) => error.exit(),
        }
    }

    /// The meaning of the words of a command line, the program's name first.
    pub(crate) fn parse_words(
        words: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        Self::try_parse_from(words)
    }
}

/// The value of a variable of the environment, for `$(VAR)` in a bucket's YAML.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl GrpcArgs {
    /// When a client is asked to connect anew, if ever.
    pub(crate) fn max_connection_age(&self) -> Option<Duration> {
        (!self.max_connection_age.is_zero()).then_some(self.max_connection_age)
    }
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warn => Self::Warn,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
        }
    }
}

impl From<Format> for LogFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Logfmt => Self::Logfmt,
            Format::Json => Self::Json,
        }
    }
}

impl ObjstoreArgs {
    /// The YAML, if any was given.
    pub(crate) fn yaml(&self) -> anyhow::Result<Option<String>> {
        content(
            self.objstore_config_file.as_deref(),
            self.objstore_config.as_deref(),
        )
    }
}

/// What a flag holds, or the file that its `-file` names.
pub(crate) fn content(file: Option<&Path>, inline: Option<&str>) -> anyhow::Result<Option<String>> {
    match file {
        Some(path) => std::fs::read_to_string(path)
            .map(Some)
            .map_err(|e| anyhow::anyhow!("reading {}: {e}", path.display())),
        None => Ok(inline.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests;
