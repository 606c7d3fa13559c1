//! The Parquet block: made of one two-hour block; then one of two days, opened, searched and read.
//!
//! `VARVE_BENCH_SERIES` sets the series of a block, `VARVE_BENCH_BLOCKS` how many blocks the larger
//! one holds. A reader asks the row groups side by side, as a gateway does.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::path::{Path, PathBuf};

use anyhow::Context;
use benches::{Usage, cost, folder, make_blocks, range, setting, size, some_pod};
use compactor::{Dedup, MergeInput, MergeOptions, MergeTarget, OutputFormat, merge};
use model::{AggregateSet, MatchOp, Matcher, ParquetShard, Resolution, TimeRange};
use parquet_block::{Contents, LocalShard, Projection, chunks_file, labels_file};
use rayon::prelude::*;

/// What is asked for.
struct Question {
    name: &'static str,
    matchers: Vec<Matcher>,
    range: TimeRange,
}

/// What an answer holds.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    series: usize,
    chunks: usize,
    bytes: usize,
}

fn main() -> anyhow::Result<()> {
    let series = setting("VARVE_BENCH_SERIES", 100_000);
    let blocks = setting("VARVE_BENCH_BLOCKS", 24);
    let folder = folder(env!("CARGO_TARGET_TMPDIR"), series);
    let dirs = make_blocks(&folder, blocks, series)?;
    let pod = some_pod(dirs.first().context("a block")?)?;
    convert(&folder, &dirs, 1)?;
    let (block, shard) = convert(&folder, &dirs, blocks)?;
    read(block.path(), &shard, range(blocks), &pod)
}

fn convert(
    folder: &Path,
    dirs: &[PathBuf],
    blocks: usize,
) -> anyhow::Result<(tempfile::TempDir, ParquetShard)> {
    let out = tempfile::tempdir_in(folder)?;
    let usage = Usage::begin();
    let outputs = merge(
        &MergeInput {
            blocks: dirs.iter().take(blocks).cloned().collect(),
            range: range(blocks),
            outputs: vec![MergeTarget {
                resolution: Resolution::Raw,
                dir: out.path().to_path_buf(),
            }],
            dedup: Dedup::Exact,
            format: OutputFormat::Parquet,
            options: MergeOptions::default(),
        },
        &|_| {},
    )?;
    let merged = outputs.first().context("an output")?;
    println!(
        "{blocks} blocks to Parquet: {}; {} series, labels {:.2} MB, chunks {:.1} MB",
        usage.end(),
        merged.stats.num_series,
        size(&out.path().join(labels_file(0))) as f64 / 1e6,
        size(&out.path().join(chunks_file(0))) as f64 / 1e6,
    );
    let shard = merged.shards.first().context("a shard")?;
    Ok((out, shard.clone()))
}

fn read(dir: &Path, listed: &ParquetShard, all: TimeRange, pod: &str) -> anyhow::Result<()> {
    let (shard, open) = cost(|| Ok(LocalShard::open(dir, 0, Contents::Chunks, listed)?))?;
    println!(
        "open: {open}, {} row groups, {} KiB in memory",
        shard.shard().row_groups(),
        shard.shard().memory_size() >> 10
    );
    for question in questions(all, pod)? {
        let (found, search) = cost(|| Ok(shard.answer(shard.shard().search(&question.matchers))?))?;
        let rows: usize = found.iter().map(|(_, rows)| rows.len()).sum();
        let (labels, only_labels) = cost(|| answer(&shard, &question, |_, _| Ok((0, 0))))?;
        let (whole, both) = cost(|| {
            answer(&shard, &question, |group, rows| {
                let chunks = shard.answer(shard.shard().chunks(
                    group,
                    rows,
                    question.range,
                    AggregateSet::ALL,
                ))?;
                let chunks = chunks.iter().flatten();
                Ok(chunks.fold((0, 0), |(n, bytes), c| (n + 1, bytes + c.data.len())))
            })
        })?;
        anyhow::ensure!(
            rows == labels.series && rows == whole.series,
            "answers differ"
        );
        println!(
            "{}: {rows} series, {} chunks, {:.2} MB: search {search}, with labels {only_labels} \
             ({:.2} µs a series), with labels and chunks {both}",
            question.name,
            whole.chunks,
            whole.bytes as f64 / 1e6,
            (only_labels.wall_ms - search.wall_ms) * 1e3 / rows as f64,
        );
    }
    Ok(())
}

/// Searches, and reads the labels and what `more` reads of the rows.
fn answer(
    shard: &LocalShard,
    question: &Question,
    more: impl Fn(usize, parquet_block::RowRanges) -> anyhow::Result<(usize, usize)> + Sync,
) -> anyhow::Result<Found> {
    let found = shard.answer(shard.shard().search(&question.matchers))?;
    let parts = found.into_par_iter().map(|(group, rows)| {
        let labels = shard.shard().labels(group, rows.clone(), Projection::All);
        let (labels, more) = rayon::join(|| shard.answer(labels), || more(group, rows));
        let (chunks, bytes) = more?;
        Ok(Found {
            series: labels?.len(),
            chunks,
            bytes,
        })
    });
    let parts: Vec<Found> = parts.collect::<anyhow::Result<_>>()?;
    Ok(parts.iter().fold(Found::default(), |sum, part| Found {
        series: sum.series + part.series,
        chunks: sum.chunks + part.chunks,
        bytes: sum.bytes + part.bytes,
    }))
}

fn questions(all: TimeRange, pod: &str) -> anyhow::Result<Vec<Question>> {
    let equal = |name, value: &str| Matcher::new(MatchOp::Equal, name, value);
    let two_hours = TimeRange::new(all.min.0, all.min.0 + benches::BLOCK - 1);
    let gauge = || equal(model::METRIC_NAME, "container_gauge_07");
    let histogram = || equal(model::METRIC_NAME, "http_request_duration_1_seconds_bucket");
    let question = |name, matchers, range| Question {
        name,
        matchers,
        range,
    };
    Ok(vec![
        question(
            "1 series, 2 h",
            vec![gauge()?, equal("pod", pod)?],
            two_hours,
        ),
        question("1 series, all", vec![gauge()?, equal("pod", pod)?], all),
        question("1 metric, 2 h", vec![gauge()?], two_hours),
        question("1 metric, all", vec![gauge()?], all),
        question("1 histogram, all", vec![histogram()?], all),
        question(
            "namespace and regex, 2 h",
            vec![
                equal("namespace", "team-03")?,
                Matcher::new(MatchOp::Regex, model::METRIC_NAME, "container_.+")?,
            ],
            two_hours,
        ),
    ])
}
