//! Golden blocks in a bucket in memory, and questions to them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bucket::Bucket;
use futures::TryStreamExt as _;
use model::{
    AggregateSet, BlockId, BlockMeta, Labels, METRIC_NAME, MatchOp, Matcher, ParquetMeta,
    ParquetShard, TimeRange, Timestamp,
};
use parquet_block::{Contents, LocalShard};
use prometheus_client::{encoding::text, registry::Registry};
use service::{CpuPool, Metrics};
use tsdb::{Chunk, Encoding, Floats, decode_histograms, decode_xor};

use crate::{
    block::{
        BlockError, BlockOrder, BlockQuery, BlockReader, BlockSeries, BlockSource, HeaderFiles,
        RequestBudget,
    },
    catalog::{CatalogBlock, Format},
    config::Limits,
    metrics::{HeaderMetrics, ReadMetrics},
    testing::catalog_block,
};

/// The four blocks of floats.
pub(in crate::block) const FLOATS: [&str; 4] = [
    "tsdb/floats/01HF8B9V80XM795QY4ZC4QZX6R",
    "tsdb/floats/01HF8J5JG0RAVB4GMS32W7ZJ2B",
    "tsdb/floats/01HF8S19R0DEWB2R91W75R7BAS",
    "tsdb/floats/01HF8ZX100G6RE14BBWZZ6609A",
];
/// The block of all kinds of samples.
pub(in crate::block) const ALL_KINDS: &str = "tsdb/all-kinds/01M84DQ2RXQ4VR0WWGPMBR2WG5";
/// The first and the last time of the floats.
pub(in crate::block) const FLOATS_RANGE: TimeRange =
    TimeRange::new(1_700_006_400_000, 1_700_035_199_999);

/// A bucket whose requests are counted.
pub(in crate::block) struct Fixture {
    pub(in crate::block) bucket: Bucket,
    pub(in crate::block) source: BlockSource,
    registry: Registry,
}

/// A sample as text that tells any two apart: floats by their bits.
pub(in crate::block) type Sample = (i64, String);

impl Fixture {
    pub(in crate::block) fn new() -> Self {
        let mut registry = Registry::default();
        let bucket = Bucket::in_memory().metered(&mut registry, || Timestamp(0));
        Self {
            source: source(bucket.clone(), None),
            bucket,
            registry,
        }
    }

    /// How many ranges have been read.
    pub(in crate::block) fn gets(&self) -> u64 {
        let mut text = String::new();
        text::encode(&mut text, &self.registry).unwrap();
        let line = text.lines().find(|line| {
            line.starts_with("thanos_objstore_bucket_operations_total{")
                && line.contains(r#"operation="get_range""#)
        });
        line.unwrap()
            .split(' ')
            .next_back()
            .unwrap()
            .parse()
            .unwrap()
    }

    /// Uploads the TSDB block at `path` below the golden blocks.
    pub(in crate::block) async fn tsdb(&self, path: &str) -> CatalogBlock {
        let dir = golden().join(path);
        let meta = BlockMeta::decode(&fs::read(dir.join("meta.json")).unwrap()).unwrap();
        let names = ["index", "chunks/000001"].map(str::to_owned);
        self.block(meta, &dir, &names).await
    }

    /// Uploads one of the Parquet blocks, and makes its `meta.json`.
    pub(in crate::block) async fn parquet(&self, name: &str) -> CatalogBlock {
        let dir = golden().join("parquet-common").join(name).join("block");
        let count = if name == "shards" { 2 } else { 1 };
        let shards: Vec<_> = (0..count)
            .map(|n| {
                let unknown = ParquetShard::default();
                let local = LocalShard::open(&dir, n, Contents::Chunks, &unknown).unwrap();
                let rows = local.read_all().unwrap().into_iter();
                let rows: Vec<Labels> = rows.map(|(labels, _)| labels).collect();
                ParquetShard {
                    rows: rows.len() as u64,
                    row_groups: local.shard().row_groups() as u64,
                    min_name: metric(rows.first().unwrap()).to_owned(),
                    max_name: metric(rows.last().unwrap()).to_owned(),
                    ..ParquetShard::default()
                }
            })
            .collect();
        let source = if name == "all-kinds" {
            ALL_KINDS
        } else {
            FLOATS[0]
        };
        let mut meta = self.tsdb(source).await.meta.as_ref().clone();
        if name != "all-kinds" {
            meta.max_time = Timestamp(FLOATS_RANGE.max.0 + 1);
        }
        meta.parquet = Some(ParquetMeta { version: 1, shards });
        meta.ulid = id(name);
        let names: Vec<_> = (0..count).flat_map(|n| Contents::Chunks.files(n)).collect();
        self.block(meta, &dir, &names).await
    }

    async fn block(&self, meta: BlockMeta, dir: &Path, names: &[String]) -> CatalogBlock {
        let format = Format::of(&meta);
        let root = match format {
            Format::Tsdb => meta.ulid.to_string(),
            Format::Parquet => format!("parquet/{}", meta.ulid),
        };
        let mut files = BTreeMap::new();
        for name in names {
            let bytes = fs::read(dir.join(name)).unwrap();
            files.insert(name.clone(), bytes.len() as u64);
            self.bucket
                .put(&format!("{root}/{name}"), bytes.into())
                .await
                .unwrap();
        }
        catalog_block(root, meta, files)
    }

    pub(in crate::block) async fn open(
        &self,
        block: CatalogBlock,
    ) -> Result<BlockReader, BlockError> {
        BlockReader::open(Arc::new(block), self.source.clone()).await
    }
}

/// A source of blocks in `bucket`, with index headers below a folder or in memory. No file is small.
pub(in crate::block) fn source(bucket: Bucket, data_dir: Option<&Path>) -> BlockSource {
    source_with(bucket, data_dir, 0)
}

/// The same where files of up to so many bytes are fetched whole.
pub(in crate::block) fn source_with(
    bucket: Bucket,
    data_dir: Option<&Path>,
    small: u64,
) -> BlockSource {
    let headers = HeaderFiles::new(data_dir, HeaderMetrics::new(&Metrics::new()));
    let pool = CpuPool::new("test", 2).unwrap();
    BlockSource::new(
        bucket,
        pool,
        Arc::new(headers),
        Default::default(),
        256 << 20,
        small,
        ReadMetrics::new(&Metrics::new()),
    )
}

fn golden() -> PathBuf {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/fixtures/golden"
    ))
    .to_owned()
}

fn id(name: &str) -> BlockId {
    BlockId::new(Timestamp(1_700_000_000_000), name.len() as u128)
}

pub(in crate::block) fn metric(labels: &Labels) -> &str {
    str::from_utf8(labels.get(METRIC_NAME).unwrap_or_default()).unwrap()
}

pub(in crate::block) fn free() -> Arc<RequestBudget> {
    RequestBudget::of_test(Limits::default())
}

/// Matchers as `name=value`, `name!=value`, `name=~value`, `name!~value`.
pub(in crate::block) fn matchers(texts: &[&str]) -> Arc<[Matcher]> {
    let parse = |text: &&str| {
        let at = text.find(['=', '!']).unwrap();
        let (name, rest) = text.split_at(at);
        let ops = [
            ("=~", MatchOp::Regex),
            ("!~", MatchOp::NotRegex),
            ("!=", MatchOp::NotEqual),
            ("=", MatchOp::Equal),
        ];
        let (op, value) = ops
            .into_iter()
            .find_map(|(text, op)| Some((op, rest.strip_prefix(text)?)))
            .unwrap();
        Matcher::new(op, name, value).unwrap()
    };
    texts.iter().map(parse).collect()
}

/// All chunks of what matches.
pub(in crate::block) fn query(texts: &[&str], range: TimeRange) -> BlockQuery {
    BlockQuery {
        matchers: matchers(texts),
        range,
        aggregates: AggregateSet::ALL,
        skip_chunks: false,
        limit: 0,
        order: BlockOrder::Stored,
    }
}

/// The series in the block's order.
pub(in crate::block) async fn ask(
    reader: &BlockReader,
    query: BlockQuery,
) -> Result<Vec<BlockSeries>, BlockError> {
    let batches: Vec<_> = reader.series(query, free()).try_collect().await?;
    assert!(batches.iter().all(|batch| !batch.is_empty()));
    Ok(batches.into_iter().flatten().collect())
}

pub(in crate::block) fn labels(series: &[BlockSeries]) -> Vec<Labels> {
    series.iter().map(|series| series.labels.clone()).collect()
}

/// The samples within `range` of each series that has some.
pub(in crate::block) fn samples(
    series: impl IntoIterator<Item = BlockSeries>,
    range: TimeRange,
) -> BTreeMap<Labels, Vec<Sample>> {
    let mut all: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
    for series in series {
        let mut found: Vec<_> = series.chunks.iter().flat_map(decoded).collect();
        found.retain(|(time, _)| range.contains(Timestamp(*time)));
        if !found.is_empty() {
            let samples = all.entry(series.labels).or_default();
            samples.extend(found);
            samples.sort();
        }
    }
    all
}

fn decoded(chunk: &Chunk) -> Vec<Sample> {
    if chunk.encoding == Encoding::Xor {
        let mut floats = Floats::default();
        decode_xor(&chunk.data, &mut floats).unwrap();
        let values = floats
            .values
            .iter()
            .map(|v| format!("{:016x}", v.to_bits()));
        return floats.timestamps.iter().copied().zip(values).collect();
    }
    let histograms = decode_histograms(chunk.encoding, &chunk.data).unwrap();
    let sample = |(time, mut histogram): (Timestamp, model::Histogram)| {
        // Where a chunk is cut, the hint of its first sample changes.
        histogram.reset = model::CounterReset::Unknown;
        (time.0, format!("{histogram:?}"))
    };
    histograms.into_iter().map(sample).collect()
}
