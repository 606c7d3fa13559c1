//! `thanos store` and `varve store`, each over what its own compactor has made of the same blocks, side by side: they
//! are asked in turn, so that both have the machine as it is at that time.

mod load;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::Context;
use benches::{make_blocks, some_pod};
use proto::info::{InfoRequest, info_client::InfoClient};
use tonic::transport::Channel;

use self::load::{CLIENTS, SILENT};
use crate::{
    Settings,
    cases::{Program, Run},
    client::{self, Answer},
    compaction, folder,
    questions::{Question, SHARED, questions},
    server::{Server, free_address},
};

/// Where the blocks are.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    on_s3: bool,
}

/// All cases.
pub(crate) const STORES: &[Case] = &[
    Case {
        name: "store-folder",
        on_s3: false,
    },
    Case {
        name: "store-s3",
        on_s3: true,
    },
];

/// 24 blocks fill two days; the next makes them complete.
const BLOCKS: usize = 25;
/// How often a question is asked once both have answered it: until this much time has passed, or so often.
const ASKED_FOR: Duration = Duration::from_millis(1500);
const LEAST_ROUNDS: usize = 5;
const MOST_ROUNDS: usize = 200;
const BUCKET: &str = "bucket";
/// A file in the bucket that says that its blocks are compacted.
const PREPARED: &str = "prepared";
const KEYS: (&str, &str) = ("peers", "peers-secret");

const HEAD: &str = "\
| case | series | question | MB theirs | MB ours | cold first/whole ms theirs | ours | warm first/whole ms theirs | ours | ratio | CPU ms theirs | ours | ratio |
|---|---|---|---|---|---|---|---|---|---|---|---|---|
";

/// A store that answers.
struct Store {
    server: Server,
    address: String,
    channel: Channel,
    http: String,
    /// The server of its bucket, which ends after it.
    _s3: Option<Server>,
}

/// What a question has come to at one of them.
#[derive(Debug, Default)]
struct Asked {
    cold: Answer,
    warm: Vec<Answer>,
    cpu: Duration,
}

/// Runs the cases with each number of series, and prints a table of each.
pub(crate) fn run(settings: &Settings, cases: &[&Case]) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    for series in &settings.series {
        let kept = std::env::var_os("KEEP").map(PathBuf::from);
        let work = kept.as_deref().unwrap_or(settings.work.path());
        let dir = work.join(format!("stores-{series}"));
        let pod = prepare(settings, &dir, *series)?;
        for case in cases {
            runtime
                .block_on(ask(settings, case, &dir, *series, &pod))
                .with_context(|| format!("{} of {series} series", case.name))?;
        }
        if kept.is_none() {
            fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))?;
        }
    }
    Ok(())
}

/// The questions that are asked.
fn chosen(pod: &str) -> anyhow::Result<Vec<Question>> {
    let mut chosen = questions(pod)?;
    if let Ok(named) = std::env::var("QUESTIONS") {
        let names: Vec<&str> = named.split(';').map(str::trim).collect();
        chosen.retain(|one| names.iter().any(|name| one.name.starts_with(name)));
    }
    Ok(chosen)
}

/// The folder of a program's own, with its bucket.
fn own(dir: &Path, program: Program) -> PathBuf {
    dir.join(match program {
        Program::Thanos => "theirs",
        Program::Varve => "ours",
    })
}

/// Makes the blocks and lets each program compact a copy; gives the pod of a series.
fn prepare(settings: &Settings, dir: &Path, series: usize) -> anyhow::Result<String> {
    let blocks = dir.join("blocks");
    eprintln!("stores: making blocks of {series} series");
    let dirs = make_blocks(&blocks, BLOCKS, series)?;
    for program in [Program::Thanos, Program::Varve] {
        let own = own(dir, program);
        let bucket = own.join(BUCKET);
        if bucket.join(PREPARED).try_exists()? {
            continue;
        }
        folder::copy(&blocks, &bucket)?;
        let run = Run {
            name: "",
            program,
            flags: &[],
        };
        let used = compaction::compact(settings, &run, &own, &[])?;
        if let Some(refused) = used.refused {
            anyhow::bail!("compact: {refused}");
        }
        folder::remove_marked(&bucket)?;
        fs::write(bucket.join(PREPARED), "")?;
    }
    some_pod(dirs.first().context("a block")?)
}

async fn ask(
    settings: &Settings,
    case: &Case,
    dir: &Path,
    series: usize,
    pod: &str,
) -> anyhow::Result<()> {
    let mut theirs = Store::start(settings, case, Program::Thanos, dir).await?;
    let mut ours = Store::start(settings, case, Program::Varve, dir).await?;
    let what = format!("| {} | {series} |", case.name);
    let started = (theirs.resident()?, ours.resident()?);
    print!("{HEAD}");
    let questions = chosen(pod)?;
    let mut costs = (0.0, 0.0);
    for question in &questions {
        eprintln!("{}: {}", case.name, question.name);
        let (a, b) = both(&mut theirs, &mut ours, question).await?;
        costs = (costs.0 + a.cpu_ms(), costs.1 + b.cpu_ms());
        println!(
            "{what} {} | {:.2} | {:.2} | {} | {} | {} | {} | {:.2} | {:.2} | {:.2} | {:.2} |",
            question.name,
            a.cold.bytes as f64 / 1e6,
            b.cold.bytes as f64 / 1e6,
            a.cold,
            b.cold,
            a.median(),
            b.median(),
            b.median().whole.as_secs_f64() / a.median().whole.as_secs_f64(),
            a.cpu_ms(),
            b.cpu_ms(),
            b.cpu_ms() / a.cpu_ms(),
        );
    }
    println!(
        "{what} CPU ms, sum: theirs {:.0}, ours {:.0}, ratio {:.3}",
        costs.0,
        costs.1,
        costs.1 / costs.0
    );
    if let Some(shared) = questions.iter().find(|one| one.name == SHARED) {
        let (a, b) = (theirs.crowd(shared).await?, ours.crowd(shared).await?);
        println!("{what} {CLIENTS} clients × {SHARED}, median ms: theirs {a:.1}, ours {b:.1}");
    }
    if let (Some(small), Some(large)) = (questions.first(), questions.last()) {
        for (store, whose) in [(&theirs, "theirs"), (&ours, "ours")] {
            let (alone, beside) = store.beside(small, large).await?;
            println!(
                "{what} {}, ms alone / beside {}: {whose} {alone:.2} / {beside:.2}",
                small.name, large.name
            );
        }
    }
    println!(
        "{what} RSS MiB, ready / peak: theirs {} / {}, ours {} / {}",
        started.0 >> 20,
        theirs.peak()? >> 20,
        started.1 >> 20,
        ours.peak()? >> 20
    );
    if let Some(largest) = questions.last() {
        let (a, b) = (theirs.silent(largest).await?, ours.silent(largest).await?);
        println!(
            "{what} {SILENT} clients that do not read {}, RSS MiB at most: theirs {}, ours {}",
            largest.name,
            a >> 20,
            b >> 20
        );
    }
    for (name, metric) in [
        ("requests", "thanos_objstore_bucket_operations_total"),
        (
            "bytes fetched",
            "thanos_objstore_bucket_operation_fetched_bytes_total",
        ),
    ] {
        let (a, b) = (theirs.metric(metric).await?, ours.metric(metric).await?);
        println!("{what} {name} of the bucket: theirs {a}, ours {b}");
    }
    Ok(())
}

/// Asks both in turn.
async fn both(
    theirs: &mut Store,
    ours: &mut Store,
    question: &Question,
) -> anyhow::Result<(Asked, Asked)> {
    let mut asked = (Asked::default(), Asked::default());
    asked.0.cold = theirs.ask(question).await?;
    asked.1.cold = ours.ask(question).await?;
    // So often at least: enough for a profile.
    let least = match std::env::var("ROUNDS") {
        Ok(rounds) => rounds.parse().context("ROUNDS")?,
        Err(_) => LEAST_ROUNDS,
    };
    // One after the other, as CPU time is told in hundredths of a second.
    for (store, asked) in [(theirs, &mut asked.0), (ours, &mut asked.1)] {
        let (before, started) = (store.server.cpu()?, Instant::now());
        while asked.warm.len() < least
            || (started.elapsed() < ASKED_FOR && asked.warm.len() < MOST_ROUNDS)
        {
            asked.warm.push(store.ask(question).await?);
        }
        asked.cpu = store.server.cpu()?.saturating_sub(before);
        asked.warm.sort_by_key(|answer| answer.whole);
    }
    Ok(asked)
}

/// An S3 server over the folder of a program's bucket, and its address.
async fn s3(settings: &Settings, own: &Path) -> anyhow::Result<(Server, String)> {
    let address = free_address()?;
    let mut command = Command::new(&settings.versitygw);
    command
        .args(["--quiet", "--region", "us-east-1", "--access", KEYS.0])
        .args(["--secret", KEYS.1, "--port", &address, "posix"])
        .arg(own);
    let mut server = Server::start(&mut command, &own.join("s3.log"))?;
    let listens = async || {
        std::net::TcpStream::connect(&address)?;
        Ok(())
    };
    server.wait(listens).await?;
    Ok((server, address))
}

impl Store {
    async fn start(
        settings: &Settings,
        case: &Case,
        program: Program,
        dir: &Path,
    ) -> anyhow::Result<Self> {
        let own = own(dir, program);
        let s3 = match case.on_s3 {
            true => Some(s3(settings, &own).await?),
            false => None,
        };
        let objstore = own.join("store.yml");
        let yaml = match &s3 {
            Some((_, address)) => format!(
                "type: S3\nconfig:\n  bucket: {BUCKET}\n  endpoint: {address}\n  region: us-east-1\n  \
                 access_key: {}\n  secret_key: {}\n  insecure: true\n",
                KEYS.0, KEYS.1
            ),
            None => {
                let bucket = serde_json::to_string(&own.join(BUCKET))?;
                format!("type: FILESYSTEM\nconfig:\n  directory: {bucket}\n")
            }
        };
        fs::write(&objstore, yaml).with_context(|| format!("writing {}", objstore.display()))?;
        let data = own.join("store-data");
        if data.try_exists()? {
            fs::remove_dir_all(&data)?;
        }
        let (grpc, http) = (free_address()?, free_address()?);
        let (program, more) = match program {
            Program::Thanos => (&settings.thanos, "THANOS_FLAGS"),
            Program::Varve => (&settings.varve, "VARVE_FLAGS"),
        };
        let more = std::env::var(more).unwrap_or_default();
        let mut command = Command::new(program);
        command
            .arg("store")
            .arg(format!("--data-dir={}", data.display()))
            .arg(format!("--objstore.config-file={}", objstore.display()))
            .arg(format!("--grpc-address={grpc}"))
            .arg(format!("--http-address={http}"))
            .args(more.split_whitespace());
        let mut server = Server::start(&mut command, &own.join("store.log"))?;
        let ready = format!("http://{http}/-/ready");
        let is_ready = async || {
            get(&ready).await?;
            Ok(())
        };
        server.wait(is_ready).await.context("store")?;
        let address = format!("http://{grpc}");
        let channel = Channel::from_shared(address.clone())?.connect_lazy();
        let info = async || {
            InfoClient::new(channel.clone())
                .info(InfoRequest {})
                .await?;
            Ok(())
        };
        server.wait(info).await.context("store")?;
        Ok(Self {
            server,
            address,
            channel,
            http,
            _s3: s3.map(|(server, _)| server),
        })
    }

    async fn ask(&self, question: &Question) -> anyhow::Result<Answer> {
        let answer = client::series(&self.channel, &question.request).await;
        answer.with_context(|| question.name.to_owned())
    }

    fn resident(&self) -> anyhow::Result<u64> {
        self.server.memory("VmRSS:")
    }

    fn peak(&self) -> anyhow::Result<u64> {
        self.server.memory("VmHWM:")
    }

    /// The sum of a metric over its labels.
    async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let text = get(&format!("http://{}/metrics", self.http)).await?;
        let of = |line: &str| {
            let rest = line.strip_prefix(name)?;
            rest.starts_with(['{', ' ']).then_some(())?;
            rest.rsplit(' ').next()?.parse::<f64>().ok()
        };
        Ok(text.lines().filter_map(of).sum())
    }
}

/// The body at an address, which has to answer with success.
pub(crate) async fn get(url: &str) -> anyhow::Result<String> {
    Ok(reqwest::get(url).await?.error_for_status()?.text().await?)
}

impl Asked {
    /// The warm answer that took the median time.
    fn median(&self) -> Answer {
        let median = self.warm.get(self.warm.len() / 2);
        median.copied().unwrap_or_default()
    }

    /// CPU of the server for a warm answer, in ms.
    fn cpu_ms(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e3 / self.warm.len().max(1) as f64
    }
}
