//! What the program says of secrets: nothing.

use std::fs;

use crate::daemon::{Daemon, http, run, text};

/// Stands where a secret does.
const MARK: &str = "s3cr3t-0f-th3-t3st";

/// What a daemon serves over HTTP has no secret.
fn assert_served_without(address: &str) -> anyhow::Result<()> {
    for path in [
        "/metrics",
        "/",
        "/api/v1/status/flags",
        "/api/v1/status/runtimeinfo",
        "/api/v1/blocks",
        "/api/v1/activity",
        "/api/v1/timeline",
        "/-/healthy",
    ] {
        let served = http(address, path)?;
        assert!(!served.contains(MARK), "{path}: {served}");
    }
    let flags = http(address, "/api/v1/status/flags")?;
    assert!(flags.contains("<REDACTED>"), "{flags}");
    Ok(())
}

#[test]
fn no_secret_is_in_the_log_or_the_metrics_of_a_daemon() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name).display().to_string();
    let bucket = format!(
        "--objstore.config={{type: S3, config: {{bucket: b, endpoint: '127.0.0.1:1', insecure: true, max_retries: 1, region: r, access_key: {MARK}, secret_key: {MARK}, session_token: {MARK}}}}}"
    );
    let client = format!(
        "--prometheus.http-client={{basic_auth: {{username: u, password: {MARK}}}, proxy_url: 'http://u:{MARK}@127.0.0.1:1'}}"
    );
    let traces = format!(
        "--tracing.config={{type: OTLP, config: {{client_type: grpc, insecure: true, endpoint: '127.0.0.1:1', headers: {{authorization: {MARK}}}}}}}"
    );
    fs::create_dir(dir.path().join("tsdb"))?;
    let mut sidecar = Daemon::start(&[
        "sidecar",
        &format!("--prometheus.url=http://user:{MARK}@127.0.0.1:1"),
        &client,
        &format!("--tsdb.path={}", path("tsdb")),
        &bucket,
        &traces,
        "--log.level=debug",
        "--http-address=127.0.0.1:0",
        "--grpc-address=127.0.0.1:0",
    ])?;
    let address = sidecar.address("listening for service metrics")?;
    // Prometheus was asked, and does not answer.
    sidecar.says("level=warn")?;
    let metrics = http(&address, "/metrics")?;
    assert!(!metrics.contains(MARK), "{metrics}");
    let said = sidecar.end()?;
    assert!(!said.contains(MARK), "{said}");

    let redis =
        format!("{{type: REDIS, config: {{addr: '127.0.0.1:1', username: u, password: {MARK}}}}}");
    for (format, error) in [("logfmt", "level=error"), ("json", "\"level\":\"error\"")] {
        let mut store = Daemon::start(&[
            "store",
            &format!("--data-dir={}", path("store")),
            &bucket,
            &traces,
            &format!("--index-cache.config={redis}"),
            &format!("--store.caching-bucket.config={redis}"),
            "--log.level=debug",
            &format!("--log.format={format}"),
            "--http-address=127.0.0.1:0",
            "--grpc-address=127.0.0.1:0",
        ])?;
        if format == "logfmt" {
            let address = store.address("listening for service metrics")?;
            assert_served_without(&address)?;
        }
        // The bucket was asked, and does not answer.
        store.says(error)?;
        let said = store.end()?;
        assert!(!said.contains(MARK), "{said}");
    }

    let mut compactor = Daemon::start(&[
        "compact",
        "--wait",
        &format!("--data-dir={}", path("compact")),
        &bucket,
        &traces,
        &format!("--compact.keep-until-served=http://user:{MARK}@127.0.0.1:1"),
        &format!(
            "--compact.store-http-client={{tls_config: {{}}, proxy_url: 'http://u:{MARK}@127.0.0.1:1'}}"
        ),
        "--compact.disable-leases",
        "--log.level=debug",
        "--http-address=127.0.0.1:0",
    ])?;
    let address = compactor.address("listening for service metrics")?;
    // Neither the gateway nor the bucket answers.
    compactor.says("store gateway does not tell what it serves")?;
    compactor.says("level=error")?;
    assert_served_without(&address)?;
    let said = compactor.end()?;
    assert!(!said.contains(MARK), "{said}");

    // Mistakes end the start, with their reasons.
    for wrong in [
        format!("--prometheus.http-client={{basic_auth: {MARK}}}"),
        format!("--prometheus.http-client={{bearer_token: {MARK}, unknown: 1}}"),
        format!("--objstore.config={{type: S3, config: {{secret_key: {MARK}, unknown: 1}}}}"),
        format!(
            "--objstore.config={{type: S3, config: {{bucket: b, endpoint: e, secret_key: [{MARK}]}}}}"
        ),
        format!("--prometheus.url=ftp://user:{MARK}@host"),
        format!("--tracing.config={{type: OTLP, config: {{client_type: grpc, headers: {MARK}}}}}"),
        format!("--tracing.config={{type: JAEGER, config: {{user: u, password: [{MARK}]}}}}"),
        format!("--tracing.config={{type: LIGHTSTEP, config: {{access_token: {MARK}}}}}"),
        format!("--tracing.config={{type: OTLP, access_token: {MARK}}}"),
    ] {
        let tsdb = format!("--tsdb.path={}", path("tsdb"));
        let ended = run(&[
            "sidecar",
            &tsdb,
            "--http-address=127.0.0.1:0",
            "--grpc-address=127.0.0.1:0",
            &wrong,
        ])?;
        let said = text(&ended.stderr);
        assert!(!ended.status.success(), "{wrong}: {said}");
        assert!(!said.contains(MARK), "{wrong}: {said}");
    }
    let web = dir.path().join("web.yaml");
    for (yaml, flag) in [
        (format!("basic_auth_users: {{ann: {MARK}}}"), "http.config"),
        (format!("basic_auth_users: [{MARK}]"), "http.config"),
        (
            format!("basic_auth_users: {{ann: [{MARK}]}}"),
            "http.config",
        ),
        (
            format!("{{type: REDIS, config: {{addr: a, password: [{MARK}]}}}}"),
            "index-cache.config-file",
        ),
        (
            format!("{{type: REDIS, config: {{addr: a, password: {MARK}, unknown: 1}}}}"),
            "index-cache.config-file",
        ),
        (
            format!("{{type: MEMCACHED, password: {MARK}}}"),
            "store.caching-bucket.config-file",
        ),
        (
            format!("{{type: S3, config: {{bucket: b, endpoint: e, secret_key: [{MARK}]}}}}"),
            "objstore.config-file",
        ),
        (
            format!("{{type: OTLP, config: {{client_type: grpc, headers: {MARK}}}}}"),
            "tracing.config-file",
        ),
    ] {
        fs::write(&web, &yaml)?;
        let file = format!("--{flag}={}", web.display());
        let data = format!("--data-dir={}", path("store"));
        let mut words = vec![
            "store",
            &data,
            &file,
            "--http-address=127.0.0.1:0",
            "--grpc-address=127.0.0.1:0",
        ];
        if flag != "objstore.config-file" {
            words.push(&bucket);
        }
        let ended = run(&words)?;
        let said = text(&ended.stderr);
        assert!(!ended.status.success(), "{yaml}: {said}");
        assert!(!said.contains(MARK), "{yaml}: {said}");
    }
    let url = format!("--compact.keep-until-served=ftp://user:{MARK}@host");
    let ended = run(&["compact", &bucket, &url, "--http-address=127.0.0.1:0"])?;
    let said = text(&ended.stderr);
    assert!(
        !ended.status.success() && said.contains("expected http or https"),
        "{said}"
    );
    assert!(!said.contains(MARK), "{said}");
    Ok(())
}
