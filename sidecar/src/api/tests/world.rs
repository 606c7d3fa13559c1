//! A Prometheus whose answers are in the test's hands, and the StoreAPI in front of it.

use std::{collections::BTreeMap, io, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Query, State},
    http::{Response, StatusCode, Uri, header::CONTENT_TYPE},
    routing::{get, post},
};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use model::{Labels, TimeBound, Timestamp};
use parking_lot::Mutex;
use prost::Message as _;
use proto::{
    prompb::{self, ChunkedReadResponse, ChunkedSeries, ReadRequest},
    thanos::{
        LabelMatcher, Series, SeriesRequest, SeriesResponse, series_response::Result as Frame,
        store_server::Store as _,
    },
};
use service::{CpuPool, ManualClock, Metrics, Probe};
use tokio::sync::{Notify, watch};
use tonic::{Request, Status};

use super::super::StoreApi;
use crate::{
    Config, Deps, LabelSource, Limits, PrometheusConfig, prometheus::Prometheus, recent::Recent,
    view::View,
};

/// What the peer answers with, and what it was asked.
#[derive(Debug)]
pub(super) struct Script {
    /// Of everything.
    pub(super) status: StatusCode,
    /// Of a remote read.
    pub(super) content_type: &'static str,
    /// The body of a remote read, in the pieces in which it comes.
    pub(super) read: Vec<Bytes>,
    /// What follows them.
    pub(super) end: End,
    /// The answers of the API, by path.
    pub(super) api: BTreeMap<&'static str, &'static str>,
    pub(super) asked: Vec<(String, Vec<(String, String)>)>,
    pub(super) reads: Vec<ReadRequest>,
}

/// What follows the pieces of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    /// The connection breaks.
    Broken,
    /// Nothing any more.
    Silence,
}

pub(super) type Peer = Arc<Mutex<Script>>;

/// The StoreAPI in front of a peer.
pub(super) struct World {
    pub(super) peer: Peer,
    pub(super) recent: Recent,
    pub(super) outdated: Arc<Notify>,
}

impl World {
    /// With these external labels, and these names of the labels of own series.
    pub(super) async fn new(external: &[(&str, &str)], own_names: Option<&[&str]>) -> Self {
        Self::limited(external, own_names, Limits::default()).await
    }

    pub(super) async fn limited(
        external: &[(&str, &str)],
        own_names: Option<&[&str]>,
        limits: Limits,
    ) -> Self {
        let (peer, url) = peer().await.unwrap();
        let peer_config = PrometheusConfig {
            url,
            ..PrometheusConfig::default()
        };
        let prometheus = Prometheus::new(&peer_config).unwrap();
        let view = View {
            labels: Labels::from_pairs(external.iter().copied()),
            lowest: Timestamp(1000),
            own_names: own_names
                .map(|names| Arc::new(names.iter().map(|&n| n.to_owned()).collect())),
            matches_labels: true,
        };
        let config = Config {
            min_time: TimeBound::At(Timestamp(500)),
            limits,
            ..Config::new(LabelSource::Prometheus(peer_config), "/nowhere")
        };
        let metrics = Metrics::new();
        let deps = Deps {
            clock: Arc::new(ManualClock::new(1_787_392_800_000)),
            pool: CpuPool::new("test", 1).unwrap(),
            probe: Probe::new("sidecar", &metrics),
            metrics,
        };
        let outdated = Arc::new(Notify::new());
        let (_, view) = watch::channel(Some(view));
        let recent = Recent::new(&config, &deps, prometheus, view, Arc::clone(&outdated));
        Self {
            peer,
            recent,
            outdated,
        }
    }

    /// All messages of an answer.
    pub(super) async fn messages(
        &self,
        request: SeriesRequest,
    ) -> Result<Vec<SeriesResponse>, Status> {
        let api = StoreApi(self.recent.clone());
        let answer = api.series(Request::new(request)).await?.into_inner();
        answer.collect::<Vec<_>>().await.into_iter().collect()
    }

    /// The series of an answer.
    pub(super) async fn series(&self, request: SeriesRequest) -> Result<Vec<Series>, Status> {
        let mut series = Vec::new();
        for message in self.messages(request).await? {
            match message.result {
                Some(Frame::Series(one)) => series.push(one),
                Some(Frame::Batch(batch)) => series.extend(batch.series),
                other => panic!("{other:?}"),
            }
        }
        Ok(series)
    }

    /// The labels of the series of an answer.
    pub(super) async fn lines(&self, request: SeriesRequest) -> Result<Vec<String>, Status> {
        let series = self.series(request).await?;
        let labels = series.iter().map(|s| proto::model_labels(&s.labels));
        Ok(labels.map(|labels| labels.to_string()).collect())
    }
}

/// A request for `{job="node"}` at all times.
pub(super) fn request() -> SeriesRequest {
    SeriesRequest {
        min_time: i64::MIN,
        max_time: 9000,
        matchers: vec![matcher("job", "node")],
        ..SeriesRequest::default()
    }
}

pub(super) fn matcher(name: &str, value: &'static str) -> LabelMatcher {
    LabelMatcher {
        r#type: 0,
        name: name.to_owned(),
        value: value.into(),
    }
}

/// A series of one chunk, as Prometheus sends it.
pub(super) fn sent(labels: &[(&'static str, &'static str)]) -> ChunkedSeries {
    ChunkedSeries {
        labels: labels
            .iter()
            .map(|(name, value)| prompb::Label {
                name: (*name).into(),
                value: (*value).into(),
            })
            .collect(),
        chunks: vec![prompb::Chunk {
            min_time_ms: 1000,
            max_time_ms: 2000,
            r#type: 1,
            data: Bytes::from_static(b"data"),
        }],
    }
}

/// One frame for each series.
pub(super) fn frames(series: impl IntoIterator<Item = ChunkedSeries>) -> Vec<Bytes> {
    series.into_iter().map(frame).collect()
}

fn frame(series: ChunkedSeries) -> Bytes {
    let data = ChunkedReadResponse {
        chunked_series: vec![series],
        query_index: 0,
    };
    let data = data.encode_to_vec();
    let mut out = Vec::new();
    prost::encoding::encode_varint(data.len() as u64, &mut out);
    out.extend(crc32c::crc32c(&data).to_be_bytes());
    out.extend(data);
    out.into()
}

/// A Prometheus that answers by a script, and its URL.
async fn peer() -> io::Result<(Peer, String)> {
    let peer = Arc::new(Mutex::new(Script {
        status: StatusCode::OK,
        content_type: "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse",
        read: Vec::new(),
        end: End::Whole,
        api: BTreeMap::new(),
        asked: Vec::new(),
        reads: Vec::new(),
    }));
    let app = Router::new()
        .route("/prefix/api/v1/read", post(read))
        .fallback(get(api))
        .with_state(Arc::clone(&peer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/prefix/", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok((peer, url))
}

async fn read(State(peer): State<Peer>, body: Bytes) -> Response<Body> {
    let mut peer = peer.lock();
    let request = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    let request = ReadRequest::decode(request.as_slice()).unwrap();
    peer.reads.push(request);
    if peer.status != StatusCode::OK {
        return answer(peer.status, "text/plain", Body::from("no such luck\n"));
    }
    let pieces = peer.read.clone().into_iter().map(Ok);
    let end = peer.end;
    let end = stream::iter((end != End::Whole).then_some(end)).then(|end| async move {
        match end {
            End::Silence => std::future::pending().await,
            _ => Err(io::Error::other("broken")),
        }
    });
    let body = Body::from_stream(stream::iter(pieces).chain(end));
    answer(peer.status, peer.content_type, body)
}

async fn api(
    State(peer): State<Peer>,
    uri: Uri,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Response<Body> {
    let mut peer = peer.lock();
    let path = uri.path().strip_prefix("/prefix/").unwrap_or_default();
    peer.asked.push((path.to_owned(), pairs));
    if peer.status != StatusCode::OK {
        return answer(peer.status, "text/plain", Body::from("no such luck\n"));
    }
    match peer.api.get(path) {
        Some(body) => answer(StatusCode::OK, "application/json", Body::from(*body)),
        None => answer(StatusCode::NOT_FOUND, "text/plain", Body::from("404\n")),
    }
}

fn answer(status: StatusCode, content_type: &str, body: Body) -> Response<Body> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, content_type)
        .body(body)
        .unwrap()
}
