//! Two-hour blocks merged into one Parquet block, alone and with five minutes of it; then the same of the eight-hour
//! blocks in Parquet that they make.
//!
//! `VARVE_BENCH_SERIES` sets the series of a block, `VARVE_BENCH_MERGED` how many blocks.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use benches::{BLOCK, START, Usage, folder, make_blocks, range, setting, size};
use compactor::{Dedup, MergeInput, MergeOptions, MergeOutput, MergeTarget, OutputFormat, merge};
use model::{BlockMeta, ParquetMeta, Resolution, TimeRange};

/// Two-hour blocks of an eight-hour one.
const EIGHT_HOURS: usize = 4;

/// What is measured: the source blocks, and what is made of them.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    sources: Sources,
    resolutions: &'static [Resolution],
}

#[derive(Clone, Copy)]
enum Sources {
    TwoHours,
    EightHours,
}

const CASES: [Case; 3] = [
    Case {
        name: "two-hour blocks",
        sources: Sources::TwoHours,
        resolutions: &[Resolution::Raw],
    },
    Case {
        name: "two-hour blocks, downsampled too",
        sources: Sources::TwoHours,
        resolutions: &[Resolution::Raw, Resolution::FiveMinutes],
    },
    Case {
        name: "eight-hour blocks in Parquet",
        sources: Sources::EightHours,
        resolutions: &[Resolution::Raw],
    },
];

/// Tells a process of its own for a case, so that no memory is left from another, which case that is.
const CASE: &str = "VARVE_BENCH_CASE";

fn main() -> anyhow::Result<()> {
    let series = setting("VARVE_BENCH_SERIES", 100_000);
    let blocks = setting("VARVE_BENCH_MERGED", 12);
    let folder = folder(env!("CARGO_TARGET_TMPDIR"), series);
    let eight_hours = folder.join("eight-hours");
    if let Some(case) = CASES.get(setting(CASE, CASES.len())) {
        let dirs = match case.sources {
            Sources::TwoHours => make_blocks(&folder, blocks, series)?,
            Sources::EightHours => (0..blocks.div_ceil(EIGHT_HOURS))
                .map(|place| eight_hours.join(place.to_string()))
                .collect(),
        };
        return measure(case, &folder, &dirs, range(blocks));
    }
    let dirs = make_blocks(&folder, blocks, series)?;
    for (place, dirs) in dirs.chunks(EIGHT_HOURS).enumerate() {
        let start = START + BLOCK * i64::try_from(place * EIGHT_HOURS)?;
        let end = start + BLOCK * i64::try_from(dirs.len())?;
        let out = eight_hours.join(place.to_string());
        let output = run(
            dirs,
            TimeRange::new(start, end - 1),
            &out,
            &[Resolution::Raw],
        )?;
        write_meta(dirs.first().context("a block")?, &out, output)?;
    }
    for case in 0..CASES.len() {
        let own = Command::new(std::env::current_exe()?)
            .env(CASE, case.to_string())
            .status()?;
        anyhow::ensure!(own.success(), "case {case}: {own}");
    }
    fs::remove_dir_all(eight_hours)?;
    Ok(())
}

fn measure(case: &Case, folder: &Path, dirs: &[PathBuf], range: TimeRange) -> anyhow::Result<()> {
    let read: u64 = dirs.iter().map(|dir| size(dir)).sum();
    let out = tempfile::tempdir_in(folder)?;
    let usage = Usage::begin();
    let merged = run(dirs, range, out.path(), case.resolutions)?;
    println!(
        "merge of {} {}: {}, {} threads, {} MiB read, {} MiB written, {} series, {} samples, {} row groups",
        dirs.len(),
        case.name,
        usage.end(),
        rayon::current_num_threads(),
        read >> 20,
        size(out.path()) >> 20,
        merged.stats.num_series,
        merged.stats.num_samples,
        merged.shards.iter().map(|s| s.row_groups).sum::<u64>(),
    );
    Ok(())
}

/// Merges into a folder for each resolution below `out`, but the first into `out` itself, and tells what that holds.
fn run(
    dirs: &[PathBuf],
    range: TimeRange,
    out: &Path,
    resolutions: &[Resolution],
) -> anyhow::Result<MergeOutput> {
    let mut outputs = Vec::new();
    for (place, resolution) in resolutions.iter().enumerate() {
        let dir = if place == 0 {
            out.to_path_buf()
        } else {
            out.join(place.to_string())
        };
        fs::create_dir_all(&dir)?;
        outputs.push(MergeTarget {
            resolution: *resolution,
            dir,
        });
    }
    let input = MergeInput {
        blocks: dirs.to_vec(),
        range,
        outputs,
        dedup: Dedup::Exact,
        format: OutputFormat::Parquet,
        options: MergeOptions::default(),
    };
    let outputs = merge(&input, &|_| {})?;
    outputs.into_iter().next().context("an output")
}

/// Makes a block of an output, with what else `source` says of itself.
fn write_meta(source: &Path, dir: &Path, output: MergeOutput) -> anyhow::Result<()> {
    let mut meta = BlockMeta::decode(&fs::read(source.join(BlockMeta::FILE))?)?;
    meta.parquet = Some(ParquetMeta {
        version: 1,
        shards: output.shards,
    });
    fs::write(dir.join(BlockMeta::FILE), meta.encode())?;
    Ok(())
}
