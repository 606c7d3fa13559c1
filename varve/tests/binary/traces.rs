//! Traces, from the call of a querier to the reads of the bucket.

use std::{collections::HashMap, sync::Arc};

use anyhow::{Context as _, ensure};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::Span,
};
use parking_lot::Mutex;
use proto::thanos::{
    Aggr, LabelMatcher, SeriesRequest, label_matcher::Type, store_client::StoreClient,
};
use tokio::{net::TcpListener, runtime::Runtime};
use tonic::{Request, Response, Status, transport::Server};

use crate::daemon::{Daemon, run, text, uploaded};

/// A collector over gRPC.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        self.0.lock().extend(scopes.flat_map(|scope| scope.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Starts one, and gives the argument that sends spans there. Nothing is sampled that its caller has not sampled,
    /// unless `sampler` says otherwise.
    fn start(runtime: &Runtime, sampler: &str) -> anyhow::Result<(Self, String)> {
        let collector = Self::default();
        let service = TraceServiceServer::new(collector.clone());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let incoming = futures::stream::unfold(listener, async |listener| {
            let accepted = listener.accept().await.map(|(stream, _)| stream);
            Some((accepted, listener))
        });
        let server = Server::builder().add_service(service);
        runtime.spawn(server.serve_with_incoming(Box::pin(incoming)));
        let config = format!(
            "--tracing.config={{type: OTLP, config: {{client_type: grpc, insecure: true, endpoint: '{address}', sampler_type: {sampler}}}}}"
        );
        Ok((collector, config))
    }

    /// The names from the first span that is here down to each span of this name.
    fn paths(&self, name: &str) -> Vec<Vec<String>> {
        let spans = self.0.lock();
        let by_id: HashMap<&[u8], &Span> = spans
            .iter()
            .map(|span| (span.span_id.as_slice(), span))
            .collect();
        let wanted = spans.iter().filter(|span| span.name == name);
        let path = |span: &Span| {
            let mut names = vec![span.name.clone()];
            let mut at = span;
            while let Some(parent) = by_id.get(at.parent_span_id.as_slice()) {
                names.insert(0, parent.name.clone());
                at = parent;
            }
            names
        };
        wanted.map(path).collect()
    }
}

#[test]
fn a_trace_leads_from_the_caller_through_each_block_to_each_read() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let (collector, traces) = Collector::start(&runtime, "parentbasedneversample")?;
    let dir = tempfile::tempdir()?;
    let bucket = uploaded(dir.path(), &[])?;
    let (http, grpc) = ("--http-address=127.0.0.1:0", "--grpc-address=127.0.0.1:0");
    let data = format!("--data-dir={}", dir.path().join("store").display());
    let mut store = Daemon::start(&["store", &data, &bucket, http, grpc, &traces])?;
    let address = store.address("listening for serving gRPC")?;
    store.says("changing probe status: ready")?;
    let ask = async |parent: &str| {
        let mut client = StoreClient::connect(format!("http://{address}")).await?;
        let mut request = Request::new(SeriesRequest {
            max_time: i64::MAX,
            matchers: vec![LabelMatcher {
                r#type: Type::Eq.into(),
                name: "__name__".to_owned(),
                value: "node_load1".into(),
            }],
            aggregates: vec![Aggr::Raw.into()],
            ..SeriesRequest::default()
        });
        let parent = parent.parse().context("a header")?;
        request.metadata_mut().insert("traceparent", parent);
        let mut answer = client.series(request).await?.into_inner();
        while answer.message().await?.is_some() {}
        anyhow::Ok(())
    };
    // One that its caller has sampled, and one that it has not.
    for parent in [
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-11111111111111111111111111111111-2222222222222222-00",
    ] {
        runtime.block_on(ask(parent))?;
    }
    // At its end it sends what it has.
    store.end()?;
    let call = "/thanos.Store/Series";
    assert_eq!(collector.paths(call), [[call]]);
    let blocks = collector.paths("bucket_store_block_series");
    assert_eq!(blocks.len(), 6, "{blocks:?}");
    let reads = collector.paths("bucket_getrange");
    assert!(!reads.is_empty());
    for path in &reads {
        assert_eq!(path[0], call, "{path:?}");
        assert!(
            path.iter().any(|name| name == "bucket_store_block_series"),
            "{path:?}"
        );
    }
    let spans = collector.0.lock();
    let trace = [0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd];
    assert!(spans.iter().all(|span| span.trace_id.starts_with(&trace)));
    let read = spans.iter().find(|span| span.name == "bucket_getrange");
    let attributes = &read.context("a read")?.attributes;
    let keys: Vec<&str> = attributes.iter().map(|one| one.key.as_str()).collect();
    assert_eq!(keys, ["bucket", "name", "offset", "length", "bytes"]);
    Ok(())
}

#[test]
fn a_compaction_is_a_trace_of_its_iteration_groups_and_tasks() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let (collector, traces) = Collector::start(&runtime, "alwayssample")?;
    let dir = tempfile::tempdir()?;
    let bucket = uploaded(dir.path(), &[&traces])?;
    let data = format!("--data-dir={}", dir.path().join("compact").display());
    let ended = run(&[
        "compact",
        "--consistency-delay=0s",
        &data,
        &bucket,
        "--http-address=127.0.0.1:0",
        &traces,
    ])?;
    ensure!(ended.status.success(), "{}", text(&ended.stderr));
    let uploads = collector.paths("bucket_upload");
    let blocks = uploads.iter().filter(|path| path[0] == "upload_block");
    // Three files of each of six blocks.
    assert_eq!(blocks.count(), 18, "{uploads:?}");
    let task = [
        "compaction_iteration",
        "compaction_group",
        "compaction_task",
    ];
    for part in [
        "compaction_block_download",
        "compaction",
        "compaction_verify_index",
        "compaction_block_upload",
    ] {
        let expected = [&task[..], &[part]].concat();
        assert_eq!(collector.paths(part), [expected], "{part}");
    }
    let in_upload = uploads
        .iter()
        .filter(|path| path.iter().any(|name| name == "compaction_block_upload"));
    assert!(in_upload.count() >= 2, "{uploads:?}");
    Ok(())
}
