//! `thanos sidecar` and `varve sidecar` beside one Prometheus whose head has many series.
//!
//! Each is started alone, asked the same over gRPC, and ended.

use std::{
    env, fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, ensure};
use proto::thanos::{LabelMatcher, SeriesRequest, label_matcher::Type};
use tonic::transport::Channel;

use crate::{
    Settings, client,
    server::{Server, free_address},
    stores::get,
};

/// What names these cases.
pub(crate) const NAME: &str = "sidecar";
/// Series of the head, unless told.
const SERIES: usize = 200_000;
/// How long a sidecar is left alone before its memory is looked at: a heartbeat or two.
const IDLE: Duration = Duration::from_secs(35);

/// The head of the table.
const HEAD: &str = "\
| case | run | bytes | first frame ms | whole answer ms | CPU ms | peak RSS MiB |
|---|---|---|---|---|---|---|
";

/// A question, and how often it is asked to be measured.
struct Question {
    name: &'static str,
    matchers: &'static [(&'static str, Type, &'static str)],
    times: u32,
}

const QUESTIONS: [Question; 3] = [
    Question {
        name: "one series",
        matchers: &[
            ("__name__", Type::Eq, "metric_000_total"),
            ("pod", Type::Eq, "pod-00000"),
        ],
        times: 200,
    },
    Question {
        name: "one metric",
        matchers: &[("__name__", Type::Eq, "metric_000_total")],
        times: 20,
    },
    Question {
        name: "all series",
        matchers: &[("__name__", Type::Re, "metric_.+")],
        times: 3,
    },
];

/// What asking has come to, for each time.
#[derive(Clone, Copy, Debug)]
struct Measured {
    bytes: usize,
    first: Duration,
    whole: Duration,
    cpu: Duration,
    peak: u64,
}

/// Prints the table.
pub(crate) fn run(settings: &Settings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(compare(settings))
}

async fn compare(settings: &Settings) -> anyhow::Result<()> {
    let series = match env::var("HEAD_SERIES") {
        Ok(number) => number.parse().context("HEAD_SERIES")?,
        Err(_) => SERIES,
    };
    let work = settings.work.path();
    let data = work.join("prometheus");
    let prometheus = free_address()?;
    let _prometheus = prometheus_of(series, &data, &prometheus, work).await?;
    print!("{HEAD}");
    let mut theirs = Vec::new();
    for (name, program) in [("thanos", &settings.thanos), ("varve", &settings.varve)] {
        let (http, grpc) = (free_address()?, free_address()?);
        let mut command = Command::new(program);
        command
            .arg("sidecar")
            .arg(format!("--prometheus.url=http://{prometheus}"))
            .arg(format!("--tsdb.path={}", data.display()))
            .arg(format!("--http-address={http}"))
            .arg(format!("--grpc-address={grpc}"));
        let mut sidecar = Server::start(&mut command, &work.join(format!("{name}.log")))?;
        sidecar.wait(async || ready(&http).await).await?;
        thread::sleep(IDLE);
        let idle = mib(sidecar.memory("VmRSS:")?);
        println!("| idle | {name} | – | – | – | – | {idle} |");
        let channel = Channel::from_shared(format!("http://{grpc}"))?;
        let channel = channel.connect().await?;
        for (i, question) in QUESTIONS.iter().enumerate() {
            let found = ask(&channel, question, &sidecar).await?;
            println!("{}", row(question.name, name, &found));
            match theirs.get(i) {
                None => theirs.push(found),
                Some(other) => println!("{}", against(question.name, &found, other)),
            }
        }
    }
    Ok(())
}

/// A Prometheus whose head has so many series.
async fn prometheus_of(
    series: usize,
    data: &Path,
    address: &str,
    work: &Path,
) -> anyhow::Result<Server> {
    let interop = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/interop"));
    eprintln!("{NAME}: making a head of {series} series");
    let made = Command::new("go")
        .args(["run", "-tags", "slicelabels", "./headseries"])
        .arg(data)
        .arg(series.to_string())
        .current_dir(interop)
        .status()
        .context("running go")?;
    ensure!(made.success(), "headseries: {made}");
    let config = work.join("prometheus.yml");
    fs::write(
        &config,
        "global: {external_labels: {cluster: eu-1, replica: a}}\n",
    )?;
    let mut command = Command::new(interop.join("bin/prometheus"));
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", data.display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--storage.tsdb.min-block-duration=2h")
        .arg("--storage.tsdb.max-block-duration=2h");
    let mut prometheus = Server::start(&mut command, &work.join("prometheus.log"))?;
    prometheus.wait(async || ready(address).await).await?;
    Ok(prometheus)
}

async fn ready(http: &str) -> anyhow::Result<()> {
    get(&format!("http://{http}/-/ready")).await.map(drop)
}

fn row(case: &str, run: &str, found: &Measured) -> String {
    format!(
        "| {case} | {run} | {} | {:.2} | {:.2} | {:.2} | {} |",
        found.bytes,
        ms(found.first),
        ms(found.whole),
        ms(found.cpu),
        mib(found.peak)
    )
}

/// A row of ratios, ours ÷ theirs.
fn against(case: &str, ours: &Measured, theirs: &Measured) -> String {
    let ratio = |of: fn(&Measured) -> f64| format!("{:.3}", of(ours) / of(theirs).max(1e-9));
    format!(
        "| {case} | varve ÷ thanos | {} | {} | {} | {} | {} |",
        ratio(|m| m.bytes as f64),
        ratio(|m| m.first.as_secs_f64()),
        ratio(|m| m.whole.as_secs_f64()),
        ratio(|m| m.cpu.as_secs_f64()),
        ratio(|m| m.peak as f64)
    )
}

/// Asks until it is measured: the least of the times, the mean of the CPU time.
async fn ask(channel: &Channel, question: &Question, sidecar: &Server) -> anyhow::Result<Measured> {
    // What is not measured: connections and caches.
    client::series(channel, &request(question)?).await?;
    sidecar.forget_peak()?;
    let cpu = sidecar.cpu()?;
    let mut found = Measured {
        bytes: 0,
        first: Duration::MAX,
        whole: Duration::MAX,
        cpu: Duration::ZERO,
        peak: 0,
    };
    for _ in 0..question.times {
        let answer = client::series(channel, &request(question)?).await?;
        ensure!(answer.bytes > 0, "{}: no series", question.name);
        found.bytes = answer.bytes;
        found.first = found.first.min(answer.first);
        found.whole = found.whole.min(answer.whole);
    }
    found.cpu = sidecar.cpu()?.saturating_sub(cpu) / question.times;
    found.peak = sidecar.memory("VmHWM:")?;
    Ok(found)
}

/// As a querier asks, for the last hour.
fn request(question: &Question) -> anyhow::Result<SeriesRequest> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the data are of now, whatever a clock in our hands says"
    )]
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let now = i64::try_from(now)?;
    let matcher = |(name, op, value): &(&str, Type, &'static str)| LabelMatcher {
        r#type: (*op).into(),
        name: (*name).to_owned(),
        value: (*value).into(),
    };
    Ok(SeriesRequest {
        min_time: now - 3_600_000,
        max_time: now,
        matchers: question.matchers.iter().map(matcher).collect(),
        response_batch_size: 64,
        without_replica_labels: vec!["replica".to_owned()],
        ..SeriesRequest::default()
    })
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}
