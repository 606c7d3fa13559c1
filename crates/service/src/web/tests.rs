use std::{net::SocketAddr, path::PathBuf, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::version::{TLS12, TLS13};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    Exposition, HttpOptions, Probe, serve_http,
    tls::testing::{Authority, Files, certificate, exchange, handshake},
};

/// A server whose web configuration and certificates lie in a folder.
struct Server {
    files: Files,
    authority: Authority,
    web: WebConfig,
    address: SocketAddr,
    metrics: Metrics,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), ServiceError>>,
}

/// TLS with the certificate of [`files`].
const TLS: &str = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";

/// The certificates of a server, and of those that sign clients.
fn files() -> (Files, Authority) {
    let (files, authority) = (Files::new(), Authority::new("ours"));
    files.write("ca.pem", authority.pem());
    files.identity("server", &authority.server());
    (files, authority)
}

impl Server {
    async fn start(yaml: &str) -> Self {
        let (files, authority) = files();
        let (metrics, reload) = (Metrics::new(), Reload::new());
        let path = files.write("web.yaml", yaml);
        let web = WebConfig::open(&path, &metrics, &reload).unwrap();
        let probe = Probe::new("store", &metrics);
        probe.healthy();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let options = HttpOptions {
            web: Some(web.clone()),
            grace_period: Duration::from_secs(60),
            ..HttpOptions::default()
        };
        let (counted, token) = (metrics.clone(), shutdown.clone());
        let task =
            tokio::spawn(
                async move { serve_http(listener, options, &counted, &probe, token).await },
            );
        Self {
            files,
            authority,
            web,
            address,
            metrics,
            shutdown,
            task,
        }
    }

    /// The answer to a request without TLS, as `name:password` where given.
    async fn plain(&self, credentials: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream
            .write_all(request(credentials).as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        // A server with TLS answers something that is no text, or nothing.
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    /// The answer to a request over TLS.
    async fn secure(&self, identity: Option<&(PathBuf, PathBuf)>) -> std::io::Result<String> {
        let authority = self.files.path("ca.pem");
        let both = [&TLS12, &TLS13];
        let stream = handshake(self.address, &authority, identity, &both, b"http/1.1").await;
        exchange(stream, &request("")).await
    }

    /// Writes the configuration, and lets the server look at it.
    async fn rewrite(&self, yaml: &str) {
        self.files.write("web.yaml", yaml);
        // The server itself may have looked before.
        self.web.watched().look().await;
    }

    fn was_reloaded(&self) -> bool {
        let text = self.metrics.encode(Exposition::Prometheus);
        text.contains("varve_http_config_last_reload_successful 1\n")
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

fn request(credentials: &str) -> String {
    let authorization = match credentials {
        "" => String::new(),
        given => format!("Authorization: Basic {}\r\n", STANDARD.encode(given)),
    };
    format!("GET /-/healthy HTTP/1.1\r\nHost: x\r\n{authorization}Connection: close\r\n\r\n")
}

fn is(status: u16, answer: &str) -> bool {
    answer.starts_with(&format!("HTTP/1.1 {status} "))
}

/// A user with the password `right`.
fn user(name: &str) -> String {
    let hash = bcrypt::hash("right", 4).unwrap();
    format!("basic_auth_users:\n  {name}: {hash}\n")
}

#[tokio::test]
async fn users_need_their_password_on_every_route_and_answers_have_the_headers() {
    let headers = "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    X-XSS-Protection: \"0\"\n    Strict-Transport-Security:\n";
    let server = Server::start(&format!("{}{headers}", user("ann"))).await;
    let answer = server.plain("ann:right").await;
    assert!(
        is(200, &answer) && answer.ends_with("\r\n\r\nOK"),
        "{answer}"
    );
    assert!(answer.contains("x-frame-options: deny\r\n"), "{answer}");
    assert!(answer.contains("x-xss-protection: 0\r\n"), "{answer}");
    assert!(!answer.contains("strict-transport-security"), "{answer}");
    for wrong in ["", "ann:wrong", "bob:right"] {
        let answer = server.plain(wrong).await;
        assert!(is(401, &answer), "{wrong}: {answer}");
        assert!(answer.contains("www-authenticate: Basic\r\n"), "{answer}");
        assert!(answer.contains("x-frame-options: deny\r\n"), "{answer}");
    }
    server.end().await;
}

#[tokio::test]
async fn with_certificates_only_tls_is_served_in_both_versions_of_http() {
    let server = Server::start(TLS).await;
    let answer = server.secure(None).await.unwrap();
    assert!(is(200, &answer), "{answer}");
    assert!(!is(200, &server.plain("").await));
    let authority = server.files.path("ca.pem");
    let stream = handshake(server.address, &authority, None, &[&TLS13], b"h2").await;
    let mut stream = stream.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    // The settings of the server.
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[3], 4);
    drop(stream);
    server.end().await;
}

#[tokio::test]
async fn http2_can_be_switched_off_and_versions_of_tls_be_chosen() {
    let http1 = "http_server_config:\n  http2: false\n";
    let server = Server::start(&format!("{TLS}  max_version: TLS12\n{http1}")).await;
    let authority = server.files.path("ca.pem");
    let with = async |version, protocol| {
        let stream = handshake(server.address, &authority, None, &[version], protocol).await;
        stream.is_ok()
    };
    assert!(with(&TLS12, b"http/1.1").await);
    assert!(!with(&TLS12, b"h2").await);
    assert!(!with(&TLS13, b"http/1.1").await);
    // Nor without its being asked for.
    let stream = handshake(server.address, &authority, None, &[&TLS12], b"http/1.1").await;
    let answer = exchange(stream, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| is(400, &answer)));
    server
        .rewrite(&format!("{TLS}  min_version: TLS13\n"))
        .await;
    assert!(with(&TLS13, b"h2").await);
    assert!(!with(&TLS12, b"http/1.1").await);
    server.end().await;
}

#[tokio::test]
async fn each_policy_for_certificates_of_clients_is_gos() {
    // Whether a client is served that has no certificate, one of a stranger, one that is expired, and its own.
    for (policy, served) in [
        ("NoClientCert", [true, true, true, true]),
        ("RequestClientCert", [true, true, true, true]),
        ("RequireAnyClientCert", [false, true, true, true]),
        ("VerifyClientCertIfGiven", [true, false, false, true]),
        ("RequireAndVerifyClientCert", [false, false, false, true]),
    ] {
        let authorities = match policy.contains("Verify") {
            true => "  client_ca_file: ca.pem\n",
            false => "",
        };
        let server =
            Server::start(&format!("{TLS}  client_auth_type: {policy}\n{authorities}")).await;
        let with = |name: &str, issued| Some(server.files.identity(name, &issued));
        let clients = [
            None,
            with("stranger", Authority::new("theirs").client()),
            with("expired", server.authority.expired_client()),
            with("client", server.authority.client()),
        ];
        for (client, expected) in clients.iter().zip(served) {
            let answer = server.secure(client.as_ref()).await;
            assert_eq!(answer.is_ok(), expected, "{policy} {client:?}");
        }
        server.end().await;
    }
}

#[tokio::test]
async fn of_verified_clients_only_those_with_an_allowed_name_are_served() {
    for (allowed, served) in [
        ("query.example", true),
        ("ops@query.example", true),
        ("spiffe://example/query", true),
        ("10.0.0.7", true),
        ("10.0.0.70", false),
        ("example", false),
        ("*.example", false),
    ] {
        let policy = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n";
        let names = format!("  client_allowed_sans: [other.example, \"{allowed}\"]\n");
        let server = Server::start(&format!("{TLS}{policy}{names}")).await;
        let client = server.files.identity("client", &server.authority.client());
        let answer = server.secure(Some(&client)).await;
        assert_eq!(answer.is_ok(), served, "{allowed}");
        server.end().await;
    }
}

#[tokio::test]
async fn certificates_may_stand_in_the_file_itself() {
    let (_, authority) = files();
    let issued = authority.server();
    let indented = |pem: &str| pem.replace('\n', "\n    ");
    let server = Server::start(&format!(
        "tls_server_config:\n  cert: |\n    {}\n  key: |\n    {}\n",
        indented(&issued.certificate),
        indented(&issued.key)
    ))
    .await;
    server.files.write("ca.pem", authority.pem());
    let answer = server.secure(None).await.unwrap();
    assert!(is(200, &answer), "{answer}");
    server.end().await;
}

#[tokio::test]
async fn a_changed_file_counts_and_one_that_cannot_be_used_does_not() {
    let server = Server::start(&user("ann")).await;
    assert!(is(200, &server.plain("ann:right").await));
    server.rewrite(&user("bob")).await;
    assert!(is(401, &server.plain("ann:right").await));
    assert!(is(200, &server.plain("bob:right").await));
    for broken in [
        "basic_auth_users: [",
        "basic_auth_users:\n  bob: secret\n",
        // As while it is being written.
        "",
        // It would leave those outside who use no TLS.
        TLS,
    ] {
        server.rewrite(broken).await;
        assert!(!server.was_reloaded(), "{broken}");
        assert!(is(401, &server.plain("ann:right").await), "{broken}");
        assert!(is(200, &server.plain("bob:right").await), "{broken}");
    }
    server.rewrite("basic_auth_users: {}\n").await;
    assert!(server.was_reloaded());
    assert!(is(200, &server.plain("").await));
    server.end().await;
}

#[tokio::test]
async fn a_new_certificate_is_seen_and_tls_is_never_switched_off_by_a_change() {
    let server = Server::start(TLS).await;
    let authority = server.files.path("ca.pem");
    let seen = async || {
        let stream = handshake(server.address, &authority, None, &[&TLS13], b"h2").await;
        stream.unwrap().get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    let first = seen().await;
    server.files.identity("server", &server.authority.server());
    server.web.watched().look().await;
    let second = seen().await;
    assert!(second != first && second == certificate(&server.files.path("server.pem")));
    server.rewrite("http_server_config: {http2: true}\n").await;
    assert!(!server.was_reloaded());
    assert_eq!(seen().await, second);
    server.end().await;
}

#[tokio::test]
async fn more_requests_than_the_limit_are_refused_also_after_an_unrelated_change() {
    let limit = "rate_limit:\n  interval: 1h\n  burst: 2\n";
    let server = Server::start(limit).await;
    assert!(is(200, &server.plain("").await));
    server
        .rewrite(&format!("{limit}http_server_config:\n  headers: {{}}\n"))
        .await;
    assert!(is(200, &server.plain("").await));
    assert!(is(429, &server.plain("").await));
    server
        .rewrite("rate_limit:\n  interval: 1h\n  burst: 1\n")
        .await;
    assert!(is(200, &server.plain("").await));
    server.end().await;
}

#[test]
fn what_cannot_be_used_is_named_and_no_value_of_a_secret_is_shown() {
    let (files, _) = files();
    let marked = "marked-secret";
    for (yaml, text) in [
        (
            "what: 1".to_owned(),
            "line 1, column 1: unknown field what, expected one of tls_server_config, http_server_config, basic_auth_users, rate_limit",
        ),
        (format!("{TLS}  cert_flie: x"), "unknown field cert_flie"),
        (
            "http_server_config: {http3: true}".to_owned(),
            "unknown field http3",
        ),
        (format!("basic_auth_users: {marked}"), "line 1"),
        (format!("basic_auth_users: [{marked}]"), "line 1"),
        (
            format!("basic_auth_users: {{ann: {marked}}}"),
            "basic_auth_users: ann: expected a bcrypt hash of the password",
        ),
        (format!("tls_server_config: {{key: [{marked}]}}"), "line 1"),
        (format!("tls_server_config: {{key: {marked}"), "line"),
        (
            format!("tls_server_config: {{cert_file: server.pem, key: {marked}}}"),
            "key: no private key in PEM that is not encrypted",
        ),
        (format!("http_server_config: {{http2: {marked}}}"), "line 1"),
        (
            "http_server_config: {headers: {X-Other: a}}".to_owned(),
            "http_server_config: headers: expected one of Content-Security-Policy",
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: allow}}".to_owned(),
            "http_server_config: headers: X-Frame-Options: expected deny or sameorigin, found \"allow\"",
        ),
        (
            "tls_server_config: {key_file: server.key}".to_owned(),
            "tls_server_config: cert: expected cert_file or cert, found none",
        ),
        (
            "tls_server_config: {cert_file: server.pem}".to_owned(),
            "tls_server_config: key: expected key_file or key, found none",
        ),
        (
            "tls_server_config: {cert_file: no.pem, key_file: server.key}".to_owned(),
            "no.pem: No such file",
        ),
        (
            format!("{TLS}  client_auth_type: Maybe"),
            "tls_server_config: client_auth_type: expected NoClientCert",
        ),
        (
            format!("{TLS}  client_ca_file: ca.pem"),
            "tls_server_config: client_ca: it has no effect unless client_auth_type is",
        ),
        (
            format!("{TLS}  client_auth_type: RequireAndVerifyClientCert"),
            "tls_server_config: client_ca: expected client_ca_file",
        ),
        (
            format!("{TLS}  min_version: TLS11"),
            "tls_server_config: min_version: TLS11 is not supported, as it is not safe",
        ),
        (
            format!("{TLS}  min_version: TLS13\n  max_version: TLS12"),
            "tls_server_config: min_version: expected at most max_version",
        ),
        (
            format!("{TLS}  cipher_suites: [TLS_WHAT]"),
            "tls_server_config: cipher_suites: unknown cipher suite \"TLS_WHAT\"",
        ),
        (
            format!("{TLS}  curve_preferences: [P256]"),
            "tls_server_config: curve_preferences: unknown curve \"P256\"",
        ),
        (
            "rate_limit: {interval: 1s}".to_owned(),
            "rate_limit: burst: expected a number from 1",
        ),
    ] {
        let path = files.write("web.yaml", &yaml);
        let opened = WebConfig::open(&path, &Metrics::new(), &Reload::new());
        let error = opened.unwrap_err();
        let error = format!("{error} {error:?}");
        assert!(error.contains(text), "{yaml}: {error}");
        assert!(!error.contains(marked), "{error}");
    }
}

#[test]
fn each_documented_field_is_read_and_secrets_are_not_shown() {
    let (files, _) = files();
    let hash = bcrypt::hash("right", 4).unwrap();
    let path = files.write(
        "web.yaml",
        format!(
            "tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_auth_type: VerifyClientCertIfGiven
  client_ca_file: ca.pem
  client_allowed_sans: [query.example]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]
  prefer_server_cipher_suites: false
  curve_preferences: [CurveP256, CurveP521]
http_server_config:
  http2: true
  headers:
    Content-Security-Policy: default-src 'self'
    X-Frame-Options: sameorigin
    X-Content-Type-Options: nosniff
    X-XSS-Protection: \"1\"
    Strict-Transport-Security: max-age=1
basic_auth_users:
  ann: {hash}
rate_limit:
  interval: 10ms
  burst: 10
"
        ),
    );
    let web = WebConfig::open(&path, &Metrics::new(), &Reload::new()).unwrap();
    let now = web.get();
    let tls = now.tls.as_ref().unwrap();
    assert!(!tls.ignore_client_order);
    assert_eq!(tls.crypto_provider().kx_groups.len(), 1);
    assert_eq!(now.headers.len(), 5);
    let shown = format!("{web:?} {now:?}");
    assert!(!shown.contains(&hash), "{shown}");
    // Without anything it is valid too, as while a chart has no values for it.
    for empty in [
        "",
        "tls_server_config:\nbasic_auth_users:\n",
        "tls_server_config: {min_version: TLS12}",
    ] {
        let path = files.write("web.yaml", empty);
        let web = WebConfig::open(&path, &Metrics::new(), &Reload::new()).unwrap();
        assert!(web.get().tls.is_none() && web.get().users.is_empty());
    }
}
