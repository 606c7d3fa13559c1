//! The arguments of `varve compact`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use compactor::OutputFormat;

use super::{HttpArgs, ObjstoreArgs, Output, SelectorArgs, TimeArgs, WebArgs};
use crate::values::{self, ShardFlag};

/// `varve compact`. Its flags may stand before or after `plan` and `run`.
#[derive(Debug, Args)]
pub(crate) struct CompactArgs {
    /// Show the plan, or run one task of it.
    #[command(subcommand)]
    pub(crate) command: Option<CompactCommand>,
    /// Folder for the blocks being compacted.
    #[arg(
        long = "data-dir",
        global = true,
        default_value = "./data",
        value_name = "PATH"
    )]
    pub(crate) data_dir: PathBuf,
    /// Minimum age of a block before it is compacted.
    #[arg(long = "consistency-delay", global = true, default_value = "30m", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) consistency_delay: Duration,
    /// Retention of raw samples; 0d is for ever. At least 40h with downsampling.
    #[arg(long = "retention.resolution-raw", global = true, default_value = "0d", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) retention_raw: Duration,
    /// Retention of aggregates of 5 minutes; 0d is for ever. At least 10d with downsampling.
    #[arg(long = "retention.resolution-5m", global = true, default_value = "0d", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) retention_5m: Duration,
    /// Retention of aggregates of 1 hour; 0d is for ever.
    #[arg(long = "retention.resolution-1h", global = true, default_value = "0d", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) retention_1h: Duration,
    /// Time between marking a block for deletion and deleting it.
    #[arg(long = "delete-delay", global = true, default_value = "48h", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) delete_delay: Duration,
    /// Keep running and wait for new work.
    #[arg(short = 'w', long = "wait", global = true)]
    pub(crate) wait: bool,
    /// Pause between two runs with --wait.
    #[arg(long = "wait-interval", global = true, default_value = "5m", value_name = "DURATION", value_parser = values::interval)]
    pub(crate) wait_interval: Duration,
    /// Do not downsample; samples past their retention are deleted without it.
    #[arg(long = "downsampling.disable", global = true)]
    pub(crate) downsampling_disable: bool,
    /// External labels that tell replicas apart; their blocks are merged, without these labels. Repeatable, or a list
    /// with commas.
    #[arg(
        long = "deduplication.replica-label",
        global = true,
        value_name = "LABEL",
        value_delimiter = ','
    )]
    pub(crate) replica_labels: Vec<String>,
    /// Merge replicas by keeping each timestamp, or, with "penalty", by following one replica and filling its gaps from
    /// others.
    #[arg(
        long = "deduplication.func",
        global = true,
        value_name = "FUNC",
        default_value = "",
        hide_default_value = true,
        value_parser = ["", "penalty"]
    )]
    pub(crate) deduplication: String,
    /// Format of the blocks to write; Thanos reads tsdb.
    #[arg(
        long = "compact.output",
        global = true,
        value_name = "FORMAT",
        default_value = "parquet",
        value_enum
    )]
    pub(crate) block_format: BlockFormat,
    /// HTTP address of a store gateway, as in http://store-0:10902: keep TSDB blocks until a gateway was first
    /// seen --delete-delay ago to serve the Parquet block that replaces them, and serves it now. Repeatable.
    #[arg(long = "compact.keep-until-served", global = true, value_name = "URL")]
    pub(crate) stores: Vec<String>,
    /// YAML file that configures the HTTP client for these gateways, as --prometheus.http-client-file of the sidecar.
    #[arg(
        long = "compact.store-http-client-file",
        global = true,
        requires = "stores",
        value_name = "PATH"
    )]
    pub(crate) store_client_file: Option<PathBuf>,
    /// The content of that file.
    #[arg(
        long = "compact.store-http-client",
        global = true,
        conflicts_with = "store_client_file",
        requires = "stores",
        value_name = "YAML"
    )]
    pub(crate) store_client: Option<String>,
    /// Compress the chunks of Parquet blocks only if that saves a tenth or more (fast), or always (small).
    #[arg(
        long = "compact.compression",
        global = true,
        value_name = "AIM",
        default_value = "fast",
        value_enum
    )]
    pub(crate) compression: Aim,
    /// Number of meta.json to fetch at once.
    #[arg(
        long = "block-meta-fetch-concurrency",
        global = true,
        value_name = "N",
        default_value_t = 32
    )]
    pub(crate) meta_fetch_concurrency: usize,
    /// Number of blocks of a group to download at once.
    #[arg(
        long = "compact.blocks-fetch-concurrency",
        global = true,
        value_name = "N",
        default_value_t = 4
    )]
    pub(crate) blocks_fetch_concurrency: usize,
    /// Memory for a merge, without the symbols of its inputs. The default is half of the control group's limit, at
    /// most 256MB.
    #[arg(long = "compact.memory-budget", global = true, value_name = "SIZE", value_parser = values::bytes)]
    pub(crate) memory_budget: Option<u64>,
    /// Work without leases; for a single compactor, or a store without conditional puts.
    #[arg(long = "compact.disable-leases", global = true)]
    pub(crate) disable_leases: bool,
    /// Time after which other compactors take over the group of a dead one.
    #[arg(long = "compact.lease-duration", global = true, hide = true, default_value = "5m", value_name = "DURATION", value_parser = values::interval)]
    pub(crate) lease_duration: Duration,
    /// Largest blocks to make: 4 for 14 days, 3 for 2 days, 2 for 8 hours; below that each block is rewritten on its
    /// own.
    #[arg(
        long = "debug.max-compaction-level",
        global = true,
        hide = true,
        value_name = "LEVEL",
        default_value_t = 4
    )]
    pub(crate) max_compaction_level: u8,
    #[command(flatten)]
    pub(crate) selector: SelectorArgs,
    /// Work only on the groups of one of COUNT shards, so that several compactors share a bucket. Without an index,
    /// that of JOB_COMPLETION_INDEX is used, which Kubernetes sets in an Indexed Job.
    #[arg(long = "shard", global = true, value_name = "[INDEX/]COUNT")]
    pub(crate) shard: Option<ShardFlag>,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
    #[command(flatten)]
    pub(crate) objstore: ObjstoreArgs,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) web: WebArgs,
    /// Time between two looks at the bucket for the page, with --wait.
    #[arg(long = "block-viewer.global.sync-block-interval", global = true, default_value = "1m", value_name = "DURATION", value_parser = values::interval)]
    pub(crate) view_interval: Duration,
    /// Time that such a look may take.
    #[arg(long = "block-viewer.global.sync-block-timeout", global = true, default_value = "5m", value_name = "DURATION", value_parser = values::interval)]
    pub(crate) view_timeout: Duration,
}

/// The format of output blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BlockFormat {
    /// Parquet.
    Parquet,
    /// TSDB.
    Tsdb,
}

impl From<BlockFormat> for OutputFormat {
    fn from(format: BlockFormat) -> Self {
        match format {
            BlockFormat::Parquet => Self::Parquet,
            BlockFormat::Tsdb => Self::Tsdb,
        }
    }
}

/// The aim of compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Aim {
    /// Little CPU time for writing and reading.
    Fast,
    /// Small files.
    Small,
}

/// The subcommands of `varve compact`.
#[derive(Debug, Subcommand)]
pub(crate) enum CompactCommand {
    /// Print what a run would do, what it takes, and why it leaves each other block.
    Plan {
        /// Print text, or JSON as one object.
        #[arg(long = "output", default_value = "text", value_enum)]
        output: Output,
    },
    /// Run one task of the plan.
    Run {
        /// The task's id, as `plan` prints it.
        #[arg(long = "task", value_name = "ID")]
        task: String,
    },
}
