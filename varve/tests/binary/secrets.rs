//! What the program says of secrets: nothing.

use std::fs;

use crate::daemon::{Daemon, http, run, text};

/// Stands where a secret does.
const MARK: &str = "s3cr3t-0f-th3-t3st";

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

    let mut store = Daemon::start(&[
        "store",
        &format!("--data-dir={}", path("store")),
        &bucket,
        "--log.level=debug",
        "--log.format=json",
        "--http-address=127.0.0.1:0",
        "--grpc-address=127.0.0.1:0",
    ])?;
    // The bucket was asked, and does not answer.
    store.says("\"level\":\"error\"")?;
    let said = store.end()?;
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
    Ok(())
}
