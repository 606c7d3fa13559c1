//! What is seen of requests to a daemon: lines of the log, and profiles.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use anyhow::ensure;

use crate::daemon::{Daemon, ask, http, run};

/// The arguments of a store with an empty bucket in `dir`.
fn store(dir: &tempfile::TempDir) -> anyhow::Result<Vec<String>> {
    let bucket = dir.path().join("bucket");
    fs::create_dir_all(&bucket)?;
    let bucket = bucket.display();
    Ok(vec![
        "store".to_owned(),
        format!("--objstore.config={{type: FILESYSTEM, config: {{directory: {bucket}}}}}"),
        format!("--data-dir={}", dir.path().join("data").display()),
        "--http-address=127.0.0.1:0".to_owned(),
        "--grpc-address=127.0.0.1:0".to_owned(),
    ])
}

fn start(args: &[String]) -> anyhow::Result<Daemon> {
    Daemon::start(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The line of the log with all of these texts.
fn line<'a>(said: &'a str, texts: &[&str]) -> Option<&'a str> {
    let mut lines = said.lines();
    lines.find(|line| texts.iter().all(|text| line.contains(text)))
}

#[test]
fn the_requests_that_are_named_are_logged_and_no_others() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut args = store(&dir)?;
    let rules = dir.path().join("requests.yaml");
    args.extend([
        "--log.level=debug".to_owned(),
        "--debug.name=eu".to_owned(),
        format!("--request.logging-config-file={}", rules.display()),
    ]);
    // The port is known once it listens, so that of the name of the host is used.
    fs::write(
        &rules,
        "options: {level: DEBUG, decision: {log_start: true, log_end: true}}\n\
         http: {config: [{path: /metrics, port: 7}]}\n\
         grpc: {config: [{service: thanos.Store, method: Series}]}\n",
    )?;
    let mut daemon = start(&args)?;
    let address = daemon.address("listening for service metrics")?;
    let grpc = daemon.address("listening for serving gRPC")?;
    daemon.says("changing probe status: ready")?;
    for (path, host) in [("/-/ready", "x:7"), ("/metrics", "x"), ("/metrics", "x:7")] {
        let mut stream = TcpStream::connect(&address)?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: t e\r\nX-Request-ID: 1\r\nConnection: close\r\n\r\n"
        )?;
        stream.read_to_string(&mut String::new())?;
    }
    ask(&grpc, "up")?;
    let said = daemon.end()?;
    let http = line(&said, &["http.method", "finished call"]).unwrap_or_default();
    let texts = [
        " level=debug name=eu msg=\"finished call\" protocol=http http.component=server http.method=\"GET /metrics\" http.request_id=1 http.user_agent=\"t e\" http.status_code=200 http.time_ms=",
        " http.remote_addr=127.0.0.1:",
        " thanos.method_name=metrics",
    ];
    assert!(line(http, &texts).is_some(), "{said}");
    assert_eq!(said.matches("protocol=http").count(), 2, "{said}");
    let texts = [
        "finished call",
        "protocol=grpc grpc.component=server grpc.service=thanos.Store grpc.method=Series grpc.method_type=server_stream peer.address=127.0.0.1:",
        "grpc.code=OK grpc.time_ms=",
    ];
    assert!(line(&said, &texts).is_some(), "{said}");
    assert_eq!(said.matches("protocol=grpc").count(), 2, "{said}");

    // Without rules there are no such lines.
    let mut daemon = start(&[&store(&dir)?[..], &["--log.level=debug".to_owned()]].concat())?;
    let address = daemon.address("listening for service metrics")?;
    crate::daemon::http(&address, "/metrics")?;
    let said = daemon.end()?;
    assert!(!said.contains("finished call"), "{said}");

    // Mistakes end the start.
    let wrong = "--request.logging-config=options: {level: LOUD}".to_owned();
    let ended = run(&[&store(&dir)?[..], &[wrong]]
        .concat()
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>())?;
    let said = crate::daemon::text(&ended.stderr);
    ensure!(!ended.status.success() && said.contains("LOUD"), "{said}");
    Ok(())
}

#[test]
fn profiles_are_served_where_a_flag_asks_for_them_while_all_else_goes_on() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let args = [&store(&dir)?[..], &["--debug.pprof".to_owned()]].concat();
    let mut daemon = start(&args)?;
    let address = daemon.address("listening for service metrics")?;
    daemon.says("changing probe status: ready")?;
    let mut stream = TcpStream::connect(&address)?;
    write!(
        stream,
        "GET /debug/pprof/profile?seconds=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )?;
    // Something to see, and signs of life.
    let mut answered = 0;
    stream.set_nonblocking(true)?;
    let mut profile = Vec::new();
    loop {
        let answer = http(&address, "/metrics")?;
        ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        answered += 1;
        match stream.read_to_end(&mut profile) {
            Ok(_) => break,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    ensure!(answered > 1, "nothing was answered meanwhile");
    let end = profile.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let (head, body) = profile.split_at(end.unwrap_or(0) + 4);
    let head = String::from_utf8_lossy(head);
    ensure!(head.starts_with("HTTP/1.1 200 "), "{head}");
    // In gzip.
    ensure!(body.starts_with(&[0x1f, 0x8b]), "{body:?}");
    let answer = http(&address, "/debug/pprof/profile?seconds=0")?;
    ensure!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let answer = http(&address, "/debug/pprof/heap")?;
    ensure!(
        answer.starts_with("HTTP/1.1 404 ") && answer.contains("_RJEM_MALLOC_CONF=prof:true"),
        "{answer}"
    );
    daemon.end()?;

    let daemon = start(&store(&dir)?);
    let mut daemon = daemon?;
    let address = daemon.address("listening for service metrics")?;
    let answer = http(&address, "/debug/pprof/profile?seconds=1")?;
    ensure!(
        answer.starts_with("HTTP/1.1 404 ") && answer.contains("--debug.pprof"),
        "{answer}"
    );
    daemon.end()?;
    Ok(())
}
