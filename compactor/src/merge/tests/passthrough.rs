//! Values that pass through beside others that cannot: the output is the same as that of single chunks.

use model::{METRIC_NAME, Resolution};
use proptest::prelude::*;
use tsdb::Chunk;

use super::blocks::{HOUR, Job, Series, World, bytes, chunk, histograms, labels};
use crate::{Dedup, OutputFormat};

const MINUTE: i64 = 60_000;
const HOURS: i64 = 40;

/// Minutes since the chunk before, samples, minutes from one to the next, and whether they are histograms.
type Drawn = (i64, i64, i64, bool);

/// The chunks of a series in one block: they do not overlap, but those of two blocks may.
fn chunks(drawn: &[Drawn]) -> Vec<Chunk> {
    let mut time = 0;
    let mut chunks = Vec::new();
    for (gap, samples, step, histogram) in drawn {
        let start = time + gap * MINUTE;
        let times: Vec<i64> = (0..*samples).map(|n| start + n * step * MINUTE).collect();
        time = times.last().copied().unwrap_or(start) + MINUTE;
        if time >= HOURS * HOUR {
            break;
        }
        if *histogram {
            chunks.extend(histograms(&times));
        } else {
            let values: Vec<(i64, f64)> = times.iter().map(|t| (*t, (t / 7) as f64)).collect();
            chunks.push(chunk(&values));
        }
    }
    chunks
}

/// For each block, the chunks of each series.
fn blocks() -> impl Strategy<Value = Vec<Vec<Vec<Drawn>>>> {
    let drawn = (0..600_i64, 1..30_i64, 1..15_i64, prop::bool::weighted(0.2));
    let series = prop::collection::vec(prop::collection::vec(drawn, 0..8), 6);
    prop::collection::vec(series, 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_bytes_are_those_of_a_merge_chunk_by_chunk(
        blocks in blocks(),
        // Slices of the inputs as long as those of the output, or longer.
        hours in prop::sample::select(vec![HOURS, 2 * HOURS]),
        dedup in prop::sample::select(vec![Dedup::Exact, Dedup::Penalty]),
    ) {
        let mut world = World::new();
        let (mut single, mut whole) = (Vec::new(), Vec::new());
        for block in &blocks {
            let name = |n| labels(&[(METRIC_NAME, "m"), ("n", &format!("{n}"))]);
            let series = block.iter().enumerate().map(|(n, drawn)| (name(n), chunks(drawn)));
            let series: Vec<Series> = series.filter(|(_, chunks)| !chunks.is_empty()).collect();
            if !series.is_empty() {
                let block = world.block(Resolution::Raw, &series);
                let parquet = world.parquet(&block, hours);
                // The same chunks, each by itself.
                let (tsdb, _) = world.merge_one(std::slice::from_ref(&parquet), &Job::new(hours, OutputFormat::Tsdb));
                single.push(tsdb);
                whole.push(parquet);
            }
        }
        prop_assume!(!whole.is_empty());
        let mut job = Job::new(HOURS, OutputFormat::Parquet);
        job.dedup = dedup;
        let [expected, found] = [single, whole].map(|blocks| world.merge_one(&blocks, &job));
        prop_assert_eq!(&found.1.stats, &expected.1.stats);
        prop_assert!(bytes(&found) == bytes(&expected));
    }
}
