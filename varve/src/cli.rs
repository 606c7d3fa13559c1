//! The arguments: only this module reads them and the environment.
//!
//! Names, defaults and spellings are Thanos's if the meaning is the same.

mod accepted;
mod arg_files;
mod bucket;
mod cache;
mod compact;
mod export;
mod flags;
mod reloader;
mod selector;
mod shared;
mod sidecar;
mod store;
mod telemetry;
mod web;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{
    Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum, error::ErrorKind,
};

pub(crate) use self::{
    bucket::{
        BucketArgs, BucketCommand, CleanupArgs, DownsampleArgs, InspectArgs, InspectOutput,
        LeaseArgs, LsArgs, LsOutput, MarkArgs, ReplicateArgs, Report, RetentionArgs, RewriteArgs,
        UploadBlocksArgs, VerifyArgs, VerifyOutput,
    },
    cache::CacheArgs,
    compact::{Aim, BlockFormat, CompactArgs, CompactCommand},
    export::{ExportArgs, ExportFormat, Partition, SourceResolution},
    reloader::{Method, ReloaderArgs},
    selector::SelectorArgs,
    shared::{GrpcArgs, GrpcClientTlsArgs, HttpArgs, HttpClientArgs, ObjstoreArgs, TimeArgs},
    sidecar::SidecarArgs,
    store::StoreArgs,
    telemetry::{LogArgs, TracingArgs},
    web::{BucketWebArgs, WebArgs, WebPathArgs},
};
use crate::values::{self, LabelFlag};

/// Long-term storage for Prometheus: sidecar, compactor and store gateway, each a drop-in for Thanos's.
#[derive(Debug, Parser)]
#[command(name = "varve", version, max_term_width = 110)]
pub(crate) struct Cli {
    /// The subcommand.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Logging.
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Traces.
    #[command(flatten)]
    pub(crate) tracing: TracingArgs,
    /// All flags and their values, as the API tells them.
    #[arg(skip)]
    pub(crate) flags: BTreeMap<String, String>,
}

/// The components.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Upload the blocks of a Prometheus to a bucket.
    Sidecar(Box<SidecarArgs>),
    /// Compact and downsample the blocks of a bucket.
    Compact(CompactArgs),
    /// Serve the blocks of a bucket over Thanos's StoreAPI (gRPC).
    Store(StoreArgs),
    /// Run sidecar, compactor and store in one process, with a folder as the bucket.
    Standalone(StandaloneArgs),
    /// Inspect blocks and servers by hand.
    #[command(subcommand)]
    Tools(Tools),
}

/// `varve tools`.
#[derive(Debug, Subcommand)]
pub(crate) enum Tools {
    /// Inspect, mark, clean and fill a bucket.
    Bucket(Box<BucketArgs>),
    /// Export samples as Parquet, Arrow or CSV files, one row a sample.
    Export(ExportArgs),
    /// Check that Prometheus and Thanos Ruler can load rule files.
    RulesCheck(RulesCheckArgs),
    /// Query a StoreAPI server for series and print them.
    Series(SeriesArgs),
}

/// `varve standalone`.
#[derive(Debug, Args)]
pub(crate) struct StandaloneArgs {
    /// Prometheus's data folder, or any folder of blocks.
    #[arg(long = "tsdb.path", default_value = "./data", value_name = "PATH")]
    pub(crate) tsdb_path: PathBuf,
    /// Folder for the bucket and its caches.
    #[arg(long = "data-dir", default_value = "./varve-data", value_name = "PATH")]
    pub(crate) data_dir: PathBuf,
    /// The Prometheus that writes the folder: its recent data are served too, under its external labels.
    #[arg(
        long = "prometheus.url",
        value_name = "URL",
        required_unless_present = "labels",
        conflicts_with = "labels"
    )]
    pub(crate) prometheus_url: Option<String>,
    #[command(flatten)]
    pub(crate) http_client: HttpClientArgs,
    /// External label of the blocks, where no Prometheus is named. Repeatable.
    #[arg(long = "label", value_name = "NAME=\"VALUE\"")]
    pub(crate) labels: Vec<LabelFlag>,
    /// Also upload blocks that Prometheus has compacted.
    #[arg(long = "shipper.upload-compacted")]
    pub(crate) upload_compacted: bool,
    /// Time between two rounds of upload, compaction and sync.
    #[arg(long = "interval", default_value = "1m", value_name = "DURATION", value_parser = values::interval)]
    pub(crate) interval: Duration,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) grpc: GrpcArgs,
}

/// `varve tools rules-check`.
#[derive(Debug, Args)]
pub(crate) struct RulesCheckArgs {
    /// Rule files to check, as a glob pattern. Repeatable.
    #[arg(long = "rules", value_name = "GLOB", required = true)]
    pub(crate) rules: Vec<String>,
    /// Print text, or JSON with one object a line.
    #[arg(long = "output", default_value = "text", value_enum)]
    pub(crate) output: Output,
}

/// `varve tools series`.
#[derive(Debug, Args)]
pub(crate) struct SeriesArgs {
    /// The StoreAPI server.
    #[arg(long = "endpoint", value_name = "HOST:PORT")]
    pub(crate) endpoint: String,
    /// Series to print, as a PromQL selector: up{job="node"}.
    #[arg(value_name = "SELECTOR")]
    pub(crate) selector: String,
    /// Print text, or JSON with one object a line.
    #[arg(long = "output", default_value = "text", value_enum)]
    pub(crate) output: Output,
    /// Time to wait for the server to be ready.
    #[arg(long = "wait", default_value = "0s", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) wait: Duration,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
    #[command(flatten)]
    pub(crate) tls: GrpcClientTlsArgs,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Cli {
    /// The arguments of this process, and the notices about flags without effect. Invalid arguments end the process
    /// with one message and status 2; `--help` and `--version` end it too.
    pub(crate) fn read() -> (Self, Vec<String>) {
        let words = match arg_files::expanded(std::env::args_os()) {
            Ok(words) => words,
            Err(error) => Self::command().error(ErrorKind::Io, error).exit(),
        };
        let line = accepted::accept(words);
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

    /// Parses the words of a command line, the program's name first.
    pub(crate) fn parse_words(
        words: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(words)?;
        let cli = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        Ok(Self {
            flags: flags::of(&command, &matches),
            ..cli
        })
    }
}

/// The value of an environment variable, for `$(VAR)` in YAML.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// As [`content`], with each `$(VAR)` replaced by the variable's value.
pub(crate) fn expanded(
    file: Option<&Path>,
    inline: Option<&str>,
) -> anyhow::Result<Option<String>> {
    let text = content(file, inline)?;
    let text = text.map(|text| model::expand_variables(&text, variable));
    Ok(text.transpose()?)
}

/// As [`expanded`], and parsed; nothing if it is blank.
pub(crate) fn parsed<T, E>(
    file: Option<&Path>,
    inline: Option<&str>,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> anyhow::Result<Option<T>>
where
    anyhow::Error: From<E>,
{
    let yaml = expanded(file, inline)?;
    let yaml = yaml.filter(|yaml| !yaml.trim().is_empty());
    Ok(yaml.map(|yaml| parse(&yaml)).transpose()?)
}

/// The value of a flag, or the content of the file of its `-file` form.
pub(crate) fn content(file: Option<&Path>, inline: Option<&str>) -> anyhow::Result<Option<String>> {
    match file {
        Some(path) if !path.as_os_str().is_empty() => std::fs::read_to_string(path)
            .map(Some)
            .map_err(|e| anyhow::anyhow!("reading {}: {e}", path.display())),
        _ => Ok(inline.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests;
