//! The labels file: which columns have a bloom filter, and whether columns have a dictionary; tried on two days of
//! random blocks, on the scraped sample, and on series that have an id each.
//!
//! For each choice of filters: bytes of the file and of its filters, what making the block has cost, and for some
//! searches what they read of the file and what they cost. `VARVE_BENCH_SERIES` sets the series of a random block and of
//! those that have ids, `VARVE_BENCH_BLOCKS` how many random blocks are merged.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod encodings;

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use benches::{
    Usage, cost, folder, make_blocks, make_ids, range, sample_blocks, setting, size, times,
};
use bytes::Bytes;
use compactor::{Dedup, MergeInput, MergeOptions, MergeTarget, OutputFormat, merge};
use model::{MatchOp, Matcher, ParquetShard, Resolution, TimeRange, Timestamp};
use parquet::file::metadata::ParquetMetaDataReader;
use parquet_block::{
    BloomFilters, Contents, LocalShard, Lookup, Projection, ShardFile, Step, WriteOptions,
    labels_file,
};
use tsdb::{Chunk, Encoding, encode_xor};

/// How often a search is done for one figure of its time.
const SEARCHES: u32 = 20;

/// Rows of a row group of series with ids: as many as those of the random blocks have, whose chunks are longer.
const ROWS_WITH_IDS: usize = 10_500;

/// Blocks to try on, and what is asked of them: a metric, and a label that its series have.
struct Source {
    name: &'static str,
    blocks: Vec<PathBuf>,
    range: TimeRange,
    rows: usize,
    metric: &'static str,
    label: &'static str,
}

/// What a search has read of the labels file.
#[derive(Clone, Copy, Debug, Default)]
struct Fetched {
    steps: usize,
    ranges: usize,
    bytes: u64,
}

fn main() -> anyhow::Result<()> {
    let series = setting("VARVE_BENCH_SERIES", 100_000);
    let blocks = setting("VARVE_BENCH_BLOCKS", 24);
    let folder = folder(env!("CARGO_TARGET_TMPDIR"), series);
    let dirs = make_blocks(&folder, blocks, series)?;
    let ids = tempfile::tempdir_in(&folder)?;
    let chunk = Chunk {
        encoding: Encoding::Xor,
        min: Timestamp(0),
        max: Timestamp(0),
        data: encode_xor(&[0], &[1.0]),
    };
    make_ids(ids.path(), series, &[chunk])?;
    let rows = MergeOptions::default().row_group_rows;
    let sample = sample_blocks()?;
    let sources = [
        Source {
            name: "random",
            range: range(blocks),
            blocks: dirs,
            rows,
            metric: "container_gauge_07",
            label: "pod",
        },
        Source {
            name: "scraped",
            range: times(&sample)?,
            blocks: sample,
            rows,
            metric: "prometheus_http_request_duration_seconds_bucket",
            label: "handler",
        },
        Source {
            name: "ids",
            range: TimeRange::new(0, 0),
            blocks: vec![ids.path().to_path_buf()],
            rows: ROWS_WITH_IDS,
            metric: "metric_500",
            label: "id",
        },
    ];
    for source in &sources {
        for filters in [
            BloomFilters::None,
            BloomFilters::MetricName,
            BloomFilters::Large,
            BloomFilters::All,
        ] {
            let out = convert(&folder, source, filters)?;
            search(out.path(), source, filters)?;
            if filters == BloomFilters::default() {
                println!("{}: encodings", source.name);
                encodings::of_labels(out.path())?;
                encodings::of_chunks(out.path())?;
            }
        }
    }
    Ok(())
}

fn convert(
    folder: &Path,
    source: &Source,
    filters: BloomFilters,
) -> anyhow::Result<tempfile::TempDir> {
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
                write: WriteOptions {
                    bloom_filters: filters,
                    ..WriteOptions::default()
                },
                row_group_rows: source.rows,
                ..MergeOptions::default()
            },
        },
        &|_| {},
    )?;
    let usage = usage.end();
    let labels = out.path().join(labels_file(0));
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&File::open(&labels)?)?;
    let columns = metadata.row_groups().iter().flat_map(|g| g.columns());
    let of_filters = columns.filter_map(|column| column.bloom_filter_length());
    println!(
        "{}, filters {filters:?}: {} bytes, {} row groups, {} bytes of filters; written in {usage}",
        source.name,
        size(&labels),
        metadata.num_row_groups(),
        of_filters.sum::<i32>(),
    );
    Ok(out)
}

fn search(dir: &Path, source: &Source, filters: BloomFilters) -> anyhow::Result<()> {
    let shard = LocalShard::open(dir, 0, Contents::Chunks, &ParquetShard::default())?;
    let file = File::open(dir.join(labels_file(0)))?;
    println!(
        "{} KiB in memory for the open shard",
        shard.shard().memory_size() >> 10
    );
    let (metric, label) = (source.metric, source.label);
    let value = some_value(&shard, metric, label)?;
    // Sorts right after what it is made of, and so lies between bounds.
    let no = |text: &str| format!("{text}_");
    for (question, asked) in [
        (
            "a series",
            vec![
                (model::METRIC_NAME, metric.to_owned()),
                (label, value.clone()),
            ],
        ),
        (
            "no such metric",
            vec![(model::METRIC_NAME, no(metric)), (label, value.clone())],
        ),
        (
            "no such value of the metric",
            vec![(model::METRIC_NAME, metric.to_owned()), (label, no(&value))],
        ),
        ("a value", vec![(label, value.clone())]),
        ("no such value", vec![(label, no(&value))]),
    ] {
        let matchers = asked
            .into_iter()
            .map(|(name, value)| Matcher::new(MatchOp::Equal, name, value));
        let matchers = matchers.collect::<Result<Vec<_>, _>>()?;
        let (found, fetched) = answer(&file, shard.shard().search(&matchers))?;
        let (_, search) = cost(|| {
            for _ in 1..SEARCHES {
                shard.answer(shard.shard().search(&matchers))?;
            }
            Ok(shard.answer(shard.shard().search(&matchers))?)
        })?;
        println!(
            "{}, filters {filters:?}, {question}: {} rows; {} bytes in {} ranges and {} steps; {:.3} ms ({:.3} CPU)",
            source.name,
            found.iter().map(|(_, rows)| rows.len()).sum::<usize>(),
            fetched.bytes,
            fetched.ranges,
            fetched.steps,
            search.wall_ms / f64::from(SEARCHES),
            search.cpu_ms / f64::from(SEARCHES),
        );
    }
    Ok(())
}

/// The value of `label` that the series in the middle of a metric has.
fn some_value(shard: &LocalShard, metric: &str, label: &str) -> anyhow::Result<String> {
    let matchers = [
        Matcher::new(MatchOp::Equal, model::METRIC_NAME, metric)?,
        Matcher::new(MatchOp::NotEqual, label, "")?,
    ];
    let mut values = Vec::new();
    for (group, rows) in shard.answer(shard.shard().search(&matchers))? {
        let only = Projection::Only(vec![label.into()]);
        let labels = shard.answer(shard.shard().labels(group, rows, only))?;
        values.extend(labels.iter().filter_map(|l| {
            l.get(label)
                .map(|v| String::from_utf8_lossy(v).into_owned())
        }));
    }
    let middle = values.len() / 2;
    values.into_iter().nth(middle).context("a series")
}

/// Answers a lookup from the labels file, and counts what it asks for.
fn answer<L: Lookup>(labels: &File, mut lookup: L) -> anyhow::Result<(L::Answer, Fetched)> {
    let mut fetched = Fetched::default();
    loop {
        let ranges = match lookup.next()? {
            Step::Done(answer) => return Ok((answer, fetched)),
            Step::Fetch { file, ranges } => {
                anyhow::ensure!(file == ShardFile::Labels, "{file:?} is asked for");
                ranges
            }
        };
        fetched.steps += 1;
        let mut supply = Vec::with_capacity(ranges.len());
        for range in ranges {
            let mut bytes = vec![0; usize::try_from(range.end - range.start)?];
            labels.read_exact_at(&mut bytes, range.start)?;
            fetched.ranges += 1;
            fetched.bytes += bytes.len() as u64;
            supply.push(Bytes::from(bytes));
        }
        lookup.supply(supply)?;
    }
}
