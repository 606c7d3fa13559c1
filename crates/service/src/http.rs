//! The HTTP server of a daemon: metrics, health and readiness, behind what the web configuration asks for.

mod gzip;
mod observe;
mod profiles;

use std::time::Duration;

use axum::{
    Extension, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use futures::{StreamExt as _, future::BoxFuture};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected as _;

pub use self::{gzip::accepts_gzip, profiles::Profiles};
use crate::{
    ConnectionLimits, Exposition, GrpcEncoding, Metrics, Probe, RequestLog, ServiceError,
    WebConfig, blocking,
    connection::accept,
    drain::drain,
    http::{
        observe::{HttpMetrics, Observer, observe},
        profiles::Profiling,
    },
    process,
    reload::Watched,
    web::{Gate, gate},
};

/// Settings of an HTTP server.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// How long running requests may take at the end (`--http-grace-period`). Default: 2 m.
    pub grace_period: Duration,
    /// How long a connection may be idle, and the head of a request may take. Default: 2 m.
    pub head_timeout: Duration,
    /// TLS, users and headers (`--http.config`). Default: none.
    pub web: Option<WebConfig>,
    /// Which requests are logged (`--request.logging-config`). Default: none.
    pub request_log: Option<RequestLog>,
    /// Which profiles are served (`--debug.pprof`). Default: none.
    pub profiles: Profiles,
    /// The limits of connections.
    pub connections: ConnectionLimits,
    /// Routes of the component. Default: none.
    pub routes: HttpRoutes,
}

/// Routes that a component adds to its HTTP server. TLS, users, headers, metrics and the request log are as for the
/// others.
#[derive(Clone, Debug, Default)]
pub struct HttpRoutes {
    /// The routes. None of their paths may be one of [`RESERVED_PATHS`].
    pub router: Router,
    /// The value of the label `handler` of metrics, by the path of the route.
    pub handlers: Vec<(String, &'static str)>,
}

/// The paths that every server has.
pub const RESERVED_PATHS: [&str; 5] = [
    "/metrics",
    "/-/healthy",
    "/-/ready",
    "/debug/pprof/profile",
    "/debug/pprof/heap",
];

/// The state of the routes.
#[derive(Clone, Debug)]
struct Told {
    metrics: Metrics,
    probe: Probe,
}

/// Serves `/metrics`, with those of the process, `/-/healthy`, `/-/ready` and `/debug/pprof/*` until `shutdown`, then ends
/// the running requests.
///
/// # Errors
/// When requests still run when the grace period is over.
pub fn serve_http<'a>(
    listener: TcpListener,
    options: HttpOptions,
    metrics: &'a Metrics,
    probe: &'a Probe,
    shutdown: CancellationToken,
) -> BoxFuture<'a, Result<(), ServiceError>> {
    Box::pin(async move {
        process::register(metrics);
        let told = Told {
            metrics: metrics.clone(),
            probe: probe.clone(),
        };
        let [at_metrics, at_healthy, at_ready, at_cpu, at_heap] = RESERVED_PATHS;
        let profiling = Profiling::new(options.profiles, shutdown.clone());
        let log = options.request_log.clone().map(|log| log.http);
        let observed = Observer::new(
            HttpMetrics::new(metrics, &RESERVED_PATHS, &options.routes.handlers),
            log,
        );
        let mut app = Router::new()
            .route(at_metrics, get(metrics_text))
            .route(at_healthy, get(healthy))
            .route(at_ready, get(ready))
            .with_state(told)
            .merge(
                Router::new()
                    .route(at_cpu, get(profiles::cpu))
                    .route(at_heap, get(profiles::heap))
                    .with_state(profiling),
            )
            .merge(options.routes.router.clone());
        if let Some(web) = &options.web {
            let before = Gate::new(web.clone());
            app = app.layer(axum::middleware::from_fn_with_state(before, gate));
        }
        // What the gate refuses is counted too.
        app = app.layer(axum::middleware::from_fn_with_state(observed, observe));
        if let Ok(address) = listener.local_addr() {
            let web = options.web.as_ref();
            let tls = web.is_some_and(|web| web.get().tls.is_some());
            tracing::info!(tls, %address, "listening for service metrics and probes");
        }
        let (grace, web) = (options.grace_period, options.web.clone());
        let serve = connections(listener, app, options, metrics, &shutdown);
        let serve = drain("http", serve, grace, &shutdown);
        tokio::select! {
            ended = serve => ended,
            never = Watched::follow_any(web.as_ref().map(WebConfig::watched)) => match never {},
        }
    })
}

/// Serves all connections until `shutdown`, and waits for the running requests.
async fn connections(
    listener: TcpListener,
    app: Router,
    options: HttpOptions,
    metrics: &Metrics,
    shutdown: &CancellationToken,
) {
    let limits = options.connections;
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.head_timeout);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.keepalive_interval)
        .keep_alive_timeout(limits.keepalive_timeout)
        .max_concurrent_streams(limits.streams);
    let without_http2 = server.clone().http1_only();
    let graceful = GracefulShutdown::new();
    let mut open = JoinSet::new();
    {
        // Dropping it ends listening.
        let (web, configured) = (options.web.as_ref(), options.web.clone());
        let tls = move || configured.as_ref().and_then(|web| web.get().tls.clone());
        let mut incoming = std::pin::pin!(accept(listener, "http", limits, metrics, tls));
        loop {
            let connection = tokio::select! {
                () = shutdown.cancelled() => break,
                Some(_) = open.join_next() => continue,
                Some(connection) = incoming.next() => connection,
            };
            let Ok(connection) = connection else { continue };
            let peer = connection.connect_info();
            let service = app.clone().layer(Extension(peer));
            let service = TowerToHyperService::new(service);
            let server = match web.is_none_or(|web| web.get().http2) {
                true => &server,
                false => &without_http2,
            };
            let served = server.serve_connection(TokioIo::new(connection), service);
            let served = graceful.watch(served.into_owned());
            open.spawn(async move {
                if let Err(error) = served.await {
                    tracing::debug!(error, "an HTTP connection ended");
                }
            });
        }
    }
    graceful.shutdown().await;
}

async fn metrics_text(State(told): State<Told>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok());
    let exposition = Exposition::negotiate(accept);
    let content_type = [(header::CONTENT_TYPE, exposition.content_type())];
    let vary = [(header::VARY, "Accept-Encoding")];
    let text = told.metrics.encode(exposition);
    if !accepts_gzip(&headers) {
        return (content_type, vary, text).into_response();
    }
    match blocking(move || GrpcEncoding::Gzip.encode(text.as_bytes())).await {
        Ok(zipped) => {
            let encoding = [(header::CONTENT_ENCODING, "gzip")];
            (content_type, vary, encoding, zipped).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn healthy(State(told): State<Told>) -> impl IntoResponse {
    answer(told.probe.status().healthy)
}

async fn ready(State(told): State<Told>) -> impl IntoResponse {
    answer(told.probe.status().ready)
}

/// Thanos's answer, byte by byte.
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
            head_timeout: Duration::from_mins(2),
            web: None,
            request_log: None,
            profiles: Profiles::Off,
            connections: ConnectionLimits::default(),
            routes: HttpRoutes::default(),
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

    #[tokio::test]
    async fn profiles_are_off_unless_asked_for() {
        let server = start().await;
        for path in ["/debug/pprof/profile?seconds=1", "/debug/pprof/heap"] {
            let answer = get(server.address, path, "").await;
            assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
            let said = "\r\n\r\nprofiles are off; --debug.pprof turns them on\n";
            assert!(answer.ends_with(said), "{answer}");
        }
        server.shutdown.cancel();
        server.task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn metrics_are_in_gzip_for_those_who_accept_it() {
        let server = start().await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let (head, body) = answer.split_at(end.unwrap() + 4);
        let head = String::from_utf8_lossy(head);
        assert!(head.contains("content-encoding: gzip\r\n"), "{head}");
        assert!(head.contains("content-type: text/plain"), "{head}");
        let mut text = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(body), &mut text).unwrap();
        assert!(text.contains("thanos_status{"), "{text}");
        server.shutdown.cancel();
        server.task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn requests_are_counted_by_their_route_and_not_by_what_clients_name() {
        let server = start().await;
        get(server.address, "/-/healthy", "").await;
        get(server.address, "/unknown", "").await;
        let answer = get(server.address, "/metrics", "").await;
        for line in [
            r#"http_requests_total{code="503",handler="healthy",method="get"} 1"#,
            r#"http_requests_total{code="200",handler="metrics",method="get"} 0"#,
            r#"http_request_duration_seconds_count{code="503",handler="healthy",method="get"} 1"#,
            r#"http_request_duration_seconds_count{code="200",handler="ready",method="get"} 0"#,
            r#"http_response_size_bytes_sum{code="503",handler="healthy",method="get"} 7.0"#,
            r#"http_inflight_requests{handler="metrics",method="get"} 1"#,
        ] {
            assert!(answer.lines().any(|l| l == line), "{line} in {answer}");
        }
        assert!(!answer.contains("unknown"), "{answer}");
        server.shutdown.cancel();
        server.task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn routes_of_a_component_are_counted_under_their_own_names() {
        let metrics = Metrics::new();
        let probe = Probe::new("store", &metrics);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let options = HttpOptions {
            routes: HttpRoutes {
                router: Router::new().route("/in/api", axum::routing::get(async || "here")),
                handlers: vec![("/in/api".to_owned(), "api")],
            },
            ..HttpOptions::default()
        };
        let (registry, token) = (metrics.clone(), shutdown.clone());
        let task =
            tokio::spawn(
                async move { serve_http(listener, options, &registry, &probe, token).await },
            );
        let answer = get(address, "/in/api", "").await;
        assert!(answer.ends_with("\r\n\r\nhere"), "{answer}");
        let text = metrics.encode(Exposition::Prometheus);
        let line = r#"http_requests_total{code="200",handler="api",method="get"} 1"#;
        assert!(text.lines().any(|l| l == line), "{text}");
        shutdown.cancel();
        task.await.unwrap().unwrap();
    }
}
