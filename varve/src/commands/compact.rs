//! `varve compact`.

use std::{process::ExitCode, sync::Arc};

use compactor::{Config, Deps, MergeOptions, Repeat, Summary};
use service::{CpuPool, Metrics, Probe, SystemClock, shutdown_signal};

use super::daemon;
use crate::cli::CompactArgs;

/// Merges what there is; with `--wait` again and again until a signal.
pub(super) async fn run(args: CompactArgs) -> anyhow::Result<ExitCode> {
    let metrics = Metrics::new();
    let probe = Probe::new("compact", &metrics);
    let shutdown = shutdown_signal()?;
    let bucket = daemon::need_bucket(&args.objstore, &metrics)?;
    let deps = Deps {
        clock: Arc::new(SystemClock),
        pool: CpuPool::new("merge", 0)?,
        metrics: metrics.clone(),
        probe: probe.clone(),
    };
    let config = config(&args);
    let work = async {
        let summary = compactor::run(config, bucket, deps, shutdown.clone()).await?;
        Ok(ended(&summary))
    };
    daemon::beside_http(&args.http, &metrics, &probe, &shutdown, work).await
}

/// What the flags mean.
fn config(args: &CompactArgs) -> Config {
    Config {
        data_dir: args.data_dir.clone(),
        consistency_delay: args.consistency_delay,
        delete_delay: args.delete_delay,
        repeat: match args.wait {
            true => Repeat::Every(args.wait_interval),
            false => Repeat::Once,
        },
        meta_fetch_concurrency: args.meta_fetch_concurrency,
        blocks_fetch_concurrency: args.blocks_fetch_concurrency,
        min_time: args.time.min_time.into(),
        max_time: args.time.max_time.into(),
        merge: MergeOptions {
            memory_budget: args.memory_budget,
            ..MergeOptions::default()
        },
    }
}

/// Says what a run came to, and each failure once more where one looks first: at the end.
fn ended(summary: &Summary) -> ExitCode {
    for (what, error) in &summary.failed {
        tracing::error!(what, %error, "not done");
    }
    tracing::info!(
        merged = summary.merged.len(),
        covered = summary.covered.len(),
        deleted = summary.deleted.len(),
        failed = summary.failed.len(),
        "run ended"
    );
    match summary.failed.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use compactor::TimeBound;

    use super::*;
    use crate::cli::{Cli, Command};

    fn config_of(args: &[&str]) -> Config {
        let cli = Cli::parse_words(["varve", "compact"].iter().chain(args)).unwrap();
        let Command::Compact(args) = cli.command else {
            panic!("{:?}", cli.command);
        };
        config(&args)
    }

    #[test]
    fn without_flags_the_settings_are_the_compactor_s_own() {
        let (ours, own) = (config_of(&[]), Config::default());
        assert_eq!(format!("{ours:?}"), format!("{own:?}"));
    }

    #[test]
    fn wait_makes_it_go_on_and_times_may_move_with_the_clock() {
        let config = config_of(&["--wait", "--wait-interval=1m", "--max-time=-2d"]);
        assert_eq!(config.repeat, Repeat::Every(Duration::from_mins(1)));
        assert_eq!(config.max_time, TimeBound::FromNow(-2 * 86_400_000));
    }
}
