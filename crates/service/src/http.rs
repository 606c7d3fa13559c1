//! The HTTP server of a daemon: metrics, whether it runs and whether it may be asked.

use std::time::Duration;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Exposition, Metrics, Probe, ServiceError, drain::drain};

/// Settings of an HTTP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpOptions {
    /// How long requests under way are waited for at the end (`--http-grace-period`). Default: 2 m.
    pub grace_period: Duration,
}

/// What the routes know.
#[derive(Clone, Debug)]
struct Told {
    metrics: Metrics,
    probe: Probe,
}

/// Serves `/metrics`, `/-/healthy` and `/-/ready` until `shutdown`, then ends the requests under way.
///
/// # Errors
/// When the server breaks, or requests are still under way when the grace period is over.
pub async fn serve_http(
    listener: TcpListener,
    options: HttpOptions,
    metrics: &Metrics,
    probe: &Probe,
    shutdown: CancellationToken,
) -> Result<(), ServiceError> {
    let told = Told {
        metrics: metrics.clone(),
        probe: probe.clone(),
    };
    let app = Router::new()
        .route("/metrics", get(metrics_text))
        .route("/-/healthy", get(healthy))
        .route("/-/ready", get(ready))
        .with_state(told);
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "listening for service metrics and probes");
    }
    let asked_to_end = shutdown.clone().cancelled_owned();
    let serve = axum::serve(listener, app).with_graceful_shutdown(asked_to_end);
    let ended = drain("http", serve.into_future(), options.grace_period, &shutdown).await?;
    ended.map_err(ServiceError::Http)
}

async fn metrics_text(State(told): State<Told>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok());
    let exposition = Exposition::negotiate(accept);
    let content_type = [(header::CONTENT_TYPE, exposition.content_type())];
    (content_type, told.metrics.encode(exposition))
}

async fn healthy(State(told): State<Told>) -> impl IntoResponse {
    answer(told.probe.status().healthy)
}

async fn ready(State(told): State<Told>) -> impl IntoResponse {
    answer(told.probe.status().ready)
}

/// What Thanos answers, to the byte.
fn answer(holds: bool) -> (StatusCode, &'static str) {
    if holds {
        (StatusCode::OK, "OK")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "NOT OK\n")
    }
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            grace_period: Duration::from_mins(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
        task::JoinHandle,
    };

    use super::*;

    struct Server {
        address: SocketAddr,
        probe: Probe,
        shutdown: CancellationToken,
        task: JoinHandle<Result<(), ServiceError>>,
    }

    async fn start() -> Server {
        let metrics = Metrics::new();
        let probe = Probe::new("store", &metrics);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let (told, token) = (probe.clone(), shutdown.clone());
        let task = tokio::spawn(async move {
            serve_http(listener, HttpOptions::default(), &metrics, &told, token).await
        });
        Server {
            address,
            probe,
            shutdown,
            task,
        }
    }

    async fn get(address: SocketAddr, path: &str, header: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\n{header}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn probes_answer_as_thanos_does() {
        let server = start().await;
        let ask = |path| get(server.address, path, "");
        let answer = ask("/-/healthy").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        server.probe.healthy();
        let answer = ask("/-/healthy").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\nOK"), "{answer}");
        let answer = ask("/-/ready").await;
        assert!(answer.ends_with("\r\n\r\nNOT OK\n"), "{answer}");
        server.probe.ready();
        let answer = ask("/-/ready").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        server.shutdown.cancel();
        server.task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn metrics_are_served_in_the_format_that_is_asked_for() {
        let server = start().await;
        let answer = get(server.address, "/metrics", "").await;
        assert!(
            answer.contains("content-type: text/plain; version=0.0.4"),
            "{answer}"
        );
        assert!(
            answer.contains("thanos_status{component=\"store\",check=\"ready\"} 0"),
            "{answer}"
        );
        let accept = "Accept: application/openmetrics-text; version=1.0.0\r\n";
        let answer = get(server.address, "/metrics", accept).await;
        assert!(
            answer.contains("content-type: application/openmetrics-text"),
            "{answer}"
        );
        assert!(answer.ends_with("# EOF\n"), "{answer}");
        server.shutdown.cancel();
        server.task.await.unwrap().unwrap();
    }
}
