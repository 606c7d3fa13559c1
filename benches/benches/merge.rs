//! Two-hour blocks merged into one Parquet block, alone and with five minutes of it; then the same of the eight-hour
//! blocks in Parquet that they make.
//!
//! `VARVE_BENCH_SERIES` sets the series of a block, `VARVE_BENCH_MERGED` how many blocks.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use benches::{BLOCK, START, Usage, folder, make_blocks, range, setting, size};
use compactor::{Dedup, MergeInput, MergeOptions, MergeOutput, MergeTarget, OutputFormat, merge};
use model::{BlockMeta, ParquetMeta, Resolution, TimeRange};

/// Two-hour blocks of an eight-hour one.
const EIGHT_HOURS: usize = 4;

fn main() -> anyhow::Result<()> {
    let series = setting("VARVE_BENCH_SERIES", 100_000);
    let blocks = setting("VARVE_BENCH_MERGED", 12);
    let folder = folder(env!("CARGO_TARGET_TMPDIR"), series);
    let dirs = make_blocks(&folder, blocks, series)?;
    let raw = &[Resolution::Raw][..];
    measure("two-hour blocks", &folder, &dirs, range(blocks), raw)?;
    let both = &[Resolution::Raw, Resolution::FiveMinutes];
    let what = "two-hour blocks, downsampled too";
    measure(what, &folder, &dirs, range(blocks), both)?;

    let mut made = Vec::new();
    for (place, dirs) in dirs.chunks(EIGHT_HOURS).enumerate() {
        let start = START + BLOCK * i64::try_from(place * EIGHT_HOURS)?;
        let end = start + BLOCK * i64::try_from(dirs.len())?;
        let out = tempfile::tempdir_in(&folder)?;
        let output = run(dirs, TimeRange::new(start, end - 1), out.path(), raw)?;
        write_meta(dirs.first().context("a block")?, out.path(), output)?;
        made.push(out);
    }
    let dirs: Vec<PathBuf> = made.iter().map(|dir| dir.path().to_path_buf()).collect();
    let what = "eight-hour blocks in Parquet";
    measure(what, &folder, &dirs, range(blocks), raw)
}

fn measure(
    what: &str,
    folder: &Path,
    dirs: &[PathBuf],
    range: TimeRange,
    resolutions: &[Resolution],
) -> anyhow::Result<()> {
    let read: u64 = dirs.iter().map(|dir| size(dir)).sum();
    let out = tempfile::tempdir_in(folder)?;
    let usage = Usage::begin();
    let merged = run(dirs, range, out.path(), resolutions)?;
    println!(
        "merge of {} {what}: {}, {} threads, {} MiB read, {} MiB written, {} series, {} samples, {} row groups",
        dirs.len(),
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
