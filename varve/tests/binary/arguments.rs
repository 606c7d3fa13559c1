//! The argument lists with which manifests and charts start Thanos's store gateway and compactor. Those of sidecars are
//! in `tests/sidecar.rs`.

use std::{fs, path::Path};

use anyhow::Context as _;
use rcgen::ExtendedKeyUsagePurpose;

use crate::{daemon::Daemon, tls::Files};

/// kube-thanos's store gateway with memcached and traces.
const KUBE_THANOS_STORE: &[&str] = &[
    "store",
    "--log.level=info",
    "--log.format=logfmt",
    "--data-dir=/data",
    "--grpc-address=0.0.0.0:10901",
    "--http-address=0.0.0.0:10902",
    "--objstore.config=BUCKET",
    "--ignore-deletion-marks-delay=24h",
    "--index-cache.config=type: memcached\nconfig:\n  addresses: [dnssrv+_client._tcp.memcached.thanos]\n  timeout: 500ms\n",
    "--store.caching-bucket.config=type: memcached\nblocks_iter_ttl: 5m\nconfig:\n  addresses: [dnssrv+_client._tcp.memcached.thanos]\n",
    TRACES,
];

/// What each variant of kube-thanos adds where traces are sent.
const TRACES: &str = "--tracing.config=type: JAEGER\nconfig:\n  sampler_param: 2\n  sampler_type: ratelimiting\n  service_name: thanos\n";

/// Its shards of a store gateway add a rule in a text of several lines.
const KUBE_THANOS_STORE_SHARD: &str = "--selector.relabel-config=\n  - action: hashmod\n    source_labels: [\"__block_id\"]\n    target_label: shard\n    modulus: 3\n  - action: keep\n    source_labels: [\"shard\"]\n    regex: 0\n";

/// kube-thanos's compactor with deduplication.
const KUBE_THANOS_COMPACT: &[&str] = &[
    "compact",
    "--wait",
    "--log.level=info",
    "--log.format=logfmt",
    "--objstore.config=BUCKET",
    "--data-dir=/data",
    "--debug.accept-malformed-index",
    "--retention.resolution-raw=0d",
    "--retention.resolution-5m=0d",
    "--retention.resolution-1h=0d",
    "--delete-delay=48h",
    "--compact.concurrency=1",
    "--downsample.concurrency=1",
    "--downsampling.disable",
    "--deduplication.replica-label=prometheus_replica",
    "--deduplication.replica-label=rule_replica",
    TRACES,
];

/// Its shards of a compactor add a rule by an external label.
const KUBE_THANOS_COMPACT_SHARD: &str = "--selector.relabel-config=\n  - action: hashmod\n    source_labels: [\"cluster\"]\n    target_label: shard\n    modulus: 3\n  - action: keep\n    source_labels: [\"shard\"]\n    regex: 0\n";

/// Bitnami's chart: the store gateway with a cache, TLS, and the bounds of a shard by time.
const BITNAMI_STORE: &[&str] = &[
    "store",
    "--log.level=info",
    "--log.format=logfmt",
    "--grpc-address=0.0.0.0:10901",
    "--http-address=0.0.0.0:10902",
    "--data-dir=/data",
    "--objstore.config-file=/conf/objstore.yml",
    "--index-cache.config-file=/conf/cache.yml",
    "--store.caching-bucket.config-file=/conf/cache.yml",
    "--max-time=-1h",
    "--min-time=-30d",
];

/// The same chart's compactor.
const BITNAMI_COMPACT: &[&str] = &[
    "compact",
    "--log.level=info",
    "--log.format=logfmt",
    "--http-address=0.0.0.0:10902",
    "--data-dir=/data",
    "--retention.resolution-raw=30d",
    "--retention.resolution-5m=30d",
    "--retention.resolution-1h=10y",
    "--consistency-delay=30m",
    "--objstore.config-file=/conf/objstore.yml",
    "--wait",
];

/// What Bitnami's chart adds where TLS is on.
const BITNAMI_GRPC_TLS: &[&str] = &[
    "--grpc-server-tls-cert=/conf/server.pem",
    "--grpc-server-tls-key=/conf/server.key",
    "--grpc-server-tls-client-ca=/conf/ca.pem",
];
const BITNAMI_HTTP_TLS: &str = "--http.config=/conf/http-config.yml";

/// The chart of stevehipwell: the store gateway.
const STEVEHIPWELL_STORE: &[&str] = &[
    "store",
    "--log.level=info",
    "--log.format=json",
    "--http-address=0.0.0.0:10902",
    "--grpc-address=0.0.0.0:10901",
    "--data-dir=/data",
    "--objstore.config-file=/conf/objstore.yml",
    "--enable-auto-gomemlimit",
    "--auto-gomemlimit.ratio=0.9",
];

/// The same chart's compactor, with deduplication.
const STEVEHIPWELL_COMPACT: &[&str] = &[
    "compact",
    "--wait",
    "--log.level=info",
    "--log.format=json",
    "--http-address=0.0.0.0:10902",
    "--data-dir=/data",
    "--objstore.config-file=/conf/objstore.yml",
    "--enable-auto-gomemlimit",
    "--auto-gomemlimit.ratio=0.9",
    "--compact.enable-vertical-compaction",
    "--deduplication.replica-label=prometheus_replica",
    "--deduplication.func=penalty",
];

/// Starts the daemon with the folders and ports of this test in place of a pod's, waits until it is ready, and ends it.
fn becomes_ready(lines: &[&str], conf: &Path) -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let mut args: Vec<String> = Vec::new();
    for line in lines {
        let line = line.replace(
            "BUCKET",
            &fs::read_to_string(conf.join("objstore.yml")).context("the bucket")?,
        );
        let line = line
            .replace("0.0.0.0:10901", "127.0.0.1:0")
            .replace("0.0.0.0:10902", "127.0.0.1:0")
            .replace("=/conf", &format!("={}", conf.display()))
            .replace("=/data", &format!("={}", data.path().display()));
        args.push(line);
    }
    if !lines.iter().any(|line| line.starts_with("--http-address")) {
        args.push("--http-address=127.0.0.1:0".to_owned());
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut daemon = Daemon::start(&args)?;
    daemon
        .says("changing probe status: ready")
        .with_context(|| format!("{lines:?}"))?;
    daemon.end()?;
    Ok(())
}

#[test]
fn store_and_compact_become_ready_with_the_arguments_of_manifests_and_charts() -> anyhow::Result<()>
{
    let files = Files::new()?;
    files.issue("server", ExtendedKeyUsagePurpose::ServerAuth)?;
    let bucket = files.path("bucket");
    fs::create_dir(&bucket)?;
    let write = |name: &str, text: &str| fs::write(files.path(name), text);
    write(
        "objstore.yml",
        &format!(
            "type: FILESYSTEM\nconfig:\n  directory: {}\n",
            bucket.display()
        ),
    )?;
    write(
        "cache.yml",
        "type: MEMCACHED\nconfig:\n  addresses: [memcached:11211]\n",
    )?;
    write(
        "http-config.yml",
        "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n",
    )?;
    let conf = files.path("");
    for lines in [
        KUBE_THANOS_STORE.to_vec(),
        [KUBE_THANOS_STORE, &[KUBE_THANOS_STORE_SHARD]].concat(),
        KUBE_THANOS_COMPACT.to_vec(),
        [KUBE_THANOS_COMPACT, &[KUBE_THANOS_COMPACT_SHARD]].concat(),
        BITNAMI_STORE.to_vec(),
        [BITNAMI_STORE, BITNAMI_GRPC_TLS, &[BITNAMI_HTTP_TLS]].concat(),
        BITNAMI_COMPACT.to_vec(),
        [BITNAMI_COMPACT, &[BITNAMI_HTTP_TLS]].concat(),
        STEVEHIPWELL_STORE.to_vec(),
        [STEVEHIPWELL_STORE, &[KUBE_THANOS_STORE_SHARD]].concat(),
        STEVEHIPWELL_COMPACT.to_vec(),
    ] {
        becomes_ready(&lines, &conf)?;
    }
    Ok(())
}
