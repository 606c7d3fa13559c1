//! Golden blocks in a bucket, a gateway that serves them, and a client.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bucket::{Bucket, testing::FailingBucket};
use bytes::Bytes;
use model::{BlockId, BlockMeta, Labels, ParquetMeta, ParquetShard, TimeRange, Timestamp, shown};
use parquet_block::{Contents, LocalShard};
use proto::{
    info::info_client::InfoClient,
    thanos::{
        self, AggrChunk, LabelMatcher, PartialResponseStrategy, SeriesRequest, SeriesResponse,
        series_response::Result as Frame, store_client::StoreClient,
    },
};
use service::{CpuPool, ManualClock, Metrics, Probe};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::{Status, transport::Channel};
use tsdb::{Block, SeriesEntry};

use crate::{Config, Deps, Gateway, GatewayError, SyncHandle};

/// The block of all kinds of samples.
pub(super) const ALL_KINDS: &str = "tsdb/all-kinds/01M84DQ2RXQ4VR0WWGPMBR2WG5";
/// The first and the third of the blocks of floats.
pub(super) const FLOATS: [&str; 2] = [
    "tsdb/floats/01HF8B9V80XM795QY4ZC4QZX6R",
    "tsdb/floats/01HF8S19R0DEWB2R91W75R7BAS",
];

/// A gateway and its client.
pub(super) struct World {
    pub(super) store: StoreClient<Channel>,
    pub(super) info: InfoClient<Channel>,
    pub(super) syncs: SyncHandle,
    pub(super) metrics: Metrics,
    pub(super) probe: Probe,
    pub(super) pool: CpuPool,
    shutdown: CancellationToken,
    _dir: TempDir,
    task: JoinSet<Result<(), GatewayError>>,
}

/// A series as it came: labels, and each chunk's times, encoding and bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sent {
    pub(super) labels: Labels,
    pub(super) chunks: Vec<(i64, i64, i32, Bytes)>,
}

impl World {
    /// A gateway to a bucket, which it has looked at if it can.
    pub(super) async fn new(bucket: &Bucket, config: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let metrics = Metrics::new();
        let pool = CpuPool::for_requests(2);
        let deps = Deps {
            clock: Arc::new(ManualClock::new(1_787_392_800_000)),
            pool: pool.clone(),
            probe: Probe::new("store", &metrics),
            board: Default::default(),
            caches: Default::default(),
            metrics: metrics.clone(),
        };
        let config = Config {
            data_dir: dir.path().to_owned(),
            // Tests tell what is fetched.
            small_file_bytes: 0,
            ..config
        };
        let (probe, shutdown) = (deps.probe.clone(), CancellationToken::new());
        let gateway = Gateway::new(&config, bucket.clone(), deps);
        let syncs = gateway.sync_handle();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let mut task = JoinSet::new();
        task.spawn(gateway.run(shutdown.clone(), listener));
        // Whether it could is what some tests are about.
        let _ = syncs.sync().await;
        let channel = Channel::from_shared(address)
            .unwrap()
            .connect()
            .await
            .unwrap();
        Self {
            store: StoreClient::new(channel.clone()),
            info: InfoClient::new(channel),
            syncs,
            metrics,
            probe,
            pool,
            shutdown,
            _dir: dir,
            task,
        }
    }

    /// Tells the gateway to end, and waits until it has.
    pub(super) async fn end(&mut self) -> Result<(), GatewayError> {
        self.shutdown.cancel();
        self.task.join_next().await.unwrap().unwrap()
    }

    /// The frames of an answer.
    pub(super) async fn frames(&mut self, request: SeriesRequest) -> Result<Vec<Frame>, Status> {
        let mut stream = self.store.series(request).await?.into_inner();
        let mut frames = Vec::new();
        while let Some(SeriesResponse { result }) = stream.message().await? {
            frames.push(result.unwrap());
        }
        Ok(frames)
    }

    /// The series of an answer without warnings, each after the one before.
    pub(super) async fn series(&mut self, request: SeriesRequest) -> Vec<Sent> {
        let frames = self.frames(request).await.unwrap();
        let (series, warnings) = taken_apart(frames);
        assert_eq!(warnings, [""; 0]);
        series
    }
}

/// The series and the warnings among frames.
pub(super) fn taken_apart(frames: Vec<Frame>) -> (Vec<Sent>, Vec<String>) {
    let (mut series, mut warnings) = (Vec::new(), Vec::new());
    for frame in frames {
        match frame {
            Frame::Series(one) => series.push(sent(one)),
            Frame::Batch(batch) => series.extend(batch.series.into_iter().map(sent)),
            Frame::Warning(text) => warnings.push(text),
            Frame::Hints(hints) => panic!("unexpected {hints:?}"),
        }
    }
    assert!(
        series.is_sorted_by(|a, b| a.labels < b.labels),
        "not in order: {series:?}"
    );
    (series, warnings)
}

fn sent(series: thanos::Series) -> Sent {
    let chunk = |chunk: AggrChunk| {
        let raw = chunk.raw.unwrap();
        (chunk.min_time, chunk.max_time, raw.r#type, raw.data)
    };
    Sent {
        labels: proto::model_labels(&series.labels),
        chunks: series.chunks.into_iter().map(chunk).collect(),
    }
}

/// A condition: `=`, `!=`, `=~` or `!~`.
pub(super) fn matcher(name: &str, op: &str, value: &str) -> LabelMatcher {
    let kinds = ["=", "!=", "=~", "!~"];
    LabelMatcher {
        r#type: kinds
            .iter()
            .position(|k| *k == op)
            .unwrap()
            .try_into()
            .unwrap(),
        name: name.to_owned(),
        value: value.to_owned().into(),
    }
}

/// Asks for the series that match, whenever they are; refuses a part of them.
pub(super) fn request(matchers: &[LabelMatcher]) -> SeriesRequest {
    SeriesRequest {
        min_time: i64::MIN,
        max_time: i64::MAX,
        matchers: matchers.to_vec(),
        partial_response_strategy: PartialResponseStrategy::Abort.into(),
        ..SeriesRequest::default()
    }
}

/// Asks for all series.
pub(super) fn everything() -> SeriesRequest {
    request(&[matcher("__name__", "=~", ".+")])
}

/// A bucket that fails on demand.
pub(super) fn failing() -> FailingBucket {
    FailingBucket::new(&Bucket::in_memory())
}

pub(super) fn golden(path: &str) -> PathBuf {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/fixtures/golden"
    ))
    .join(path)
}

/// A block's name.
pub(super) fn id(number: u8) -> BlockId {
    BlockId::new(Timestamp(1_700_000_000_000), number.into())
}

/// Puts a golden TSDB block into the bucket, under another name and with these external labels.
pub(super) async fn put_tsdb(bucket: &Bucket, path: &str, id: BlockId, labels: &[(&str, &str)]) {
    put_dir(bucket, &golden(path), id, labels).await;
}

/// As [`put_tsdb`], of a block anywhere.
pub(super) async fn put_dir(bucket: &Bucket, dir: &Path, id: BlockId, labels: &[(&str, &str)]) {
    let mut meta = BlockMeta::decode(&fs::read(dir.join(BlockMeta::FILE)).unwrap()).unwrap();
    rename(&mut meta, id, labels);
    for file in ["index", "chunks/000001"] {
        let bytes = fs::read(dir.join(file)).unwrap();
        bucket
            .put(&format!("{id}/{file}"), bytes.into())
            .await
            .unwrap();
    }
    bucket
        .put(&format!("{id}/meta.json"), meta.encode().into())
        .await
        .unwrap();
}

/// Puts the Parquet block of all kinds of samples into the bucket.
pub(super) async fn put_parquet(bucket: &Bucket, id: BlockId, labels: &[(&str, &str)]) {
    let dir = golden("parquet-common/all-kinds/block");
    let paths = Contents::Chunks.files(0).map(|name| dir.join(name));
    let unknown = ParquetShard::default();
    let shard = LocalShard::open(&dir, 0, Contents::Chunks, &unknown).unwrap();
    let rows = shard.read_all().unwrap().into_iter();
    let rows: Vec<Labels> = rows.map(|(labels, _)| labels).collect();
    let name = |labels: &Labels| shown(labels.get("__name__").unwrap()).into_owned();
    let text = fs::read(golden(ALL_KINDS).join(BlockMeta::FILE)).unwrap();
    let mut meta = BlockMeta::decode(&text).unwrap();
    rename(&mut meta, id, labels);
    meta.parquet = Some(ParquetMeta {
        version: 1,
        shards: vec![ParquetShard {
            rows: rows.len() as u64,
            row_groups: 1,
            min_name: name(&rows[0]),
            max_name: name(&rows[rows.len() - 1]),
            labels_bytes: fs::metadata(&paths[0]).unwrap().len(),
            chunks_bytes: fs::metadata(&paths[1]).unwrap().len(),
            ..ParquetShard::default()
        }],
    });
    for path in &paths {
        let key = format!(
            "parquet/{id}/{}",
            path.file_name().unwrap().to_str().unwrap()
        );
        bucket
            .put(&key, fs::read(path).unwrap().into())
            .await
            .unwrap();
    }
    let key = format!("parquet/{id}/meta.json");
    bucket.put(&key, meta.encode().into()).await.unwrap();
}

fn rename(meta: &mut BlockMeta, id: BlockId, labels: &[(&str, &str)]) {
    meta.ulid = id;
    meta.compaction.sources = vec![id];
    let labels = labels.iter().map(|&(n, v)| (n.to_owned(), v.to_owned()));
    meta.thanos.get_or_insert_default().labels = labels.collect();
}

/// The series of a golden block that have a chunk in `range`, with these chunks, read from the disk; with
/// `labels` added, sorted.
pub(super) fn local(path: &str, labels: &[(&str, &str)], range: TimeRange) -> Vec<Sent> {
    let block = Block::open(&golden(path)).unwrap();
    let (mut series, mut chunks) = (block.series_cursor(), block.chunk_cursor());
    let mut all = Vec::new();
    for reference in block.refs_by_name().unwrap() {
        let mut entry = SeriesEntry::default();
        series.read(reference, &mut entry).unwrap();
        let symbol = |at| block.symbols().get(at);
        let own = entry.labels.iter().map(|&(n, v)| (symbol(n), symbol(v)));
        let held = entry
            .chunks
            .iter()
            .filter(|chunk| chunk.range().overlaps(range));
        let held = held.map(|meta| {
            let chunk = chunks.read(meta).unwrap();
            (
                chunk.min.0,
                chunk.max.0,
                chunk.encoding as i32 - 1,
                chunk.data,
            )
        });
        let sent = Sent {
            labels: Labels::from_pairs(
                own.chain(labels.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()))),
            ),
            chunks: held.collect(),
        };
        if !sent.chunks.is_empty() {
            all.push(sent);
        }
    }
    all.sort();
    all
}

/// Without chunks.
pub(super) fn labels_only(series: &[Sent]) -> Vec<Labels> {
    series.iter().map(|one| one.labels.clone()).collect()
}
