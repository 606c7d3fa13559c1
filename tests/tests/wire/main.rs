//! What goes over the wire below StoreAPI: encodings of messages, and clients that take nothing.

mod raw;

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use model::TimeRange;
use prost::Message;
use proto::{
    info::InfoRequest,
    thanos::{LabelNamesRequest, LabelValuesRequest},
};
use service::GrpcOptions;
use tests::{RunningGateway, SAMPLE, World, matcher, series_request};
use tokio::time::timeout;
use tonic_health::pb::HealthCheckRequest;
use tonic_reflection::pb::{v1, v1alpha};

use self::raw::{Raw, Reply, framed, messages, messages_of};

/// How long a test waits for what has to come.
const DEADLINE: Duration = Duration::from_secs(60);
/// What the tests have for the time that a client may take nothing.
const SEND_TIMEOUT: Duration = Duration::from_millis(400);

fn everything() -> anyhow::Result<impl Message> {
    let all = matcher("__name__", "!=", "")?;
    Ok(series_request(&[all], TimeRange::ALL))
}

/// A path and a request to it for each service there is.
fn calls(encoding: &str) -> anyhow::Result<Vec<(&'static str, Bytes)>> {
    let names = LabelNamesRequest {
        start: 0,
        end: i64::MAX,
        ..LabelNamesRequest::default()
    };
    let values = LabelValuesRequest {
        label: "__name__".to_owned(),
        start: 0,
        end: i64::MAX,
        ..LabelValuesRequest::default()
    };
    let list = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let list_alpha = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
    };
    Ok(vec![
        ("/thanos.Store/Series", framed(encoding, &everything()?)?),
        ("/thanos.Store/LabelNames", framed(encoding, &names)?),
        ("/thanos.Store/LabelValues", framed(encoding, &values)?),
        (
            "/thanos.info.Info/Info",
            framed(encoding, &InfoRequest::default())?,
        ),
        (
            "/grpc.health.v1.Health/Check",
            framed(encoding, &HealthCheckRequest::default())?,
        ),
        (
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            framed(encoding, &list)?,
        ),
        (
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            framed(encoding, &list_alpha)?,
        ),
    ])
}

/// A gateway to the sample, with two places for Series requests and little patience.
async fn impatient(world: &World) -> anyhow::Result<RunningGateway> {
    world.upload().await?;
    let config = store_gateway::Config {
        series_concurrency: 2,
        grpc: GrpcOptions {
            send_timeout: Some(SEND_TIMEOUT),
            ..GrpcOptions::default()
        },
        ..store_gateway::Config::default()
    };
    let gateway = world.start_gateway_with(config, world.bucket()?).await?;
    gateway.ready().await?;
    Ok(gateway)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_speaks_every_encoding() -> anyhow::Result<()> {
    let world = World::with_sample(&SAMPLE).await?;
    world.upload().await?;
    let gateway = world.gateway().await?;
    let mut client = Raw::connect(gateway.address, 1 << 20).await?;
    let mut plain = Vec::new();
    for (path, body) in calls("identity")? {
        let reply = client.call(path, &[], body).await?;
        assert_eq!(reply.status().0, "0", "{path}: {:?}", reply.status());
        assert!(!reply.head.contains_key("grpc-encoding"), "{path}");
        assert!(!reply.messages.is_empty(), "{path}");
        plain.push(reply.plain()?);
    }
    for encoding in ["gzip", "snappy"] {
        for ((path, body), plain) in calls(encoding)?.into_iter().zip(&plain) {
            let headers = [
                ("grpc-encoding", encoding),
                ("grpc-accept-encoding", "gzip,snappy"),
            ];
            let reply = client.call(path, &headers, body).await?;
            assert_eq!(reply.status().0, "0", "{path}: {:?}", reply.status());
            assert_eq!(reply.head["grpc-encoding"], encoding, "{path}");
            assert_eq!(
                reply.head["grpc-accept-encoding"], "identity,gzip,snappy",
                "{path}"
            );
            assert!(reply.plain()? == *plain, "{path} in {encoding}");
            // A short message may not become shorter.
            if path == "/thanos.Store/Series" {
                assert!(reply.messages.iter().any(|(flag, _)| *flag == 1), "{path}");
            }
        }
    }
    for (path, body) in calls("identity")? {
        let reply = client
            .call(path, &[("grpc-encoding", "zstd")], body)
            .await?;
        assert_eq!(reply.status().0, "12", "{path}");
        assert_eq!(
            reply.head["grpc-accept-encoding"], "identity,gzip,snappy",
            "{path}"
        );
    }
    drop(client);
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_never_give_window_do_not_keep_others_out() -> anyhow::Result<()> {
    let world = World::with_sample(&SAMPLE).await?;
    let gateway = impatient(&world).await?;
    let body = framed("identity", &everything()?)?;
    let mut stuck = Vec::new();
    for _ in 0..2 {
        let mut client = Raw::connect(gateway.address, 0).await?;
        let answer = client.send("/thanos.Store/Series", &[], body.clone());
        stuck.push((answer.await?, client.connection));
    }
    assert!(
        gateway
            .metrics()
            .contains("thanos_bucket_store_series_gate_queries_in_flight 2\n")
    );
    // All places are taken; an honest client gets one of them all the same.
    let all = series_request(&[matcher("__name__", "!=", "")?], TimeRange::ALL);
    let answer = timeout(DEADLINE, gateway.client.series(all)).await??;
    assert!(!answer.series.is_empty());
    // What has but such calls is closed in the end.
    for (answer, connection) in stuck {
        let ended = timeout(DEADLINE, connection).await?;
        drop((answer, ended));
    }
    let metrics = gateway.metrics();
    for line in [
        "thanos_bucket_store_series_gate_queries_in_flight 0\n",
        r#"grpc_server_handled_total{grpc_type="server_stream",grpc_service="thanos.Store",grpc_method="Series",grpc_code="DeadlineExceeded"} 2"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_call_does_not_cost_the_others_of_its_connection_and_gets_its_status()
-> anyhow::Result<()> {
    let world = World::with_sample(&SAMPLE).await?;
    let gateway = impatient(&world).await?;
    let mut client = Raw::connect(gateway.address, 2000).await?;
    // A call that has its first message and waits for the next one is no stuck one.
    let watch = framed("identity", &HealthCheckRequest::default())?;
    let watch = client
        .send("/grpc.health.v1.Health/Watch", &[], watch)
        .await?;
    let body = framed("identity", &everything()?)?;
    let answer = client.send("/thanos.Store/Series", &[], body).await?;
    let ended = async {
        while !gateway
            .metrics()
            .contains("thanos_bucket_store_series_gate_queries_in_flight 0\n")
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, ended)
        .await
        .context("it is not given up")?;
    // The window comes after all.
    let (head, stream) = answer.into_parts();
    ensure!(client.grow.send(1 << 20).is_ok());
    let reply = timeout(DEADLINE, Reply::read(head.headers, stream)).await??;
    ensure!(
        reply.status()
            == (
                "4".to_owned(),
                "the client took no data for 400ms".to_owned()
            ),
        "{:?}",
        reply.status()
    );
    ensure!(!client.connection.is_finished());
    drop((watch, client.requests));
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_slow_but_takes_something_gets_everything() -> anyhow::Result<()> {
    let world = World::with_sample(&SAMPLE).await?;
    let gateway = impatient(&world).await?;
    let body = framed("identity", &everything()?)?;
    let mut quick = Raw::connect(gateway.address, 1 << 20).await?;
    let expected = quick
        .call("/thanos.Store/Series", &[], body.clone())
        .await?
        .plain()?;

    let mut client = Raw::connect(gateway.address, 20_000).await?;
    let answer = client.send("/thanos.Store/Series", &[], body).await?;
    let (head, mut stream) = answer.into_parts();
    let start = Instant::now();
    let mut bytes = Vec::new();
    let mut owed = 0;
    while let Some(data) = timeout(DEADLINE, stream.data()).await? {
        let data = data?;
        owed += data.len();
        bytes.extend(data);
        // All of the window is used up each time, and given a while later.
        if owed >= 20_000 {
            if start.elapsed() < SEND_TIMEOUT * 3 {
                tokio::time::sleep(SEND_TIMEOUT / 4).await;
            }
            stream.flow_control().release_capacity(owed)?;
            owed = 0;
        }
    }
    let status = stream.trailers().await?.context("no trailers")?;
    assert_eq!(status["grpc-status"], "0", "{status:?}");
    ensure!(
        start.elapsed() > SEND_TIMEOUT * 2,
        "the answer is too short"
    );
    assert!(messages(bytes)? == messages_of(&expected), "{head:?}");
    drop((client.requests, quick));
    gateway.stop().await
}
