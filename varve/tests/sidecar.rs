//! `varve sidecar` beside something that answers as Prometheus does, started with the arguments that others give.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context as _, ensure};

/// What Prometheus 3.9 answers to the questions of a sidecar that starts.
fn answer(path: &str) -> Option<&'static str> {
    Some(match path {
        "/api/v1/status/flags" => {
            r#"{"status":"success","data":{"storage.tsdb.min-block-duration":"2h","storage.tsdb.max-block-duration":"36h","storage.tsdb.delay-compact-file.path":"/prometheus/thanos.shipper.json"}}"#
        }
        "/api/v1/status/buildinfo" => r#"{"status":"success","data":{"version":"3.9.1"}}"#,
        "/api/v1/status/config" => {
            r#"{"status":"success","data":{"yaml":"global:\n  external_labels:\n    prometheus: monitoring/k8s\n"}}"#
        }
        "/-/reload" => "",
        "/metrics" => "prometheus_tsdb_lowest_timestamp_seconds 1.7e+09\n",
        _ => return None,
    })
}

/// Answers one request after the other until the test ends; gives the port.
fn prometheus() -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(stream));
        }
    });
    Ok(port)
}

fn serve(mut stream: TcpStream) -> anyhow::Result<()> {
    let mut head = String::new();
    let mut lines = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        lines.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let path = head.split(' ').nth(1).context("a path")?;
    let path = path.strip_prefix("/prefix").unwrap_or(path);
    let (status, body) = match answer(path) {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", ""),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    Ok(())
}

/// Starts the sidecar with `args` and waits until it is ready, then ends it; gives its log.
fn starts(args: &[String]) -> anyhow::Result<String> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_varve"))
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut log = BufReader::new(child.stderr.take().context("stderr is piped")?);
    let mut said = String::new();
    let ready = loop {
        let mut line = String::new();
        if log.read_line(&mut line)? == 0 {
            break false;
        }
        said.push_str(&line);
        if line.contains("changing probe status: ready") {
            break true;
        }
    };
    let pid = child.id().to_string();
    Command::new("kill").args(["-TERM", &pid]).status()?;
    log.read_to_string(&mut said)?;
    let status = child.wait()?;
    ensure!(ready && status.success(), "{args:?}: {status}:\n{said}");
    Ok(said)
}

/// The arguments `lines`, with the ports and folders of this test in place of a pod's.
fn filled(lines: &[&str], port: u16, dir: &Path) -> Vec<String> {
    let dir = dir.display().to_string();
    let fill = |line: &&str| {
        line.replace("localhost:9090", &format!("localhost:{port}"))
            .replace("127.0.0.1:9090", &format!("127.0.0.1:{port}"))
            .replace("127.0.0.1:10901", ":10901")
            .replace("127.0.0.1:10902", ":10902")
            .replace(":10901", "127.0.0.1:0")
            .replace(":10902", "127.0.0.1:0")
            .replace("/etc/thanos", &dir)
    };
    let mut words = vec!["sidecar".to_owned()];
    words.extend(lines.iter().map(fill));
    words
}

/// Prometheus Operator 0.80 to 0.93 with all that its resource can say but TLS: a bucket, traces, logs, times.
const OPERATOR_WITH_BUCKET: &[&str] = &[
    "--prometheus.url=http://localhost:9090/",
    "--grpc-address=:10901",
    "--http-address=:10902",
    "--objstore.config=type: FILESYSTEM\nconfig:\n  directory: /etc/thanos/bucket\n",
    "--tsdb.path=/prometheus",
    "--tracing.config=type: OTLP\nconfig:\n  client_type: grpc\n  insecure: true\n  endpoint: otel:4317\n",
    "--log.level=info",
    "--log.format=logfmt",
    "--min-time=-2h",
    "--prometheus.ready_timeout=10m",
    "--prometheus.get_config_timeout=30s",
    "--prometheus.get_config_interval=30s",
    "--prometheus.http-client-file=/etc/thanos/config/prometheus.http-client-file.yaml",
];

/// Prometheus Operator 0.93 where compaction waits for uploads, and configurations come from files.
const OPERATOR_DELAYED: &[&str] = &[
    "--prometheus.url=http://localhost:9090/",
    "--grpc-address=:10901",
    "--http-address=:10902",
    "--objstore.config-file=/etc/thanos/bucket.yaml",
    "--tsdb.path=/prometheus",
    "--shipper.meta-file-name=thanos.shipper.json",
    "--shipper.ignore-unequal-block-size",
    "--tracing.config-file=/etc/thanos/tracing.yaml",
    "--log.level=debug",
    "--log.format=json",
    "--prometheus.http-client-file=/etc/thanos/config/prometheus.http-client-file.yaml",
];

/// Prometheus Operator without a bucket: it only serves.
const OPERATOR: &[&str] = &[
    "--prometheus.url=http://localhost:9090/",
    "--grpc-address=:10901",
    "--http-address=:10902",
    "--prometheus.http-client-file=/etc/thanos/config/prometheus.http-client-file.yaml",
];

/// The same with `listenLocal` and a `routePrefix`.
const OPERATOR_LOCAL: &[&str] = &[
    "--prometheus.url=http://localhost:9090/prefix",
    "--grpc-address=127.0.0.1:10901",
    "--http-address=127.0.0.1:10902",
    "--prometheus.http-client-file=/etc/thanos/config/prometheus.http-client-file.yaml",
];

/// Of operators before 0.74, which wrote the YAML into the argument.
const OPERATOR_INLINE: &[&str] = &[
    "--prometheus.url=http://localhost:9090/",
    "--prometheus.http-client={\"tls_config\": {\"insecure_skip_verify\":true}}",
    "--grpc-address=:10901",
    "--http-address=:10902",
    "--log.level=debug",
    "--log.format=json",
];

/// The manifests of kube-prometheus leave the container to the operator, with a bucket of a secret.
const KUBE_PROMETHEUS: &[&str] = &[
    "--prometheus.url=http://localhost:9090/",
    "--grpc-address=:10901",
    "--http-address=:10902",
    "--objstore.config=type: FILESYSTEM\nconfig:\n  directory: /etc/thanos/bucket\n",
    "--tsdb.path=/prometheus",
    "--prometheus.http-client-file=/etc/thanos/config/prometheus.http-client-file.yaml",
];

/// A sidecar written by hand beside the services of kube-thanos, which has no container for it.
const KUBE_THANOS: &[&str] = &[
    "--log.level=info",
    "--log.format=logfmt",
    "--tsdb.path=/prometheus",
    "--prometheus.url=http://127.0.0.1:9090",
    "--grpc-address=:10901",
    "--http-address=:10902",
    "--objstore.config-file=/etc/thanos/bucket.yaml",
    "--shipper.upload-compacted",
    "--shipper.upload-concurrency=4",
    "--hash-func=SHA256",
];

/// A sidecar written by hand that makes the configuration of its Prometheus, too.
const RELOADER: &[&str] = &[
    "--prometheus.url=http://localhost:9090",
    "--grpc-address=:10901",
    "--http-address=:10902",
    "--reloader.config-file=/etc/thanos/config/prometheus.yml.tmpl",
    "--reloader.config-envsubst-file=/etc/thanos/prometheus.yml",
    "--reloader.rule-dir=/etc/thanos/config",
    "--reloader.rule-dir=/etc/thanos/rules-*",
    "--reloader.watch-interval=3m",
    "--reloader.retry-interval=5s",
    "--reloader.method=http",
    "--reloader.process-name=prometheus",
];

#[test]
fn the_sidecar_starts_with_the_arguments_of_operators_and_manifests() -> anyhow::Result<()> {
    let port = prometheus()?;
    let dir = tempfile::tempdir()?;
    fs::create_dir(dir.path().join("config"))?;
    let client = "tls_config:\n  insecure_skip_verify: true\nbasic_auth:\n  username: prometheus-k8s\n  password: abc\n";
    fs::write(
        dir.path().join("config/prometheus.http-client-file.yaml"),
        client,
    )?;
    // PATH is set wherever programs run.
    fs::write(
        dir.path().join("config/prometheus.yml.tmpl"),
        "path: $(PATH)",
    )?;
    let bucket = dir.path().join("bucket");
    let yaml = format!(
        "type: FILESYSTEM\nconfig:\n  directory: {}\n",
        bucket.display()
    );
    fs::write(dir.path().join("bucket.yaml"), yaml)?;
    let traces = "type: JAEGER\nconfig:\n  service_name: thanos\n";
    fs::write(dir.path().join("tracing.yaml"), traces)?;
    for lines in [
        OPERATOR_WITH_BUCKET,
        OPERATOR_DELAYED,
        OPERATOR,
        OPERATOR_LOCAL,
        OPERATOR_INLINE,
        KUBE_PROMETHEUS,
        KUBE_THANOS,
        RELOADER,
    ] {
        let said = starts(&filled(lines, port, dir.path()))?;
        let serves_only =
            said.contains("no supported bucket was configured, uploads will be disabled");
        let has_bucket = lines.iter().any(|line| line.starts_with("--objstore."));
        ensure!(serves_only != has_bucket, "{lines:?}: {said}");
    }
    Ok(())
}

/// What the program says of arguments with which it does not start.
fn refused(lines: &[&str]) -> anyhow::Result<String> {
    let out = Command::new(env!("CARGO_BIN_EXE_varve"))
        .arg("sidecar")
        .args(lines)
        .output()?;
    ensure!(!out.status.success(), "{lines:?}: {out:?}");
    Ok(String::from_utf8(out.stderr)?)
}

#[test]
fn a_reloader_that_has_nobody_to_reload_or_nothing_to_read_is_refused() -> anyhow::Result<()> {
    let rules = "--reloader.rule-dir=/nowhere/rules";
    let http = "--http-address=127.0.0.1:0";
    for (lines, expected) in [
        (
            &[http, rules, "--label=a=\"b\""][..],
            "with --label no prometheus is asked",
        ),
        (&[http, rules, "--once"], "--once ends at once"),
        (
            &[http, "--grpc-address=127.0.0.1:0", rules],
            "/nowhere/rules: No such file or directory",
        ),
    ] {
        let said = refused(lines)?;
        ensure!(said.contains(expected), "{lines:?}: {said}");
    }
    Ok(())
}
