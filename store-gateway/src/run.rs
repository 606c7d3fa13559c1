//! The daemon: synchronizes with the bucket and serves.

use std::sync::Arc;

use bucket::Bucket;
use futures::future::BoxFuture;
use service::{GrpcOptions, serve_grpc};
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
            shutdown
                .run_until_cancelled(Box::pin(self.syncer.run()))
                .await;
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
            let watch = async {
                self.watch(shutdown.clone()).await;
                std::future::pending::<()>().await;
            };
            let serve = serve_grpc(listener, routes, grpc, &metrics, &probe, shutdown.clone());
            let ended = tokio::select! {
                ended = serve => ended,
                () = watch => Ok(()),
            };
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
