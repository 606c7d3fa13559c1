//! The gRPC server of a daemon: its services, health, reflection, and metrics of every call.

mod call_log;
mod compress;
mod deadline;
mod encoding;
mod messages;
mod methods;
mod observe;
mod stall;

use std::time::Duration;

use futures::future::{self, BoxFuture};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{service::Routes, transport::Server};
use tonic_health::{
    ServingStatus,
    server::{HealthReporter, HealthService},
};
use tonic_reflection::server::Builder as Reflection;

use crate::{
    ConnectionLimits, CpuPool, GrpcTls, Metrics, Probe, RequestLog, ServiceError,
    connection::accept, drain::drain, reload::Watched,
};
use compress::Compress;
use deadline::Deadlines;
pub use encoding::{GrpcEncoding, GrpcMessageError};
use methods::Methods;
pub(crate) use methods::code_name;
use observe::Observe;
use stall::Stalls;

/// The largest message that is sent, which is what gRPC for Go can send. A service has to set it itself.
pub const MAX_MESSAGE_BYTES: usize = 0x7fff_ffff;

/// Settings of a gRPC server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcOptions {
    /// The encoded `FileDescriptorSet`s of the services, for reflection and metrics. Default: none.
    pub descriptors: Vec<&'static [u8]>,
    /// How long running calls may take at the end (`--grpc-grace-period`). Default: 2 m.
    pub grace_period: Duration,
    /// After this time a client is told to connect anew (`--grpc-server-max-connection-age`). Default: 60 m.
    pub max_connection_age: Option<Duration>,
    /// How long a client may take no data of an answer, or delay its request (`--grpc-server-send-timeout`). Default:
    /// 1 m.
    pub send_timeout: Option<Duration>,
    /// The largest message of a request, both compressed and decoded. Default: 64 MiB.
    pub max_request_bytes: usize,
    /// Which calls are logged (`--request.logging-config`). Default: none.
    pub request_log: Option<RequestLog>,
    /// TLS. Default: none.
    pub tls: Option<GrpcTls>,
    /// The limits of connections.
    pub connections: ConnectionLimits,
}

/// Serves `routes`, health and reflection until `shutdown`, then ends the running calls.
///
/// All services read messages in `gzip` and `snappy`, and answer in the encoding of the request if the client accepts
/// it. A call whose client takes no data is given up. A call past its client's deadline ends with
/// `DEADLINE_EXCEEDED`.
///
/// The health of the whole server, the service without a name, is the readiness of `probe`.
///
/// # Errors
/// When the descriptors do not decode, the threads for the encodings cannot be made, the server fails, or calls still
/// run when the grace period is over.
pub fn serve_grpc<'a>(
    listener: TcpListener,
    routes: Routes,
    options: GrpcOptions,
    metrics: &'a Metrics,
    probe: &'a Probe,
    shutdown: CancellationToken,
) -> BoxFuture<'a, Result<(), ServiceError>> {
    Box::pin(async move {
        let log = options.request_log.map(|log| log.grpc);
        let mut sets = options.descriptors;
        sets.push(tonic_health::pb::FILE_DESCRIPTOR_SET);
        let methods = Methods::new(&sets, metrics)?;
        let health = HealthReporter::new();
        let health_service = HealthService::from_health_reporter(health.clone());
        let health_service = tonic_health::pb::health_server::HealthServer::new(health_service);
        let limits = options.connections;
        let mut server = Server::builder()
            .http2_keepalive_interval(Some(limits.keepalive_interval))
            .http2_keepalive_timeout(Some(limits.keepalive_timeout))
            .max_concurrent_streams(limits.streams);
        if let Some(age) = options.max_connection_age {
            server = server.max_connection_age(age);
        }
        let stalls = Stalls::new(options.send_timeout);
        let compress = Compress {
            pool: CpuPool::for_requests(0),
            request_bytes: options.max_request_bytes,
            request_wait: options.send_timeout,
        };
        let router = server
            .layer(stalls.clone())
            .layer(Observe::new(methods, log))
            .layer(compress)
            .layer(Deadlines)
            .add_routes(routes)
            .add_service(health_service)
            .add_service(reflection(&sets).build_v1()?)
            .add_service(reflection(&sets).build_v1alpha()?);
        if let Ok(address) = listener.local_addr() {
            let tls = options.tls.is_some();
            tracing::info!(tls, %address, "listening for serving gRPC");
        }
        let tls = options.tls;
        let followed = Watched::follow_any(tls.as_ref().map(GrpcTls::watched));
        let configured = tls.clone();
        let incoming = accept(listener, "grpc", limits, metrics, move || {
            configured.as_ref().map(GrpcTls::config)
        });
        let asked_to_end = shutdown.clone().cancelled_owned();
        // Not SERVING before the probe is ready.
        report(&health, ServingStatus::NotServing).await;
        let serve = router.serve_with_incoming_shutdown(incoming, asked_to_end);
        let serve = drain("grpc", serve, options.grace_period, &shutdown);
        let serve = async {
            tokio::select! {
                ended = serve => ended,
                never = stalls.watch() => never,
                never = followed => match never {},
            }
        };
        let follow = std::pin::pin!(follow(probe, &health, &shutdown));
        match future::select(std::pin::pin!(serve), follow).await {
            future::Either::Left((ended, _)) => ended?,
            future::Either::Right(((), serve)) => serve.await?,
        }?;
        Ok(())
    })
}

fn reflection<'a>(sets: &[&'a [u8]]) -> Reflection<'a> {
    sets.iter().fold(Reflection::configure(), |builder, set| {
        builder.register_encoded_file_descriptor_set(set)
    })
}

/// Reports the readiness of the probe until `shutdown`, and that nothing is served afterwards.
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
            send_timeout: Some(Duration::from_mins(1)),
            max_request_bytes: 64 << 20,
            request_log: None,
            tls: None,
            connections: ConnectionLimits::default(),
        }
    }
}

#[cfg(test)]
mod tests;
