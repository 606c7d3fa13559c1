//! Series, asked of a store gateway over gRPC on the loopback: of TSDB blocks as a sidecar uploads
//! them, then of what the compactor makes of them. The bucket is a folder; gateway and client are
//! one process.
//!
//! `VARVE_BENCH_SERIES` sets the series of a block, `VARVE_BENCH_BLOCKS` how many blocks the
//! compactor merges; one more is the newest, which it leaves alone. 24 make one block of two days, and take
//! about 7 GB of disk for a while.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use anyhow::Context;
use benches::{BLOCK, START, Usage, folder, make_blocks, range, setting, size, some_pod};
use bucket::{Bucket, BucketConfig};
use model::{BlockMeta, MatchOp, Matcher, TimeRange};
use proto::{
    info::{InfoRequest, info_client::InfoClient},
    thanos::{SeriesRequest, series_response::Result as Frame, store_client::StoreClient},
};
use service::{CpuPool, ManualClock, Metrics, Probe};
use store_gateway::Gateway;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

/// How often a question is asked once the gateway has seen it.
const ROUNDS: usize = 5;

/// A day in milliseconds.
const DAY: i64 = 86_400_000;

/// What is asked for.
struct Question {
    name: &'static str,
    matchers: Vec<Matcher>,
    range: TimeRange,
    skip_chunks: bool,
}

/// What came.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    series: usize,
    chunks: usize,
    bytes: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let series = setting("VARVE_BENCH_SERIES", 100_000);
    let blocks = setting("VARVE_BENCH_BLOCKS", 12);
    let folder = folder(env!("CARGO_TARGET_TMPDIR"), series);
    let dirs = make_blocks(&folder, blocks + 1, series)?;
    let work = tempfile::tempdir_in(&folder)?;
    let root = work.path().join("bucket");
    for dir in &dirs {
        link(dir, &root.join(dir.file_name().context("a name")?))?;
    }
    let bucket = BucketConfig::filesystem(&root).open()?;
    // Later than all samples by more than blocks have to wait.
    let clock = ManualClock::new(START + BLOCK * i64::try_from(blocks + 1)? + DAY);

    let pod = some_pod(dirs.first().context("a block")?)?;
    let questions = questions(blocks, &pod)?;
    println!(
        "before: {} TSDB blocks, {} MB",
        dirs.len(),
        size(&root) / 1_000_000
    );
    let data_dir = work.path().join("before");
    ask(&bucket, &clock, &data_dir, &questions).await?;
    println!("started again, with its data directory");
    ask(&bucket, &clock, &data_dir, &questions).await?;
    compact(&bucket, &clock, &work.path().join("compact")).await?;
    remove_marked(&root)?;
    println!("after: {} MB", size(&root) / 1_000_000);
    ask(&bucket, &clock, &work.path().join("after"), &questions).await
}

/// The files of a block once more, without a copy.
fn link(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (path, to) = (entry?.path(), to);
        let to = to.join(path.file_name().context("a name")?);
        if path.is_dir() {
            link(&path, &to)?;
        } else {
            fs::hard_link(&path, &to)?;
        }
    }
    Ok(())
}

async fn compact(bucket: &Bucket, clock: &ManualClock, data_dir: &Path) -> anyhow::Result<()> {
    let config = compactor::Config {
        data_dir: data_dir.to_path_buf(),
        ..compactor::Config::default()
    };
    let metrics = Metrics::new();
    let deps = compactor::Deps {
        clock: Arc::new(clock.clone()),
        pool: CpuPool::new("compact", threads())?,
        probe: Probe::new("compact", &metrics),
        board: Default::default(),
        metrics,
    };
    let usage = Usage::begin();
    compactor::run(config, bucket.clone(), deps, CancellationToken::new()).await?;
    println!("compactor, one run: {}", usage.end());
    Ok(())
}

/// Deletes the blocks that are marked for it, as the compactor would two days later.
fn remove_marked(root: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(root)? {
        let block: PathBuf = entry?.path();
        if block.join(model::DeletionMark::FILE).try_exists()? {
            fs::remove_file(block.join(BlockMeta::FILE))?;
            fs::remove_dir_all(block)?;
        }
    }
    Ok(())
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// Starts a gateway, and asks it everything.
async fn ask(
    bucket: &Bucket,
    clock: &ManualClock,
    data_dir: &Path,
    questions: &[Question],
) -> anyhow::Result<()> {
    let config = store_gateway::Config {
        data_dir: data_dir.to_path_buf(),
        ..store_gateway::Config::default()
    };
    let metrics = Metrics::new();
    let deps = store_gateway::Deps {
        clock: Arc::new(clock.clone()),
        pool: CpuPool::for_requests(threads()),
        probe: Probe::new("store", &metrics),
        board: Default::default(),
        caches: Default::default(),
        metrics,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let gateway = Gateway::new(&config, bucket.clone(), deps);
    let sync = gateway.sync_handle();
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let usage = Usage::begin();
    tasks.spawn(gateway.run(shutdown.clone(), listener));
    sync.sync().await?;
    let channel = connect(address).await?;
    for question in questions {
        let cold = Instant::now();
        let found = series(&channel, question).await?;
        let cold = cold.elapsed();
        let mut times = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let started = Instant::now();
            series(&channel, question).await?;
            times.push(started.elapsed());
        }
        times.sort_unstable();
        let warm = times.get(ROUNDS / 2).copied().unwrap_or_default();
        println!(
            "  {}: {} series, {} chunks, {:.2} MB: cold {:.1} ms, warm {:.1} ms",
            question.name,
            found.series,
            found.chunks,
            found.bytes as f64 / 1e6,
            cold.as_secs_f64() * 1e3,
            warm.as_secs_f64() * 1e3,
        );
    }
    println!("  gateway and client: {}", usage.end());
    shutdown.cancel();
    drop(channel);
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

/// A connection to a server that answers.
async fn connect(address: SocketAddr) -> anyhow::Result<Channel> {
    let channel = Channel::from_shared(format!("http://{address}"))?
        .connect()
        .await?;
    InfoClient::new(channel.clone())
        .info(InfoRequest {})
        .await?;
    Ok(channel)
}

async fn series(channel: &Channel, question: &Question) -> anyhow::Result<Found> {
    let request = SeriesRequest {
        min_time: question.range.min.0,
        max_time: question.range.max.0,
        matchers: question.matchers.iter().map(Into::into).collect(),
        skip_chunks: question.skip_chunks,
        response_batch_size: 64,
        ..SeriesRequest::default()
    };
    let mut client = StoreClient::new(channel.clone()).max_decoding_message_size(usize::MAX);
    let mut frames = client.series(request).await?.into_inner();
    let mut found = Found::default();
    while let Some(frame) = frames.message().await? {
        let series = match frame.result {
            Some(Frame::Series(series)) => vec![series],
            Some(Frame::Batch(batch)) => batch.series,
            Some(Frame::Warning(warning)) => anyhow::bail!("a warning: {warning}"),
            Some(Frame::Hints(_)) | None => continue,
        };
        for one in series {
            found.series += 1;
            found.chunks += one.chunks.len();
            let raw = one.chunks.iter().flat_map(|chunk| &chunk.raw);
            found.bytes += raw.map(|chunk| chunk.data.len()).sum::<usize>();
        }
    }
    Ok(found)
}

fn questions(blocks: usize, pod: &str) -> anyhow::Result<Vec<Question>> {
    let equal = |name, value: &str| Matcher::new(MatchOp::Equal, name, value);
    let all = range(blocks);
    let two_hours = TimeRange::new(START, START + BLOCK - 1);
    let gauge = || equal(model::METRIC_NAME, "container_gauge_07");
    let histogram = || equal(model::METRIC_NAME, "http_request_duration_1_seconds_bucket");
    let one = || Ok::<_, anyhow::Error>(vec![gauge()?, equal("pod", pod)?]);
    let question = |name, matchers, range| Question {
        name,
        matchers,
        range,
        skip_chunks: false,
    };
    Ok(vec![
        question("1 series, 2 h", one()?, two_hours),
        question("1 series, all", one()?, all),
        question("1 metric, 2 h", vec![gauge()?], two_hours),
        question("1 metric, all", vec![gauge()?], all),
        Question {
            skip_chunks: true,
            ..question("1 metric, labels only, all", vec![gauge()?], all)
        },
        question("1 histogram, 2 h", vec![histogram()?], two_hours),
        question("1 histogram, all", vec![histogram()?], all),
        question(
            "namespace and regex, 2 h",
            vec![
                equal("namespace", "team-03")?,
                Matcher::new(MatchOp::Regex, model::METRIC_NAME, "container_.+")?,
            ],
            two_hours,
        ),
        question(
            "everything, 2 h",
            vec![Matcher::new(MatchOp::Regex, model::METRIC_NAME, ".+")?],
            two_hours,
        ),
    ])
}
