use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use super::*;
use crate::{
    Exposition, GrpcOptions, HttpOptions, Metrics, Probe, ServiceError, serve_grpc, serve_http,
};

/// How long a test waits for what has to come.
const DEADLINE: Duration = Duration::from_secs(60);
/// What a client that speaks HTTP/2 sends first, with no settings.
const OPENED: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Both servers, with little patience.
struct Servers {
    addresses: [SocketAddr; 2],
    metrics: Metrics,
    shutdown: CancellationToken,
    tasks: [JoinHandle<Result<(), ServiceError>>; 2],
}

impl Servers {
    async fn start(connections: ConnectionLimits) -> Self {
        let metrics = Metrics::new();
        let probe = Probe::new("store", &metrics);
        let shutdown = CancellationToken::new();
        let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = [grpc.local_addr().unwrap(), http.local_addr().unwrap()];
        let shared = (metrics.clone(), probe.clone(), shutdown.clone());
        let grpc = tokio::spawn(async move {
            let (metrics, probe, shutdown) = shared;
            let options = GrpcOptions {
                connections,
                ..GrpcOptions::default()
            };
            serve_grpc(grpc, Routes::default(), options, &metrics, &probe, shutdown).await
        });
        let shared = (metrics.clone(), probe, shutdown.clone());
        let http = tokio::spawn(async move {
            let (metrics, probe, shutdown) = shared;
            let options = HttpOptions {
                head_timeout: connections.opening,
                connections,
                ..HttpOptions::default()
            };
            serve_http(http, options, &metrics, &probe, shutdown).await
        });
        Self {
            addresses,
            metrics,
            shutdown,
            tasks: [grpc, http],
        }
    }

    async fn end(self) {
        self.shutdown.cancel();
        for task in self.tasks {
            task.await.unwrap().unwrap();
        }
    }
}

fn impatient() -> ConnectionLimits {
    let soon = Duration::from_millis(50);
    ConnectionLimits {
        opening: soon,
        write: soon,
        handshake: soon,
        keepalive_interval: soon,
        keepalive_timeout: soon,
        ..ConnectionLimits::default()
    }
}

/// Sends this and no more, until the server closes the connection.
async fn is_closed_after(address: SocketAddr, bytes: &[u8]) {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // With or without an error; what counts is that it ends.
    let ended = timeout(DEADLINE, client.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "{bytes:?} keeps {address} open");
}

#[tokio::test]
async fn connections_that_are_never_opened_are_closed() {
    let servers = Servers::start(impatient()).await;
    for address in servers.addresses {
        is_closed_after(address, b"").await;
        is_closed_after(address, b"P").await;
        is_closed_after(address, &PREFACE[..PREFACE.len() - 1]).await;
        is_closed_after(address, b"nothing that anyone knows").await;
    }
    servers.end().await;
}

#[tokio::test]
async fn half_a_head_and_idle_connections_are_closed() {
    let servers = Servers::start(impatient()).await;
    let [_, http] = servers.addresses;
    is_closed_after(http, b"G").await;
    is_closed_after(http, b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nHalf").await;
    is_closed_after(http, b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").await;
    // The head of a call without its end; what comes next can be nothing else.
    let half = [OPENED, b"\0\0\x01\x01\0\0\0\0\x01\x82"].concat();
    for address in servers.addresses {
        is_closed_after(address, &half).await;
    }
    servers.end().await;
}

#[tokio::test]
async fn peers_that_do_not_say_that_they_live_are_closed() {
    let servers = Servers::start(impatient()).await;
    for address in servers.addresses {
        is_closed_after(address, OPENED).await;
    }
    servers.end().await;
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_counted() {
    let servers = Servers::start(ConnectionLimits {
        most: 2,
        ..ConnectionLimits::default()
    })
    .await;
    for (address, server) in servers.addresses.into_iter().zip(["grpc", "http"]) {
        let mut held = Vec::new();
        for _ in 0..2 {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(OPENED).await.unwrap();
            // It answers: the connection was accepted.
            client.read_u8().await.unwrap();
            held.push(client);
        }
        is_closed_after(address, b"").await;
        let text = servers.metrics.encode(Exposition::Prometheus);
        for line in [
            format!("varve_{server}_connections 2\n"),
            format!("varve_{server}_connections_refused_total 1\n"),
        ] {
            assert!(text.contains(&line), "{line} in {text}");
        }
        // A place becomes free.
        drop(held.pop());
        let accepted = async {
            loop {
                let mut client = TcpStream::connect(address).await.unwrap();
                let sent = client.write_all(OPENED).await;
                if sent.is_ok() && client.read_u8().await.is_ok() {
                    return;
                }
            }
        };
        timeout(DEADLINE, accepted).await.unwrap();
    }
    servers.end().await;
}

#[tokio::test]
async fn a_client_whose_tcp_takes_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let _client = TcpStream::connect(address).await.unwrap();
    let connections = accept(listener, "grpc", impatient(), &Metrics::new(), || None);
    let mut connections = std::pin::pin!(connections);
    let mut connection = futures::StreamExt::next(&mut connections)
        .await
        .unwrap()
        .unwrap();
    let send = async {
        loop {
            if let Err(error) = connection.write_all(&[0; 65_536]).await {
                return error;
            }
        }
    };
    let error = timeout(DEADLINE, send).await.unwrap();
    assert_eq!(error.to_string(), "the client took no data for 50ms");
}
