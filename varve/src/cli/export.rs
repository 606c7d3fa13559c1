//! The arguments of `varve tools export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ObjstoreArgs, TimeArgs};

/// `varve tools export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Series to export, as in PromQL: up{job="node"}.
    #[arg(value_name = "SELECTOR")]
    pub(crate) selector: String,
    /// Folder of blocks to read, or one block, in place of a bucket.
    #[arg(
        long = "tsdb.path",
        value_name = "PATH",
        conflicts_with_all = ["objstore_config_file", "objstore_config"]
    )]
    pub(crate) tsdb_path: Option<PathBuf>,
    /// Folder to write to. It must be empty.
    #[arg(
        long = "output",
        value_name = "PATH",
        required_unless_present_any = ["output_objstore_config_file", "output_objstore_config"]
    )]
    pub(crate) output: Option<PathBuf>,
    /// YAML file of the bucket to write to.
    #[arg(
        long = "output.objstore.config-file",
        value_name = "PATH",
        conflicts_with_all = ["output", "output_objstore_config"]
    )]
    pub(crate) output_objstore_config_file: Option<PathBuf>,
    /// YAML of the bucket to write to.
    #[arg(
        long = "output.objstore.config",
        value_name = "YAML",
        conflicts_with = "output"
    )]
    pub(crate) output_objstore_config: Option<String>,
    /// Prefix of the objects in the bucket to write to. No object may have it yet.
    #[arg(
        long = "output.prefix",
        value_name = "PREFIX",
        default_value = "export"
    )]
    pub(crate) output_prefix: String,
    /// Format of the files.
    #[arg(long = "format", default_value = "parquet", value_enum)]
    pub(crate) file_format: ExportFormat,
    /// Write the samples of each day, UTC, to a folder of its own: date=2026-11-29.
    #[arg(long = "partition", value_enum)]
    pub(crate) partition: Option<Partition>,
    /// Coarsest resolution to read. Times without such blocks are read from finer ones.
    #[arg(long = "resolution", default_value = "raw", value_enum)]
    pub(crate) resolution: SourceResolution,
    /// Folder for caches and for files on their way to a bucket. Default: a temporary one.
    #[arg(long = "data-dir", value_name = "PATH")]
    pub(crate) data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
    #[command(flatten)]
    pub(crate) objstore: ObjstoreArgs,
}

/// Formats of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Parquet.
    Parquet,
    /// Arrow IPC, streaming format.
    Arrow,
    /// CSV with a header.
    Csv,
}

/// The partitions of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Partition {
    /// Each day, UTC.
    Day,
}

/// Resolutions of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SourceResolution {
    /// Samples as scraped.
    Raw,
    /// Five minutes.
    #[value(name = "5m")]
    FiveMinutes,
    /// One hour.
    #[value(name = "1h")]
    OneHour,
}
