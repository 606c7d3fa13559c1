//! Sizes of pages and levels of zstd, tried on random blocks and on the scraped sample, and on both downsampled.
//!
//! For each: the size of the file, what writing the block has cost, and what reading it. `VARVE_BENCH_SERIES`
//! sets the series of a two-hour block; two days of a tenth as many are downsampled.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::path::{Path, PathBuf};

use benches::{Usage, cost, folder, make_blocks, range, sample_blocks, setting, size, times};
use compactor::{Dedup, MergeInput, MergeOptions, MergeTarget, OutputFormat, merge};
use model::{AggregateSet, MatchOp, Matcher, ParquetShard, Resolution, TimeRange};
use parquet_block::{Contents, LocalShard, PageOptions, Projection, WriteOptions};

/// Blocks to try on, and a metric of theirs.
struct Source {
    name: &'static str,
    blocks: Vec<PathBuf>,
    range: TimeRange,
    metric: &'static str,
    resolution: Resolution,
}

/// Blocks of two days.
const TWO_DAYS: usize = 24;

fn main() -> anyhow::Result<()> {
    let series = setting("VARVE_BENCH_SERIES", 100_000);
    let folder = folder(env!("CARGO_TARGET_TMPDIR"), series);
    let sample = sample_blocks()?;
    let few = benches::folder(env!("CARGO_TARGET_TMPDIR"), series / 10);
    let (gauge, histogram) = (
        "container_gauge_07",
        "prometheus_http_request_duration_seconds_bucket",
    );
    let sources = [
        Source {
            name: "random",
            blocks: make_blocks(&folder, 1, series)?,
            range: range(1),
            metric: gauge,
            resolution: Resolution::Raw,
        },
        Source {
            name: "scraped",
            range: times(&sample)?,
            blocks: sample.clone(),
            metric: histogram,
            resolution: Resolution::Raw,
        },
        Source {
            name: "random, 5 m",
            blocks: make_blocks(&few, TWO_DAYS, series / 10)?,
            range: range(TWO_DAYS),
            metric: gauge,
            resolution: Resolution::FiveMinutes,
        },
        Source {
            name: "scraped, 5 m",
            range: times(&sample)?,
            blocks: sample,
            metric: histogram,
            resolution: Resolution::FiveMinutes,
        },
    ];
    let default = WriteOptions::default();
    for source in &sources {
        for zstd_level in [1, 3, 6] {
            for least_saving in [0, 5, 10] {
                let chunks = PageOptions {
                    zstd_level,
                    least_saving,
                    ..default.chunks
                };
                attempt(&folder, source, &WriteOptions { chunks, ..default })?;
            }
        }
        if source.resolution != Resolution::Raw {
            continue;
        }
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
        }
    }
    Ok(())
}

fn attempt(folder: &Path, source: &Source, write: &WriteOptions) -> anyhow::Result<()> {
    let out = tempfile::tempdir_in(folder)?;
    let usage = Usage::begin();
    merge(
        &MergeInput {
            blocks: source.blocks.clone(),
            range: source.range,
            outputs: vec![MergeTarget {
                resolution: source.resolution,
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
    let contents = Contents::of(source.resolution);
    let [labels, chunks] = contents.files(0).map(|name| out.path().join(name));
    let shard = LocalShard::open(out.path(), 0, contents, &ParquetShard::default())?;
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
    let ((), of_chunks) = cost(|| {
        for (group, rows) in shard.shard().everything() {
            let chunks = shard
                .shard()
                .chunks(group, rows, source.range, AggregateSet::ALL);
            shard.answer(chunks)?;
        }
        Ok(())
    })?;
    println!(
        "{}: labels {}, chunks {}: {} and {} bytes; written in {usage}; labels of {rows} series: {of_labels}, \
         all chunks {of_chunks}",
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
