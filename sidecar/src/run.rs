//! The daemon: watches Prometheus, serves what it has, and uploads.

use std::sync::Arc;

use bucket::Bucket;
use futures::future::BoxFuture;
use model::{Labels, Timestamp};
use service::serve_grpc;
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::{
    Config, Deps, LabelSource, PrometheusConfig, SidecarError, StoreApi, api, checks,
    metrics::SidecarMetrics,
    prometheus::Prometheus,
    recent::Recent,
    reloader,
    shipper::{Pass, Shipper},
    view::View,
};

/// Pause between two attempts to reach a Prometheus that is starting.
const RETRY: std::time::Duration = std::time::Duration::from_secs(2);

/// A sidecar that does not run yet.
#[derive(Debug)]
pub struct Sidecar {
    config: Config,
    bucket: Option<Bucket>,
    deps: Deps,
    metrics: SidecarMetrics,
    prometheus: Option<Prometheus>,
    recent: Option<Recent>,
    views: watch::Sender<Option<View>>,
    view: watch::Receiver<Option<View>>,
    outdated: Arc<Notify>,
}

/// Serves what Prometheus has on `listener`, if there is one, and uploads blocks to `bucket`, if there is one, until
/// `shutdown`. Where the labels are fixed no Prometheus is asked, and only health is served.
///
/// # Errors
/// When Prometheus has no external labels, or blocks are to be uploaded and it compacts them or does not become ready;
/// when the gRPC server breaks, or calls are under way past its grace period; when the reloader cannot read what it is
/// to watch at first.
pub fn run(
    config: Config,
    bucket: Option<Bucket>,
    deps: Deps,
    shutdown: CancellationToken,
    listener: Option<TcpListener>,
) -> BoxFuture<'static, Result<(), SidecarError>> {
    Box::pin(async move {
        let sidecar = Sidecar::new(config, bucket, deps)?;
        sidecar.run(shutdown, listener).await
    })
}

impl Sidecar {
    /// A sidecar that uploads to `bucket`, if there is one.
    ///
    /// # Errors
    /// When it cannot be told from the configuration how Prometheus is reached.
    pub fn new(config: Config, bucket: Option<Bucket>, deps: Deps) -> Result<Self, SidecarError> {
        let metrics = SidecarMetrics::new(&deps.metrics);
        let prometheus = match &config.labels {
            LabelSource::Prometheus(peer) => Some(Prometheus::new(peer)?),
            LabelSource::Fixed(_) => None,
        };
        let (views, view) = watch::channel(None);
        let outdated = Arc::new(Notify::new());
        let recent = prometheus.clone().map(|prometheus| {
            let notify = Arc::clone(&outdated);
            Recent::new(&config, &deps, prometheus, view.clone(), notify)
        });
        Ok(Self {
            config,
            bucket,
            deps,
            metrics,
            prometheus,
            recent,
            views,
            view,
            outdated,
        })
    }

    /// What Prometheus has, to be served beside something else; none where the labels are fixed. It answers while the
    /// sidecar runs.
    #[must_use]
    pub fn api(&self) -> Option<StoreApi> {
        self.recent.clone().map(StoreApi::new)
    }

    /// As [`run`].
    ///
    /// # Errors
    /// As [`run`].
    pub fn run(
        self,
        shutdown: CancellationToken,
        listener: Option<TcpListener>,
    ) -> BoxFuture<'static, Result<(), SidecarError>> {
        Box::pin(async move {
            let Self {
                config,
                bucket,
                deps,
                metrics,
                prometheus,
                recent,
                views,
                view,
                outdated,
            } = self;
            let reload = async {
                let (LabelSource::Prometheus(peer), Some(prometheus)) =
                    (&config.labels, &prometheus)
                else {
                    return Ok(());
                };
                let (prometheus, reloaded) = (prometheus.clone(), Arc::clone(&outdated));
                reloader::run(&peer.reloader, prometheus, &deps, reloaded).await
            };
            let work = async {
                // Whichever ends first ends the other.
                let _end = shutdown.clone().drop_guard();
                let daemon = Daemon {
                    config: &config,
                    bucket: bucket.as_ref(),
                    deps: &deps,
                    metrics: &metrics,
                    prometheus: prometheus.as_ref(),
                    views,
                    outdated: Arc::clone(&outdated),
                };
                // Prometheus may need its configuration before it is ready.
                let (daemon, reload) = (Box::pin(daemon.run(view)), Box::pin(reload));
                let both = async { tokio::try_join!(daemon, reload).map(drop) };
                let ended = shutdown.run_until_cancelled(both).await;
                deps.probe.not_ready("shutting down");
                ended.unwrap_or(Ok(()))
            };
            let serve = async {
                let Some(listener) = listener else {
                    return Ok(());
                };
                let _end = shutdown.clone().drop_guard();
                let routes = recent.map_or_else(Routes::default, api::routes);
                let grpc = api::grpc_options(config.grpc.clone());
                let (metrics, probe) = (&deps.metrics, &deps.probe);
                serve_grpc(listener, routes, grpc, metrics, probe, shutdown.clone()).await
            };
            let (worked, served) = tokio::join!(work, serve);
            worked?;
            Ok(served?)
        })
    }
}

/// Uploads what there is now, and says what that was.
///
/// # Errors
/// As [`run`]; and when the folder cannot be listed.
pub fn run_once<'a>(
    config: &'a Config,
    bucket: &'a Bucket,
    deps: &'a Deps,
) -> BoxFuture<'a, Result<Pass, SidecarError>> {
    Box::pin(async move {
        let metrics = SidecarMetrics::new(&deps.metrics);
        let prometheus = match &config.labels {
            LabelSource::Prometheus(peer) => Some(Prometheus::new(peer)?),
            LabelSource::Fixed(_) => None,
        };
        let (views, view) = watch::channel(None);
        let daemon = Daemon {
            config,
            bucket: Some(bucket),
            deps,
            metrics: &metrics,
            prometheus: prometheus.as_ref(),
            views,
            outdated: Arc::default(),
        };
        let labels = daemon.start().await?.0;
        drop(view);
        deps.probe.ready();
        daemon.shipper(bucket).pass(&labels).await
    })
}

/// What works beside the server.
struct Daemon<'a> {
    config: &'a Config,
    bucket: Option<&'a Bucket>,
    deps: &'a Deps,
    metrics: &'a SidecarMetrics,
    prometheus: Option<&'a Prometheus>,
    /// Where what is found of Prometheus goes.
    views: watch::Sender<Option<View>>,
    /// Told when what was found is no longer so.
    outdated: Arc<Notify>,
}

impl Daemon<'_> {
    /// Waits for Prometheus, then watches it and uploads.
    async fn run(self, view: watch::Receiver<Option<View>>) -> Result<(), SidecarError> {
        let (labels, version) = self.start().await?;
        self.deps.probe.ready();
        let heartbeat = async {
            match (&self.config.labels, self.prometheus) {
                (LabelSource::Prometheus(peer), Some(prometheus)) => {
                    self.heartbeat(peer, prometheus, version).await;
                }
                _ => std::future::pending().await,
            }
        };
        let ship = async {
            match self.bucket {
                Some(bucket) => self.ship(bucket, &labels, &view).await,
                None => {
                    tracing::info!("no supported bucket was configured, uploads will be disabled");
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::join!(heartbeat, ship);
        Ok(())
    }

    /// Waits for Prometheus, checks that it may be uploaded from, and looks at it; gives its labels and its version.
    async fn start(&self) -> Result<(Labels, String), SidecarError> {
        self.deps.probe.healthy();
        let (peer, prometheus) = match (&self.config.labels, self.prometheus) {
            (LabelSource::Prometheus(peer), Some(prometheus)) => (peer, prometheus),
            (LabelSource::Fixed(labels), _) if !labels.is_empty() => {
                return Ok((labels.clone(), String::new()));
            }
            _ => return Err(SidecarError::NoExternalLabels),
        };
        // None where it lies beyond all time.
        let deadline = Instant::now().checked_add(peer.ready_timeout);
        loop {
            let error = match self.connect(peer, prometheus).await {
                Ok((view, version)) => {
                    self.beat();
                    let labels = view.labels.clone();
                    self.views.send_replace(Some(view));
                    return Ok((labels, version));
                }
                Err(error) if error.is_final() => return Err(error),
                Err(error) => error,
            };
            // Blocks must not pile up unseen; what only serves has nothing to lose.
            if self.bucket.is_some() && deadline.is_some_and(|at| Instant::now() >= at) {
                return Err(SidecarError::NotReady {
                    after: peer.ready_timeout,
                    last: Box::new(error),
                });
            }
            tracing::warn!(%error, "prometheus is not ready, asking again");
            sleep(RETRY).await;
        }
    }

    /// What there is to know of a Prometheus that was checked, and its version.
    async fn connect(
        &self,
        peer: &PrometheusConfig,
        prometheus: &Prometheus,
    ) -> Result<(View, String), SidecarError> {
        if self.bucket.is_some() {
            match prometheus.flags().await? {
                Some(flags) => {
                    checks::flags(&flags, &self.config.shipper_file(), peer.unequal_blocks)?;
                }
                None => tracing::warn!("prometheus has no API for its flags; they are not checked"),
            }
        }
        let version = prometheus.version().await?;
        let view = View::of(prometheus, &version).await?;
        tracing::info!(version, labels = %view.labels, "prometheus is ready");
        Ok((view, version))
    }

    fn beat(&self) {
        self.metrics.prometheus_up.set(1);
        let now = Timestamp(self.deps.clock.now_ms());
        self.metrics.last_heartbeat.set(now.as_secs_f64());
    }

    /// Looks at Prometheus again and again, and at once when what was found is no longer so.
    async fn heartbeat(&self, peer: &PrometheusConfig, prometheus: &Prometheus, version: String) {
        let mut version = version;
        loop {
            tokio::select! {
                () = sleep(peer.get_config_interval) => {}
                () = self.outdated.notified() => {}
            }
            match View::of(prometheus, &version).await {
                Ok(new) => {
                    self.beat();
                    self.views.send_if_modified(|view| {
                        let changed = view.as_ref() != Some(&new);
                        *view = Some(new);
                        changed
                    });
                    self.deps.probe.ready();
                }
                Err(error) => {
                    tracing::warn!(%error, "heartbeat failed");
                    self.metrics.prometheus_up.set(0);
                    self.deps.probe.not_ready(&error.to_string());
                    // Another may answer next.
                    if let Ok(new) = prometheus.version().await {
                        version = new;
                    }
                }
            }
        }
    }

    /// Looks at the folder again and again.
    async fn ship(&self, bucket: &Bucket, fixed: &Labels, view: &watch::Receiver<Option<View>>) {
        let shipper = self.shipper(bucket);
        loop {
            let labels = match &*view.borrow() {
                Some(view) => view.labels.clone(),
                None => fixed.clone(),
            };
            if let Err(error) = shipper.pass(&labels).await {
                tracing::error!(%error, "shipping the local blocks failed");
            }
            sleep(self.config.upload_interval).await;
        }
    }

    fn shipper<'a>(&'a self, bucket: &'a Bucket) -> Shipper<'a> {
        Shipper {
            config: self.config,
            bucket,
            deps: self.deps,
            metrics: self.metrics,
        }
    }
}

#[cfg(test)]
mod tests;
