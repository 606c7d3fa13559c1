//! Two-hour blocks merged into one Parquet block.
//!
//! `VARVE_BENCH_SERIES` sets the series of a block, `VARVE_BENCH_MERGED` how many blocks.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use anyhow::Context;
use benches::{Usage, folder, make_blocks, range, setting, size};
use compactor::{Dedup, MergeInput, MergeOptions, MergeTarget, OutputFormat, merge};
use model::Resolution;

fn main() -> anyhow::Result<()> {
    let series = setting("VARVE_BENCH_SERIES", 100_000);
    let blocks = setting("VARVE_BENCH_MERGED", 12);
    let folder = folder(env!("CARGO_TARGET_TMPDIR"), series);
    let dirs = make_blocks(&folder, blocks, series)?;
    let read: u64 = dirs.iter().map(|dir| size(dir)).sum();

    let out = tempfile::tempdir_in(&folder)?;
    let usage = Usage::begin();
    let outputs = merge(
        &MergeInput {
            blocks: dirs,
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
        "merge of {blocks} blocks of {series} series: {}, {} threads, {} MiB read, {} MiB written, \
         {} series, {} samples, {} row groups",
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
