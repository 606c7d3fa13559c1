//! Tools that are parts of a compactor's run.

use std::{process::ExitCode, time::Duration};

use compactor::{CompactError, Config, Downsampling, Outcome, Retention, Summary};
use model::BlockId;
use serde_json::{Value, json};
use service::{Reload, shutdown_signal};

use super::{Tool, report, status};
use crate::{
    cli::{CleanupArgs, DownsampleArgs, RetentionArgs},
    commands::daemon,
};

/// Deletes what is marked, and abandoned uploads.
pub(super) async fn cleanup(tool: &Tool, args: &CleanupArgs) -> anyhow::Result<ExitCode> {
    let config = config(tool, args)?;
    let summary = compactor::clean_now(config, tool.bucket()?, tool.deps()?).await?;
    let deleted = summary.deleted.len();
    tracing::info!(deleted, failed = summary.failed.len(), "cleanup done");
    report(args.output, &told(&summary))?;
    Ok(status(!summary.failed.is_empty()))
}

/// Marks what is past its retention.
pub(super) async fn retention(tool: &Tool, args: &RetentionArgs) -> anyhow::Result<ExitCode> {
    // Zero is for ever.
    let kept = |retention: Duration| (!retention.is_zero()).then_some(retention);
    let config = Config {
        retention: Retention {
            raw: kept(args.raw),
            five_minutes: kept(args.five_minutes),
            one_hour: kept(args.one_hour),
        },
        downsampling: match args.downsampling_disable {
            true => Downsampling::Off,
            false => Downsampling::On,
        },
        ..config(tool, &args.cleanup)?
    };
    let (summary, kept) = compactor::retain_now(config, tool.bucket()?, tool.deps()?).await?;
    for expired in &kept {
        let (block, retention) = (expired.block, expired.retention);
        tracing::warn!(%block, %retention, "kept past its retention, as it was not downsampled");
    }
    let (marked, failed) = (summary.expired.len(), summary.failed.len());
    tracing::info!(marked, kept = kept.len(), failed, "retention applied");
    let mut told = told(&summary);
    if let Some(members) = told.as_object_mut() {
        members.insert("kept".to_owned(), serde_json::to_value(&kept)?);
    }
    report(args.cleanup.output, &told)?;
    Ok(status(failed > 0))
}

/// Downsamples what is long enough, again and again until a signal.
pub(super) async fn downsample(tool: &Tool, args: &DownsampleArgs) -> anyhow::Result<ExitCode> {
    let config = Config {
        output: args.block_format.into(),
        // As with Thanos, a block counts from its meta.json on.
        consistency_delay: Duration::ZERO,
        ..tool.config(&args.data_dir, &args.lease)?
    };
    let (bucket, deps) = (tool.bucket()?, tool.deps()?);
    let reload = Reload::new();
    let shutdown = shutdown_signal(&reload)?;
    let web = daemon::web_config(&args.http, &tool.metrics, &reload)?;
    let work = Box::pin(async {
        deps.probe.ready();
        loop {
            let (bucket, deps) = (bucket.clone(), deps.clone());
            let done = compactor::downsample_all(config.clone(), bucket, deps, shutdown.clone());
            let summary = match done.await {
                Err(CompactError::Stopped) => return Ok(ExitCode::SUCCESS),
                done => done?,
            };
            let (done, failed) = (summary.merged.len(), summary.failed.len());
            let others = summary.left_to_others.len();
            tracing::info!(done, failed, left_to_others = others, "round ended");
            report(args.output, &made(&summary))?;
            if args.single_run {
                return Ok(status(failed > 0));
            }
            let pause = tokio::time::sleep(args.wait_interval);
            if shutdown.run_until_cancelled(pause).await.is_none() {
                return Ok(ExitCode::SUCCESS);
            }
        }
    });
    daemon::beside_http(&args.http, web, &tool.metrics, &deps.probe, &shutdown, work).await
}

/// The compactor's settings.
fn config(tool: &Tool, args: &CleanupArgs) -> anyhow::Result<Config> {
    Ok(Config {
        // Nothing is kept between two runs.
        data_dir: tool.scratch.path().to_owned(),
        delete_delay: args.delete_delay,
        consistency_delay: args.consistency_delay,
        meta_fetch_concurrency: args.sync_concurrency,
        filter: args.selector.filter()?,
        ..Config::default()
    })
}

/// What was done, as JSON.
pub(super) fn told(summary: &Summary) -> Value {
    json!({
        "deleted": summary.deleted,
        "expired": summary.expired,
        "failed": failed(summary),
    })
}

/// The blocks that were made, as JSON.
fn made(summary: &Summary) -> Value {
    let tasks = summary.merged.iter();
    let made: Vec<BlockId> = tasks
        .flat_map(|(_, outcome)| match outcome {
            Outcome::Merged(blocks) => blocks.clone(),
            Outcome::Empty => Vec::new(),
        })
        .collect();
    let others = summary.left_to_others.iter();
    let others: Vec<String> = others.map(|(group, _)| group.to_string()).collect();
    json!({"made": made, "left_to_others": others, "failed": failed(summary)})
}

/// What could not be done, as JSON.
fn failed(summary: &Summary) -> Vec<Value> {
    let failed = summary.failed.iter();
    failed
        .map(|(what, error)| json!({"what": what, "error": error.to_string()}))
        .collect()
}
