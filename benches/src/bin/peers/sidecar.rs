//! `thanos sidecar` and `varve sidecar` beside one Prometheus whose head has many series.
//!
//! Each is started alone, asked the same over gRPC, and ended. What the client does costs both the same.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, ensure};
use proto::thanos::{
    LabelMatcher, SeriesRequest, label_matcher::Type, series_response::Result as Frame,
    store_client::StoreClient,
};
use tonic::transport::Channel;

/// How long a program may take to become ready: Prometheus reads its log first.
const PATIENCE: Duration = Duration::from_secs(600);
/// Series of the head, unless told.
const SERIES: usize = 200_000;

/// The head of the table.
const HEAD: &str = "\
| case | run | series | first frame ms | whole answer ms | CPU ms | peak RSS MiB |
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
#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    series: usize,
    first: Duration,
    whole: Duration,
    cpu: Duration,
    peak: u64,
}

/// A program that runs until this value is gone.
struct Running(Child);

/// Prints the table.
pub(crate) fn compare(thanos: &Path, varve: &Path, work: &Path) -> anyhow::Result<()> {
    let series = match env::var("HEAD_SERIES") {
        Ok(number) => number.parse().context("HEAD_SERIES")?,
        Err(_) => SERIES,
    };
    let interop = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/interop"));
    let data = work.join("prometheus");
    eprintln!("sidecar: making a head of {series} series");
    let made = Command::new("go")
        .args(["run", "-tags", "slicelabels", "./headseries"])
        .arg(&data)
        .arg(series.to_string())
        .current_dir(interop)
        .status()
        .context("running go")?;
    ensure!(made.success(), "headseries: {made}");
    let prometheus = address()?;
    let config = work.join("prometheus.yml");
    fs::write(
        &config,
        "global: {external_labels: {cluster: eu-1, replica: a}}\n",
    )?;
    let _prometheus = Running::start(
        Command::new(interop.join("bin/prometheus"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg(format!("--web.listen-address={prometheus}"))
            .args([
                "--storage.tsdb.min-block-duration=2h",
                "--storage.tsdb.max-block-duration=2h",
            ]),
        &prometheus,
    )?;
    print!("{HEAD}");
    let mut theirs = Vec::new();
    for (name, program) in [("thanos", thanos), ("varve", varve)] {
        let (http, grpc) = (address()?, address()?);
        let sidecar = Running::start(
            Command::new(program)
                .arg("sidecar")
                .arg(format!("--prometheus.url=http://{prometheus}"))
                .arg(format!("--tsdb.path={}", data.display()))
                .arg(format!("--http-address={http}"))
                .arg(format!("--grpc-address={grpc}")),
            &http,
        )?;
        // A heartbeat or two.
        thread::sleep(Duration::from_secs(35));
        let idle = sidecar.status("VmRSS:")?;
        println!("| idle | {name} | – | – | – | – | {} |", mib(idle));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        for (i, question) in QUESTIONS.iter().enumerate() {
            let found = runtime.block_on(ask(&grpc, question, &sidecar))?;
            println!(
                "| {} | {name} | {} | {:.2} | {:.2} | {:.2} | {} |",
                question.name,
                found.series,
                ms(found.first),
                ms(found.whole),
                ms(found.cpu),
                mib(found.peak)
            );
            match theirs.get(i) {
                None => theirs.push(found),
                Some(other) => println!("{}", against(question.name, &found, other)),
            }
        }
    }
    Ok(())
}

/// A row of ratios, ours ÷ theirs.
fn against(name: &str, ours: &Measured, theirs: &Measured) -> String {
    let ratio = |of: fn(&Measured) -> f64| format!("{:.3}", of(ours) / of(theirs).max(1e-9));
    format!(
        "| {name} | varve ÷ thanos | {} | {} | {} | {} | {} |",
        ratio(|m| m.series as f64),
        ratio(|m| m.first.as_secs_f64()),
        ratio(|m| m.whole.as_secs_f64()),
        ratio(|m| m.cpu.as_secs_f64()),
        ratio(|m| m.peak as f64)
    )
}

/// Asks until it is measured: the least of the times, the mean of the CPU time.
async fn ask(grpc: &str, question: &Question, sidecar: &Running) -> anyhow::Result<Measured> {
    let client = StoreClient::connect(format!("http://{grpc}")).await?;
    let mut client = client.max_decoding_message_size(usize::MAX);
    // What is not measured: connections and caches.
    once(&mut client, question).await?;
    sidecar.forget_peak()?;
    let cpu = sidecar.cpu()?;
    let mut least = Measured {
        first: Duration::MAX,
        whole: Duration::MAX,
        ..Measured::default()
    };
    for _ in 0..question.times {
        let one = once(&mut client, question).await?;
        least = Measured {
            series: one.series,
            first: least.first.min(one.first),
            whole: least.whole.min(one.whole),
            ..least
        };
    }
    least.cpu = sidecar.cpu()?.saturating_sub(cpu) / question.times;
    least.peak = sidecar.status("VmHWM:")?;
    Ok(least)
}

async fn once(client: &mut StoreClient<Channel>, question: &Question) -> anyhow::Result<Measured> {
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
    let request = SeriesRequest {
        min_time: now - 3_600_000,
        max_time: now,
        matchers: question.matchers.iter().map(matcher).collect(),
        // As a querier asks.
        response_batch_size: 64,
        without_replica_labels: vec!["replica".to_owned()],
        ..SeriesRequest::default()
    };
    let started = Instant::now();
    let mut found = Measured::default();
    let mut answer = client.series(request).await?.into_inner();
    while let Some(message) = answer.message().await? {
        if found.first.is_zero() {
            found.first = started.elapsed();
        }
        match message.result {
            Some(Frame::Series(_)) => found.series += 1,
            Some(Frame::Batch(batch)) => found.series += batch.series.len(),
            Some(Frame::Warning(warning)) => anyhow::bail!("a warning: {warning}"),
            Some(Frame::Hints(_)) | None => {}
        }
    }
    found.whole = started.elapsed();
    ensure!(found.series > 0, "{}: no series", question.name);
    Ok(found)
}

impl Running {
    /// Starts a program, and waits until it is ready.
    fn start(command: &mut Command, http: &str) -> anyhow::Result<Self> {
        let name = PathBuf::from(command.get_program());
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}", name.display()))?;
        let mut running = Self(child);
        let started = Instant::now();
        while !is_ready(http) {
            if let Some(status) = running.0.try_wait()? {
                anyhow::bail!("{} ended: {status}", name.display());
            }
            ensure!(
                started.elapsed() < PATIENCE,
                "{} is not ready",
                name.display()
            );
            thread::sleep(Duration::from_millis(100));
        }
        Ok(running)
    }

    fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0.id()))
    }

    /// CPU time so far, in the program and in the kernel.
    fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(self.file("stat"))?;
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.filter_map(|t| t.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks * 10))
    }

    /// An entry of the status, in bytes.
    fn status(&self, key: &str) -> anyhow::Result<u64> {
        let status = fs::read_to_string(self.file("status"))?;
        let value = status.lines().find_map(|line| line.strip_prefix(key));
        let kib = value.and_then(|v| v.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kib.with_context(|| format!("no {key} in the status"))? << 10)
    }

    /// Lets the peak of memory begin anew.
    fn forget_peak(&self) -> anyhow::Result<()> {
        Ok(fs::write(self.file("clear_refs"), "5")?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address that nothing listens on.
fn address() -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.to_string())
}

fn is_ready(http: &str) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(http)?;
        stream.write_all(b"GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}
