//! The arguments of `varve compact`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};

use super::{HttpArgs, ObjstoreArgs, Output, TimeArgs};
use crate::values::{self, ShardFlag};

/// `varve compact`. Its flags may stand before or after `plan` and `run`.
#[derive(Debug, Args)]
pub(crate) struct CompactArgs {
    /// What to do other than all that there is to do.
    #[command(subcommand)]
    pub(crate) command: Option<CompactCommand>,
    /// Folder for blocks at work.
    #[arg(
        long = "data-dir",
        global = true,
        default_value = "./data",
        value_name = "PATH"
    )]
    pub(crate) data_dir: PathBuf,
    /// Least age of a block before it is touched.
    #[arg(long = "consistency-delay", global = true, default_value = "30m", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) consistency_delay: Duration,
    /// How long raw samples are kept; 0d is for ever. At least 40h, unless nothing is downsampled.
    #[arg(long = "retention.resolution-raw", global = true, default_value = "0d", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) retention_raw: Duration,
    /// How long aggregates of 5 minutes are kept; 0d is for ever. At least 10d, unless nothing is downsampled.
    #[arg(long = "retention.resolution-5m", global = true, default_value = "0d", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) retention_5m: Duration,
    /// How long aggregates of 1 hour are kept; 0d is for ever.
    #[arg(long = "retention.resolution-1h", global = true, default_value = "0d", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) retention_1h: Duration,
    /// Time between marking a block for deletion and deleting it.
    #[arg(long = "delete-delay", global = true, default_value = "48h", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) delete_delay: Duration,
    /// Do not end after all is done, wait for new work.
    #[arg(short = 'w', long = "wait", global = true)]
    pub(crate) wait: bool,
    /// Pause between two runs with --wait.
    #[arg(long = "wait-interval", global = true, default_value = "5m", value_name = "DURATION", value_parser = values::interval)]
    pub(crate) wait_interval: Duration,
    /// Do not downsample; samples that are past their retention do not wait for it then.
    #[arg(long = "downsampling.disable", global = true)]
    pub(crate) downsampling_disable: bool,
    /// External labels that tell replicas apart: their blocks become one, without these labels. May be given several
    /// times, or as a list with commas.
    #[arg(
        long = "deduplication.replica-label",
        global = true,
        value_name = "LABEL",
        value_delimiter = ','
    )]
    pub(crate) replica_labels: Vec<String>,
    /// What becomes of the samples of replicas: each timestamp is kept, or, with "penalty", one replica is followed,
    /// and another only where it has a gap.
    #[arg(
        long = "deduplication.func",
        global = true,
        value_name = "FUNC",
        default_value = "",
        hide_default_value = true,
        value_parser = ["", "penalty"]
    )]
    pub(crate) deduplication: String,
    /// The format of the blocks that are made; Thanos reads tsdb.
    #[arg(
        long = "compact.output",
        global = true,
        value_name = "FORMAT",
        default_value = "parquet",
        value_enum
    )]
    pub(crate) block_format: BlockFormat,
    /// What counts more in Parquet blocks: CPU time, so that chunks are compressed where it makes them at least a tenth
    /// smaller, or bytes, so that all are.
    #[arg(
        long = "compact.compression",
        global = true,
        value_name = "AIM",
        default_value = "fast",
        value_enum
    )]
    pub(crate) compression: Aim,
    /// How many meta.json are fetched at once.
    #[arg(
        long = "block-meta-fetch-concurrency",
        global = true,
        value_name = "N",
        default_value_t = 32
    )]
    pub(crate) meta_fetch_concurrency: usize,
    /// How many blocks of a group are downloaded at once.
    #[arg(
        long = "compact.blocks-fetch-concurrency",
        global = true,
        value_name = "N",
        default_value_t = 4
    )]
    pub(crate) blocks_fetch_concurrency: usize,
    /// Memory that a merge may take, the symbols of its inputs apart. Unless given, half of what the control group of
    /// this process allows, and 256MB at most.
    #[arg(long = "compact.memory-budget", global = true, value_name = "SIZE", value_parser = values::bytes)]
    pub(crate) memory_budget: Option<u64>,
    /// Take no leases: for the only compactor of a bucket whose store knows no conditional puts.
    #[arg(long = "compact.disable-leases", global = true)]
    pub(crate) disable_leases: bool,
    /// How long other compactors wait for one that died at work before they take over its group.
    #[arg(long = "compact.lease-duration", global = true, hide = true, default_value = "5m", value_name = "DURATION", value_parser = values::interval)]
    pub(crate) lease_duration: Duration,
    /// How far blocks grow: 4 to 14 days, 3 to 2 days, 2 to 8 hours; below that each block is rewritten on its own.
    #[arg(
        long = "debug.max-compaction-level",
        global = true,
        hide = true,
        value_name = "LEVEL",
        default_value_t = 4
    )]
    pub(crate) max_compaction_level: u8,
    /// YAML file of rules (keep, drop, hashmod) that select blocks by their external labels and __block_id.
    #[arg(
        long = "selector.relabel-config-file",
        global = true,
        conflicts_with = "relabel_config",
        value_name = "PATH"
    )]
    pub(crate) relabel_config_file: Option<PathBuf>,
    /// The same YAML, given here.
    #[arg(
        long = "selector.relabel-config",
        global = true,
        value_name = "YAML",
        allow_hyphen_values = true
    )]
    pub(crate) relabel_config: Option<String>,
    /// Work on the groups of one of COUNT shards only, so that several compactors share a bucket. Without an index
    /// JOB_COMPLETION_INDEX is it, as Kubernetes sets it in an Indexed Job.
    #[arg(long = "shard", global = true, value_name = "[INDEX/]COUNT")]
    pub(crate) shard: Option<ShardFlag>,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
    #[command(flatten)]
    pub(crate) objstore: ObjstoreArgs,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
}

/// The format of the blocks that are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BlockFormat {
    /// Parquet.
    Parquet,
    /// TSDB.
    Tsdb,
}

/// What Parquet blocks are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Aim {
    /// Written and read in little CPU time.
    Fast,
    /// Small.
    Small,
}

/// What `varve compact` can do other than all that there is to do.
#[derive(Debug, Subcommand)]
pub(crate) enum CompactCommand {
    /// Prints what would be done now, what it takes, and why each other block is left.
    Plan {
        /// Text for people or JSON for programs, one object.
        #[arg(long = "output", default_value = "text", value_enum)]
        output: Output,
    },
    /// Does one task of the plan.
    Run {
        /// The task's id, as `plan` tells it.
        #[arg(long = "task", value_name = "ID")]
        task: String,
    },
}
