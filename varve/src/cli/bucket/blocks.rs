//! The arguments of tools that list, mark, delete and upload blocks.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use model::BlockId;
use tools::{Column, Marker};

use super::Report;
use crate::{
    cli::{SelectorArgs, TimeArgs},
    values::{self, LabelFlag},
};

/// `varve tools bucket ls`.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    pub(crate) selector: SelectorArgs,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
    /// Form of a block's line: the name alone, wide, or json. Templates of Go are refused.
    #[arg(short = 'o', long = "output", default_value = "", hide_default_value = true, value_name = "FORM", value_parser = LsOutput::parse)]
    pub(crate) output: LsOutput,
    /// Leave out blocks that are marked for deletion.
    #[arg(long = "exclude-delete")]
    pub(crate) exclude_delete: bool,
    /// Time to wait for the bucket.
    #[arg(long = "timeout", default_value = "5m", value_name = "DURATION", value_parser = values::interval)]
    pub(crate) timeout: Duration,
}

/// The form of a block's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LsOutput {
    /// Its name.
    Name,
    /// Its name, times, level, resolution and source.
    Wide,
    /// Its `meta.json`.
    Json,
}

impl LsOutput {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" | "text" => Ok(Self::Name),
            "wide" => Ok(Self::Wide),
            "json" => Ok(Self::Json),
            other => Err(format!(
                "expected wide or json, found {other:?}; for a form of your own, pass json to a program such as jq"
            )),
        }
    }
}

/// `varve tools bucket inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Label that the blocks must have: name="value". Repeatable; all must match.
    #[arg(short = 'l', long = "selector", value_name = "NAME=\"VALUE\"")]
    pub(crate) selector: Vec<LabelFlag>,
    /// Column to sort by. Repeatable: those that are given later count where the earlier ones are equal.
    #[arg(long = "sort-by", default_values = ["FROM", "UNTIL"], value_name = "COLUMN", value_parser = column)]
    pub(crate) sort_by: Vec<Column>,
    /// Form of the table.
    #[arg(long = "output", default_value = "table", value_enum)]
    pub(crate) output: InspectOutput,
    /// Time to wait for the bucket.
    #[arg(long = "timeout", default_value = "5m", value_name = "DURATION", value_parser = values::interval)]
    pub(crate) timeout: Duration,
}

/// The form of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InspectOutput {
    /// For people.
    Table,
    /// Comma-separated values.
    Csv,
    /// Tab-separated values.
    Tsv,
    /// A list of objects.
    Json,
}

/// A column by its name.
fn column(text: &str) -> Result<Column, String> {
    values::named(text, Column::ALL, Column::name)
}

/// `varve tools bucket mark`.
#[derive(Debug, Args)]
pub(crate) struct MarkArgs {
    /// Block to mark. Repeatable.
    #[arg(long = "id", required = true, value_name = "ULID")]
    pub(crate) ids: Vec<BlockId>,
    /// File name of the mark: deletion-mark.json, no-compact-mark.json or no-downsample-mark.json.
    #[arg(long = "marker", value_name = "NAME", value_parser = marker)]
    pub(crate) marker: Marker,
    /// Reason in words, written into the mark.
    #[arg(
        long = "details",
        default_value = "",
        hide_default_value = true,
        required_unless_present = "remove",
        value_name = "TEXT"
    )]
    pub(crate) details: String,
    /// Remove the mark.
    #[arg(long = "remove")]
    pub(crate) remove: bool,
    /// Print the log alone, or a JSON object at the end too.
    #[arg(long = "output", default_value = "log", value_enum)]
    pub(crate) output: Report,
}

/// A mark by the name of its file.
fn marker(text: &str) -> Result<Marker, String> {
    values::named(text, Marker::ALL, Marker::file)
}

/// `varve tools bucket cleanup`.
#[derive(Debug, Args)]
pub(crate) struct CleanupArgs {
    #[command(flatten)]
    pub(crate) selector: SelectorArgs,
    /// Time between marking a block for deletion and deleting it.
    #[arg(long = "delete-delay", default_value = "48h", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) delete_delay: Duration,
    /// Least age of a block that is worked on. Uploads without meta.json are deleted once they are 48h old.
    #[arg(long = "consistency-delay", default_value = "30m", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) consistency_delay: Duration,
    /// Number of meta.json to fetch at once.
    #[arg(
        long = "block-sync-concurrency",
        value_name = "N",
        default_value_t = 20
    )]
    pub(crate) sync_concurrency: usize,
    /// Print the log alone, or a JSON object at the end too.
    #[arg(long = "output", default_value = "log", value_enum)]
    pub(crate) output: Report,
}

/// `varve tools bucket retention`.
#[derive(Debug, Args)]
pub(crate) struct RetentionArgs {
    /// Time to keep raw samples; 0d is for ever.
    #[arg(long = "retention.resolution-raw", default_value = "0d", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) raw: Duration,
    /// Time to keep samples of 5 minutes; 0d is for ever.
    #[arg(long = "retention.resolution-5m", default_value = "0d", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) five_minutes: Duration,
    /// Time to keep samples of 1 hour; 0d is for ever.
    #[arg(long = "retention.resolution-1h", default_value = "0d", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) one_hour: Duration,
    /// Also mark blocks that were not downsampled, as Thanos does.
    #[arg(long = "downsampling.disable")]
    pub(crate) downsampling_disable: bool,
    #[command(flatten)]
    pub(crate) cleanup: CleanupArgs,
}

/// `varve tools bucket upload-blocks`.
#[derive(Debug, Args)]
pub(crate) struct UploadBlocksArgs {
    /// Folder of the blocks.
    #[arg(long = "path", default_value = "./data", value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// External label of the blocks. Repeatable.
    #[arg(long = "label", required = true, value_name = "NAME=\"VALUE\"")]
    pub(crate) labels: Vec<LabelFlag>,
    /// Also upload blocks that Prometheus has compacted.
    #[arg(long = "shipper.upload-compacted")]
    pub(crate) upload_compacted: bool,
    /// Number of files of a block to upload at once.
    #[arg(
        long = "shipper.upload-concurrency",
        default_value_t = 5,
        value_name = "N"
    )]
    pub(crate) upload_concurrency: usize,
    /// Print the log alone, or a JSON object at the end too.
    #[arg(long = "output", default_value = "log", value_enum)]
    pub(crate) output: Report,
}
