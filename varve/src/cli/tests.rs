mod flags_md;

use clap::CommandFactory as _;

use super::*;

fn parse(line: &[&str]) -> Result<Cli, clap::Error> {
    Cli::parse_words(["varve"].iter().chain(line))
}

/// The first line of the message that a wrong command line gets.
fn refused(line: &[&str]) -> String {
    let message = parse(line).unwrap_err().to_string();
    message.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn the_definition_of_the_arguments_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn the_command_lines_of_thanos_are_understood() {
    for line in [
        &[
            "sidecar",
            "--prometheus.url=http://localhost:9090/prefix",
            "--prometheus.ready_timeout=10m",
            "--tsdb.path",
            "/prometheus",
            "--shipper.upload-compacted",
            "--objstore.config-file=/etc/bucket.yaml",
            "--grpc-address=:10901",
            "--http-address=:10902",
            "--grpc-grace-period=2m",
            "--log.level=debug",
            "--log.format=json",
        ][..],
        &[
            "--log.level=warn",
            "compact",
            "--wait",
            "--data-dir=/data",
            "--consistency-delay=30m",
            "--delete-delay=48h",
            "--block-meta-fetch-concurrency=32",
            "--objstore.config={type: FILESYSTEM, config: {directory: /bucket}}",
            "--min-time=-2w",
            "--max-time=2026-01-31T00:00:00Z",
            "--http-address",
            "0.0.0.0:10902",
        ],
        &["compact", "-w", "--wait-interval=5m"],
        &[
            "store",
            "--data-dir=/data",
            "--objstore.config-file=/etc/bucket.yaml",
            "--sync-block-duration=3m",
            "--store.limits.request-series=1000",
            "--store.limits.request-samples=100000",
            "--store.grpc.series-max-concurrency=20",
            "--store.grpc.downloaded-bytes-limit=2GB",
            "--ignore-deletion-marks-delay=24h",
            "--consistency-delay=0s",
            "--block-sync-concurrency=20",
            "--min-time=-6w",
        ],
        &[
            "standalone",
            "--label=cluster=\"eu-1\"",
            "--label",
            "replica=\"a\"",
        ],
        &[
            "standalone",
            "--prometheus.url=http://localhost:9090",
            "--prometheus.http-client={bearer_token: x}",
        ],
        &[
            "tools",
            "series",
            "--endpoint=localhost:10901",
            "--wait=60s",
            "--output=json",
            "{a=\"b\"}",
        ],
    ] {
        assert!(
            parse(line).is_ok(),
            "{line:?}: {}",
            parse(line).unwrap_err()
        );
    }
}

/// All flags of a component of Thanos but those of the bucket, each with a value that it may have.
fn all_flags_of_thanos(component: &str) -> Vec<&'static str> {
    let flags = match component {
        "sidecar" => include_str!("tests/thanos-sidecar.txt"),
        "compact" => include_str!("tests/thanos-compact.txt"),
        _ => include_str!("tests/thanos-store.txt"),
    };
    let everywhere = include_str!("tests/thanos-everywhere.txt");
    everywhere.lines().chain(flags.lines()).collect()
}

#[test]
fn every_flag_of_thanos_is_understood() {
    for component in ["sidecar", "compact", "store"] {
        for flag in all_flags_of_thanos(component) {
            let line = ["varve", component, flag].map(OsString::from);
            let line = accepted::accept(line);
            assert_eq!(line.refused, Vec::<String>::new(), "{component} {flag}");
            let parsed = Cli::parse_words(line.words);
            assert!(parsed.is_ok(), "{component}: {}", parsed.unwrap_err());
        }
    }
}

#[test]
fn an_unsupported_flag_says_so() {
    let flag = "--objstore-parquet.config-file=bucket.yaml";
    let line = accepted::accept(["varve", "store", flag].map(OsString::from));
    let [refused] = line.refused.as_slice() else {
        panic!("{flag}: {:?}", line.refused);
    };
    assert!(refused.contains("cannot be honoured: "), "{refused}");
}

#[test]
fn the_defaults_are_those_of_thanos() {
    let Command::Store(store) = parse(&["store"]).unwrap().command else {
        panic!("store is another command");
    };
    assert_eq!(store.http.http_address.to_string(), "0.0.0.0:10902");
    assert_eq!(store.grpc.grpc_address.to_string(), "0.0.0.0:10901");
    assert_eq!(
        store.grpc.max_connection_age(),
        Some(Duration::from_hours(1))
    );
    assert_eq!(store.sync_block_duration, Duration::from_mins(15));
    let Command::Compact(compact) = parse(&["compact"]).unwrap().command else {
        panic!("compact is another command");
    };
    assert_eq!(compact.consistency_delay, Duration::from_mins(30));
    assert_eq!(compact.delete_delay, Duration::from_hours(48));
    assert!(!compact.wait);
}

#[test]
fn an_age_of_zero_keeps_connections_for_ever() {
    let line = ["store", "--grpc-server-max-connection-age=0s"];
    let Command::Store(store) = parse(&line).unwrap().command else {
        panic!("store is another command");
    };
    assert_eq!(store.grpc.max_connection_age(), None);
}

#[test]
fn an_invalid_command_line_gives_one_line() {
    for (line, expected) in [
        (
            &["store", "--what"][..],
            "error: unexpected argument '--what' found",
        ),
        (&["what"], "error: unrecognized subcommand 'what'"),
        (
            &["compact", "--delete-delay=48"],
            "error: invalid value '48' for '--delete-delay <DURATION>': \
             expected a duration such as 30s, 1h30m or 2d, found \"48\"",
        ),
        (
            &["store", "--http-address=10902"],
            "error: invalid value '10902' for '--http-address <HOST:PORT>': \
             expected an address such as 0.0.0.0:10902 or :10902, found \"10902\"",
        ),
        (
            &["sidecar", "--label=cluster=eu"],
            "error: invalid value 'cluster=eu' for '--label <NAME=\"VALUE\">': \
             expected a label such as cluster=\"eu-1\", found \"cluster=eu\"",
        ),
        (
            &["sidecar", "--hash-func=MD5"],
            "error: invalid value 'MD5' for '--hash-func <NAME>': \
             expected SHA256 or nothing, found \"MD5\"",
        ),
        (
            &["store", "--objstore.config=x", "--objstore.config-file=y"],
            "error: the argument '--objstore.config <YAML>' cannot be used with \
             '--objstore.config-file <PATH>'",
        ),
        (
            &["standalone"],
            "error: the following required arguments were not provided:",
        ),
        (
            &[
                "standalone",
                "--prometheus.url=http://localhost:9090",
                "--label=a=\"b\"",
            ],
            "error: the argument '--prometheus.url <URL>' cannot be used with '--label <NAME=\"VALUE\">'",
        ),
        (
            &["tools", "series", "up"],
            "error: the following required arguments were not provided:",
        ),
    ] {
        assert_eq!(refused(line), expected, "{line:?}");
    }
}

#[test]
fn help_names_the_flags_of_each_component() {
    for (component, flags) in [
        (
            "sidecar",
            &[
                "--tsdb.path",
                "--prometheus.url",
                "--objstore.config-file",
                "--grpc-address",
            ][..],
        ),
        (
            "compact",
            &["--data-dir", "--wait", "--delete-delay", "--http-address"],
        ),
        (
            "store",
            &[
                "--sync-block-duration",
                "--store.limits.request-series",
                "--log.level",
            ],
        ),
    ] {
        let help = parse(&[component, "--help"]).unwrap_err().to_string();
        for flag in flags {
            assert!(help.contains(flag), "{flag} in {help}");
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let args = ObjstoreArgs {
        objstore_config_file: Some(PathBuf::from("/nowhere/bucket.yaml")),
        objstore_config: None,
    };
    let error = args.yaml().unwrap_err().to_string();
    assert!(
        error.starts_with("reading /nowhere/bucket.yaml: "),
        "{error}"
    );
}
