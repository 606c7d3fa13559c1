//! The daemon: looks at the bucket and serves.

use std::sync::Arc;

use bucket::Bucket;
use service::{GrpcOptions, serve_grpc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Deps, GatewayError, IndexHeaders, StoreApi, SyncHandle, api,
    block::{BlockSource, HeaderFiles},
    metrics::{HeaderMetrics, StoreMetrics},
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
/// When the gRPC server cannot start, or breaks. What concerns the bucket or a block is told to those who ask.
pub async fn run(
    config: Config,
    bucket: Bucket,
    deps: Deps,
    shutdown: CancellationToken,
    listener: TcpListener,
) -> Result<(), GatewayError> {
    Gateway::new(&config, bucket, deps)
        .run(shutdown, listener)
        .await
}

impl Gateway {
    /// A gateway to the blocks of `bucket`.
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

    /// Lets others have the bucket looked at now, while the gateway runs.
    #[must_use]
    pub fn sync_handle(&self) -> SyncHandle {
        self.handle.clone()
    }

    /// Its answers, to be served beside something else. They are up to date while the gateway runs.
    #[must_use]
    pub fn api(&self) -> StoreApi {
        StoreApi::new(self.store.clone())
    }

    /// Looks at the bucket until `shutdown`, and serves nothing itself. Ready, once the bucket has been looked at.
    pub async fn watch(self, shutdown: CancellationToken) {
        let probe = &self.deps.probe;
        probe.healthy();
        shutdown.run_until_cancelled(self.syncer.run()).await;
        // Calls under way are still answered.
        probe.not_ready("shutting down");
    }

    /// Serves on `listener` until `shutdown`. Ready, once the bucket has been looked at.
    ///
    /// # Errors
    /// As [`run`].
    pub async fn run(
        self,
        shutdown: CancellationToken,
        listener: TcpListener,
    ) -> Result<(), GatewayError> {
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
    }
}

/// What answers from the blocks of `bucket`, what looks at it, and what asks that to look.
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
    let source = BlockSource::new(bucket, deps.pool.clone(), headers, config.small_file_bytes);
    let metrics = StoreMetrics::new(&deps.metrics);
    let store = Store::new(config, source, deps, metrics, syncer.served());
    (store, syncer, handle)
}
