//! Sizes of pages and levels of zstd, tried on a random two-hour block and on the scraped sample.
//!
//! For each: the size of the file, what writing the block has cost, and what reading one metric.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::path::{Path, PathBuf};

use anyhow::Context;
use benches::{Usage, cost, folder, make_blocks, range, sample_blocks, setting, size};
use compactor::{Dedup, MergeInput, MergeOptions, MergeTarget, OutputFormat, merge};
use model::{MatchOp, Matcher, Resolution, TimeRange};
use parquet_block::{LocalShard, PageOptions, Projection, WriteOptions, chunks_file, labels_file};
use tsdb::Block;

/// Blocks to try on, and a metric of theirs.
struct Source {
    name: &'static str,
    blocks: Vec<PathBuf>,
    range: TimeRange,
    metric: &'static str,
}

fn main() -> anyhow::Result<()> {
    let series = setting("VARVE_BENCH_SERIES", 100_000);
    let folder = folder(env!("CARGO_TARGET_TMPDIR"), series);
    let sample = sample_blocks()?;
    let sources = [
        Source {
            name: "random",
            blocks: make_blocks(&folder, 1, series)?,
            range: range(1),
            metric: "container_gauge_07",
        },
        Source {
            name: "scraped",
            range: times(&sample)?,
            blocks: sample,
            metric: "prometheus_http_request_duration_seconds_bucket",
        },
    ];
    let default = WriteOptions::default();
    for source in &sources {
        for kib in [16, 64, 256, 1024] {
            let bytes = kib << 10;
            let labels = PageOptions {
                bytes,
                ..default.labels
            };
            attempt(&folder, source, &WriteOptions { labels, ..default })?;
            let chunks = PageOptions {
                bytes,
                ..default.chunks
            };
            attempt(&folder, source, &WriteOptions { chunks, ..default })?;
        }
        for zstd_level in [1, 3, 6] {
            let labels = PageOptions {
                zstd_level,
                ..default.labels
            };
            attempt(&folder, source, &WriteOptions { labels, ..default })?;
            for least_saving in [0, 10] {
                let chunks = PageOptions {
                    zstd_level,
                    least_saving,
                    ..default.chunks
                };
                attempt(&folder, source, &WriteOptions { chunks, ..default })?;
            }
        }
    }
    Ok(())
}

/// From the beginning of the first block to the end of the last.
fn times(blocks: &[PathBuf]) -> anyhow::Result<TimeRange> {
    let mut all: Option<TimeRange> = None;
    for dir in blocks {
        let block = Block::open(dir)?;
        let (min, max) = (block.meta().min_time, block.meta().max_time);
        let before = all.get_or_insert(TimeRange { min, max });
        before.min = before.min.min(min);
        before.max = before.max.max(max);
    }
    let all = all.context("a block")?;
    Ok(TimeRange::new(all.min.0, all.max.0 - 1))
}

fn attempt(folder: &Path, source: &Source, write: &WriteOptions) -> anyhow::Result<()> {
    let out = tempfile::tempdir_in(folder)?;
    let usage = Usage::begin();
    merge(
        &MergeInput {
            blocks: source.blocks.clone(),
            range: source.range,
            outputs: vec![MergeTarget {
                resolution: Resolution::Raw,
                dir: out.path().to_path_buf(),
            }],
            dedup: Dedup::Exact,
            format: OutputFormat::Parquet,
            options: MergeOptions {
                write: *write,
                ..MergeOptions::default()
            },
        },
        &|_| {},
    )?;
    let usage = usage.end();
    let [labels, chunks] = [labels_file(0), chunks_file(0)].map(|name| out.path().join(name));
    let shard = LocalShard::open(&labels, &chunks)?;
    let matchers = [Matcher::new(
        MatchOp::Equal,
        model::METRIC_NAME,
        source.metric,
    )?];
    let (rows, of_labels) = cost(|| {
        let mut rows = 0;
        for (group, found) in shard.answer(shard.shard().search(&matchers))? {
            let labels = shard.shard().labels(group, found, Projection::All);
            rows += shard.answer(labels)?.len();
        }
        Ok(rows)
    })?;
    let found = shard.answer(shard.shard().search(&matchers))?;
    let ((), of_chunks) = cost(|| {
        for (group, rows) in found.clone() {
            shard.answer(shard.shard().chunks(group, rows, source.range))?;
        }
        Ok(())
    })?;
    println!(
        "{}: labels {}, chunks {}: {} and {} bytes; written in {usage}; {rows} series: labels {of_labels}, \
         chunks {of_chunks}",
        source.name,
        named(write.labels),
        named(write.chunks),
        size(&labels),
        size(&chunks),
    );
    Ok(())
}

fn named(pages: PageOptions) -> String {
    let (kib, level, saving) = (pages.bytes >> 10, pages.zstd_level, pages.least_saving);
    format!("{kib} KiB zstd {level} from {saving} %")
}
