//! The daemon: synchronizes with the bucket and serves.

use std::sync::Arc;

use bucket::Bucket;
use futures::future::BoxFuture;
use service::{GrpcOptions, on_own_thread, serve_grpc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Deps, GatewayError, IndexHeaders, StoreApi, SyncHandle, api,
    block::{BlockSource, HeaderFiles},
    metrics::{HeaderMetrics, ReadMetrics, StoreMetrics},
    store::Store,
    sync::Syncer,
};

/// A store gateway that does not run yet.
pub struct Gateway {
    store: Store,
    syncer: Syncer,
    grpc: GrpcOptions,
    handle: SyncHandle,
    deps: Deps,
}

/// Serves the blocks of `bucket` on `listener` until `shutdown`.
///
/// # Errors
/// When the gRPC server cannot start, or fails. Errors of the bucket or of a block go to the requests that meet them.
pub fn run(
    config: Config,
    bucket: Bucket,
    deps: Deps,
    shutdown: CancellationToken,
    listener: TcpListener,
) -> BoxFuture<'static, Result<(), GatewayError>> {
    Gateway::new(&config, bucket, deps).run(shutdown, listener)
}

impl Gateway {
    /// A gateway for the blocks of `bucket`.
    #[must_use]
    pub fn new(config: &Config, bucket: Bucket, deps: Deps) -> Self {
        let (store, syncer, handle) = assemble(config, bucket, &deps);
        Self {
            store,
            syncer,
            grpc: api::grpc_options(config.grpc.clone()),
            handle,
            deps,
        }
    }

    /// Requests synchronizations while the gateway runs.
    #[must_use]
    pub fn sync_handle(&self) -> SyncHandle {
        self.handle.clone()
    }

    /// The gateway's StoreAPI, for a server of the caller. It is up to date while the gateway runs.
    #[must_use]
    pub fn api(&self) -> StoreApi {
        StoreApi::new(self.store.clone())
    }

    /// Synchronizes with the bucket until `shutdown` and serves nothing itself. It is ready after the first complete
    /// synchronization.
    pub fn watch(self, shutdown: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let probe = &self.deps.probe;
            probe.healthy();
            // The thread ends as well when this future is dropped.
            let ending = shutdown.child_token().drop_guard();
            let token = ending.token().clone();
            let run = async move {
                tokio::select! {
                    // What has ended is not looked at again: it might become ready.
                    biased;
                    () = token.cancelled() => {}
                    () = Box::pin(self.syncer.run()) => {}
                }
            };
            // Grouping and comparing the listings of a large bucket takes half a second.
            on_own_thread(Box::pin(run)).await;
            // Running calls are still answered.
            probe.not_ready("shutting down");
        })
    }

    /// Serves on `listener` until `shutdown`. It is ready after the first complete synchronization.
    ///
    /// # Errors
    /// As [`run`].
    pub fn run(
        self,
        shutdown: CancellationToken,
        listener: TcpListener,
    ) -> BoxFuture<'static, Result<(), GatewayError>> {
        Box::pin(async move {
            let Deps { metrics, probe, .. } = self.deps.clone();
            let routes = self.api().routes();
            let grpc = self.grpc.clone();
            let watching = shutdown.child_token();
            let watch = self.watch(watching.clone());
            let serve = async {
                let ended = serve_grpc(listener, routes, grpc, &metrics, &probe, shutdown).await;
                watching.cancel();
                ended
            };
            let (ended, ()) = tokio::join!(serve, watch);
            probe.not_ready("shutting down");
            Ok(ended?)
        })
    }
}

/// The store, the synchronizer, and its handle.
pub(crate) fn assemble(
    config: &Config,
    bucket: Bucket,
    deps: &Deps,
) -> (Store, Syncer, SyncHandle) {
    let data_dir = match config.index_headers {
        IndexHeaders::OnDisk => Some(config.data_dir.as_path()),
        IndexHeaders::InMemory => None,
    };
    let headers = HeaderFiles::new(data_dir, HeaderMetrics::new(&deps.metrics));
    let headers = Arc::new(headers);
    let (syncer, handle) = Syncer::new(config, bucket.clone(), deps, Arc::clone(&headers));
    let reads = ReadMetrics::new(&deps.metrics);
    let (caches, small) = (deps.caches.clone(), config.small_file_bytes);
    let pages = config.page_bytes();
    let source = BlockSource::new(
        bucket,
        deps.pool.clone(),
        headers,
        caches,
        pages,
        small,
        reads,
    );
    let metrics = StoreMetrics::new(&deps.metrics);
    let store = Store::new(config, source, deps, metrics, syncer.served());
    (store, syncer, handle)
}

#[cfg(test)]
mod tests {
    use service::{CpuPool, ManualClock, Metrics, Probe};
    use tempfile::TempDir;

    use super::*;

    /// A gateway of an empty bucket, and its folder.
    fn gateway() -> (Gateway, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let metrics = Metrics::new();
        let deps = Deps {
            clock: Arc::new(ManualClock::new(0)),
            pool: CpuPool::new("test", 1).unwrap(),
            probe: Probe::new("store", &metrics),
            board: Default::default(),
            caches: Default::default(),
            metrics,
        };
        let config = Config {
            data_dir: dir.path().to_owned(),
            ..Config::default()
        };
        (Gateway::new(&config, Bucket::in_memory(), deps), dir)
    }

    #[tokio::test]
    async fn it_watches_until_the_shutdown_and_is_not_ready_afterwards() {
        let (gateway, _dir) = gateway();
        let (handle, probe) = (gateway.sync_handle(), gateway.deps.probe.clone());
        let shutdown = CancellationToken::new();
        let watching = tokio::spawn(gateway.watch(shutdown.clone()));
        handle.sync().await.unwrap();
        assert!(probe.status().ready);
        shutdown.cancel();
        watching.await.unwrap();
        assert!(!probe.status().ready);
        assert!(matches!(handle.sync().await, Err(GatewayError::Ended)));
    }

    #[tokio::test]
    async fn after_a_shutdown_it_does_not_begin() {
        let (gateway, _dir) = gateway();
        let probe = gateway.deps.probe.clone();
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        gateway.watch(shutdown).await;
        assert!(!probe.status().ready);
    }

    #[tokio::test]
    async fn who_stops_waiting_for_it_ends_it() {
        let (gateway, _dir) = gateway();
        let handle = gateway.sync_handle();
        let watching = tokio::spawn(gateway.watch(CancellationToken::new()));
        handle.sync().await.unwrap();
        watching.abort();
        assert!(watching.await.unwrap_err().is_cancelled());
        // A synchronization that is running may still be answered.
        while handle.sync().await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
}
