//! The daemon: asks Prometheus for its labels, and uploads.

use bucket::Bucket;
use model::{Labels, Timestamp};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Deps, LabelSource, PrometheusConfig, SidecarError, checks,
    metrics::SidecarMetrics,
    prometheus::Prometheus,
    shipper::{Pass, Shipper},
};

/// Pause between two attempts to reach a Prometheus that is starting.
const RETRY: std::time::Duration = std::time::Duration::from_secs(2);

/// Uploads blocks until `shutdown`. Without a bucket it only watches Prometheus.
///
/// # Errors
/// When Prometheus does not become ready, has no external labels, or compacts its blocks.
pub async fn run(
    config: Config,
    bucket: Option<Bucket>,
    deps: Deps,
    shutdown: CancellationToken,
) -> Result<(), SidecarError> {
    let metrics = SidecarMetrics::new(&deps.metrics);
    let serve = async {
        let (prometheus, labels) = start(&config, bucket.as_ref(), &deps, &metrics).await?;
        deps.probe.ready();
        let (sender, labels) = watch::channel(labels);
        let heartbeat = async {
            match (&config.labels, &prometheus) {
                (LabelSource::Prometheus(peer), Some(prometheus)) => {
                    heartbeat(peer, prometheus, &deps, &metrics, &sender).await;
                }
                _ => sender.closed().await,
            }
        };
        let ship = async {
            match &bucket {
                Some(bucket) => ship(&config, bucket, &deps, &metrics, &labels).await,
                None => {
                    tracing::info!("no supported bucket was configured, uploads will be disabled");
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::join!(heartbeat, ship);
        Ok(())
    };
    let ended = shutdown.run_until_cancelled(serve).await;
    deps.probe.not_ready("shutting down");
    ended.unwrap_or(Ok(()))
}

/// Uploads what there is now, and says what that was.
///
/// # Errors
/// As [`run`]; and when the folder cannot be listed.
pub async fn run_once(config: &Config, bucket: &Bucket, deps: &Deps) -> Result<Pass, SidecarError> {
    let metrics = SidecarMetrics::new(&deps.metrics);
    let (_, labels) = start(config, Some(bucket), deps, &metrics).await?;
    deps.probe.ready();
    let shipper = Shipper {
        config,
        bucket,
        deps,
        metrics: &metrics,
    };
    shipper.pass(&labels).await
}

/// Waits for Prometheus, checks that it may be uploaded from, and asks for its labels.
async fn start(
    config: &Config,
    bucket: Option<&Bucket>,
    deps: &Deps,
    metrics: &SidecarMetrics,
) -> Result<(Option<Prometheus>, Labels), SidecarError> {
    deps.probe.healthy();
    let peer = match &config.labels {
        LabelSource::Fixed(labels) if labels.is_empty() => {
            return Err(SidecarError::NoExternalLabels);
        }
        LabelSource::Fixed(labels) => return Ok((None, labels.clone())),
        LabelSource::Prometheus(peer) => peer,
    };
    let prometheus = Prometheus::new(peer)?;
    let deadline = Instant::now() + peer.ready_timeout;
    loop {
        let error = match connect(config, peer, &prometheus, bucket).await {
            Ok(labels) => {
                beat(deps, metrics);
                return Ok((Some(prometheus), labels));
            }
            Err(error) if error.is_final() => return Err(error),
            Err(error) => error,
        };
        if Instant::now() >= deadline {
            return Err(SidecarError::NotReady {
                after: peer.ready_timeout,
                last: Box::new(error),
            });
        }
        tracing::warn!(%error, "prometheus is not ready, asking again");
        sleep(RETRY).await;
    }
}

/// The external labels of a Prometheus that was checked.
async fn connect(
    config: &Config,
    peer: &PrometheusConfig,
    prometheus: &Prometheus,
    bucket: Option<&Bucket>,
) -> Result<Labels, SidecarError> {
    if bucket.is_some() {
        match prometheus.flags().await? {
            Some(flags) => checks::flags(&flags, &config.shipper_file(), peer.unequal_blocks)?,
            None => tracing::warn!("prometheus does not tell its flags, they are not checked"),
        }
    }
    let version = prometheus.version().await?;
    let labels = external_labels(prometheus).await?;
    tracing::info!(version, %labels, "prometheus is ready");
    Ok(labels)
}

async fn external_labels(prometheus: &Prometheus) -> Result<Labels, SidecarError> {
    let labels = prometheus.external_labels().await?;
    if labels.is_empty() {
        return Err(SidecarError::NoExternalLabels);
    }
    Ok(labels)
}

fn beat(deps: &Deps, metrics: &SidecarMetrics) {
    metrics.prometheus_up.set(1);
    let now = Timestamp(deps.clock.now_ms());
    metrics.last_heartbeat.set(now.as_secs_f64());
}

/// Asks for the labels again and again; passes on what changed.
async fn heartbeat(
    peer: &PrometheusConfig,
    prometheus: &Prometheus,
    deps: &Deps,
    metrics: &SidecarMetrics,
    labels: &watch::Sender<Labels>,
) {
    loop {
        sleep(peer.get_config_interval).await;
        match external_labels(prometheus).await {
            Ok(new) => {
                beat(deps, metrics);
                deps.probe.ready();
                labels.send_if_modified(|labels| {
                    let changed = *labels != new;
                    *labels = new;
                    changed
                });
            }
            Err(error) => {
                tracing::warn!(%error, "heartbeat failed");
                metrics.prometheus_up.set(0);
                deps.probe.not_ready(&error.to_string());
            }
        }
    }
}

/// Looks at the folder again and again.
async fn ship(
    config: &Config,
    bucket: &Bucket,
    deps: &Deps,
    metrics: &SidecarMetrics,
    labels: &watch::Receiver<Labels>,
) {
    let shipper = Shipper {
        config,
        bucket,
        deps,
        metrics,
    };
    loop {
        let labels = labels.borrow().clone();
        if let Err(error) = shipper.pass(&labels).await {
            tracing::error!(%error, "pass over the folder failed");
        }
        sleep(config.upload_interval).await;
    }
}

#[cfg(test)]
mod tests;
