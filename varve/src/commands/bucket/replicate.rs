//! `varve tools bucket replicate`.

use std::{process::ExitCode, time::Duration};

use bucket::{Bucket, MetaFetcher, SyncMetrics};
use model::TimeRange;
use serde_json::json;
use service::{Probe, Reload, shutdown_signal};
use tools::{Deleted, Replication};

use super::{FETCHES, Tool, now, progress::Progress, report, tell_unread};
use crate::{chain::chain, cli::ReplicateArgs, commands::daemon};

/// Time between two rounds, as in Thanos.
const PAUSE: Duration = Duration::from_mins(1);

/// Copies blocks, again and again until a signal.
pub(super) async fn run(tool: &Tool, args: &ReplicateArgs) -> anyhow::Result<ExitCode> {
    daemon::check_times(&args.time)?;
    let mut replication = replication(args)?;
    let (from, to) = (tool.bucket()?, args.to()?.open()?);
    let reload = Reload::new();
    let shutdown = shutdown_signal(&reload)?;
    let web = daemon::web_config(&args.http, &tool.metrics, &reload)?;
    let probe = Probe::new("replicate", &tool.metrics);
    let is_single = args.single_run || !args.ids.is_empty();
    let work = Box::pin(async {
        let metrics = &tool.metrics;
        let metrics = metrics.register_once("block syncs", SyncMetrics::register);
        let mut fetcher = MetaFetcher::new(from.clone(), None, FETCHES, metrics);
        probe.ready();
        loop {
            replication.times = times(args);
            let round = round(tool, args, &mut fetcher, (&from, &to), &replication);
            let done = match shutdown.run_until_cancelled(round).await {
                None => return Ok(ExitCode::SUCCESS),
                Some(done) => done,
            };
            if is_single {
                return done;
            }
            if let Err(error) = done {
                tracing::error!(
                    error = chain(&error),
                    "round failed, the next one tries again"
                );
            }
            let pause = tokio::time::sleep(PAUSE);
            if shutdown.run_until_cancelled(pause).await.is_none() {
                return Ok(ExitCode::SUCCESS);
            }
        }
    });
    daemon::beside_http(&args.http, web, &tool.metrics, &probe, &shutdown, work).await
}

/// Copies what is there now.
async fn round(
    tool: &Tool,
    args: &ReplicateArgs,
    fetcher: &mut MetaFetcher,
    (from, to): (&Bucket, &Bucket),
    replication: &Replication,
) -> anyhow::Result<ExitCode> {
    let snapshot = fetcher.fetch().await?;
    let dir = tool.scratch.path();
    let mut progress = Progress::new("copying");
    let done = tools::replicate(from, to, &snapshot, replication, dir, |view, done, of| {
        let block = &*view.objects.root;
        progress.show(done, of);
        tracing::info!(block, done, of, "block is in both buckets");
    })
    .await?;
    drop(progress);
    let (copied, present) = (done.copied.len(), done.present.len());
    tracing::info!(copied, present, "round ended");
    report(args.output, &json!(done))?;
    Ok(super::status(tell_unread(&snapshot)))
}

/// What the flags select.
fn replication(args: &ReplicateArgs) -> anyhow::Result<Replication> {
    anyhow::ensure!(
        !args.compactions.is_empty() || args.compaction_min <= args.compaction_max,
        "--compaction-min: expected at most --compaction-max, found {} and {}",
        args.compaction_min,
        args.compaction_max
    );
    Ok(Replication {
        ids: args.ids.clone(),
        matchers: match args.matcher.trim() {
            "" => Vec::new(),
            text => matchers(text)?,
        },
        resolutions: args.resolutions.clone(),
        levels: match args.compactions.is_empty() {
            true => (args.compaction_min..=args.compaction_max).collect(),
            false => args.compactions.clone(),
        },
        times: times(args),
        deleted: match args.ignore_marked {
            true => Deleted::LeftOut,
            false => Deleted::Listed,
        },
    })
}

/// Matchers with or without braces around them.
fn matchers(text: &str) -> anyhow::Result<Vec<model::Matcher>> {
    let text = match text.starts_with('{') {
        true => text.to_owned(),
        false => format!("{{{text}}}"),
    };
    Ok(model::parse_selector(&text)?)
}

fn times(args: &ReplicateArgs) -> TimeRange {
    TimeRange {
        min: args.time.min_time.resolve(now()),
        max: args.time.max_time.resolve(now()),
    }
}
