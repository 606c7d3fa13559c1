//! The daemon as a whole, asked over the wire.

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use proto::{
    info::{InfoRequest, InfoResponse, info_client::InfoClient},
    thanos::{LabelNamesRequest, store_client::StoreClient},
};
use service::{CpuPool, ManualClock, Metrics, Probe};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, transport::Channel};

use super::world::{Peer, peer};
use crate::{Config, Deps, LabelSource, PrometheusConfig};

const EU_1: &str =
    r#"{"status":"success","data":{"yaml":"global:\n  external_labels: {cluster: eu-1}\n"}}"#;
const EU_2: &str =
    r#"{"status":"success","data":{"yaml":"global:\n  external_labels: {cluster: eu-2}\n"}}"#;

/// What a sidecar that serves only asks at the start.
fn answers(peer: &Peer) {
    let mut peer = peer.lock();
    for (path, answer) in [
        (
            "api/v1/status/buildinfo",
            r#"{"status":"success","data":{"version":"3.9.1"}}"#,
        ),
        ("api/v1/status/config", EU_1),
        (
            "metrics",
            "prometheus_tsdb_lowest_timestamp_seconds 1.7e+09\n",
        ),
        (
            "api/v1/labels",
            r#"{"status":"success","data":["__name__","job"]}"#,
        ),
    ] {
        peer.api.insert(path, answer);
    }
}

fn deps() -> Deps {
    let metrics = Metrics::new();
    Deps {
        clock: Arc::new(ManualClock::new(1_787_392_800_000)),
        pool: CpuPool::new("test", 1).unwrap(),
        probe: Probe::new("sidecar", &metrics),
        metrics,
    }
}

/// Asks until the answer is as it should be; each heartbeat takes a millisecond.
async fn info_that(
    client: &mut InfoClient<Channel>,
    is: impl Fn(&Result<InfoResponse, Status>) -> bool,
) -> Result<InfoResponse, Status> {
    loop {
        let answer = client.info(InfoRequest {}).await;
        let answer = answer.map(tonic::Response::into_inner);
        if is(&answer) {
            return answer;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_labels_are_followed_and_an_absent_prometheus_is_reported() {
    let (peer, url) = peer().await.unwrap();
    answers(&peer);
    let config = PrometheusConfig {
        url,
        get_config_interval: Duration::from_millis(1),
        ..PrometheusConfig::default()
    };
    let config = Config::new(LabelSource::Prometheus(Box::new(config)), "/nowhere");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (deps, shutdown) = (deps(), CancellationToken::new());
    let probe = deps.probe.clone();
    let daemon = crate::run(config, None, deps, shutdown.clone(), Some(listener));
    let daemon = tokio::spawn(daemon);
    let mut info = InfoClient::connect(endpoint.clone()).await.unwrap();
    let mut store = StoreClient::connect(endpoint).await.unwrap();

    let cluster = |answer: &Result<InfoResponse, Status>, cluster: &str| {
        let set = answer.as_ref().ok().map(|a| &a.label_sets[0]);
        set.is_some_and(|set| set.labels[0].value == cluster)
    };
    let first = info_that(&mut info, |a| cluster(a, "eu-1")).await.unwrap();
    assert_eq!(first.store.unwrap().min_time, 1_700_000_000_000);
    peer.lock().api.insert("api/v1/status/config", EU_2);
    info_that(&mut info, |a| cluster(a, "eu-2")).await.unwrap();

    // Away: nobody gets an empty answer for what should be there.
    peer.lock().status = StatusCode::SERVICE_UNAVAILABLE;
    let error = info_that(&mut info, Result::is_err).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(!probe.status().ready);
    let error = store.label_names(LabelNamesRequest::default()).await;
    assert_eq!(error.unwrap_err().code(), Code::Unavailable);
    peer.lock().status = StatusCode::OK;
    info_that(&mut info, |a| cluster(a, "eu-2")).await.unwrap();
    let names = store.label_names(LabelNamesRequest::default()).await;
    let names = names.unwrap().into_inner().names;
    assert_eq!(names, ["__name__", "cluster", "job"]);

    shutdown.cancel();
    drop((info, store));
    daemon.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_a_bucket_prometheus_is_waited_for_as_long_as_it_takes() {
    let config = PrometheusConfig {
        // Nothing listens there.
        url: "http://127.0.0.1:1".to_owned(),
        ready_timeout: Duration::from_secs(1),
        ..PrometheusConfig::default()
    };
    let config = Config::new(LabelSource::Prometheus(Box::new(config)), "/nowhere");
    let (deps, shutdown) = (deps(), CancellationToken::new());
    let daemon = tokio::spawn(crate::run(config, None, deps, shutdown.clone(), None));
    tokio::time::sleep(Duration::from_mins(60)).await;
    assert!(!daemon.is_finished());
    shutdown.cancel();
    daemon.await.unwrap().unwrap();
}
