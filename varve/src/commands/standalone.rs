//! `varve standalone`: the three daemons in one process, with a folder as the bucket.
//!
//! The blocks in the folder at the start are uploaded and compacted before anything is served, so that the first
//! answers have them.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use bucket::{Bucket, BucketConfig};
use compactor::Repeat;
use service::{Clock, CpuPool, Metrics, Probe, SystemClock, shutdown_signal};
use sidecar::LabelSource;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{daemon, store};
use crate::cli::StandaloneArgs;

/// The three daemons, about to run.
struct Standalone {
    bucket: Bucket,
    sidecar: (sidecar::Config, sidecar::Deps),
    compactor: (compactor::Config, compactor::Deps),
    store: (store_gateway::Config, store_gateway::Deps),
}

/// Runs all three until a signal.
pub(super) async fn run(args: StandaloneArgs) -> anyhow::Result<ExitCode> {
    let metrics = Metrics::new();
    let shutdown = shutdown_signal()?;
    let bucket = BucketConfig::filesystem(&args.data_dir.join("bucket")).open()?;
    let bucket = daemon::metered(bucket, &metrics);
    let listener = daemon::listen("grpc-address", &args.grpc.grpc_address).await?;
    let standalone = Standalone::new(&args, bucket, &metrics)?;
    let probe = standalone.store.1.probe.clone();
    let work = async {
        standalone.run(listener, &shutdown).await?;
        Ok(ExitCode::SUCCESS)
    };
    daemon::beside_http(&args.http, &metrics, &probe, &shutdown, work).await
}

impl Standalone {
    fn new(args: &StandaloneArgs, bucket: Bucket, metrics: &Metrics) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let pool = CpuPool::new("cpu", 0)?;
        let of = |component: &str| {
            let metrics = metrics.daemon(component);
            let probe = Probe::new(component, &metrics);
            (metrics, probe)
        };
        let sidecar = sidecar::Config {
            levels: super::sidecar::levels(args.upload_compacted),
            upload_interval: args.interval,
            ..sidecar::Config::new(
                LabelSource::Fixed(daemon::labels(&args.labels)?),
                &args.tsdb_path,
            )
        };
        let compactor = compactor::Config {
            data_dir: args.data_dir.join("compact"),
            // Nobody else writes to the bucket, and our uploads are complete when they become visible.
            consistency_delay: Duration::ZERO,
            repeat: Repeat::Every(args.interval),
            ..compactor::Config::default()
        };
        let gateway = store_gateway::Config {
            data_dir: args.data_dir.join("store"),
            sync_interval: args.interval,
            grpc: store::grpc_options(&args.grpc),
            ..store_gateway::Config::default()
        };
        let (metrics, probe) = of("sidecar");
        let sidecar_deps = sidecar::Deps {
            clock: Arc::clone(&clock),
            pool: pool.clone(),
            metrics,
            probe,
        };
        let (metrics, probe) = of("compact");
        let compactor_deps = compactor::Deps {
            clock: Arc::clone(&clock),
            // Merges take minutes, and queries must not wait for them.
            pool: CpuPool::new("merge", 0)?,
            metrics,
            probe,
        };
        let (metrics, probe) = of("store");
        let store_deps = store_gateway::Deps {
            clock,
            pool,
            metrics,
            probe,
        };
        Ok(Self {
            bucket,
            sidecar: (sidecar, sidecar_deps),
            compactor: (compactor, compactor_deps),
            store: (gateway, store_deps),
        })
    }

    /// The first round, then all three side by side. The first failure ends the others.
    async fn run(self, listener: TcpListener, shutdown: &CancellationToken) -> anyhow::Result<()> {
        self.store.1.probe.healthy();
        match shutdown
            .run_until_cancelled(self.first_round(shutdown))
            .await
        {
            Some(done) => done?,
            None => return Ok(()),
        }
        let Self {
            bucket,
            sidecar: (sidecar, sidecar_deps),
            compactor: (compactor, compactor_deps),
            store: (store, store_deps),
        } = self;
        let upload = async {
            let _end = shutdown.clone().drop_guard();
            let bucket = Some(bucket.clone());
            sidecar::run(sidecar, bucket, sidecar_deps, shutdown.clone(), None).await
        };
        let merge = async {
            let _end = shutdown.clone().drop_guard();
            compactor::run(compactor, bucket.clone(), compactor_deps, shutdown.clone()).await
        };
        let serve = async {
            let _end = shutdown.clone().drop_guard();
            store_gateway::run(
                store,
                bucket.clone(),
                store_deps,
                shutdown.clone(),
                listener,
            )
            .await
        };
        let (uploaded, merged, served) = tokio::join!(upload, merge, serve);
        uploaded.context("sidecar")?;
        merged.context("compactor")?;
        store::ended(served).context("store gateway")
    }

    /// Uploads and merges the blocks that exist. Failures of one block are logged and tried again later.
    async fn first_round(&self, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let (config, deps) = &self.sidecar;
        sidecar::run_once(config, &self.bucket, deps)
            .await
            .context("sidecar")?;
        let (config, deps) = self.compactor.clone();
        let config = compactor::Config {
            repeat: Repeat::Once,
            ..config
        };
        let bucket = self.bucket.clone();
        compactor::run(config, bucket, deps, shutdown.clone())
            .await
            .context("compactor")?;
        Ok(())
    }
}
