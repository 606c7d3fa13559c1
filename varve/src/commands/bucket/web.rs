//! `varve tools bucket web`.

use std::{process::ExitCode, sync::Arc, time::Duration};

use bucket::{MetaFetcher, Snapshot, SyncMetrics};
use model::TimeRange;
use page::Board;
use service::{Probe, Reload, shutdown_signal};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tools::{Deleted, Selection};

use super::{FETCHES, Tool, now};
use crate::{
    cli::BucketWebArgs,
    commands::{
        daemon,
        web::{self, WebOf},
    },
};

/// Shows the blocks of the bucket until a signal.
pub(super) async fn run(tool: &Tool, args: &BucketWebArgs) -> anyhow::Result<ExitCode> {
    daemon::check_times(&args.time)?;
    let (metrics, board) = (&tool.metrics, Board::new());
    let probe = Probe::new("bucket", metrics);
    let reload = Reload::new();
    let shutdown = shutdown_signal(&reload)?;
    let config = daemon::web_config(&args.http, metrics, &reload)?;
    let bucket = tool.bucket()?;
    let of = WebOf {
        component: "tools bucket web",
        label: &args.label,
        bucket: &bucket,
        flags: tool.flags.clone(),
        // As with Thanos.
        route_prefix: &args.paths.external_prefix,
    };
    let routes = web::page(&args.paths, &board, of)?;
    let syncs = metrics.register_once("block syncs", SyncMetrics::register);
    let fetcher = MetaFetcher::new(bucket, None, FETCHES, syncs);
    let work = Box::pin(async {
        probe.healthy();
        probe.ready();
        watch(fetcher, args, &board, &shutdown).await?;
        probe.not_ready("shutting down");
        Ok(ExitCode::SUCCESS)
    });
    daemon::beside_routes(&args.http, config, routes, metrics, &probe, &shutdown, work).await
}

/// Leaves out what is not selected, as far as it is known.
fn keep(snapshot: &mut Snapshot, selection: &Selection) {
    let filter = &selection.filter;
    snapshot.blocks.retain(|view| selection.selects(view));
    snapshot
        .partial
        .retain(|block| filter.may_select(block.objects.id));
    snapshot.unread.retain(|block| match &block.meta {
        Some(meta) => filter.selects(block.objects.id, || meta.external_labels()),
        None => filter.may_select(block.objects.id),
    });
}

/// Looks at the bucket again and again.
async fn watch(
    mut fetcher: MetaFetcher,
    args: &BucketWebArgs,
    board: &Board,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let filter = args.selector.filter()?;
    let look = async {
        loop {
            let times = TimeRange {
                min: args.time.min_time.resolve(now()),
                max: args.time.max_time.resolve(now()),
            };
            let selection = Selection {
                filter: filter.clone(),
                times,
                deleted: Deleted::Listed,
            };
            let failure = match timeout(args.timeout, fetcher.fetch()).await {
                Ok(Ok(mut snapshot)) => {
                    keep(&mut snapshot, &selection);
                    let blocks = snapshot.blocks.len();
                    let unread = snapshot.unread.len();
                    tracing::info!(blocks, unread, "bucket listed");
                    let snapshot = Arc::new(snapshot);
                    board.listed(&snapshot, now(), |_| true).await;
                    None
                }
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some(format!("the bucket was not read within {:?}", args.timeout)),
            };
            let pause = match failure {
                None => args.refresh,
                Some(error) => {
                    tracing::error!(error, "bucket not listed, trying again later");
                    board.not_listed(&error, now());
                    // As with Thanos.
                    args.refresh.min(Duration::from_mins(1))
                }
            };
            sleep(pause).await;
        }
    };
    shutdown.run_until_cancelled(look).await.unwrap_or(());
    Ok(())
}
