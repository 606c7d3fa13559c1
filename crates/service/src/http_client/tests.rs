use std::{fs, io, time::Duration};

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, header},
    routing::get,
};
use tokio::net::TcpListener;

use super::*;

fn read(yaml: &str) -> HttpClientConfig {
    HttpClientConfig::from_yaml(yaml).unwrap()
}

fn refused(yaml: &str) -> String {
    HttpClientConfig::from_yaml(yaml).unwrap_err().to_string()
}

/// Answers with the request's URI and its headers, but for those that say nothing.
async fn echo() -> io::Result<Url> {
    let tell = |request: Request| async move {
        let headers: &HeaderMap = request.headers();
        let of = |name| headers.get(name).map_or("", |v| v.to_str().unwrap_or("?"));
        format!(
            "{} {} {}",
            request.uri(),
            of(HOST),
            of(header::AUTHORIZATION)
        )
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = Router::new().fallback(get(tell));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(Url::parse(&format!("http://{address}/x")).unwrap())
}

async fn asked(config: HttpClientConfig, url: &Url) -> String {
    let client = HttpClient::new(config, url).unwrap();
    let answer = client.send(Method::GET, url, None, |r| r).await.unwrap();
    answer.text().await.unwrap()
}

#[test]
fn the_files_that_operators_write_are_read() {
    for yaml in [
        "",
        "tls_config:\n  insecure_skip_verify: true\n",
        "{\"tls_config\": {\"insecure_skip_verify\":true}}",
        "tls_config:\n  insecure_skip_verify: true\nbasic_auth:\n  username: prometheus-k8s\n  password: secret\n",
        "transport_config: {max_idle_conns: 100, idle_conn_timeout: 90000000000, dialer_timeout: 5s}",
        "basic_auth:\nbearer_token: abc\n",
    ] {
        read(yaml);
    }
    assert!(read("tls_config: {insecure_skip_verify: true}").skips_verification());
    let timed = read("transport_config: {response_header_timeout: 1500000000}");
    assert_eq!(
        timed.response_header_timeout(),
        Some(Duration::from_millis(1500))
    );
    assert_eq!(read("").response_header_timeout(), None);
}

#[test]
fn a_field_that_is_not_known_is_named() {
    for (yaml, field) in [
        ("bearer_tokn: abc", "bearer_tokn"),
        ("tls_config: {ca: x}", "ca"),
        ("transport_config: {timeout: 5}", "timeout"),
        ("basic_auth: {user: x}", "user"),
    ] {
        let error = refused(yaml);
        assert!(error.contains(&format!("`{field}`")), "{error}");
    }
}

#[test]
fn fields_that_exclude_each_other_are_refused_and_secrets_are_not_shown() {
    for (yaml, expected) in [
        (
            "{bearer_token: hidden, bearer_token_file: f}",
            "http client: basic_auth, bearer_token and bearer_token_file: expected one of them, found several",
        ),
        (
            "{basic_auth: {username: a}, bearer_token: hidden}",
            "http client: basic_auth, bearer_token and bearer_token_file: expected one of them, found several",
        ),
        (
            "basic_auth: {username: a, password: hidden, password_file: f}",
            "http client: basic_auth.password and password_file: expected one of them, found both",
        ),
        (
            "tls_config: {cert_file: c}",
            "http client: tls_config: expected cert_file and key_file, found cert_file alone",
        ),
    ] {
        assert_eq!(refused(yaml), expected);
    }
    let shown = format!("{:?}", read("bearer_token: hidden"));
    assert!(!shown.contains("hidden"), "{shown}");
    let cut = refused("bearer_token: [hidden");
    assert!(!cut.contains("hidden"), "{cut}");
}

#[test]
fn a_file_that_is_missing_or_no_certificate_is_named_at_once() {
    let url = Url::parse("https://localhost:9090").unwrap();
    let of = |yaml: &str| {
        HttpClient::new(read(yaml), &url)
            .map(drop)
            .unwrap_err()
            .to_string()
    };
    let missing = of("tls_config: {ca_file: /nowhere/ca.pem}");
    assert!(
        missing.starts_with("http client: tls_config.ca_file: /nowhere/ca.pem: No such file"),
        "{missing}"
    );
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    fs::write(&file, "none").unwrap();
    let none = of(&format!("tls_config: {{ca_file: {}}}", file.display()));
    assert!(none.contains("tls_config.ca_file"), "{none}");
    let address = of("tls_config: {server_name: 10.0.0.1}");
    assert!(address.contains("expected a DNS name"), "{address}");
}

#[tokio::test]
async fn the_request_says_who_asks() {
    let url = echo().await.unwrap();
    let basic = read("basic_auth: {username: me, password: secret}");
    assert!(asked(basic, &url).await.ends_with(" Basic bWU6c2VjcmV0"));
    let bearer = read("bearer_token: abc");
    assert!(asked(bearer, &url).await.ends_with(" Bearer abc"));
    let nobody = asked(HttpClientConfig::default(), &url).await;
    assert!(nobody.ends_with(' '), "{nobody}");
    let in_url = HttpClientConfig::default().with_user("me", "secret");
    assert!(asked(in_url, &url).await.ends_with(" Basic bWU6c2VjcmV0"));
}

#[tokio::test]
async fn a_token_that_was_replaced_is_used_from_then_on() {
    let url = echo().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    fs::write(&file, "one\n").unwrap();
    let config = read(&format!("bearer_token_file: {}", file.display()));
    let client = HttpClient::new(config, &url).unwrap();
    let ask = || async {
        let answer = client.send(Method::GET, &url, None, |r| r).await.unwrap();
        answer.text().await.unwrap()
    };
    assert!(ask().await.ends_with(" Bearer one"));
    fs::write(&file, "two").unwrap();
    assert!(ask().await.ends_with(" Bearer two"));
    fs::remove_file(&file).unwrap();
    let error = client.send(Method::GET, &url, None, |r| r).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("bearer_token_file: "), "{error}");
}

#[tokio::test]
async fn requests_go_through_the_proxy() {
    let proxy = echo().await.unwrap();
    let config = read(&format!("proxy_url: {proxy}"));
    let url = Url::parse("http://prometheus.invalid:9090/metrics").unwrap();
    let answer = asked(config, &url).await;
    assert!(
        answer.starts_with("http://prometheus.invalid:9090/metrics prometheus.invalid:9090"),
        "{answer}"
    );
}

#[tokio::test]
async fn the_server_is_found_under_the_name_of_its_certificate() {
    let url = echo().await.unwrap();
    let config = read("tls_config: {server_name: prometheus.invalid}");
    let answer = asked(config, &url).await;
    let host = format!("/x 127.0.0.1:{} ", url.port().unwrap());
    assert_eq!(answer, host);
}

#[tokio::test]
async fn a_server_that_does_not_begin_to_answer_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    let url = Url::parse(&url).unwrap();
    let config = read("transport_config: {response_header_timeout: 1ms}");
    let client = HttpClient::new(config, &url).unwrap();
    let error = client.send(Method::GET, &url, None, |r| r).await;
    let expected = format!("{url}: no answer after 1ms");
    assert_eq!(error.unwrap_err().to_string(), expected);
}
