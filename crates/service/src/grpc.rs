//! The gRPC server of a daemon: its services, and beside them health, reflection and metrics of every call.

mod methods;
mod observe;

use std::time::Duration;

use futures::future;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};
use tonic_health::{
    ServingStatus,
    server::{HealthReporter, HealthService},
};
use tonic_reflection::server::Builder as Reflection;

use crate::{Metrics, Probe, ServiceError, drain::drain};
use methods::Methods;
use observe::Observe;

/// The most that a message may hold, sent or received: what gRPC for Go can do. A service has to set it itself.
pub const MAX_MESSAGE_BYTES: usize = 0x7fff_ffff;

/// How long a client may be silent before it is asked whether it lives.
const KEEPALIVE_INTERVAL: Duration = Duration::from_mins(1);
/// How long its answer may take.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Settings of a gRPC server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcOptions {
    /// The encoded `FileDescriptorSet`s of the services, for reflection and metrics. Default: none.
    pub descriptors: Vec<&'static [u8]>,
    /// How long calls under way are waited for at the end (`--grpc-grace-period`). Default: 2 m.
    pub grace_period: Duration,
    /// When a client is asked to connect anew (`--grpc-server-max-connection-age`). Default: 60 m.
    pub max_connection_age: Option<Duration>,
}

/// Serves `routes`, health and reflection until `shutdown`, then ends the calls under way.
///
/// The health of the whole server, the service without a name, is what `probe` says of being ready.
///
/// # Errors
/// When the descriptors do not decode, the server breaks, or calls are still under way when the grace period is over.
pub async fn serve_grpc(
    listener: TcpListener,
    routes: Routes,
    options: GrpcOptions,
    metrics: &Metrics,
    probe: &Probe,
    shutdown: CancellationToken,
) -> Result<(), ServiceError> {
    let mut sets = options.descriptors;
    sets.push(tonic_health::pb::FILE_DESCRIPTOR_SET);
    let methods = Methods::new(&sets, metrics)?;
    let health = HealthReporter::new();
    let health_service = HealthService::from_health_reporter(health.clone());
    let health_service = tonic_health::pb::health_server::HealthServer::new(health_service);
    let mut server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT));
    if let Some(age) = options.max_connection_age {
        server = server.max_connection_age(age);
    }
    let router = server
        .layer(Observe::new(methods))
        .add_routes(routes)
        .add_service(health_service)
        .add_service(reflection(&sets).build_v1()?)
        .add_service(reflection(&sets).build_v1alpha()?);
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "listening for serving gRPC");
    }
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let asked_to_end = shutdown.clone().cancelled_owned();
    // Never SERVING before the probe says so.
    report(&health, ServingStatus::NotServing).await;
    let serve = router.serve_with_incoming_shutdown(incoming, asked_to_end);
    let serve = drain("grpc", serve, options.grace_period, &shutdown);
    let follow = std::pin::pin!(follow(probe, &health, &shutdown));
    match future::select(std::pin::pin!(serve), follow).await {
        future::Either::Left((ended, _)) => ended?,
        future::Either::Right(((), serve)) => serve.await?,
    }?;
    Ok(())
}

fn reflection<'a>(sets: &[&'a [u8]]) -> Reflection<'a> {
    sets.iter().fold(Reflection::configure(), |builder, set| {
        builder.register_encoded_file_descriptor_set(set)
    })
}

/// Reports what the probe says until `shutdown`, and that nothing is served from then on.
async fn follow(probe: &Probe, health: &HealthReporter, shutdown: &CancellationToken) {
    let mut status = probe.subscribe();
    let reports = async {
        loop {
            let serving = match status.borrow_and_update().ready {
                true => ServingStatus::Serving,
                false => ServingStatus::NotServing,
            };
            report(health, serving).await;
            if status.changed().await.is_err() {
                return;
            }
        }
    };
    if shutdown.run_until_cancelled(reports).await.is_none() {
        report(health, ServingStatus::NotServing).await;
    }
}

async fn report(health: &HealthReporter, status: ServingStatus) {
    health.set_service_status("", status).await;
}

impl Default for GrpcOptions {
    fn default() -> Self {
        Self {
            descriptors: Vec::new(),
            grace_period: Duration::from_mins(2),
            max_connection_age: Some(Duration::from_hours(1)),
        }
    }
}

#[cfg(test)]
mod tests;
