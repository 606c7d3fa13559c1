//! Counts, times and logs each HTTP request, under the names of Thanos's instrumentation.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Method, StatusCode},
    middleware::Next,
    response::Response,
};
use http_body::Body as _;
use prometheus_client::metrics::{
    counter::Counter,
    family::Family,
    gauge::Gauge,
    histogram::{Histogram, exponential_buckets},
};
use tracing::{Instrument as _, Span};

use crate::{
    LogLevel, Metrics,
    connection::Peer,
    logging::now,
    request_log::{Decision, RequestRule},
    traces,
};

/// The id of the request's trace, in its answer; Thanos's name.
const TRACE_ID: &str = "x-thanos-trace-id";

type ByHandler = [(&'static str, String); 2];
type ByCode = [(&'static str, String); 3];
type Histograms = Family<ByCode, Histogram, fn() -> Histogram>;

/// Thanos's buckets.
const SECONDS: [f64; 17] = [
    0.001, 0.01, 0.1, 0.3, 0.6, 1.0, 3.0, 6.0, 9.0, 20.0, 30.0, 60.0, 90.0, 120.0, 240.0, 360.0,
    720.0,
];

/// Metrics of HTTP requests. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct HttpMetrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    requests: Family<ByCode, Counter>,
    seconds: Histograms,
    request_bytes: Histograms,
    response_bytes: Histograms,
    in_flight: Family<ByHandler, Gauge>,
    /// The handlers of the component's own paths.
    handlers: HashMap<String, &'static str>,
}

/// What is done about each request. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Observer {
    metrics: HttpMetrics,
    /// Which requests are logged.
    log: Option<Arc<RequestRule>>,
}

/// A request that is answered.
struct InFlight(Gauge);

/// A request whose end is logged.
struct RequestLine {
    rule: Arc<RequestRule>,
    handler: String,
    /// The method and the URL.
    method: String,
    request_id: String,
    user_agent: String,
    remote: String,
}

impl HttpMetrics {
    /// Registers them; those of successful `GET` requests of these paths start at 0. The component's own paths come with
    /// their handlers.
    pub(super) fn new(metrics: &Metrics, paths: &[&str], own: &[(String, &'static str)]) -> Self {
        let histograms = |name, help, make: fn() -> Histogram| -> Histograms {
            metrics.register(name, help, Family::new_with_constructor(make))
        };
        let bytes: fn() -> Histogram = || Histogram::new(exponential_buckets(64.0, 2.0, 10));
        let all = Inner {
            requests: metrics.register(
                "http_requests_total",
                "Tracks the number of HTTP requests",
                Family::default(),
            ),
            seconds: histograms(
                "http_request_duration_seconds",
                "Tracks the latencies for HTTP requests",
                || Histogram::new(SECONDS),
            ),
            request_bytes: histograms(
                "http_request_size_bytes",
                "Tracks the size of HTTP requests without their heads",
                bytes,
            ),
            response_bytes: histograms(
                "http_response_size_bytes",
                "Tracks the size of HTTP responses",
                bytes,
            ),
            in_flight: metrics.register(
                "http_inflight_requests",
                "Current number of HTTP requests the handler is responding to",
                Family::default(),
            ),
            handlers: own.iter().cloned().collect(),
        };
        let all = Self(Arc::new(all));
        let own = own.iter().map(|(path, _)| path.as_str());
        for path in paths.iter().copied().chain(own) {
            let [handler, method] = all.labels(path, &Method::GET);
            drop(all.in_flight(&[handler.clone(), method.clone()]));
            let labels = [("code", "200".to_owned()), handler, method];
            drop(all.0.requests.get_or_create(&labels));
            for family in [&all.0.seconds, &all.0.request_bytes, &all.0.response_bytes] {
                drop(family.get_or_create(&labels));
            }
        }
        all
    }

    fn labels(&self, path: &str, method: &Method) -> ByHandler {
        let own = self.0.handlers.get(path).copied();
        let method = match *method {
            Method::GET => "get",
            Method::HEAD => "head",
            Method::POST => "post",
            Method::OPTIONS => "options",
            _ => "unknown",
        };
        [
            ("handler", own.unwrap_or_else(|| handler(path)).to_owned()),
            ("method", method.to_owned()),
        ]
    }

    fn in_flight(&self, labels: &ByHandler) -> Gauge {
        self.0.in_flight.get_or_create_owned(labels)
    }

    fn answered(&self, labels: ByHandler, code: StatusCode, sizes: [u64; 2], took: Duration) {
        let [handler, method] = labels;
        let labels = [("code", code.as_str().to_owned()), handler, method];
        let all = &self.0;
        all.requests.get_or_create(&labels).inc();
        let seconds = all.seconds.get_or_create(&labels);
        seconds.observe(took.as_secs_f64());
        let [request, response] = sizes;
        for (family, size) in [
            (&all.request_bytes, request),
            (&all.response_bytes, response),
        ] {
            family.get_or_create(&labels).observe(float(size));
        }
    }
}

impl Observer {
    pub(super) fn new(metrics: HttpMetrics, log: Option<RequestRule>) -> Self {
        Self {
            metrics,
            log: log.map(Arc::new),
        }
    }
}

impl RequestLine {
    /// Logs the start of a request, if the rule says so; nothing if not even its end is logged.
    fn start(rule: &Arc<RequestRule>, request: &Request) -> Option<Self> {
        let uri = request.uri();
        let text = |name: &str| {
            let value = request.headers().get(name);
            value
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        let host = text("host");
        // Of a request by HTTP/2.
        let host = uri.authority().map_or(host, |authority| authority.as_str());
        let name = match host.rsplit_once(':') {
            Some((_, port)) => format!("{}:{port}", uri.path()),
            None => uri.path().to_owned(),
        };
        let decision = rule.decide(&name);
        if decision == Decision::Nothing {
            return None;
        }
        let peer = Peer::of(request.extensions()).map(Peer::address);
        let remote = match text("x-forwarded-for") {
            "" => peer.as_ref().map(SocketAddr::to_string).unwrap_or_default(),
            forwarded => forwarded.to_owned(),
        };
        let path = uri
            .path_and_query()
            .map_or(uri.path(), |path| path.as_str());
        let line = Self {
            rule: Arc::clone(rule),
            handler: handler(uri.path()).to_owned(),
            method: format!("{} {path}", request.method()),
            request_id: text("x-request-id").to_owned(),
            user_agent: text("user-agent").to_owned(),
            remote,
        };
        if decision == Decision::StartAndEnd && rule.allows(LogLevel::Debug) {
            tracing::debug!(
                protocol = "http",
                http.component = "server",
                http.start_time = now(),
                http.method = line.method,
                http.request_id = line.request_id,
                http.user_agent = line.user_agent,
                thanos.method_name = line.handler,
                "started call"
            );
        }
        Some(line)
    }

    /// Logs the end of the request.
    fn end(&self, code: StatusCode, took: Duration) {
        let level = match code.as_u16() {
            200..500 => LogLevel::Debug,
            _ => LogLevel::Error,
        };
        if !self.rule.allows(level) {
            return;
        }
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    protocol = "http",
                    http.component = "server",
                    http.method = self.method,
                    http.request_id = self.request_id,
                    http.user_agent = self.user_agent,
                    http.status_code = code.as_u16(),
                    http.time_ms = took.as_secs_f64() * 1e3,
                    http.remote_addr = self.remote,
                    thanos.method_name = self.handler,
                    "finished call"
                )
            };
        }
        match level {
            LogLevel::Error => line!(error),
            _ => line!(debug),
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Answers a request, counts it, and logs it if a rule says so.
pub(super) async fn observe(
    State(Observer { metrics, log }): State<Observer>,
    request: Request,
    next: Next,
) -> Response {
    let line = log
        .as_ref()
        .and_then(|rule| RequestLine::start(rule, &request));
    // Probes and scrapes make no traces of their own.
    let span = match traces::is_traced(request.headers()) {
        true => {
            let name = format!("/{} HTTP[server]", handler(request.uri().path()));
            traces::server_span(&name, request.headers())
        }
        false => Span::none(),
    };
    span.record("http.request.method", request.method().as_str());
    let since = Instant::now();
    let mut answer = count(metrics, request, next).instrument(span.clone()).await;
    span.record("http.response.status_code", answer.status().as_u16());
    if let Some(id) = traces::trace_id(&span)
        && let Ok(id) = HeaderValue::try_from(id)
    {
        answer.headers_mut().insert(TRACE_ID, id);
    }
    if let Some(line) = line {
        line.end(answer.status(), since.elapsed());
    }
    answer
}

/// Answers a request, and counts it.
///
/// Requests of other paths than those of the routes are not counted: names chosen by clients must not become labels.
async fn count(metrics: HttpMetrics, request: Request, next: Next) -> Response {
    let Some(path) = request.extensions().get::<MatchedPath>() else {
        return next.run(request).await;
    };
    let labels = metrics.labels(path.as_str(), request.method());
    let in_flight = metrics.in_flight(&labels);
    in_flight.inc();
    let _in_flight = InFlight(in_flight);
    let request_size = request.body().size_hint().lower();
    let since = Instant::now();
    let answer = next.run(request).await;
    let sizes = [request_size, answer.body().size_hint().lower()];
    metrics.answered(labels, answer.status(), sizes, since.elapsed());
    answer
}

/// The name of a route.
fn handler(path: &str) -> &str {
    path.trim_start_matches("/-").trim_start_matches('/')
}

#[expect(clippy::cast_precision_loss, reason = "a size for a histogram")]
const fn float(size: u64) -> f64 {
    size as f64
}
