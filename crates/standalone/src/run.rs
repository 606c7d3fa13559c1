//! The three daemons, started and ended together.

use std::{sync::Arc, time::Duration};

use bucket::Bucket;
use compactor::Repeat;
use futures::future::{self, BoxFuture};
use service::{GrpcOptions, Metrics, Probe, serve_grpc};
use sidecar::{LabelSource, Sidecar};
use store_gateway::Gateway;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Config, Deps, StandaloneError, api};

/// Uploads, merges and serves on `listener` until `shutdown`. The first failure ends the others.
///
/// Without a Prometheus, the blocks in the folder at the start are uploaded and merged before the process is ready. With
/// one, all three start at once: Prometheus answers for samples that are not uploaded yet.
///
/// # Errors
/// As of the sidecar, the compactor and the gRPC server. There is no limit to the wait for a Prometheus that does not
/// answer: meanwhile the bucket is served.
pub fn run(
    config: Config,
    bucket: Bucket,
    deps: Deps,
    shutdown: CancellationToken,
    listener: TcpListener,
) -> BoxFuture<'static, Result<(), StandaloneError>> {
    Box::pin(async move {
        let Config {
            mut sidecar,
            compactor,
            mut store,
        } = config;
        let asks_prometheus = match &mut sidecar.labels {
            LabelSource::Prometheus(peer) => {
                peer.ready_timeout = Duration::MAX;
                // The gateway's gate lets requests in to both.
                sidecar.series_concurrency = 0;
                true
            }
            LabelSource::Fixed(_) => false,
        };
        let (sidecar_deps, compactor_deps, store_deps) =
            (deps.sidecar(), deps.compactor(), deps.store());
        // The compactor serves nothing.
        let probes = [sidecar_deps.probe.clone(), store_deps.probe.clone()];
        let grpc_metrics = store_deps.metrics.clone();
        let grpc = GrpcOptions {
            descriptors: api::descriptors(),
            ..store.grpc.clone()
        };
        store.grpc = GrpcOptions::default();
        deps.probe.healthy();
        if !asks_prometheus {
            let upload = sidecar::run_once(&sidecar, &bucket, &sidecar_deps);
            if let Some(uploaded) = shutdown.run_until_cancelled(upload).await {
                uploaded?;
            }
            // Failures of one block are logged and tried again later.
            let once = compactor::Config {
                repeat: Repeat::Once,
                ..compactor.clone()
            };
            compactor::run(
                once,
                bucket.clone(),
                compactor_deps.clone(),
                shutdown.clone(),
            )
            .await?;
            if shutdown.is_cancelled() {
                return Ok(());
            }
        }
        let sidecar = Sidecar::new(sidecar, Some(bucket.clone()), sidecar_deps)?;
        let gateway = Gateway::new(&store, bucket.clone(), store_deps);
        let routes = api::routes(sidecar.api(), gateway.api(), &deps.pool);
        let upload = until_ended(&shutdown, sidecar.run(shutdown.clone(), None));
        let merge = compactor::run(compactor, bucket, compactor_deps, shutdown.clone());
        let merge = until_ended(&shutdown, merge);
        let serve = serve_grpc(
            listener,
            routes,
            grpc,
            &grpc_metrics,
            &deps.probe,
            shutdown.clone(),
        );
        let serve = until_ended(&shutdown, serve);
        let watch = gateway.watch(shutdown.clone());
        let report = shutdown.run_until_cancelled(report(&deps.probe, &probes));
        let (uploaded, merged, served, (), _) = tokio::join!(upload, merge, serve, watch, report);
        deps.probe.not_ready("shutting down");
        uploaded?;
        merged?;
        Ok(served?)
    })
}

/// Does the work of one of the three. Its end ends the others.
async fn until_ended<T>(shutdown: &CancellationToken, work: impl Future<Output = T>) -> T {
    let _end = shutdown.clone().drop_guard();
    work.await
}

/// Reports the whole as ready while all of the probes are.
async fn report(whole: &Probe, probes: &[Probe]) {
    let mut all: Vec<_> = probes.iter().map(Probe::subscribe).collect();
    loop {
        // Each is looked at: one that is not would count as changed at once.
        let ready = all.iter_mut().map(|one| one.borrow_and_update().ready);
        match ready.collect::<Vec<_>>().iter().all(|ready| *ready) {
            true => whole.ready(),
            false => whole.not_ready("a half is not ready"),
        }
        let changes = all.iter_mut().map(|one| Box::pin(one.changed()));
        let (changed, ..) = future::select_all(changes).await;
        if changed.is_err() {
            return;
        }
    }
}

impl Deps {
    fn sidecar(&self) -> sidecar::Deps {
        let (metrics, probe) = self.of("sidecar");
        sidecar::Deps {
            clock: Arc::clone(&self.clock),
            pool: self.pool.clone(),
            metrics,
            probe,
        }
    }

    fn compactor(&self) -> compactor::Deps {
        let (metrics, probe) = self.of("compact");
        compactor::Deps {
            clock: Arc::clone(&self.clock),
            pool: self.merge_pool.clone(),
            metrics,
            probe,
            board: Default::default(),
        }
    }

    fn store(&self) -> store_gateway::Deps {
        let (metrics, probe) = self.of("store");
        store_gateway::Deps {
            clock: Arc::clone(&self.clock),
            pool: self.pool.clone(),
            metrics,
            probe,
            board: Default::default(),
            caches: Default::default(),
        }
    }

    fn of(&self, daemon: &str) -> (Metrics, Probe) {
        let metrics = self.metrics.daemon(daemon);
        let probe = Probe::new(daemon, &metrics);
        (metrics, probe)
    }
}
