//! The connection to a StoreAPI server.

use std::{error::Error as _, time::Duration};

use anyhow::Context as _;
use futures::{Stream, StreamExt as _};
use proto::thanos::{SeriesRequest, SeriesResponse, store_client::StoreClient};
use service::{GrpcClientTls, GrpcConnector, MAX_MESSAGE_BYTES};
use tokio::time::{Instant, sleep, timeout_at};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// The longest time to connect.
const CONNECT: Duration = Duration::from_secs(10);
/// Pause between two health checks.
const RETRY: Duration = Duration::from_millis(200);
/// The longest time of a health check: a starting server may not answer.
const CHECK: Duration = Duration::from_secs(5);

/// A server, and how it is reached.
#[derive(Debug)]
struct Server {
    endpoint: Endpoint,
    tls: Option<GrpcConnector>,
}

/// A client of one server.
#[derive(Debug)]
pub(super) struct Client {
    endpoint: String,
    store: StoreClient<Channel>,
}

impl Client {
    /// Connects, and waits up to `wait` for the server to be ready.
    pub(super) async fn connect(
        address: &str,
        tls: Option<GrpcClientTls>,
        wait: Duration,
    ) -> anyhow::Result<Self> {
        let endpoint = endpoint(address)?;
        let tls = tls.as_ref().map(GrpcConnector::open).transpose()?;
        let server = Server { endpoint, tls };
        let channel = match wait.is_zero() {
            true => server.connect().await.with_context(|| address.to_owned())?,
            false => await_ready(&server, wait)
                .await
                .with_context(|| format!("{address}: not ready after {wait:?}"))?,
        };
        let store = StoreClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Ok(Self {
            endpoint: address.to_owned(),
            store,
        })
    }

    /// The frames of a Series answer.
    pub(super) async fn series(
        &mut self,
        request: SeriesRequest,
    ) -> anyhow::Result<impl Stream<Item = anyhow::Result<SeriesResponse>>> {
        let answer = self.store.series(request).await.map_err(told);
        let frames = answer.with_context(|| self.endpoint.clone())?.into_inner();
        Ok(frames.map(|frame| frame.map_err(told)))
    }
}

impl Server {
    async fn connect(&self) -> anyhow::Result<Channel> {
        Ok(match &self.tls {
            Some(tls) => tls.connect(&self.endpoint).await?,
            None => self.endpoint.connect().await?,
        })
    }
}

/// The address from a flag, as a URL.
fn endpoint(address: &str) -> anyhow::Result<Endpoint> {
    if address.starts_with("https://") {
        anyhow::bail!("{address}: expected HOST:PORT, and --grpc-client-tls-secure for TLS");
    }
    let host = address.strip_prefix("http://").unwrap_or(address);
    let endpoint = Endpoint::from_shared(format!("http://{host}"));
    let endpoint =
        endpoint.with_context(|| format!("server: expected HOST:PORT, found {address:?}"))?;
    Ok(endpoint.connect_timeout(CONNECT))
}

/// Checks the server's health again and again.
async fn await_ready(server: &Server, wait: Duration) -> anyhow::Result<Channel> {
    let deadline = Instant::now() + wait;
    loop {
        let attempt = timeout_at(deadline.min(Instant::now() + CHECK), ready(server));
        let error = match attempt.await {
            Ok(Ok(channel)) => return Ok(channel),
            Ok(Err(error)) => error,
            Err(_) => anyhow::anyhow!("it does not answer"),
        };
        if Instant::now() + RETRY >= deadline {
            return Err(error);
        }
        sleep(RETRY).await;
    }
}

/// A connection to a ready server. One without health checks counts as ready.
async fn ready(server: &Server) -> anyhow::Result<Channel> {
    let channel = server.connect().await?;
    let request = HealthCheckRequest::default();
    match HealthClient::new(channel.clone()).check(request).await {
        Ok(answer) => match answer.into_inner().status() {
            ServingStatus::Serving => Ok(channel),
            other => Err(anyhow::anyhow!("it says {}", other.as_str_name())),
        },
        Err(status) if status.code() == Code::Unimplemented => Ok(channel),
        Err(status) => Err(told(status)),
    }
}

/// The message of a server or of the connection and its causes, without the metadata of a status.
fn told(status: Status) -> anyhow::Error {
    let mut text = format!("{:?}: {}", status.code(), status.message());
    let mut cause = status.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    anyhow::Error::msg(text)
}

#[cfg(test)]
mod tests {
    use service::{GrpcOptions, Metrics, Probe, serve_grpc};
    use tokio::{net::TcpListener, task::JoinHandle};
    use tokio_util::sync::CancellationToken;
    use tonic::service::Routes;

    use super::*;

    /// A server that knows health checks and nothing else.
    async fn start() -> (String, Probe, CancellationToken, JoinHandle<()>) {
        let metrics = Metrics::new();
        let probe = Probe::new("test", &metrics);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (told, token) = (probe.clone(), CancellationToken::new());
        let shutdown = token.clone();
        let server = tokio::spawn(async move {
            let options = GrpcOptions::default();
            let routes = Routes::default();
            serve_grpc(listener, routes, options, &metrics, &told, shutdown)
                .await
                .unwrap();
        });
        (address, probe, token, server)
    }

    #[tokio::test]
    async fn a_server_is_waited_for_until_it_is_ready() {
        let (address, probe, token, server) = start().await;
        let error = Client::connect(&address, None, Duration::from_millis(1))
            .await
            .unwrap_err();
        let error = format!("{error:#}");
        assert!(
            error.starts_with(&format!("{address}: not ready after 1ms: ")),
            "{error}"
        );
        probe.ready();
        let mut client = Client::connect(&address, None, Duration::from_secs(60))
            .await
            .unwrap();
        let error = client.series(SeriesRequest::default()).await.err().unwrap();
        let error = format!("{error:#}");
        assert!(
            error.starts_with(&format!("{address}: Unimplemented: ")),
            "{error}"
        );
        drop(client);
        token.cancel();
        server.await.unwrap();
    }

    #[tokio::test]
    async fn an_address_where_nobody_listens_is_told() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let error = Client::connect(&address, None, Duration::ZERO)
            .await
            .unwrap_err();
        let error = format!("{error:#}");
        assert!(error.starts_with(&format!("{address}: ")), "{error}");
        assert!(error.contains("refused"), "{error}");
    }

    #[test]
    fn an_address_may_be_a_url_without_tls() {
        for address in ["localhost:10901", "http://localhost:10901", "[::1]:10901"] {
            assert!(endpoint(address).is_ok(), "{address}");
        }
        for wrong in ["", "local host:1", "https://localhost:10901"] {
            assert!(endpoint(wrong).is_err(), "{wrong}");
        }
    }
}
