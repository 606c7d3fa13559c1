//! `varve tools bucket`.

mod blocks;
mod parts;
mod progress;
mod replicate;
mod rewrite;
mod verify;
mod web;

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _},
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use bucket::{Bucket, MetaFetcher, Snapshot, SyncMetrics};
use compactor::{Config, Dedup, MergeOptions, ProgressStyle, Replicas, Sharing};
use model::Timestamp;
use page::Board;
use serde_json::Value;
use service::{Clock as _, CpuPool, Metrics, Probe, SystemClock};
use tempfile::TempDir;

use super::{compact::holder, daemon};
use crate::{
    cli::{BucketArgs, BucketCommand, LeaseArgs, Report},
    memory, print,
};

/// Runs a tool to its end.
pub(super) async fn run(
    args: BucketArgs,
    flags: BTreeMap<String, String>,
) -> anyhow::Result<ExitCode> {
    let tool = Tool {
        metrics: Metrics::new(),
        scratch: tempfile::tempdir().context("temporary folder")?,
        args,
        flags,
    };
    match &tool.args.command {
        BucketCommand::Ls(args) => blocks::ls(&tool, args).await,
        BucketCommand::Inspect(args) => blocks::inspect(&tool, args).await,
        BucketCommand::Mark(args) => blocks::mark(&tool, args).await,
        BucketCommand::Cleanup(args) => parts::cleanup(&tool, args).await,
        BucketCommand::Retention(args) => parts::retention(&tool, args).await,
        BucketCommand::Verify(args) => verify::run(&tool, args).await,
        BucketCommand::Replicate(args) => replicate::run(&tool, args).await,
        BucketCommand::Downsample(args) => parts::downsample(&tool, args).await,
        BucketCommand::Rewrite(args) => rewrite::run(&tool, args).await,
        BucketCommand::Web(args) => web::run(&tool, args).await,
        BucketCommand::UploadBlocks(args) => blocks::upload(&tool, args).await,
    }
}

/// What all tools have.
struct Tool {
    args: BucketArgs,
    metrics: Metrics,
    /// Its flags, for the API.
    flags: BTreeMap<String, String>,
    /// A folder that is removed at the end.
    scratch: TempDir,
}

impl Tool {
    /// The bucket, which must exist.
    fn bucket(&self) -> anyhow::Result<Bucket> {
        daemon::need_bucket(&self.args.objstore, &self.metrics)
    }

    /// What is in the bucket. After this time it is an error.
    async fn snapshot(&self, bucket: Bucket, timeout: Duration) -> anyhow::Result<Snapshot> {
        let metrics = &self.metrics;
        let metrics = metrics.register_once("block syncs", SyncMetrics::register);
        let mut fetcher = MetaFetcher::new(bucket, None, FETCHES, metrics);
        let fetched = tokio::time::timeout(timeout, fetcher.fetch()).await;
        let fetched = fetched
            .with_context(|| format!("--timeout: the bucket was not read within {timeout:?}"))?;
        Ok(fetched?)
    }

    /// The settings of a compactor that works in this folder, under leases unless they are disabled.
    fn config(&self, dir: &Path, lease: &LeaseArgs) -> anyhow::Result<Config> {
        let replicas = lease.replica_labels.iter().cloned();
        let own = Config::default();
        Ok(Config {
            data_dir: dir.to_owned(),
            meta_fetch_concurrency: FETCHES,
            sharing: match lease.disable_leases {
                true => Sharing::Alone,
                false => Sharing::Leases {
                    holder: holder(),
                    duration: LEASE,
                },
            },
            replicas: Replicas::new(replicas, Dedup::Exact)?,
            progress: match io::stderr().is_terminal() {
                true => ProgressStyle::Bar,
                false => ProgressStyle::Log,
            },
            merge: MergeOptions {
                memory_budget: memory::merge_budget(),
                ..own.merge
            },
            ..own
        })
    }

    /// What the compactor's parts share with this process.
    fn deps(&self) -> anyhow::Result<compactor::Deps> {
        Ok(compactor::Deps {
            clock: Arc::new(SystemClock),
            pool: CpuPool::new("merge", 0)?,
            metrics: self.metrics.clone(),
            probe: Probe::new("bucket", &self.metrics),
            board: Board::default(),
        })
    }
}

/// Objects that are fetched at once.
const FETCHES: usize = 32;

/// How long compactors wait for a tool that died.
const LEASE: Duration = Duration::from_mins(5);

/// The time.
fn now() -> Timestamp {
    Timestamp(SystemClock.now_ms())
}

/// Prints a report, if one is asked for.
fn report(form: Report, report: &Value) -> anyhow::Result<()> {
    match form {
        Report::Log => Ok(()),
        Report::Json => print::stdout(&format!("{report}\n")),
    }
}

/// Success, unless something failed.
fn status(failed: bool) -> ExitCode {
    match failed {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

/// Names the blocks that could not be read; whether there are any.
fn tell_unread(snapshot: &Snapshot) -> bool {
    for unread in &snapshot.unread {
        let (block, reason) = (&*unread.objects.root, &unread.reason);
        tracing::error!(block, reason, "block not read, so it is missing above");
    }
    !snapshot.unread.is_empty()
}
