//! What a collector gets, and what becomes of spans that it does not get.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::Span,
};
use prost::Message as _;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, codec::CompressionEncoding, transport::Server};
use tracing_subscriber::{Registry, layer::SubscriberExt as _};

use super::{
    super::{Traces, config::Retry},
    *,
};
use crate::{Exposition, Metrics};

/// What a collector got: the headers, and the message.
type Got = (HeaderMap, ExportTraceServiceRequest);

/// A collector over gRPC that answers with these statuses first.
struct Collector {
    got: mpsc::UnboundedSender<Got>,
    first: parking_lot::Mutex<Vec<Status>>,
    rejects: i64,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        if let Some(status) = self.first.lock().pop() {
            return Err(status);
        }
        let headers = request.metadata().clone().into_headers();
        self.got.send((headers, request.into_inner())).unwrap();
        let partial_success = (self.rejects > 0).then(|| ExportTracePartialSuccess {
            rejected_spans: self.rejects,
            error_message: String::new(),
        });
        Ok(Response::new(ExportTraceServiceResponse {
            partial_success,
        }))
    }
}

/// Starts one.
async fn collector(first: Vec<Status>, rejects: i64) -> (SocketAddr, mpsc::UnboundedReceiver<Got>) {
    let (got, all) = mpsc::unbounded_channel();
    let first = parking_lot::Mutex::new(first);
    let service = TraceServiceServer::new(Collector {
        got,
        first,
        rejects,
    });
    let service = service.accept_compressed(CompressionEncoding::Gzip);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = TcpListenerStream::new(listener);
    tokio::spawn(
        Server::builder()
            .add_service(service)
            .serve_with_incoming(incoming),
    );
    (address, all)
}

/// Makes these spans while they are sent as the settings say.
async fn sent(settings: Settings, spans: u32) -> String {
    let traces = Traces::new(settings);
    let metrics = Metrics::new();
    traces.register(&metrics);
    let subscriber = Registry::default().with(traces.layer());
    let _set = tracing::subscriber::set_default(subscriber);
    traces
        .beside(async {
            for number in 0..spans {
                let _entered = crate::span!("work", number).entered();
            }
        })
        .await;
    metrics.encode(Exposition::Prometheus)
}

fn spans(message: &ExportTraceServiceRequest) -> Vec<&Span> {
    let resources = message.resource_spans.iter();
    let scopes = resources.flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| &scope.spans).collect()
}

#[tokio::test]
async fn spans_go_to_the_collector_by_grpc_with_the_headers_and_the_attributes_of_the_process() {
    let (address, mut got) = collector(Vec::new(), 0).await;
    let fields = format!(
        "endpoint: '{address}', compression: gzip, headers: {{x-scope: a}}, service_name: s, resource_attributes: {{zone: z}}"
    );
    let text = sent(otlp(&fields), 3).await;
    let (headers, message) = got.recv().await.unwrap();
    assert_eq!(headers["x-scope"], "a");
    let names: Vec<&str> = spans(&message)
        .iter()
        .map(|span| span.name.as_str())
        .collect();
    assert_eq!(names, ["work"; 3]);
    let resource = message.resource_spans[0].resource.as_ref().unwrap();
    let keys: Vec<&str> = resource
        .attributes
        .iter()
        .map(|one| one.key.as_str())
        .collect();
    assert!(
        keys.contains(&"service.name") && keys.contains(&"zone"),
        "{keys:?}"
    );
    let attributes = &spans(&message)[2].attributes;
    let keys: Vec<&str> = attributes.iter().map(|one| one.key.as_str()).collect();
    assert_eq!(keys, ["number"]);
    assert!(
        text.contains("\nvarve_trace_spans_sent_total 3\n"),
        "{text}"
    );
}

#[tokio::test]
async fn spans_go_to_the_collector_by_http() {
    let (sender, mut got) = mpsc::unbounded_channel();
    let answer = move |headers: HeaderMap, body: Bytes| {
        let mut plain = Vec::new();
        std::io::Read::read_to_end(&mut GzDecoder::new(&*body), &mut plain).unwrap();
        let message = ExportTraceServiceRequest::decode(&*plain).unwrap();
        sender.send((headers, message)).unwrap();
        async { ExportTraceServiceResponse::default().encode_to_vec() }
    };
    let app = Router::new().route("/otlp", post(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let fields = format!(
        "client_type: http, endpoint: '{address}', url_path: /otlp, compression: gzip, headers: {{x-scope: a}}"
    );
    let text = sent(otlp(&fields), 2).await;
    let (headers, message): Got = got.recv().await.unwrap();
    assert_eq!(headers["x-scope"], "a");
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(spans(&message).len(), 2);
    assert!(
        text.contains("\nvarve_trace_spans_sent_total 2\n"),
        "{text}"
    );
}

#[tokio::test]
async fn what_a_collector_rejects_is_counted() {
    let (address, _got) = collector(Vec::new(), 2).await;
    let text = sent(otlp(&format!("endpoint: '{address}'")), 3).await;
    assert!(
        text.contains("\nvarve_trace_spans_sent_total 1\n"),
        "{text}"
    );
    let lost = "\nvarve_trace_spans_lost_total{reason=\"rejected\"} 2\n";
    assert!(text.contains(lost), "{text}");
}

#[tokio::test]
async fn a_batch_is_sent_again_only_if_the_collector_may_take_it() {
    let short = Retry {
        first: Duration::from_millis(1),
        longest: Duration::from_millis(1),
        all: Duration::from_secs(60),
    };
    for (status, sent_spans) in [
        (Status::unavailable("away"), 1),
        (Status::data_loss("gone"), 1),
        (Status::invalid_argument("no"), 0),
        (Status::resource_exhausted("too much"), 0),
    ] {
        let (address, mut got) = collector(vec![status.clone()], 0).await;
        let mut settings = otlp(&format!("endpoint: '{address}'"));
        (settings.retry, settings.flush_interval) = (short, Duration::from_millis(1));
        let traces = Traces::new(settings);
        let metrics = Metrics::new();
        traces.register(&metrics);
        let subscriber = Registry::default().with(traces.layer());
        let _set = tracing::subscriber::set_default(subscriber);
        let text = traces.beside(async {
            drop(crate::span!("work"));
            // Until it has an end, one way or the other.
            loop {
                let text = metrics.encode(Exposition::Prometheus);
                if text.contains("_sent_total 1") || text.contains("reason=\"not_sent\"} 1") {
                    return text;
                }
                tokio::task::yield_now().await;
            }
        });
        let text = text.await;
        assert!(
            text.contains(&format!("_sent_total {sent_spans}\n")),
            "{status}: {text}"
        );
        assert_eq!(got.try_recv().is_ok(), sent_spans == 1, "{status}");
    }
}

#[tokio::test]
async fn a_collector_that_is_away_costs_the_spans_and_no_time() {
    // Nobody listens there any more.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for client in ["grpc", "http"] {
        let mut settings = otlp(&format!("client_type: {client}, endpoint: '{address}'"));
        settings.queue = 4;
        // At the end it is tried once more, and not again and again.
        let text = sent(settings, 10).await;
        let lost = |reason: &str| {
            let start = format!("varve_trace_spans_lost_total{{reason=\"{reason}\"}} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&start));
            line.unwrap().parse::<u64>().unwrap()
        };
        assert_eq!(lost("queue_full") + lost("not_sent"), 10, "{text}");
        assert_eq!(lost("queue_full"), 6, "{text}");
        assert!(
            text.contains("\nvarve_trace_spans_sent_total 0\n"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_collector_with_tls_gets_spans_from_a_client_with_a_certificate() {
    use crate::tls::testing::{Authority, Files};
    let (files, authority) = (Files::new(), Authority::new("all"));
    let ca = files.write("ca.pem", authority.pem());
    let server = authority.server();
    let (cert, key) = files.identity("client", &authority.client());
    let (got, mut all) = mpsc::unbounded_channel();
    let first = parking_lot::Mutex::new(Vec::new());
    let service = TraceServiceServer::new(Collector {
        got,
        first,
        rejects: 0,
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let identity = tonic::transport::Identity::from_pem(&server.certificate, &server.key);
    let tls = tonic::transport::ServerTlsConfig::new()
        .identity(identity)
        .client_ca_root(tonic::transport::Certificate::from_pem(authority.pem()));
    let server = Server::builder()
        .tls_config(tls)
        .unwrap()
        .add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let yaml = format!(
        "{{type: OTLP, config: {{client_type: grpc, endpoint: '{address}', tls_config: {{ca_file: '{}', cert_file: '{}', key_file: '{}', server_name: localhost}}}}}}",
        ca.display(),
        cert.display(),
        key.display()
    );
    let text = sent(settings(&yaml).unwrap(), 1).await;
    assert!(
        text.contains("\nvarve_trace_spans_sent_total 1\n"),
        "{text}"
    );
    assert_eq!(spans(&all.recv().await.unwrap().1).len(), 1);
}

#[tokio::test]
async fn settings_are_shared_and_spans_sent_once() {
    let traces = Traces::new(otlp(""));
    let shared = Arc::strong_count(&traces.0);
    assert_eq!(Arc::strong_count(&traces.clone().0), shared + 1);
}
