//! Raw samples to five-minute aggregates on one thread, by CPU time; and what decoding them and encoding the
//! aggregates takes of it.
//!
//! Floats are those of a day of random blocks and of the scraped sample, the chunks of a series from all blocks
//! together, as in a compaction.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{collections::BTreeMap, hint::black_box, iter::repeat_n, path::PathBuf, time::Duration};

use benches::{folder, make_blocks, median_cpu_ms, sample_blocks, setting};
use compactor::Downsampler;
use model::Labels;
use tsdb::{Block, Chunk, DownsampledChunk, Floats, SeriesEntry, decode_xor, encode_xor};

/// Samples that are downsampled at least, again and again if need be.
const SAMPLES: usize = 24_000_000;

/// Blocks of a day.
const BLOCKS: usize = 12;

fn main() -> anyhow::Result<()> {
    let series = setting("VARVE_BENCH_DOWNSAMPLED", 10_000);
    let random = make_blocks(&folder(env!("CARGO_TARGET_TMPDIR"), series), BLOCKS, series)?;
    downsample("random", &random)?;
    downsample("scraped", &sample_blocks()?)
}

fn downsample(name: &str, dirs: &[PathBuf]) -> anyhow::Result<()> {
    let series = read(dirs)?;
    let mut samples = 0;
    for chunk in series.iter().flatten() {
        samples += usize::from(chunk.num_samples()?);
    }
    let times = (SAMPLES / samples).max(1);
    let mut downsampler = Downsampler::default();
    let mut made = Vec::new();
    let ((), all) = median_cpu_ms(|| {
        for series in repeat_n(&series, times).flatten() {
            black_box(downsampler.five_minutes(series)?);
        }
        Ok(())
    })?;
    for series in &series {
        made.extend(downsampler.five_minutes(series)?);
    }
    let mut floats = Floats::default();
    let ((), decode) = median_cpu_ms(|| {
        for chunk in repeat_n(&series, times).flatten().flatten() {
            decode_xor(&chunk.data, &mut floats)?;
            black_box(&floats);
        }
        Ok(())
    })?;
    let aggregates = aggregates(&made)?;
    let ((), encode) = median_cpu_ms(|| {
        for floats in repeat_n(&aggregates, times).flatten() {
            black_box(encode_xor(&floats.timestamps, &floats.values));
        }
        Ok(())
    })?;
    let written: usize = aggregates.iter().map(|floats| floats.values.len()).sum();
    let samples = samples * times;
    println!(
        "to five minutes, {name}: {} series, {:.2} samples of aggregates for each: {:.2} ns/sample; \
         to decode {:.2}, to encode aggregates {:.2}",
        series.len(),
        (written * times) as f64 / samples as f64,
        per(all, samples),
        per(decode, samples),
        per(encode, samples),
    );
    Ok(())
}

/// Nanoseconds for each of `n`.
fn per(ms: f64, n: usize) -> f64 {
    ms * Duration::from_millis(1).as_nanos() as f64 / n as f64
}

/// The chunks of each series from all blocks.
fn read(dirs: &[PathBuf]) -> anyhow::Result<Vec<Vec<Chunk>>> {
    let mut all: BTreeMap<Labels, Vec<Chunk>> = BTreeMap::new();
    for dir in dirs {
        let block = Block::open(dir)?;
        let (mut series, mut chunks) = (block.series_cursor(), block.chunk_cursor());
        let (mut entry, symbols) = (SeriesEntry::default(), block.symbols());
        for reference in block.refs_by_name()? {
            series.read(reference, &mut entry)?;
            let pairs = entry.labels.iter();
            let labels = Labels::from_pairs(pairs.map(|(n, v)| (symbols.get(*n), symbols.get(*v))));
            let of_series = all.entry(labels).or_default();
            for meta in &entry.chunks {
                of_series.push(chunks.read(meta)?);
            }
        }
    }
    Ok(all.into_values().collect())
}

/// The samples of each aggregate of each chunk.
fn aggregates(chunks: &[DownsampledChunk]) -> anyhow::Result<Vec<Floats>> {
    let mut out = Vec::new();
    for aggregate in chunks.iter().flat_map(|c| c.aggregates.iter().flatten()) {
        let mut floats = Floats::default();
        decode_xor(&aggregate.data, &mut floats)?;
        out.push(floats);
    }
    Ok(out)
}
