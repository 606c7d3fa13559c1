//! Chunks, a block's index and postings, on one thread: decode and encode by CPU time, open and intersect by the clock.
//!
//! Floats are those of a random two-hour block and of the scraped sample; histograms are made up.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    fs,
    hint::black_box,
    iter::repeat_n,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use benches::{cost, folder, make_blocks, median_cpu_ms, sample_blocks, setting};
use bytes::Bytes;
use model::{CounterReset, Counts, Histogram, HistogramCounts, MatchOp, Matcher, Span, Timestamp};
use tsdb::{
    Block, Chunk, Encoding, Floats, SeriesEntry, decode_histograms, decode_xor, encode_histograms,
    encode_xor,
};

/// Samples that are decoded at least, again and again if need be.
const SAMPLES: usize = 24_000_000;

/// How often the made-up histograms are read and written.
const TIMES: usize = 10;

fn main() -> anyhow::Result<()> {
    let series = setting("VARVE_BENCH_SERIES", 100_000);
    let random = make_blocks(&folder(env!("CARGO_TARGET_TMPDIR"), series), 1, series)?;
    floats("random", &random)?;
    floats("scraped", &sample_blocks()?)?;
    histograms()?;
    postings(random.first().context("a block")?)
}

fn floats(name: &str, dirs: &[PathBuf]) -> anyhow::Result<()> {
    let chunks = read(dirs)?;
    let mut decoded = Vec::with_capacity(chunks.len());
    for chunk in &chunks {
        let mut floats = Floats::default();
        decode_xor(chunk, &mut floats)?;
        decoded.push(floats);
    }
    let samples: usize = decoded.iter().map(|floats| floats.values.len()).sum();
    let bytes: usize = chunks.iter().map(Bytes::len).sum();
    // The kernel counts CPU time in milliseconds, so there must be some of them.
    let times = (SAMPLES / samples).max(1);
    let mut floats = Floats::default();
    let ((), decode) = median_cpu_ms(|| {
        for chunk in repeat_n(&chunks, times).flatten() {
            decode_xor(chunk, &mut floats)?;
            black_box(&floats);
        }
        Ok(())
    })?;
    let ((), encode) = median_cpu_ms(|| {
        for floats in repeat_n(&decoded, times).flatten() {
            black_box(encode_xor(&floats.timestamps, &floats.values));
        }
        Ok(())
    })?;
    println!(
        "XOR, {name}: {} chunks, {samples} samples of {:.2} bytes: decode {:.2}, encode {:.2} ns/sample",
        chunks.len(),
        bytes as f64 / samples as f64,
        per(decode, samples * times),
        per(encode, samples * times),
    );
    Ok(())
}

/// Nanoseconds for each of `n`.
fn per(ms: f64, n: usize) -> f64 {
    ms * Duration::from_millis(1).as_nanos() as f64 / n as f64
}

fn read(dirs: &[PathBuf]) -> anyhow::Result<Vec<Bytes>> {
    let mut out = Vec::new();
    for dir in dirs {
        let block = Block::open(dir)?;
        let (mut series, mut chunks) = (block.series_cursor(), block.chunk_cursor());
        let mut entry = SeriesEntry::default();
        for reference in block.refs_by_name()? {
            series.read(reference, &mut entry)?;
            for meta in &entry.chunks {
                let chunk = chunks.read(meta)?;
                if chunk.encoding == Encoding::Xor {
                    out.push(chunk.data);
                }
            }
        }
    }
    Ok(out)
}

fn histograms() -> anyhow::Result<()> {
    let made: Vec<_> = (0..120_000_u32).map(histogram).collect();
    let chunks: Vec<Chunk> = encode_histograms(&made);
    let ((), decode) = median_cpu_ms(|| {
        for chunk in repeat_n(&chunks, TIMES).flatten() {
            black_box(decode_histograms(chunk.encoding, &chunk.data)?);
        }
        Ok(())
    })?;
    let ((), encode) = median_cpu_ms(|| {
        for _ in 0..TIMES {
            black_box(encode_histograms(&made));
        }
        Ok(())
    })?;
    println!(
        "histograms of 20 buckets: {} chunks, decode {:.1}, encode {:.1} ns/sample",
        chunks.len(),
        per(decode, made.len() * TIMES),
        per(encode, made.len() * TIMES),
    );
    Ok(())
}

/// The `n`th histogram of a program that observes more or less the same all the time.
fn histogram(n: u32) -> (Timestamp, Histogram) {
    // A hash of the step and the bucket is how much comes in.
    let observed = |bucket: u64| {
        let steps = u64::from(n % 120);
        steps * (bucket * 7 % 11) + (steps * steps.wrapping_mul(bucket + 3)) % 5 + steps * 5
    };
    let positive: Vec<u64> = (0..20).map(observed).collect();
    let count = positive.iter().sum();
    let spans = [(2, 12), (3, 8)].map(|(offset, length)| Span { offset, length });
    let histogram = Histogram {
        reset: CounterReset::Unknown,
        schema: 3,
        zero_threshold: 0.5_f64.powi(128),
        sum: f64::from(n) * 1.25,
        positive_spans: Arc::from(spans),
        negative_spans: Arc::from([]),
        custom_bounds: Arc::from([]),
        counts: HistogramCounts::Integer(Counts {
            count,
            zero: 0,
            positive,
            negative: Vec::new(),
        }),
    };
    (Timestamp(i64::from(n) * 15_000), histogram)
}

fn postings(dir: &Path) -> anyhow::Result<()> {
    let (block, open) = cost(|| Ok(Block::open(dir)?))?;
    println!(
        "TSDB block: open {open}, {} KiB in memory",
        block.header().heap_size() >> 10
    );
    let index = fs::read(dir.join("index"))?;
    let index = Bytes::from(index);
    let questions = [
        (
            "namespace=, __name__=",
            "team-03",
            "container_gauge_07",
            MatchOp::Equal,
        ),
        (
            "namespace=, __name__=~",
            "team-03",
            "container_.+",
            MatchOp::Regex,
        ),
    ];
    for (name, namespace, metric, op) in questions {
        let matchers = [
            Matcher::new(MatchOp::Equal, "namespace", namespace)?,
            Matcher::new(op, model::METRIC_NAME, metric)?,
        ];
        let (found, cost) = cost(|| {
            let plan = block.header().select(&matchers)?;
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
            let ranges = plan.ranges().into_iter();
            let bytes: Vec<Bytes> = ranges
                .map(|range| index.slice(place(range.start)..place(range.end)))
                .collect();
            Ok(plan.evaluate(&bytes)?)
        })?;
        println!(
            "postings, {name}: {} series in {:.3} ms",
            found.len(),
            cost.wall_ms
        );
    }
    Ok(())
}
