//! `varve standalone`: the three daemons in one process, with a folder as the bucket.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use bucket::BucketConfig;
use compactor::Repeat;
use service::{
    CpuPool, HttpClientConfig, Metrics, Probe, Reload, ServiceError, SystemClock, shutdown_signal,
};
use sidecar::{LabelSource, PrometheusConfig};
use standalone::{Config, Deps, StandaloneError};

use super::{daemon, store};
use crate::cli::StandaloneArgs;

/// Runs all three until a signal.
pub(super) async fn run(args: StandaloneArgs, metrics: Metrics) -> anyhow::Result<ExitCode> {
    let probe = Probe::new("standalone", &metrics);
    let reload = Reload::new();
    let shutdown = shutdown_signal(&reload)?;
    let web = daemon::web_config(&args.http, &metrics, &reload)?;
    let mut config = config(&args)?;
    config.store.grpc.tls = daemon::grpc_tls(&args.grpc, &metrics, &reload)?;
    config.store.grpc.request_log = args.http.request_log()?;
    let bucket = BucketConfig::filesystem(&args.data_dir.join("bucket")).open()?;
    let bucket = daemon::metered(bucket, &metrics);
    let listener = daemon::listen("grpc-address", &args.grpc.grpc_address).await?;
    let deps = Deps {
        clock: Arc::new(SystemClock),
        pool: CpuPool::for_requests(0),
        merge_pool: CpuPool::new("merge", 0)?,
        metrics: metrics.clone(),
        probe: probe.clone(),
    };
    let work = Box::pin(async {
        drained(standalone::run(config, bucket, deps, shutdown.clone(), listener).await)?;
        Ok(ExitCode::SUCCESS)
    });
    daemon::beside_http(&args.http, web, &metrics, &probe, &shutdown, work).await
}

/// What the flags mean.
fn config(args: &StandaloneArgs) -> anyhow::Result<Config> {
    let labels = match &args.prometheus_url {
        Some(url) => LabelSource::Prometheus(Box::new(PrometheusConfig {
            url: url.clone(),
            http_client: HttpClientConfig::from_yaml(&args.http_client.yaml()?)
                .context("--prometheus.http-client")?,
            ..PrometheusConfig::default()
        })),
        None => LabelSource::Fixed(daemon::labels(&args.labels)?),
    };
    Ok(Config {
        sidecar: sidecar::Config {
            levels: super::sidecar::levels(args.upload_compacted),
            upload_interval: args.interval,
            ..sidecar::Config::new(labels, &args.tsdb_path)
        },
        compactor: compactor::Config {
            data_dir: args.data_dir.join("compact"),
            // Nobody else writes to the bucket, and our uploads are complete when they become visible.
            consistency_delay: Duration::ZERO,
            repeat: Repeat::Every(args.interval),
            ..compactor::Config::default()
        },
        store: store_gateway::Config {
            data_dir: args.data_dir.join("store"),
            sync_interval: args.interval,
            grpc: store::grpc_options(&args.grpc),
            ..store_gateway::Config::default()
        },
    })
}

/// Clients that do not leave in time are not an error.
fn drained(ended: Result<(), StandaloneError>) -> anyhow::Result<()> {
    match ended {
        Err(StandaloneError::Service(error @ ServiceError::Drain { .. })) => {
            Ok(daemon::drained(Err(error))?)
        }
        other => Ok(other?),
    }
}
