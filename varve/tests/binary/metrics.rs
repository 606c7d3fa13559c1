//! `docs/metrics.md` against what the daemons export.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, ensure};
use rcgen::ExtendedKeyUsagePurpose;

use crate::{
    daemon::{Daemon, http, sample},
    tls::Files,
};

/// A family of metrics, as it is described and as its series look.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
    /// The daemons that export it.
    of: BTreeSet<&'static str>,
}

/// Adds the families of a daemon's metrics.
fn add(families: &mut BTreeMap<String, Family>, of: &'static str, text: &str) {
    let mut name = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (family, help) = rest.split_once(' ').unwrap_or((rest, ""));
            family.clone_into(&mut name);
            let family = families.entry(name.clone()).or_default();
            help.trim_end_matches('.').clone_into(&mut family.help);
            family.of.insert(of);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (family, kind) = rest.split_once(' ').unwrap_or((rest, ""));
            let family = families.entry(family.to_owned()).or_default();
            kind.clone_into(&mut family.kind);
        } else if let (true, Some((_, labels))) = (line.starts_with(&name), line.split_once('{')) {
            let family = families.entry(name.clone()).or_default();
            // The values of labels here hold no quote, comma or brace.
            let labels = labels.split('}').next().unwrap_or_default().split(',');
            let labels = labels
                .filter_map(|one| one.split_once('='))
                .map(|(name, _)| name);
            family
                .labels
                .extend(labels.filter(|label| *label != "le").map(str::to_owned));
        }
    }
}

/// The rows of the table.
fn rows(families: &BTreeMap<String, Family>) -> Vec<String> {
    let row = |(name, family): (&String, &Family)| {
        let labels = family.labels.iter().map(|label| format!("`{label}`"));
        let labels = labels.collect::<Vec<_>>().join(", ");
        let of = match family.of.len() {
            3 => "all".to_owned(),
            _ => family.of.iter().copied().collect::<Vec<_>>().join(", "),
        };
        let Family { kind, help, .. } = family;
        format!("| `{name}` | {kind} | {labels} | {of} | {help} |")
    };
    families.iter().map(row).collect()
}

#[test]
fn the_documentation_lists_each_metric_that_a_daemon_exports() -> anyhow::Result<()> {
    let files = Files::new()?;
    files.issue("server", ExtendedKeyUsagePurpose::ServerAuth)?;
    sample(&files.path("tsdb"))?;
    fs::create_dir(files.path("bucket"))?;
    let bucket = format!(
        "--objstore.config={{type: FILESYSTEM, config: {{directory: {}}}}}",
        files.path("bucket").display()
    );
    let (http_port, grpc_port) = ("--http-address=127.0.0.1:0", "--grpc-address=127.0.0.1:0");
    let cert = files.flag("grpc-server-tls-cert", "server.pem");
    let key = files.flag("grpc-server-tls-key", "server.key");
    let web = files.flag("http.config", "web.yaml");
    fs::write(
        files.path("web.yaml"),
        "http_server_config: {http2: true}\n",
    )?;
    fs::write(files.path("prometheus.yml"), "global: {}\n")?;
    let starts: [(&str, Vec<&str>); 3] = [
        ("sidecar", vec![grpc_port, &cert, &key]),
        ("compact", vec!["--wait", "--consistency-delay=0s"]),
        ("store", vec![grpc_port, &cert, &key]),
    ];
    let tsdb = files.flag("tsdb.path", "tsdb");
    let reloader = files.flag("reloader.config-file", "prometheus.yml");
    // Metrics of what is configured. Nobody takes the spans.
    let traces = "--tracing.config={type: OTLP, config: {client_type: grpc, insecure: true, endpoint: '127.0.0.1:1'}}";
    let rules = files.flag("selector.relabel-config-file", "rules.yaml");
    fs::write(files.path("rules.yaml"), "[]")?;
    let index = "--index-cache.config={type: MEMCACHED, config: {addresses: ['127.0.0.1:1']}}";
    let ranges = "--store.caching-bucket.config={type: REDIS, config: {addr: '127.0.0.1:1'}}";
    let mut families = BTreeMap::new();
    for (name, mut args) in starts {
        let data = files.flag("data-dir", name);
        match name {
            // The Prometheus does not answer.
            "sidecar" => args.extend([&*tsdb, &reloader, "--prometheus.url=http://127.0.0.1:1"]),
            _ => args.extend([&*data, &rules]),
        }
        if name == "store" {
            args.extend([index, ranges]);
        }
        let all = [&[name, &bucket, http_port, &web, traces][..], &args].concat();
        let mut daemon = Daemon::start(&all)?;
        let address = daemon.address("listening for service metrics")?;
        match name {
            "sidecar" => daemon.says("level=warn")?,
            _ => daemon.says("changing probe status: ready")?,
        }
        add(&mut families, name, &http(&address, "/metrics")?);
        daemon.end()?;
    }
    for (name, family) in &families {
        ensure!(
            !family.kind.is_empty() && !family.help.is_empty(),
            "{name}: {family:?}"
        );
    }
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let docs = fs::read_to_string(&docs).context("docs/metrics.md")?;
    let (_, table) = docs
        .split_once("## All metrics\n")
        .context("## All metrics")?;
    let listed: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let rows = rows(&families);
    let missing: Vec<_> = rows
        .iter()
        .filter(|row| !listed.contains(&row.as_str()))
        .collect();
    let extra: Vec<_> = listed
        .iter()
        .filter(|row| !rows.iter().any(|r| r == *row))
        .collect();
    ensure!(
        missing.is_empty() && extra.is_empty() && listed.is_sorted(),
        "docs/metrics.md lacks:\n{missing:#?}\nand has:\n{extra:#?}"
    );
    Ok(())
}
