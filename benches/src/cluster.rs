//! Two-hour blocks of a cluster whose pods come and go.
//!
//! A pod has 100 series: 20 counters, 20 integer gauges, 8 float gauges, 6 constants, 3 classic
//! histograms of 12 buckets and 4 counters by status code; one sample in 30 s. A tenth of the pods
//! is replaced from one block to the next. Increments are random, so the chunks hardly compress.

mod values;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use model::{BlockMeta, Labels, TimeRange};
use tsdb::{Block, SeriesEntry};

pub use self::values::Replica;
use self::values::{Kind, Scraper, series_chunks};
use crate::{
    block::{BLOCK, START, block_id, start_of, write_block},
    random::Random,
};

/// Series of a pod.
const SERIES_PER_POD: usize = 100;

/// External labels of the blocks.
const CLUSTER: (&str, &str) = ("cluster", "eu-1");
const PROMETHEUS: (&str, &str) = ("prometheus", "monitoring/k8s");

/// Makes `blocks` consecutive blocks of about `series` series below `folder`, if they are not there.
///
/// # Errors
/// When a block cannot be written.
pub fn make_blocks(folder: &Path, blocks: usize, series: usize) -> anyhow::Result<Vec<PathBuf>> {
    make(folder, blocks, series, Scraper::Alone)
}

/// Makes the blocks of one of two replicas, which differ in the external label `replica` and in what each has
/// missed.
///
/// # Errors
/// When a block cannot be written.
pub fn make_replica(
    folder: &Path,
    blocks: usize,
    series: usize,
    replica: Replica,
) -> anyhow::Result<Vec<PathBuf>> {
    make(folder, blocks, series, Scraper::Replica(replica))
}

fn make(
    folder: &Path,
    blocks: usize,
    series: usize,
    scraper: Scraper,
) -> anyhow::Result<Vec<PathBuf>> {
    let source = match scraper {
        Scraper::Alone => 0,
        Scraper::Replica(Replica::A) => 1,
        Scraper::Replica(Replica::B) => 2,
    };
    (0..blocks)
        .map(|index| {
            let id = block_id(index, source);
            let dir = folder.join(id.to_string());
            if !dir.join(BlockMeta::FILE).try_exists()? {
                fs::create_dir_all(folder)?;
                let labels = external_labels(scraper);
                let start = start_of(index);
                let pods = 0..series / SERIES_PER_POD;
                let series = pods.flat_map(|pod| {
                    let gap = scraper.gap(pod, index);
                    let series = pod_series(pod, index).into_iter();
                    series.map(move |(labels, kind)| (labels, (kind, gap.clone())))
                });
                write_block(
                    &dir,
                    id,
                    &labels,
                    index,
                    series.collect(),
                    |labels, made| {
                        let (kind, gap) = made;
                        let seed = labels.stable_hash() ^ start.unsigned_abs();
                        Ok(series_chunks(*kind, seed, start, scraper, gap))
                    },
                )
                .with_context(|| format!("making {}", dir.display()))?;
            }
            Ok(dir)
        })
        .collect()
}

fn external_labels(scraper: Scraper) -> Vec<(&'static str, &'static str)> {
    let mut labels = vec![CLUSTER, PROMETHEUS];
    labels.extend(match scraper {
        Scraper::Alone => None,
        Scraper::Replica(Replica::A) => Some(("replica", "a")),
        Scraper::Replica(Replica::B) => Some(("replica", "b")),
    });
    labels
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
    let pod = labels.find(|(name, _)| symbols.get(*name) == b"pod");
    Ok(String::from_utf8(
        symbols.get(pod.context("a pod")?.1).to_vec(),
    )?)
}
