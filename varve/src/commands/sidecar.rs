//! `varve sidecar`.

use std::{num::NonZeroUsize, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use bucket::Bucket;
use service::{
    CpuPool, HttpClientConfig, Metrics, Probe, Reload, ServiceError, SystemClock, shutdown_signal,
};
use sidecar::{
    Config, Deps, LabelSource, Levels, Limits, Overlaps, Pass, PrometheusConfig, ReloadMethod,
    ReloaderConfig, SidecarError, UnequalBlocks, UnsetVariables,
};
use tokio_util::sync::CancellationToken;

use super::{daemon, store};
use crate::cli::{Method, ReloaderArgs, SidecarArgs, variable};

/// Serves recent data and uploads blocks until a signal, or uploads once.
pub(super) async fn run(args: SidecarArgs, metrics: Metrics) -> anyhow::Result<ExitCode> {
    let probe = Probe::new("sidecar", &metrics);
    let reload = Reload::new();
    let shutdown = shutdown_signal(&reload)?;
    let web = daemon::web_config(&args.http, &metrics, &reload)?;
    let mut config = config(&args)?;
    config.grpc.tls = daemon::grpc_tls(&args.grpc, &metrics, &reload)?;
    config.grpc.request_log = args.http.request_log()?;
    let bucket = daemon::open_bucket(&args.objstore, &metrics)?;
    let deps = Deps {
        clock: Arc::new(SystemClock),
        pool: CpuPool::for_requests(0),
        metrics: metrics.clone(),
        probe: probe.clone(),
    };
    let work = Box::pin(async {
        if args.once {
            let bucket = bucket.context("--once needs a bucket to upload to")?;
            return once(&config, &bucket, &deps, &shutdown).await;
        }
        let listener = daemon::listen("grpc-address", &args.grpc.grpc_address).await?;
        let listener = Some(listener);
        drained(sidecar::run(config, bucket, deps, shutdown.clone(), listener).await)?;
        Ok(ExitCode::SUCCESS)
    });
    daemon::beside_http(&args.http, web, &metrics, &probe, &shutdown, work).await
}

/// The configuration that the flags make.
fn config(args: &SidecarArgs) -> anyhow::Result<Config> {
    let reloader = reloader(&args.reloader);
    let reloads = reloader.is_used();
    anyhow::ensure!(
        !(reloads && args.once),
        "--once ends at once, so it excludes --reloader.config-file and --reloader.rule-dir"
    );
    let labels = if args.labels.is_empty() {
        LabelSource::Prometheus(Box::new(PrometheusConfig {
            url: args.prometheus_url.clone(),
            ready_timeout: args.ready_timeout,
            get_config_interval: args.get_config_interval,
            get_config_timeout: args.get_config_timeout,
            http_client: HttpClientConfig::from_yaml(&args.http_client.yaml()?)
                .context("--prometheus.http-client")?,
            unequal_blocks: match args.ignore_unequal_block_size {
                true => UnequalBlocks::Ignore,
                false => UnequalBlocks::Refuse,
            },
            reloader,
        }))
    } else {
        anyhow::ensure!(
            !reloads,
            "with --label no prometheus is asked, so it excludes --reloader.config-file and --reloader.rule-dir"
        );
        LabelSource::Fixed(daemon::labels(&args.labels)?)
    };
    Ok(Config {
        levels: levels(args.upload_compacted),
        meta_file_name: args.meta_file_name.clone(),
        overlaps: match args.allow_overlaps {
            true => Overlaps::Upload,
            false => Overlaps::Refuse,
        },
        upload_concurrency: NonZeroUsize::new(args.upload_concurrency).unwrap_or(NonZeroUsize::MIN),
        hash_func: args.hash_func,
        min_time: args.min_time,
        limits: Limits {
            request_series: args.request_series,
            request_samples: args.request_samples,
            request_sort_bytes: usize::try_from(args.request_sort_bytes).unwrap_or(usize::MAX),
        },
        series_concurrency: args.series_max_concurrency,
        grpc: store::grpc_options(&args.grpc),
        ..Config::new(labels, &args.tsdb_path)
    })
}

/// What the reloader's flags mean.
fn reloader(args: &ReloaderArgs) -> ReloaderConfig {
    let config_file = args.config_file();
    if config_file.is_none() && args.output_file().is_some() {
        tracing::warn!(
            "--reloader.config-envsubst-file has no effect without --reloader.config-file"
        );
    }
    ReloaderConfig {
        output_file: config_file.as_ref().and_then(|_| args.output_file()),
        config_file,
        rule_dirs: args.rule_dirs(),
        watch_interval: args.watch_interval,
        retry_interval: args.retry_interval,
        delay_interval: args.delay_interval,
        method: match args.method {
            Method::Http => ReloadMethod::Http,
            Method::Signal => ReloadMethod::Signal(args.process_name.clone()),
        },
        unset: match args.tolerate_unset {
            true => UnsetVariables::Keep,
            false => UnsetVariables::Refuse,
        },
        variable,
    }
}

/// What `--shipper.upload-compacted` means.
pub(super) const fn levels(upload_compacted: bool) -> Levels {
    match upload_compacted {
        true => Levels::All,
        false => Levels::First,
    }
}

/// Uploads the blocks that exist.
async fn once(
    config: &Config,
    bucket: &Bucket,
    deps: &Deps,
    shutdown: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let pass = sidecar::run_once(config, bucket, deps);
    match shutdown.run_until_cancelled(pass).await {
        Some(pass) => Ok(ended(&pass?)),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Logs the result of a pass; failures were logged as they happened.
fn ended(pass: &Pass) -> ExitCode {
    tracing::info!(
        uploaded = pass.uploaded.len(),
        present = pass.present.len(),
        skipped = pass.skipped.len(),
        failed = pass.failed.len(),
        "pass over the folder ended"
    );
    match pass.failed.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Clients that did not leave in time are not our failure.
fn drained(ended: Result<(), SidecarError>) -> anyhow::Result<()> {
    match ended {
        Err(SidecarError::Service(error @ ServiceError::Drain { .. })) => {
            Ok(daemon::drained(Err(error))?)
        }
        other => Ok(other?),
    }
}
