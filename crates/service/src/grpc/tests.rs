use std::net::SocketAddr;

use tokio::task::JoinHandle;
use tonic::{Code, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::{v1, v1alpha};

use super::*;
use crate::Exposition;

struct Running {
    address: SocketAddr,
    metrics: Metrics,
    probe: Probe,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), ServiceError>>,
}

impl Running {
    async fn start(options: GrpcOptions) -> Self {
        let metrics = Metrics::new();
        let probe = Probe::new("store", &metrics);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let (counted, told, token) = (metrics.clone(), probe.clone(), shutdown.clone());
        let task = tokio::spawn(async move {
            serve_grpc(listener, Routes::default(), options, &counted, &told, token).await
        });
        Self {
            address,
            metrics,
            probe,
            shutdown,
            task,
        }
    }

    async fn connect(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect().await.unwrap()
    }

    async fn end(self) -> Result<(), ServiceError> {
        self.shutdown.cancel();
        self.task.await.unwrap()
    }
}

fn whole_server() -> HealthCheckRequest {
    HealthCheckRequest {
        service: String::new(),
    }
}

#[tokio::test]
async fn health_follows_the_probe() {
    let server = Running::start(GrpcOptions::default()).await;
    let mut client = HealthClient::new(server.connect().await);
    let mut watch = client.watch(whole_server()).await.unwrap().into_inner();
    let mut next = async || watch.message().await.unwrap().unwrap().status;
    assert_eq!(next().await, ServingStatus::NotServing as i32);
    server.probe.ready();
    assert_eq!(next().await, ServingStatus::Serving as i32);
    server.probe.not_ready("a test says so");
    assert_eq!(next().await, ServingStatus::NotServing as i32);
    server.probe.ready();
    assert_eq!(next().await, ServingStatus::Serving as i32);
    server.shutdown.cancel();
    assert_eq!(next().await, ServingStatus::NotServing as i32);
    drop((watch, client));
    server.end().await.unwrap();
}

#[tokio::test]
async fn calls_are_counted_by_method_and_code() {
    let server = Running::start(GrpcOptions::default()).await;
    let mut client = HealthClient::new(server.connect().await);
    client.check(whole_server()).await.unwrap();
    let unknown = HealthCheckRequest {
        service: "thanos.Rules".to_owned(),
    };
    let error = client.check(unknown).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    drop(client);
    let metrics = server.metrics.clone();
    server.end().await.unwrap();
    let text = metrics.encode(Exposition::Prometheus);
    let check = r#"grpc_type="unary",grpc_service="grpc.health.v1.Health",grpc_method="Check""#;
    for line in [
        format!("grpc_server_started_total{{{check}}} 2\n"),
        format!("grpc_server_handled_total{{{check},grpc_code=\"OK\"}} 1\n"),
        format!("grpc_server_handled_total{{{check},grpc_code=\"NotFound\"}} 1\n"),
        format!("grpc_server_handling_seconds_count{{{check}}} 2\n"),
    ] {
        assert!(text.contains(&line), "{line} in {text}");
    }
}

#[tokio::test]
async fn both_versions_of_reflection_list_the_services() {
    let server = Running::start(GrpcOptions::default()).await;
    let channel = server.connect().await;
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let answers = client
        .server_reflection_info(tokio_stream::once(request))
        .await;
    let answer = answers
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap();
    let Some(v1::server_reflection_response::MessageResponse::ListServicesResponse(list)) =
        answer.message_response
    else {
        panic!("{answer:?}");
    };
    let names: Vec<_> = list.service.into_iter().map(|s| s.name).collect();
    assert!(
        names.contains(&"grpc.health.v1.Health".to_owned()),
        "{names:?}"
    );

    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let answers = client
        .server_reflection_info(tokio_stream::once(request))
        .await;
    let answer = answers
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap();
    let Some(v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(list)) =
        answer.message_response
    else {
        panic!("{answer:?}");
    };
    assert!(
        list.service
            .iter()
            .any(|s| s.name == "grpc.health.v1.Health"),
        "{list:?}"
    );
    drop(client);
    server.end().await.unwrap();
}

#[tokio::test]
async fn a_call_that_never_ends_is_not_waited_for_beyond_the_grace_period() {
    let server = Running::start(GrpcOptions {
        grace_period: Duration::ZERO,
        ..GrpcOptions::default()
    })
    .await;
    let mut client = HealthClient::new(server.connect().await);
    let watch = client.watch(whole_server()).await.unwrap();
    let error = server.end().await.unwrap_err();
    assert!(
        matches!(error, ServiceError::Drain { server: "grpc", .. }),
        "{error}"
    );
    drop(watch);
}

#[tokio::test]
async fn descriptors_that_do_not_decode_are_refused_before_anything_is_served() {
    let server = Running::start(GrpcOptions {
        descriptors: vec![b"\xff"],
        ..GrpcOptions::default()
    })
    .await;
    let error = server.end().await.unwrap_err();
    assert!(
        matches!(error, ServiceError::Descriptors { index: 0, .. }),
        "{error}"
    );
}
