mod refused;

use std::{net::SocketAddr, time::Duration};

use rustls::version::{TLS12, TLS13};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tonic::{
    service::Routes,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{
    testing::{Authority, Files, certificate, handshake},
    *,
};
use crate::{
    ConnectionLimits, Exposition, GrpcOptions, Metrics, Probe, Reload, ServiceError, serve_grpc,
};

/// How long a test waits for what has to come.
const DEADLINE: Duration = Duration::from_secs(60);

/// A server with certificates of an authority of its own.
struct Server {
    files: Files,
    authority: Authority,
    tls: GrpcTls,
    address: SocketAddr,
    metrics: Metrics,
    reload: Reload,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), ServiceError>>,
}

/// Settings of the files that [`Server`] writes.
fn options(files: &Files) -> GrpcTlsOptions {
    GrpcTlsOptions {
        cert_file: files.path("server.pem"),
        key_file: files.path("server.key"),
        client_ca_file: None,
        min_version: TlsVersion::V13,
        cipher_suites: Vec::new(),
        curves: Vec::new(),
    }
}

impl Server {
    async fn start(change: impl FnOnce(&mut GrpcTlsOptions)) -> Self {
        Self::start_with(ConnectionLimits::default(), change).await
    }

    async fn start_with(
        connections: ConnectionLimits,
        change: impl FnOnce(&mut GrpcTlsOptions),
    ) -> Self {
        let (files, authority) = (Files::new(), Authority::new("ours"));
        files.write("ca.pem", authority.pem());
        files.identity("server", &authority.server());
        let mut options = options(&files);
        change(&mut options);
        let (metrics, reload) = (Metrics::new(), Reload::new());
        let tls = GrpcTls::open(&options, &metrics, &reload).unwrap();
        let probe = Probe::new("store", &metrics);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let options = GrpcOptions {
            tls: Some(tls.clone()),
            grace_period: DEADLINE,
            connections,
            ..GrpcOptions::default()
        };
        let (counted, token) = (metrics.clone(), shutdown.clone());
        let task = tokio::spawn(async move {
            serve_grpc(
                listener,
                Routes::default(),
                options,
                &counted,
                &probe,
                token,
            )
            .await
        });
        Self {
            files,
            authority,
            tls,
            address,
            metrics,
            reload,
            shutdown,
            task,
        }
    }

    async fn mutual() -> Self {
        // The path is that of `Server::start_with`.
        Self::start(|options| {
            let folder = options.cert_file.parent().unwrap();
            options.client_ca_file = Some(folder.join("ca.pem"));
        })
        .await
    }

    fn endpoint(&self) -> Endpoint {
        Channel::from_shared(format!("http://{}", self.address)).unwrap()
    }

    /// A client that trusts the authority.
    fn client(&self) -> GrpcClientTls {
        GrpcClientTls {
            ca_file: Some(self.files.path("ca.pem")),
            ..GrpcClientTls::default()
        }
    }

    /// Whether a client gets an answer.
    async fn answers(&self, client: &GrpcClientTls) -> Result<(), String> {
        let connector = GrpcConnector::open(client).unwrap();
        let channel = connector.connect(&self.endpoint()).await;
        let channel = channel.map_err(|error| format!("{error:?}"))?;
        ask(&channel).await
    }

    /// The certificate that a new client sees.
    async fn seen(&self) -> Vec<u8> {
        let authority = self.files.path("ca.pem");
        let stream = handshake(self.address, &authority, None, &[&TLS13], b"h2").await;
        let stream = stream.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }

    fn certificate(&self) -> Vec<u8> {
        certificate(&self.files.path("server.pem")).to_vec()
    }

    fn holds(&self, line: &str) -> bool {
        let text = self.metrics.encode(Exposition::Prometheus);
        text.lines().any(|l| l == line)
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

async fn ask(channel: &Channel) -> Result<(), String> {
    let mut client = HealthClient::new(channel.clone());
    let answer = client.check(HealthCheckRequest::default()).await;
    answer.map(|_| ()).map_err(|status| format!("{status:?}"))
}

#[tokio::test]
async fn only_clients_that_trust_the_authority_get_an_answer() {
    let server = Server::start(|_| {}).await;
    let trusting = server.client();
    server.answers(&trusting).await.unwrap();
    server
        .files
        .write("other.pem", Authority::new("theirs").pem());
    let distrusting = GrpcClientTls {
        ca_file: Some(server.files.path("other.pem")),
        ..GrpcClientTls::default()
    };
    let error = server.answers(&distrusting).await.unwrap_err();
    assert!(error.contains("UnknownIssuer"), "{error}");
    let careless = GrpcClientTls {
        verification: Verification::Off,
        ..GrpcClientTls::default()
    };
    server.answers(&careless).await.unwrap();
    let named = |name: &str| GrpcClientTls {
        server_name: Some(name.to_owned()),
        ..trusting.clone()
    };
    server.answers(&named("localhost")).await.unwrap();
    let error = server.answers(&named("elsewhere")).await.unwrap_err();
    assert!(error.contains("NotValidForName"), "{error}");
    // Without TLS.
    let plain = server.endpoint().connect().await.unwrap();
    assert!(ask(&plain).await.is_err());
    drop(plain);
    server.end().await;
}

#[tokio::test]
async fn a_client_needs_a_certificate_of_the_authority_that_is_valid_now() {
    let server = Server::mutual().await;
    let with = |name: &str, issued| GrpcClientTls {
        identity: Some(server.files.identity(name, &issued)),
        ..server.client()
    };
    let ours = with("client", server.authority.client());
    server.answers(&ours).await.unwrap();
    let other = Authority::new("ours");
    for (what, client) in [
        ("missing", server.client()),
        ("of another authority", with("other", other.client())),
        (
            "expired",
            with("expired", server.authority.expired_client()),
        ),
        ("of a server", with("of-server", server.authority.server())),
    ] {
        let answer = server.answers(&client).await;
        assert!(answer.is_err(), "a certificate that is {what}");
    }
    server.answers(&ours).await.unwrap();
    // A client may know before it is counted.
    let counted = async {
        while !server.holds("varve_grpc_tls_handshakes_failed_total 4") {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, counted).await.unwrap();
    server.end().await;
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_a_broken_one_for_none() {
    let server = Server::start(|_| {}).await;
    let connector = GrpcConnector::open(&server.client()).unwrap();
    let old = connector.connect(&server.endpoint()).await.unwrap();
    ask(&old).await.unwrap();
    let first = server.certificate();
    assert_eq!(server.seen().await, first);
    server.files.identity("server", &server.authority.server());
    // The server itself may look at them before.
    server.tls.watched().look().await;
    let second = server.certificate();
    assert!(second != first);
    assert_eq!(server.seen().await, second);
    ask(&old).await.unwrap();
    assert!(server.holds("varve_grpc_tls_last_reload_successful 1"));
    for broken in [
        "",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        server.files.write("server.pem", broken);
        server.tls.watched().look().await;
        assert!(server.holds("varve_grpc_tls_last_reload_successful 0"));
        assert_eq!(server.seen().await, second);
    }
    // A certificate whose key is still that of another.
    server
        .files
        .write("server.pem", server.authority.server().certificate);
    server.tls.watched().look().await;
    assert!(server.holds("varve_grpc_tls_last_reload_successful 0"));
    assert_eq!(server.seen().await, second);
    ask(&old).await.unwrap();
    drop(old);
    server.end().await;
}

#[tokio::test]
async fn a_new_authority_is_for_new_clients_and_a_request_makes_the_server_look_at_once() {
    let server = Server::mutual().await;
    let theirs = Authority::new("theirs");
    let client = GrpcClientTls {
        identity: Some(server.files.identity("client", &theirs.client())),
        ..server.client()
    };
    // What clients trust stays.
    let trusted = server.files.write("trusted.pem", server.authority.pem());
    let client = GrpcClientTls {
        ca_file: Some(trusted),
        ..client
    };
    assert!(server.answers(&client).await.is_err());
    server.files.write("ca.pem", theirs.pem());
    assert_eq!(server.reload.request(), 1);
    let served = async {
        while server.answers(&client).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, served).await.unwrap();
    server.end().await;
}

#[tokio::test]
async fn the_least_version_is_that_of_the_settings() {
    for (min_version, of_12) in [(TlsVersion::V13, false), (TlsVersion::V12, true)] {
        let server = Server::start(|options| options.min_version = min_version).await;
        let authority = server.files.path("ca.pem");
        let with = async |version| {
            let stream = handshake(server.address, &authority, None, &[version], b"h2").await;
            stream.is_ok()
        };
        assert_eq!(with(&TLS12).await, of_12, "{min_version:?}");
        assert!(with(&TLS13).await, "{min_version:?}");
        server.end().await;
    }
}

#[tokio::test]
async fn a_client_of_another_protocol_is_refused() {
    let server = Server::start(|_| {}).await;
    let authority = server.files.path("ca.pem");
    let stream = handshake(server.address, &authority, None, &[&TLS13], b"http/1.1").await;
    assert!(stream.is_err());
    server.end().await;
}

#[tokio::test]
async fn handshakes_that_stall_hold_nobody_up() {
    let limits = ConnectionLimits {
        handshakes: 2,
        handshake: DEADLINE * 2,
        ..ConnectionLimits::default()
    };
    let server = Server::start_with(limits, |_| {}).await;
    let mut stalled = Vec::new();
    for _ in 0..5 {
        let mut client = TcpStream::connect(server.address).await.unwrap();
        // The first byte of a handshake.
        client.write_all(b"\x16").await.unwrap();
        stalled.push(client);
    }
    let client = server.client();
    let answers = server.answers(&client);
    timeout(DEADLINE, answers).await.unwrap().unwrap();
    // The oldest have made room.
    let mut answer = Vec::new();
    let ended = stalled[0].read_to_end(&mut answer);
    // With or without an error; what counts is that it ends.
    let _ = timeout(DEADLINE, ended).await.unwrap();
    drop(stalled);
    server.end().await;
}

#[tokio::test]
async fn a_handshake_has_to_end_in_time_and_so_has_the_opening_of_http_after_it() {
    let soon = Duration::from_millis(50);
    let limits = ConnectionLimits {
        handshake: soon,
        opening: soon,
        ..ConnectionLimits::default()
    };
    let server = Server::start_with(limits, |_| {}).await;
    let mut answer = Vec::new();
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let _ = timeout(DEADLINE, silent.read_to_end(&mut answer))
        .await
        .unwrap();
    let authority = server.files.path("ca.pem");
    // On a slow machine, the handshake itself may be late.
    let settled = handshake(server.address, &authority, None, &[&TLS13], b"h2").await;
    if let Ok(mut idle) = settled {
        let _ = timeout(DEADLINE, idle.read_to_end(&mut answer))
            .await
            .unwrap();
    }
    server.end().await;
}
