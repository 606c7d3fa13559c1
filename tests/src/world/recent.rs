//! What is served of a Prometheus: by a sidecar, and by all three daemons in one process.

use std::time::Duration;

use anyhow::Context as _;
use compactor::Repeat;
use service::{Metrics, Probe};
use sidecar::{LabelSource, PrometheusConfig};
use tokio::{
    net::TcpListener,
    runtime::Handle,
    task::{JoinHandle, spawn_blocking},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{DEADLINE, World};
use crate::{PrometheusServer, StoreClient};

/// A daemon that runs. It ends with [`Self::stop`], or is told to end with this value.
#[derive(Debug)]
pub struct RunningDaemon {
    /// A client of it.
    pub client: StoreClient,
    shutdown: DropGuard,
    task: JoinHandle<anyhow::Result<()>>,
}

impl World {
    /// Starts a sidecar that only serves, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn sidecar(&self, prometheus: &PrometheusServer) -> anyhow::Result<RunningDaemon> {
        let (config, deps) = (self.sidecar_config(prometheus), self.sidecar_deps());
        RunningDaemon::start(move |listener, shutdown| async move {
            sidecar::run(config, None, deps, shutdown, Some(listener)).await?;
            Ok(())
        })
        .await
    }

    /// Starts all three daemons on the bucket in one process, and waits until they are ready. The folder of the Prometheus
    /// is empty for them: what is in the bucket was uploaded before.
    ///
    /// # Errors
    /// When they do not become ready.
    pub async fn standalone(&self, prometheus: &PrometheusServer) -> anyhow::Result<RunningDaemon> {
        let metrics = Metrics::new();
        let deps = standalone::Deps {
            clock: self.clock(),
            pool: self.pool.clone(),
            merge_pool: self.pool.clone(),
            probe: Probe::new("standalone", &metrics),
            metrics,
        };
        let dir = tempfile::tempdir_in(self.dir.path())?.keep();
        let config = standalone::Config {
            sidecar: self.sidecar_config(prometheus),
            compactor: compactor::Config {
                data_dir: dir.join("compact"),
                repeat: Repeat::Every(Duration::from_secs(3600)),
                ..compactor::Config::default()
            },
            store: store_gateway::Config {
                data_dir: dir.join("store"),
                ..store_gateway::Config::default()
            },
        };
        let bucket = self.bucket()?;
        RunningDaemon::start(move |listener, shutdown| async move {
            standalone::run(config, bucket, deps, shutdown, listener).await?;
            Ok(())
        })
        .await
    }

    fn sidecar_config(&self, prometheus: &PrometheusServer) -> sidecar::Config {
        let peer = PrometheusConfig {
            url: prometheus.url(),
            ..PrometheusConfig::default()
        };
        let labels = LabelSource::Prometheus(Box::new(peer));
        sidecar::Config {
            upload_interval: Duration::from_secs(3600),
            ..sidecar::Config::new(labels, self.dir.path().join("nothing"))
        }
    }
}

impl RunningDaemon {
    async fn start<F>(
        run: impl FnOnce(TcpListener, CancellationToken) -> F + Send + 'static,
    ) -> anyhow::Result<Self>
    where
        F: Future<Output = anyhow::Result<()>>,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shutdown = CancellationToken::new();
        let (until, runtime) = (shutdown.clone(), Handle::current());
        // A compaction stays on its thread.
        let task = spawn_blocking(move || runtime.block_on(run(listener, until)));
        let daemon = Self {
            client: StoreClient::connect(address).await?,
            shutdown: shutdown.drop_guard(),
            task,
        };
        let ready = tokio::time::timeout(DEADLINE, daemon.client.ready()).await;
        ready.context("the daemon is not ready in time")??;
        Ok(daemon)
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// As it says; when it does not end in time.
    pub async fn stop(self) -> anyhow::Result<()> {
        let Self {
            client,
            shutdown,
            task,
        } = self;
        drop(client);
        drop(shutdown);
        let ended = tokio::time::timeout(DEADLINE, task).await;
        ended.context("the daemon does not end in time")??
    }
}
