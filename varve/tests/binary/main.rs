//! The program itself, as a user starts it.

mod arguments;
mod daemon;
mod metrics;
mod requests;
mod rules;
mod secrets;
mod tls;
mod traces;

use std::{fs, path::Path};

use anyhow::{Context as _, ensure};

use daemon::{Daemon, ask, http, run, sample, text};

#[test]
fn standalone_compacts_and_serves_what_lies_in_its_folder() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (tsdb, data) = (dir.path().join("tsdb"), dir.path().join("data"));
    sample(&tsdb)?;
    let mut daemon = Daemon::start(&[
        "standalone",
        "--tsdb.path",
        &tsdb.display().to_string(),
        "--data-dir",
        &data.display().to_string(),
        "--label=cluster=\"sample\"",
        "--http-address=127.0.0.1:0",
        "--grpc-address=127.0.0.1:0",
    ])?;
    let http_address = daemon.address("listening for service metrics")?;
    let grpc_address = daemon.address("listening for serving gRPC")?;
    let series = ask(&grpc_address, "node_load1")?;
    let [series] = series.as_slice() else {
        anyhow::bail!("{series:?}");
    };
    assert_eq!(series["labels"]["cluster"], "sample");
    assert_eq!(series["samples"], 720);
    assert_eq!(series["first"]["time"], "2025-11-23T00:00:04.500Z");
    let ready = http(&http_address, "/-/ready")?;
    assert!(ready.ends_with("\r\n\r\nOK"), "{ready}");
    let metrics = http(&http_address, "/metrics")?;
    for line in [
        r#"thanos_shipper_uploads_total{daemon="sidecar"} 6"#,
        r#"grpc_server_handled_total{daemon="store",grpc_type="server_stream",grpc_service="thanos.Store",grpc_method="Series",grpc_code="OK"} 1"#,
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line} in {metrics}");
    }
    let parquet = fs::read_dir(data.join("bucket/parquet"))?;
    let blocks = parquet.filter(|e| e.as_ref().is_ok_and(|e| e.path().is_dir()));
    assert_eq!(blocks.count(), 1);
    daemon.end()?;
    Ok(())
}

#[test]
fn the_three_daemons_share_a_bucket_one_after_another() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name).display().to_string();
    sample(&dir.path().join("tsdb"))?;
    let bucket = dir.path().join("bucket.yaml");
    fs::write(
        &bucket,
        format!(
            "type: FILESYSTEM\nconfig:\n  directory: {}\n",
            path("bucket")
        ),
    )?;
    let bucket = format!("--objstore.config-file={}", bucket.display());
    let (data, tsdb) = (path("data"), path("tsdb"));
    let http = "--http-address=127.0.0.1:0";
    let upload = run(&[
        "sidecar",
        "--once",
        "--tsdb.path",
        &tsdb,
        "--label=a=\"b\"",
        &bucket,
        http,
    ])?;
    assert!(upload.status.success(), "{}", text(&upload.stderr));
    let compact = [
        "compact",
        "--consistency-delay=0s",
        "--data-dir",
        &data,
        &bucket,
        http,
    ];
    let planned = plan(&compact)?;
    let task = planned["tasks"][0]["id"].as_str().context("a task")?;
    let text_of = text(&run(&[&compact[..], &["plan"]].concat())?.stdout);
    assert!(text_of.contains(&format!("(task {task})")), "{text_of}");
    let done = run(&[&compact[..], &["run", "--task", task]].concat())?;
    assert!(done.status.success(), "{}", text(&done.stderr));
    let after = plan(&compact)?;
    assert_eq!(after["tasks"], serde_json::json!([]));
    let again = run(&[&compact[..], &["run", "--task", task]].concat())?;
    let said = text(&again.stderr);
    assert!(
        again.status.code() == Some(1) && said.contains("no task"),
        "{said}"
    );
    let compacted = run(&compact)?;
    let said = text(&compacted.stderr);
    assert!(
        compacted.status.success() && said.contains("merged=0"),
        "{said}"
    );
    let grpc = "--grpc-address=127.0.0.1:0";
    let mut store = Daemon::start(&["store", "--data-dir", &data, &bucket, http, grpc])?;
    let address = store.address("listening for serving gRPC")?;
    let series = ask(&address, r#"{__name__=~"node_load.*",a="b"}"#)?;
    let counts: Vec<_> = series.iter().map(|s| s["samples"].as_u64()).collect();
    assert_eq!(counts, [Some(720); 3]);
    // As scripts that reload Prometheus do to all that they find.
    store.signal("-HUP")?;
    assert_eq!(ask(&address, r#"{__name__="node_load1",a="b"}"#)?.len(), 1);
    let said = store.end()?;
    assert!(
        said.contains("signal=SIGHUP") && said.contains("signal=SIGTERM"),
        "{said}"
    );
    Ok(())
}

/// What `varve compact plan` tells programs.
fn plan(compact: &[&str]) -> anyhow::Result<serde_json::Value> {
    let out = run(&[compact, &["plan", "--output=json"]].concat())?;
    ensure!(out.status.success(), "{}", text(&out.stderr));
    Ok(serde_json::from_slice(&out.stdout)?)
}

#[test]
fn an_error_is_one_line_and_a_status() -> anyhow::Result<()> {
    let http = "--http-address=127.0.0.1:0";
    let nowhere = "--objstore.config={type: FILESYSTEM, config: {directory: /nowhere/bucket}}";
    for (args, status, expected) in [
        (
            &["store", "--what"][..],
            2,
            "error: unexpected argument '--what' found",
        ),
        (
            &["compact", http],
            1,
            "no bucket: --objstore.config-file or --objstore.config says",
        ),
        (
            &[
                "compact",
                http,
                "--objstore.config={type: S3, config: {bukket: a}}",
            ],
            1,
            "unknown field `bukket`",
        ),
        (
            &["store", http, "--http.config=/nowhere/web.yaml"],
            1,
            "--http.config: /nowhere/web.yaml: No such file or directory",
        ),
        (
            &["store", http, "--grpc-server-tls-cert=server.pem"],
            1,
            "--grpc-server-tls-cert and --grpc-server-tls-key: expected both or neither, found one",
        ),
        (
            &[
                "sidecar",
                http,
                "--label=a=\"b\"",
                "--grpc-server-tls-client-ca=ca.pem",
            ],
            1,
            "--grpc-server-tls-client-ca: expected --grpc-server-tls-cert and --grpc-server-tls-key with it",
        ),
        (
            &[
                "standalone",
                http,
                "--label=a=\"b\"",
                "--data-dir=/proc/nowhere",
                "--grpc-server-tls-cert=/nowhere/server.pem",
                "--grpc-server-tls-key=/nowhere/server.key",
            ],
            1,
            "TLS of gRPC: /nowhere/server.pem: No such file or directory",
        ),
        (
            &[
                "store",
                http,
                "--grpc-server-tls-cert=/nowhere/server.pem",
                "--grpc-server-tls-key=/nowhere/server.key",
                "--grpc-server-tls-min-version=1.0",
            ],
            1,
            "--grpc-server-tls-min-version: 1.0 is not supported, as it is not safe (RFC 8996): expected TLS 1.2 or 1.3",
        ),
        (
            &[
                "tools",
                "series",
                "--endpoint=x:1",
                "--grpc-client-tls-ca=ca.pem",
                "up",
            ],
            2,
            "error: the following required arguments were not provided:",
        ),
        (
            &["compact", "plan"],
            1,
            "error: no bucket: --objstore.config-file or --objstore.config says",
        ),
        (
            &["store", http, "--objstore.config-file=/nowhere.yaml"],
            1,
            "reading /nowhere.yaml: ",
        ),
        (
            &["sidecar", "--once", http, "--label=a=\"b\""],
            1,
            "--once needs a bucket",
        ),
        (
            &["compact", "plan", nowhere],
            1,
            "objstore config: config.directory: /nowhere/bucket: No such file or directory",
        ),
        (
            &["compact", http, nowhere],
            1,
            "objstore config: config.directory: /nowhere/bucket: No such file or directory",
        ),
        (
            &["store", http, nowhere],
            1,
            "objstore config: config.directory: /nowhere/bucket: No such file or directory",
        ),
        (
            &["store", http, nowhere, "--min-time=-1h", "--max-time=-2h"],
            1,
            "--min-time: expected none after --max-time",
        ),
        (
            &[
                "compact",
                "plan",
                nowhere,
                "--min-time=9999-12-31T23:59:59Z",
                "--max-time=1d",
            ],
            1,
            "--min-time: expected none after --max-time",
        ),
        (
            &["store", "--sync-block-duration=0s"],
            2,
            "error: invalid value '0s' for '--sync-block-duration <DURATION>': ",
        ),
        (
            &["standalone", "--label=a=\"b\"", "--interval=0"],
            2,
            "error: invalid value '0' for '--interval <DURATION>': ",
        ),
        (
            &["compact", "--wait", "--wait-interval=0s"],
            2,
            "error: invalid value '0s' for '--wait-interval <DURATION>': ",
        ),
        (
            &["sidecar", "--prometheus.get_config_interval=0s"],
            2,
            "error: invalid value '0s' for '--prometheus.get_config_interval <DURATION>': ",
        ),
        (
            &["sidecar", http, "--label=a=\"b\"", "--label=a=\"c\""],
            1,
            "--label: expected each name once, found a again",
        ),
        (
            &["sidecar", "--label=__name__=\"b\""],
            2,
            "error: invalid value '__name__=\"b\"' for '--label <NAME=\"VALUE\">': ",
        ),
        (
            &["tools", "series", "--endpoint=nowhere.invalid:1", "up"],
            1,
            "error: nowhere.invalid:1: ",
        ),
        (
            &["tools", "series", "--endpoint=127.0.0.1:1", "up{"],
            1,
            "error: up{: selector, byte 3: ",
        ),
    ] {
        let out = run(args)?;
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(status), "{args:?}: {said}");
        let errors: Vec<_> = said.lines().filter(|l| l.contains("error")).collect();
        assert!(
            errors.len() == 1 && errors[0].contains(expected),
            "{args:?}: {said}"
        );
    }
    assert!(!Path::new("/nowhere").try_exists()?);
    Ok(())
}

#[test]
fn a_retention_that_would_outrun_downsampling_ends_it_at_the_start() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let bucket = format!(
        "--objstore.config={{type: FILESYSTEM, config: {{directory: {}}}}}",
        dir.path().display()
    );
    let line = [
        "compact",
        "--http-address=127.0.0.1:0",
        "--retention.resolution-raw=30h",
        &bucket,
    ];
    let out = run(&line)?;
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    let expected = "retention of raw samples: expected 0d or at least 40h0m0s";
    assert!(said.contains(expected), "{said}");
    let data = format!("--data-dir={}", dir.path().join("data").display());
    let out = run(&[&line[..], &["--downsampling.disable", &data]].concat())?;
    assert!(out.status.success(), "{}", text(&out.stderr));
    Ok(())
}

#[test]
fn a_flag_of_thanos_that_changes_nothing_is_said_to() -> anyhow::Result<()> {
    let out = run(&[
        "compact",
        "--compact.concurrency=4",
        "--http-address=127.0.0.1:0",
    ])?;
    let said = text(&out.stderr);
    let expected = "--compact.concurrency has no effect: each merge uses all cores";
    assert!(
        said.lines()
            .any(|l| l.contains("level=warn") && l.contains(expected)),
        "{said}"
    );
    Ok(())
}
