//! Merges against a model: maps of samples.

use std::collections::BTreeMap;

use model::{Labels, METRIC_NAME, Resolution};
use proptest::prelude::*;
use tsdb::{Chunk, Floats, decode_xor};

use super::blocks::{Job, Series, World, chunk, labels, read};
use crate::OutputFormat;

/// Samples of a series, by time.
type Samples = BTreeMap<i64, f64>;

/// The series of a block by a number, with times in minutes.
fn block() -> impl Strategy<Value = BTreeMap<u8, Vec<i64>>> {
    let times = prop::collection::btree_set(0_i64..600, 1..60);
    let times = times.prop_map(|times| times.into_iter().collect());
    prop::collection::btree_map(0_u8..24, times, 0..8)
}

/// Some have upper-case names, some no metric name.
fn labels_of(series: u8) -> Labels {
    let (name, value) = (format!("m{}", series % 3), format!("{series}"));
    let mut pairs = vec![("instance", &*value)];
    if !series.is_multiple_of(4) {
        pairs.push((METRIC_NAME, &name));
    }
    if series.is_multiple_of(5) {
        pairs.push(("Zone", &value));
    }
    labels(&pairs)
}

/// The samples of the `place`th block, in chunks of up to 25.
fn series_of(place: usize, block: &BTreeMap<u8, Vec<i64>>) -> Vec<Series> {
    let value = |time: i64| (time * 10) as f64 + place as f64;
    let chunks = |times: &[i64]| -> Chunk {
        let samples: Vec<_> = times.iter().map(|t| (t * 60_000, value(*t))).collect();
        chunk(&samples)
    };
    let series = block.iter();
    series
        .map(|(series, times)| (labels_of(*series), times.chunks(25).map(chunks).collect()))
        .collect()
}

fn samples(chunks: &[Chunk]) -> Samples {
    let mut floats = Floats::default();
    let mut samples = Samples::new();
    for chunk in chunks {
        decode_xor(&chunk.data, &mut floats).unwrap();
        let times = floats.timestamps.iter().copied();
        samples.extend(times.zip(floats.values.iter().copied()));
    }
    samples
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn of_each_series_each_timestamp_is_there_once_with_the_value_of_the_earliest_block(
        blocks in prop::collection::vec((block(), any::<bool>()), 1..4),
        tsdb in any::<bool>(),
    ) {
        let mut world = World::new();
        let mut expected: BTreeMap<Labels, Samples> = BTreeMap::new();
        let mut dirs = Vec::new();
        for (place, (block, in_parquet)) in blocks.iter().enumerate() {
            let series = series_of(place, block);
            for (labels, chunks) in &series {
                let known = expected.entry(labels.clone()).or_default();
                for (time, value) in samples(chunks) {
                    known.entry(time).or_insert(value);
                }
            }
            let dir = world.block(Resolution::Raw, &series);
            // A block without series has no files in Parquet.
            let in_parquet = *in_parquet && !block.is_empty();
            dirs.push(if in_parquet { world.parquet(&dir, 10) } else { dir });
        }
        let format = if tsdb { OutputFormat::Tsdb } else { OutputFormat::Parquet };
        let (dir, output) = world.merge_one(&dirs, &Job::new(10, format));
        if expected.is_empty() {
            prop_assert!(output.files.is_empty());
            return Ok(());
        }
        let found = read(&dir, &output);
        prop_assert_eq!(found.len(), expected.len());
        let total: usize = expected.values().map(Samples::len).sum();
        prop_assert_eq!(output.stats.num_samples, total as u64);
        for (labels, chunks) in &found {
            prop_assert!(chunks.array_windows().all(|[a, b]| a.max < b.min));
            prop_assert_eq!(Some(&samples(chunks)), expected.get(labels));
        }
    }
}
