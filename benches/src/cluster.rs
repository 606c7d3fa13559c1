//! Two-hour blocks of a cluster whose pods come and go.
//!
//! A pod has 100 series: 20 counters, 20 integer gauges, 8 float gauges, 6 constants, 3 classic
//! histograms of 12 buckets and 4 counters by status code; one sample in 30 s. A tenth of the pods
//! is replaced from one block to the next. Increments are random, so the chunks hardly compress.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use model::{
    BlockId, BlockMeta, BlockStats, CompactionMeta, Labels, ThanosMeta, TimeRange, Timestamp,
};
use rayon::prelude::*;
use tsdb::{Block, BlockWriter, Chunk, Encoding, SeriesEntry, encode_xor};

/// Start of the first block: a multiple of two days, in ms.
pub const START: i64 = 1_700_006_400_000;
/// Length of a block, ms.
pub const BLOCK: i64 = 7_200_000;
/// Time between two samples, ms.
const INTERVAL: i64 = 30_000;
/// Samples of a chunk.
const CHUNK: usize = 120;
/// Series of a pod.
const SERIES_PER_POD: usize = 100;

/// How a series moves.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Counter,
    IntegerGauge,
    FloatGauge,
    Constant,
}

/// xorshift64*: as random as a benchmark needs, the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// From 0 up to `end`, excluded.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn fraction(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap_or_default()) / f64::from(u32::MAX)
    }
}

/// The external labels of the blocks.
#[must_use]
pub fn external_labels() -> [(&'static str, &'static str); 2] {
    [("cluster", "eu-1"), ("prometheus", "monitoring/k8s")]
}

/// The name of the `index`th block.
#[must_use]
pub fn block_id(index: usize) -> BlockId {
    let later = BLOCK * i64::try_from(index).unwrap_or_default();
    BlockId::new(Timestamp(START + later), index as u128 + 1)
}

/// Makes `blocks` consecutive blocks of about `series` series below `folder`, if they are not there.
///
/// # Errors
/// When a block cannot be written.
pub fn make_blocks(folder: &Path, blocks: usize, series: usize) -> anyhow::Result<Vec<PathBuf>> {
    (0..blocks)
        .map(|index| {
            let dir = folder.join(block_id(index).to_string());
            if !dir.join(BlockMeta::FILE).try_exists()? {
                fs::create_dir_all(folder)?;
                make_block(&dir, index, series / SERIES_PER_POD)
                    .with_context(|| format!("making {}", dir.display()))?;
            }
            Ok(dir)
        })
        .collect()
}

fn make_block(dir: &Path, index: usize, pods: usize) -> anyhow::Result<()> {
    let mut series: Vec<(Labels, Kind)> =
        (0..pods).flat_map(|pod| pod_series(pod, index)).collect();
    series.par_sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let symbols: BTreeSet<&str> = series
        .iter()
        .flat_map(|(labels, _)| labels.iter().flat_map(|(name, value)| [name, value]))
        .collect();
    let mut writer = BlockWriter::create(dir, symbols)?;
    let start = START + BLOCK * i64::try_from(index)?;
    for some in series.chunks(4096) {
        let chunks: Vec<Vec<Chunk>> = some
            .par_iter()
            .map(|(labels, kind)| {
                series_chunks(*kind, labels.stable_hash() ^ start.unsigned_abs(), start)
            })
            .collect();
        for ((labels, _), chunks) in some.iter().zip(&chunks) {
            writer.add_series(labels, chunks)?;
        }
    }
    let id = block_id(index);
    writer.finish(BlockMeta {
        ulid: id,
        min_time: Timestamp(start),
        max_time: Timestamp(start + BLOCK),
        stats: BlockStats::default(),
        compaction: CompactionMeta {
            level: 1,
            sources: vec![id],
            ..CompactionMeta::default()
        },
        version: 1,
        thanos: Some(ThanosMeta {
            version: 1,
            labels: external_labels()
                .map(|(n, v)| (n.to_owned(), v.to_owned()))
                .into(),
            source: "sidecar".to_owned(),
            ..ThanosMeta::default()
        }),
        parquet: None,
        extra: serde_json::Map::new(),
    })?;
    Ok(())
}

/// The series of one pod in the `block`th block; the pod is another one every tenth block.
fn pod_series(pod: usize, block: usize) -> Vec<(Labels, Kind)> {
    let generation = (block + pod) / 10;
    let mut random = Random(1 + ((pod as u64) << 20) + generation as u64);
    let node = random.below(50);
    let name = format!("app-{:03}-{:08x}", pod % 97, random.next() >> 32);
    let uid = format!("{:016x}", random.next());
    let base = [
        ("namespace", format!("team-{:02}", pod % 25)),
        ("pod", name),
        ("container", format!("app-{:03}", pod % 97)),
        ("node", format!("node-{node:02}")),
        ("instance", format!("10.0.{node}.{}:8080", pod % 250)),
        ("job", format!("job-{:02}", pod % 25)),
    ];
    let with = |metric: String, more: &[(&str, String)]| {
        let pairs = base.iter().chain(more).map(|(n, v)| (*n, v.clone()));
        Labels::from_pairs(pairs.chain([(model::METRIC_NAME, metric)]))
    };
    let mut series = Vec::with_capacity(SERIES_PER_POD);
    for i in 0..20 {
        series.push((
            with(format!("container_counter_{i:02}_total"), &[]),
            Kind::Counter,
        ));
        series.push((
            with(format!("container_gauge_{i:02}"), &[]),
            Kind::IntegerGauge,
        ));
    }
    for i in 0..8 {
        series.push((with(format!("process_ratio_{i}"), &[]), Kind::FloatGauge));
    }
    for i in 0..6 {
        let uid = [("uid", uid.clone())];
        series.push((with(format!("kube_pod_info_{i}"), &uid), Kind::Constant));
    }
    for i in 0..3 {
        let handler = ("handler", format!("/api/v{i}"));
        let metric = format!("http_request_duration_{i}_seconds");
        for le in 0..11 {
            let le = [
                ("le", format!("{}", f64::from(1 << le) / 256.0)),
                handler.clone(),
            ];
            series.push((with(format!("{metric}_bucket"), &le), Kind::Counter));
        }
        let inf = [("le", "+Inf".to_owned()), handler.clone()];
        series.push((with(format!("{metric}_bucket"), &inf), Kind::Counter));
        series.push((
            with(format!("{metric}_count"), std::slice::from_ref(&handler)),
            Kind::Counter,
        ));
        series.push((with(format!("{metric}_sum"), &[handler]), Kind::FloatGauge));
    }
    for code in ["200", "404", "500", "503"] {
        let code = [("code", code.to_owned())];
        series.push((with("http_requests_total".to_owned(), &code), Kind::Counter));
    }
    series
}

fn series_chunks(kind: Kind, seed: u64, start: i64) -> Vec<Chunk> {
    let mut random = Random(seed | 1);
    let samples = usize::try_from(BLOCK / INTERVAL).unwrap_or_default();
    let offset = i64::try_from(random.below(29_000)).unwrap_or_default();
    let mut value = 0.0;
    let mut timestamps = Vec::with_capacity(samples);
    let mut values = Vec::with_capacity(samples);
    for i in 0..samples {
        timestamps.push(start + offset + INTERVAL * i64::try_from(i).unwrap_or_default());
        let mut up_to = |end| f64::from(u32::try_from(random.below(end)).unwrap_or_default());
        value = match kind {
            Kind::Counter => value + up_to(100),
            Kind::IntegerGauge if value == 0.0 => up_to(1000),
            Kind::IntegerGauge => (value + up_to(21) - 10.0).abs(),
            Kind::FloatGauge => random.fraction(),
            Kind::Constant => 1.0,
        };
        values.push(value);
    }
    timestamps
        .chunks(CHUNK)
        .zip(values.chunks(CHUNK))
        .filter_map(|(timestamps, values)| {
            Some(Chunk {
                encoding: Encoding::Xor,
                min: Timestamp(*timestamps.first()?),
                max: Timestamp(*timestamps.last()?),
                data: encode_xor(timestamps, values),
            })
        })
        .collect()
}

/// The times of the first `blocks` blocks.
#[must_use]
pub fn range(blocks: usize) -> TimeRange {
    let blocks = i64::try_from(blocks).unwrap_or_default();
    TimeRange::new(START, START + BLOCK * blocks - 1)
}

/// The pod of one of the series of a block.
///
/// # Errors
/// When the block cannot be read.
pub fn some_pod(dir: &Path) -> anyhow::Result<String> {
    let block = Block::open(dir)?;
    let mut entry = SeriesEntry::default();
    let refs = block.refs_by_name()?;
    let middle = *refs.get(refs.len() / 2).context("a series")?;
    block.series_cursor().read(middle, &mut entry)?;
    let symbols = block.symbols();
    let mut labels = entry.labels.iter();
    let pod = labels.find(|(name, _)| symbols.get(*name) == "pod");
    Ok(symbols.get(pod.context("a pod")?.1).to_owned())
}

/// The blocks of the scraped sample, in order.
///
/// # Errors
/// When the fixtures cannot be listed.
pub fn sample_blocks() -> anyhow::Result<Vec<PathBuf>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/sample");
    let entries = fs::read_dir(dir)?.map(|entry| entry.map(|e| e.path()));
    let mut dirs = entries.collect::<Result<Vec<_>, _>>()?;
    dirs.retain(|dir| dir.is_dir());
    dirs.sort();
    Ok(dirs)
}
