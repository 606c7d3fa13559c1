//! Downsampling in the pass of a merge, and merges of what is downsampled.

use model::{METRIC_NAME, Resolution, TimeRange};
use tsdb::{Chunk, DownsampledChunk};

use super::blocks::{HOUR, Job, Series, World, bytes, id_of, labels, minutes, read};
use crate::{Downsampler, MergeError, OutputFormat};

const FORMATS: [OutputFormat; 2] = [OutputFormat::Parquet, OutputFormat::Tsdb];
const ALL: [Resolution; 3] = [
    Resolution::Raw,
    Resolution::FiveMinutes,
    Resolution::OneHour,
];

/// Counters with resets, of `hours` hours from `start` on.
fn counters(start: i64, hours: i64) -> Vec<Series> {
    let counter = |n: i64| {
        let name = format!("m{:03}", n % 90);
        let instance = format!("i{n}");
        let labels = labels(&[(METRIC_NAME, &name), ("instance", &instance)]);
        let value = move |t: i64| ((t / 60_000 + n) % (50 + n)) as f64;
        let chunks = minutes(start * HOUR, (start + hours) * HOUR, value);
        (labels, chunks)
    };
    (0..150).map(counter).collect()
}

fn packed(chunks: &[DownsampledChunk]) -> Vec<Chunk> {
    chunks.iter().map(DownsampledChunk::pack).collect()
}

/// By name, then by labels: the order of Parquet, here that of TSDB too.
fn downsampled(raw: &[Series]) -> [Vec<Series>; 2] {
    let mut downsampler = Downsampler::default();
    let (mut five, mut hours) = (Vec::new(), Vec::new());
    for (labels, chunks) in raw {
        let made = downsampler.five_minutes(chunks).unwrap();
        five.push((labels.clone(), packed(&made)));
        let made = downsampler.one_hour(&made).unwrap();
        hours.push((labels.clone(), packed(&made)));
    }
    [five, hours]
}

#[test]
fn what_one_pass_makes_is_the_merged_series_downsampled() {
    let mut world = World::new();
    let blocks = [0, 8, 16].map(|hour| world.block(Resolution::Raw, &counters(hour, 8)));
    for format in FORMATS {
        let made = world
            .merge(&blocks, &Job::new(24, format).outputs(&ALL))
            .unwrap();
        let outputs: Vec<Vec<Series>> = made.iter().map(|(dir, o)| read(dir, o)).collect();
        assert_eq!(outputs[0].len(), 150);
        let [five, hours] = downsampled(&outputs[0]);
        assert!(outputs[1] == five, "{format:?}");
        assert!(outputs[2] == hours, "{format:?}");
        // Each alone, or without the others, is the same.
        for (resolution, expected) in ALL.iter().zip(&made) {
            let job = Job::new(24, format).outputs(&[*resolution]);
            let alone = world.merge_one(&blocks, &job);
            assert!(read(&alone.0, &alone.1) == read(&expected.0, &expected.1));
            assert_eq!(alone.1.stats, expected.1.stats);
        }
    }
}

#[test]
fn five_minutes_of_either_format_are_merged_and_made_hours_of() {
    let mut world = World::new();
    let raw = [0, 24].map(|hour| world.block(Resolution::Raw, &counters(hour, 24)));
    let mut five = Vec::new();
    for block in &raw {
        let job = Job::new(48, OutputFormat::Tsdb).outputs(&[Resolution::FiveMinutes]);
        five.push(world.merge_one(std::slice::from_ref(block), &job).0);
    }
    let parquet: Vec<_> = five.iter().map(|block| world.parquet(block, 48)).collect();
    let mixed = vec![parquet[0].clone(), five[1].clone()];
    for format in FORMATS {
        let job = Job::new(48, format).outputs(&ALL[1..]);
        let made = world.merge(&five, &job).unwrap();
        let [merged, hours] = [0, 1].map(|i| read(&made[i].0, &made[i].1));
        let mut downsampler = Downsampler::default();
        for ((labels, chunks), (hourly, hours)) in merged.iter().zip(&hours) {
            assert_eq!(labels, hourly);
            let unpacked = downsampler.unpack(chunks).unwrap();
            assert!(*hours == packed(&downsampler.one_hour(&unpacked).unwrap()));
        }
        let expected: Vec<_> = made.iter().map(bytes).collect();
        for blocks in [&parquet, &mixed] {
            let made = world.merge(blocks, &job).unwrap();
            assert!(made.iter().map(bytes).collect::<Vec<_>>() == expected);
        }
    }
}

#[test]
fn aggregates_of_one_time_that_differ_are_refused() {
    let mut world = World::new();
    let job = Job::new(48, OutputFormat::Tsdb).outputs(&[Resolution::FiveMinutes]);
    let blocks = [(0, 24), (23, 24)].map(|(start, hours)| {
        let raw = world.block(Resolution::Raw, &counters(start, hours));
        world.merge_one(&[raw], &job).0
    });
    for format in FORMATS {
        let job = Job::new(48, format).outputs(&[Resolution::FiveMinutes]);
        let error = world.merge(&blocks, &job).unwrap_err();
        let MergeError::Overlap {
            block,
            times,
            other,
            other_times,
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!([block, other], [id_of(&blocks[0]), id_of(&blocks[1])]);
        assert!(times.overlaps(other_times), "{times:?}, {other_times:?}");
    }
    // One block with itself is itself.
    let twice = [blocks[0].clone(), blocks[0].clone()];
    let once = world.merge_one(&blocks[..1], &job);
    assert!(bytes(&world.merge_one(&twice, &job)) == bytes(&once));
}

#[test]
fn raw_chunks_in_a_five_minute_block_are_downsampled() {
    let mut world = World::new();
    let raw = counters(0, 2);
    let block = world.block(Resolution::FiveMinutes, &raw);
    for format in FORMATS {
        let job = Job::new(2, format).outputs(&[Resolution::FiveMinutes]);
        let (dir, output) = world.merge_one(std::slice::from_ref(&block), &job);
        let expected: Vec<Series> = downsampled(&read_sorted(&raw)).into_iter().next().unwrap();
        assert!(read(&dir, &output) == expected);
    }
}

fn read_sorted(series: &[Series]) -> Vec<Series> {
    let mut series = series.to_vec();
    series.sort_by(|a, b| a.0.cmp(&b.0));
    series
}

#[test]
fn what_cannot_be_made_is_refused() {
    let mut world = World::new();
    let raw = world.block(Resolution::Raw, &counters(0, 2));
    let five = world.block(Resolution::FiveMinutes, &[]);
    let job = Job::new(2, OutputFormat::Parquet);
    let error = world.merge(std::slice::from_ref(&five), &job).unwrap_err();
    assert!(matches!(error, MergeError::Finer { .. }), "{error}");
    let error = world.merge(&[raw.clone(), five.clone()], &job).unwrap_err();
    let MergeError::Resolution { block, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(block, id_of(&five));
    let mut short = job;
    short.range = TimeRange::new(0, HOUR);
    let error = world.merge(std::slice::from_ref(&raw), &short).unwrap_err();
    assert!(matches!(error, MergeError::Outside { .. }), "{error}");
}
