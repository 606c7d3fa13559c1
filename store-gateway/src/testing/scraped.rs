//! Raw series as a cluster has them, put into a bucket as a TSDB block and as a Parquet block of the same.

use std::{collections::BTreeMap, fs, sync::Arc};

use bucket::Bucket;
use model::{
    BlockId, BlockMeta, BlockStats, CompactionMeta, Labels, METRIC_NAME, ParquetMeta, Resolution,
    ThanosMeta, TimeRange, Timestamp,
};
use parquet_block::{
    PageOptions, RowGroupBuilder, ShardSchema, ShardWriter, Slices, WriteOptions, chunks_file,
    envelope, labels_file,
};
use tsdb::{BlockWriter, Chunk, Encoding, encode_xor};

use super::{
    catalog_block,
    downsampled::{Table, strings},
};
use crate::catalog::CatalogBlock;

/// What the blocks cover.
pub(crate) const RANGE: TimeRange = TimeRange::new(0, 2 * 3_600_000 - 1);
/// Metrics with one series of each pod, `gauge_00` and so on.
const GAUGES: usize = 40;
/// Metrics with [`BUCKETS`] series of each pod, `histogram_0` and so on.
const HISTOGRAMS: usize = 5;
const BUCKETS: usize = 12;
/// Series of a pod.
pub(crate) const PER_POD: usize = GAUGES + HISTOGRAMS * BUCKETS;
/// Chunks that differ.
const CHUNKS: u64 = 1000;

/// Series with a chunk each, of some pods.
pub(crate) struct Scraped(BTreeMap<Labels, Vec<Chunk>>);

impl Scraped {
    /// [`PER_POD`] series of each of `pods` pods, `pod-0000` and so on.
    pub(crate) fn new(pods: usize) -> Self {
        let chunks: Vec<Chunk> = (0..CHUNKS).map(chunk).collect();
        let mut rows = BTreeMap::new();
        let mut chunks = chunks.iter().cycle();
        let mut add = |labels: Labels| {
            rows.insert(labels, chunks.next().cloned().into_iter().collect());
        };
        for pod in 0..pods {
            let base = [
                ("container", format!("app-{}", pod % 97)),
                ("instance", format!("10.0.{}.{}:8080", pod / 250, pod % 250)),
                ("job", format!("job-{:02}", pod % 25)),
                ("namespace", format!("team-{:02}", pod % 20)),
                ("node", format!("node-{:02}", pod % 50)),
                ("pod", format!("pod-{pod:04}")),
            ];
            let with = |more: &[(&str, String)]| {
                let pairs = base.iter().chain(more).map(|(n, v)| (*n, v.clone()));
                Labels::from_pairs(pairs)
            };
            for i in 0..GAUGES {
                add(with(&[(METRIC_NAME, format!("gauge_{i:02}"))]));
            }
            for i in 0..HISTOGRAMS {
                for le in 0..BUCKETS {
                    let name = (METRIC_NAME, format!("histogram_{i}"));
                    add(with(&[name, ("le", format!("{}", 1 << le))]));
                }
            }
        }
        Self(rows)
    }

    /// Puts the TSDB block into the bucket.
    pub(crate) async fn put_tsdb(&self, bucket: &Bucket, id: BlockId) -> CatalogBlock {
        let dir = tempfile::tempdir().unwrap();
        let block = dir.path().join("block");
        let mut writer = BlockWriter::create(&block, strings(self.0.keys())).unwrap();
        for (labels, chunks) in &self.0 {
            writer.add_series(labels, chunks).unwrap();
        }
        let meta = writer.finish(meta(id)).unwrap();
        let files = ["index", "chunks/000001"].map(|name| {
            let bytes = fs::read(block.join(name)).unwrap();
            (name.to_owned(), bytes)
        });
        put(bucket, id.to_string(), meta, files).await
    }

    /// Puts the Parquet block into the bucket, in row groups of so many rows.
    pub(crate) async fn put_parquet(
        &self,
        bucket: &Bucket,
        id: BlockId,
        group_rows: usize,
    ) -> CatalogBlock {
        let mut meta = meta(id);
        let duration = Slices::duration_at(Resolution::Raw, RANGE);
        let slices = Slices::new(meta.min_time, meta.max_time, duration);
        let table = Arc::new(Table::of(self.0.keys()));
        let names = self.0.keys().flat_map(Labels::iter).map(|(n, _)| n);
        let schema = ShardSchema::new(names, slices);
        let options = WriteOptions {
            chunks: PageOptions {
                least_saving: 100,
                ..WriteOptions::default().chunks
            },
            ..WriteOptions::default()
        };
        let mut files = [Vec::new(), Vec::new()];
        let [of_labels, of_chunks] = &mut files;
        let mut writer = ShardWriter::create(of_labels, of_chunks, &schema).unwrap();
        let rows: Vec<_> = self.0.iter().collect();
        for group in rows.chunks(group_rows) {
            let symbols: Arc<Table> = Arc::clone(&table);
            let mut builder = RowGroupBuilder::new(&schema, symbols, &options);
            for (labels, chunks) in group {
                let mut value = Vec::new();
                envelope::encode(chunks, &mut value);
                builder.push(&table.ids(labels), &[&value]).unwrap();
            }
            writer.append(builder.encode().unwrap()).unwrap();
        }
        let shards = vec![writer.finish().unwrap()];
        meta.parquet = Some(ParquetMeta { version: 1, shards });
        let [labels, chunks] = files;
        let files = [(labels_file(0), labels), (chunks_file(0), chunks)];
        put(bucket, format!("parquet/{id}"), meta, files).await
    }
}

/// Samples of two hours, which differ with `seed`.
fn chunk(seed: u64) -> Chunk {
    let times: Vec<i64> = (0..24).map(|i| i * 300_000).collect();
    let mut state = seed + 1;
    let values: Vec<f64> = (0..24)
        .map(|_| {
            // Knuth's generator.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            f64::from_bits((state >> 12) | 1.0_f64.to_bits())
        })
        .collect();
    Chunk {
        min: Timestamp(0),
        max: Timestamp(23 * 300_000),
        encoding: Encoding::Xor,
        data: encode_xor(&times, &values),
    }
}

fn meta(id: BlockId) -> BlockMeta {
    BlockMeta {
        ulid: id,
        min_time: RANGE.min,
        max_time: Timestamp(RANGE.max.0 + 1),
        stats: BlockStats::default(),
        compaction: CompactionMeta::default(),
        version: 1,
        thanos: Some(ThanosMeta::default()),
        parquet: None,
        extra: Default::default(),
    }
}

async fn put(
    bucket: &Bucket,
    root: String,
    meta: BlockMeta,
    files: [(String, Vec<u8>); 2],
) -> CatalogBlock {
    let mut sizes = BTreeMap::new();
    for (name, bytes) in files {
        sizes.insert(name.clone(), bytes.len() as u64);
        let key = format!("{root}/{name}");
        bucket.put(&key, bytes.into()).await.unwrap();
    }
    catalog_block(root, meta, sizes)
}
