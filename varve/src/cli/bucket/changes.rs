//! The arguments of tools that make, copy and repair blocks.

use std::{path::PathBuf, time::Duration};

use bucket::BucketConfig;
use clap::{Args, ValueEnum};
use model::{BlockId, Resolution};
use tools::Issue;

use super::Report;
use crate::{
    cli::{self, BlockFormat, HttpArgs, TimeArgs, content},
    values,
};

/// Work under the leases of compactors.
#[derive(Debug, Args)]
pub(crate) struct LeaseArgs {
    /// Work without leases; if no compactor works on the bucket, or its store has no conditional puts.
    #[arg(long = "compact.disable-leases")]
    pub(crate) disable_leases: bool,
    /// External label that tells replicas apart, as the compactor of the bucket has it; leases are named without it.
    /// Repeatable.
    #[arg(
        long = "deduplication.replica-label",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub(crate) replica_labels: Vec<String>,
}

/// `varve tools bucket downsample`.
#[derive(Debug, Args)]
pub(crate) struct DownsampleArgs {
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) lease: LeaseArgs,
    /// Interval between two rounds.
    #[arg(long = "wait-interval", default_value = "5m", value_name = "DURATION", value_parser = values::interval)]
    pub(crate) wait_interval: Duration,
    /// End after one round.
    #[arg(long = "single-run")]
    pub(crate) single_run: bool,
    /// Folder for downloads and for blocks that are being made.
    #[arg(long = "data-dir", default_value = "./data", value_name = "PATH")]
    pub(crate) data_dir: PathBuf,
    /// Format of the blocks that are made.
    #[arg(long = "compact.output", default_value = "parquet", value_enum)]
    pub(crate) block_format: BlockFormat,
    /// Print the log alone, or a JSON object at the end of each round too.
    #[arg(long = "output", default_value = "log", value_enum)]
    pub(crate) output: Report,
}

/// `varve tools bucket rewrite`.
#[derive(Debug, Args)]
pub(crate) struct RewriteArgs {
    /// Block to rewrite. Repeatable.
    #[arg(long = "id", required = true, value_name = "ULID")]
    pub(crate) ids: Vec<BlockId>,
    /// Folder for downloads and for blocks that are being made.
    #[arg(
        long = "tmp.dir",
        default_value = "/tmp/varve-rewrite",
        value_name = "PATH"
    )]
    pub(crate) tmp_dir: PathBuf,
    /// Print the changes and do nothing, which is the default.
    #[arg(long = "dry-run", overrides_with = "no_dry_run", hide = true)]
    pub(crate) dry_run: bool,
    /// Do the changes. Without it they are printed.
    #[arg(long = "no-dry-run", overrides_with = "dry_run")]
    pub(crate) no_dry_run: bool,
    /// Mark the block for deletion once the new one is verified.
    #[arg(long = "delete-blocks")]
    pub(crate) delete_blocks: bool,
    #[command(flatten)]
    pub(crate) content: ContentArgs,
    /// Write no change.log.
    #[arg(long = "no-rewrite.add-change-log", overrides_with = "add_change_log")]
    pub(crate) no_change_log: bool,
    /// Write the changes into change.log in the folder of the new block, which is the default.
    #[arg(
        long = "rewrite.add-change-log",
        overrides_with = "no_change_log",
        hide = true
    )]
    pub(crate) add_change_log: bool,
    /// Format of the new block. The default is that of the old one.
    #[arg(long = "output", value_enum, value_name = "FORMAT")]
    pub(crate) output: Option<BlockFormat>,
    /// Print the log alone, or a JSON object at the end too.
    #[arg(long = "report", default_value = "log", value_enum)]
    pub(crate) report: Report,
    #[command(flatten)]
    pub(crate) lease: LeaseArgs,
}

/// What is changed in a block.
#[derive(Debug, Args)]
pub(crate) struct ContentArgs {
    /// YAML file of matchers and intervals whose samples are deleted.
    #[arg(long = "rewrite.to-delete-config-file", value_name = "PATH")]
    to_delete_file: Option<PathBuf>,
    /// The content of that file.
    #[arg(
        long = "rewrite.to-delete-config",
        conflicts_with = "to_delete_file",
        allow_hyphen_values = true,
        value_name = "YAML"
    )]
    to_delete: Option<String>,
    /// YAML file of relabel rules that are applied to each series.
    #[arg(long = "rewrite.to-relabel-config-file", value_name = "PATH")]
    to_relabel_file: Option<PathBuf>,
    /// The content of that file.
    #[arg(
        long = "rewrite.to-relabel-config",
        conflicts_with = "to_relabel_file",
        allow_hyphen_values = true,
        value_name = "YAML"
    )]
    to_relabel: Option<String>,
}

impl ContentArgs {
    /// The YAML of what is deleted; empty if nothing is.
    pub(crate) fn deletions(&self) -> anyhow::Result<String> {
        let yaml = content(self.to_delete_file.as_deref(), self.to_delete.as_deref())?;
        Ok(yaml.unwrap_or_default())
    }

    /// The YAML of the rules; empty if there are none.
    pub(crate) fn relabeling(&self) -> anyhow::Result<String> {
        let yaml = content(self.to_relabel_file.as_deref(), self.to_relabel.as_deref())?;
        Ok(yaml.unwrap_or_default())
    }
}

/// `varve tools bucket replicate`.
#[derive(Debug, Args)]
pub(crate) struct ReplicateArgs {
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
    /// YAML file that configures the bucket to copy to.
    #[arg(
        long = "objstore-to.config-file",
        conflicts_with = "to_config",
        value_name = "PATH"
    )]
    to_config_file: Option<PathBuf>,
    /// The content of that file.
    #[arg(long = "objstore-to.config", value_name = "YAML")]
    to_config: Option<String>,
    /// Resolution of the blocks to copy: 0s, 5m or 1h. Repeatable.
    #[arg(long = "resolution", default_values = ["0s", "5m", "1h"], value_name = "DURATION", value_parser = resolution)]
    pub(crate) resolutions: Vec<Resolution>,
    /// Least compaction level of the blocks to copy.
    #[arg(long = "compaction-min", default_value_t = 1, value_name = "LEVEL")]
    pub(crate) compaction_min: u32,
    /// Highest compaction level of the blocks to copy.
    #[arg(long = "compaction-max", default_value_t = 4, value_name = "LEVEL")]
    pub(crate) compaction_max: u32,
    /// Compaction level of the blocks to copy, instead of a range. Repeatable.
    #[arg(long = "compaction", value_name = "LEVEL")]
    pub(crate) compactions: Vec<u32>,
    /// Matchers of the external labels of the blocks to copy: cluster="eu-1",replica=~"a|b".
    #[arg(long = "matcher", default_value = "", value_name = "MATCHERS")]
    pub(crate) matcher: String,
    /// End after one round.
    #[arg(long = "single-run")]
    pub(crate) single_run: bool,
    /// Block to copy, whatever the other flags say. Repeatable; ends after one round.
    #[arg(long = "id", value_name = "ULID")]
    pub(crate) ids: Vec<BlockId>,
    /// Leave out blocks that are marked for deletion.
    #[arg(long = "ignore-marked-for-deletion")]
    pub(crate) ignore_marked: bool,
    /// Print the log alone, or a JSON object at the end of each round too.
    #[arg(long = "output", default_value = "log", value_enum)]
    pub(crate) output: Report,
}

impl ReplicateArgs {
    /// The bucket to copy to.
    pub(crate) fn to(&self) -> anyhow::Result<BucketConfig> {
        let yaml = content(self.to_config_file.as_deref(), self.to_config.as_deref())?;
        let yaml = yaml.ok_or_else(|| {
            anyhow::anyhow!(
                "no bucket to copy to: --objstore-to.config-file or --objstore-to.config says where it is"
            )
        })?;
        Ok(BucketConfig::from_yaml(&yaml, cli::variable)?)
    }
}

/// A resolution by its length.
fn resolution(text: &str) -> Result<Resolution, String> {
    let length = values::duration(text).map_err(|error| error.to_string())?;
    let millis = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
    Resolution::try_from(millis).map_err(|_| format!("expected 0s, 5m or 1h, found {text:?}"))
}

/// `varve tools bucket verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Issue to look for. Repeatable.
    #[arg(short = 'i', long = "issues", default_values = ["index_known_issues", "overlapped_blocks"], value_name = "ISSUE", value_parser = issue)]
    pub(crate) issues: Vec<Issue>,
    /// Block to verify; without it, all. Repeatable.
    #[arg(long = "id", alias = "id-whitelist", value_name = "ULID")]
    pub(crate) ids: Vec<BlockId>,
    /// Repair the blocks that have an issue.
    #[arg(short = 'r', long = "repair")]
    pub(crate) repair: bool,
    /// YAML file that configures the bucket to which blocks are copied before they are removed.
    #[arg(
        long = "objstore-backup.config-file",
        conflicts_with = "backup_config",
        value_name = "PATH"
    )]
    backup_config_file: Option<PathBuf>,
    /// The content of that file.
    #[arg(long = "objstore-backup.config", value_name = "YAML")]
    backup_config: Option<String>,
    /// Time after which repaired blocks are deleted by a compactor; 0s deletes them at once.
    #[arg(long = "delete-delay", default_value = "0s", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) delete_delay: Duration,
    /// Folder for downloads and for blocks that are being made.
    #[arg(
        long = "tmp.dir",
        default_value = "/tmp/varve-verify",
        value_name = "PATH"
    )]
    pub(crate) tmp_dir: PathBuf,
    /// Print text, or JSON with one finding a line.
    #[arg(long = "output", default_value = "text", value_enum)]
    pub(crate) output: VerifyOutput,
    #[command(flatten)]
    pub(crate) lease: LeaseArgs,
}

/// The form of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum VerifyOutput {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl VerifyArgs {
    /// The bucket for what is removed, if there is one.
    pub(crate) fn backup(&self) -> anyhow::Result<Option<BucketConfig>> {
        let file = self.backup_config_file.as_deref();
        let yaml = content(file, self.backup_config.as_deref())?;
        let yaml = yaml.filter(|yaml| !yaml.trim().is_empty());
        let config = yaml.map(|yaml| BucketConfig::from_yaml(&yaml, cli::variable));
        Ok(config.transpose()?)
    }
}

/// An issue by its name.
fn issue(text: &str) -> Result<Issue, String> {
    values::named(text, Issue::ALL, Issue::name)
}
