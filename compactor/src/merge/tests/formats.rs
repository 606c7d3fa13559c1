//! Inputs and outputs of both formats.

use model::{METRIC_NAME, Resolution};
use tsdb::encode_xor;

use super::blocks::{
    HOUR, Job, Series, World, bytes, chunk, histograms, id_of, labels, minutes, read,
};
use crate::{Dedup, MergeError, OutputFormat};

const FORMATS: [OutputFormat; 2] = [OutputFormat::Parquet, OutputFormat::Tsdb];

/// Series of `metrics` metrics in the two hours from `start`; some are there in some blocks only.
fn series(metrics: usize, start: i64) -> Vec<Series> {
    let mut series = Vec::new();
    for metric in 0..metrics {
        for instance in 0..17_usize {
            let block = usize::try_from(start / HOUR).unwrap();
            if (metric + instance + block).is_multiple_of(5) {
                continue;
            }
            let (name, instance) = (format!("m{metric:02}"), format!("i{instance}"));
            let mut pairs = vec![(METRIC_NAME, &*name), ("instance", &*instance)];
            if metric.is_multiple_of(3) {
                pairs.push(("job", "a"));
            }
            let factor = (metric * 31 + instance.len()) as f64;
            let chunks = minutes(start, start + 2 * HOUR, |t| (t / 7_000) as f64 * factor);
            series.push((labels(&pairs), chunks));
        }
    }
    series
}

#[test]
fn blocks_of_either_format_give_the_same_bytes() {
    let mut world = World::new();
    let tsdb = [0, 2, 4].map(|hour| world.block(Resolution::Raw, &series(20, hour * HOUR)));
    let parquet = tsdb.each_ref().map(|block| world.parquet(block, 6));
    let mixed = [tsdb[0].clone(), parquet[1].clone(), tsdb[2].clone()];
    for format in FORMATS {
        let job = Job::new(6, format);
        let expected = bytes(&world.merge_one(&tsdb, &job));
        assert_eq!(bytes(&world.merge_one(&parquet, &job)), expected);
        assert_eq!(bytes(&world.merge_one(&mixed, &job)), expected);
    }
}

#[test]
fn the_bytes_do_not_depend_on_the_number_of_threads() {
    let mut world = World::new();
    let tsdb = [0, 2].map(|hour| world.block(Resolution::Raw, &series(60, hour * HOUR)));
    let blocks = [tsdb[0].clone(), world.parquet(&tsdb[1], 4)];
    for format in FORMATS {
        let job = Job::new(4, format).outputs(&[Resolution::Raw, Resolution::FiveMinutes]);
        let mut made = [1, 2, 5].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let made = pool
                .build()
                .unwrap()
                .install(|| world.merge(&blocks, &job).unwrap());
            made.iter().map(bytes).collect::<Vec<_>>()
        });
        assert_eq!(made[0], made[1]);
        assert_eq!(made[0], made[2]);
        assert_eq!(std::mem::take(&mut made[0]).len(), 2);
    }
}

/// Series whose order by labels is not that by metric.
fn unordered() -> Vec<Series> {
    let mut all = Vec::new();
    for n in 0..700_i64 {
        let (name, zone) = (format!("m{}", n % 7), format!("{:03}", (n * 37) % 700));
        let mut pairs = vec![("instance", &*zone)];
        if n % 5 != 0 {
            pairs.push((METRIC_NAME, &name));
        }
        if n % 3 != 0 {
            pairs.push(("Zone", &zone));
        }
        let samples: Vec<(i64, f64)> = (0..20).map(|i| (i * 60_000, (n * i) as f64)).collect();
        all.push((labels(&pairs), vec![chunk(&samples)]));
    }
    all
}

#[test]
fn a_tsdb_block_has_its_series_in_the_order_of_their_labels_whatever_they_are_made_of() {
    let mut world = World::new();
    let series = unordered();
    let unnamed: Vec<Series> = series
        .iter()
        .filter(|(labels, _)| labels.get("Zone").is_none())
        .cloned()
        .collect();
    for series in [series, unnamed] {
        let tsdb = world.block(Resolution::Raw, &series);
        let parquet = world.parquet(&tsdb, 2);
        let job = Job::new(2, OutputFormat::Tsdb);
        let expected = world.merge_one(std::slice::from_ref(&tsdb), &job);
        let (dir, output) = world.merge_one(&[parquet], &job);
        let mut sorted = series.clone();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        assert!(read(&dir, &output) == sorted);
        assert_eq!(bytes(&(dir, output)), bytes(&expected));
    }
}

#[test]
fn counts_and_sizes_are_those_of_what_was_written() {
    let mut world = World::new();
    let mut all = series(3, 0);
    all.push((labels(&[(METRIC_NAME, "h")]), histograms(&[5])));
    let block = world.block(Resolution::Raw, &all);
    let chunks: usize = all.iter().map(|(_, chunks)| chunks.len()).sum();
    for format in FORMATS {
        let (dir, output) = world.merge_one(std::slice::from_ref(&block), &Job::new(2, format));
        let stats = output.stats;
        assert_eq!(stats.num_series, all.len() as u64);
        assert_eq!(stats.num_chunks, chunks as u64);
        assert_eq!(stats.num_histogram_samples, 1);
        assert_eq!(stats.num_float_samples, (all.len() as u64 - 1) * 120);
        assert_eq!(stats.num_samples, stats.num_float_samples + 1);
        let is_tsdb = format == OutputFormat::Tsdb;
        assert_eq!(output.index_stats.series_max_size > 0, is_tsdb);
        assert_eq!(output.index_stats.chunk_max_size > 0, is_tsdb);
        if is_tsdb {
            assert_eq!(output.files, ["chunks/000001", "index"]);
            assert_eq!(tsdb::Block::open(&dir).unwrap().meta().stats, stats);
        }
    }
}

#[test]
fn without_samples_nothing_is_written() {
    let mut world = World::new();
    let block = world.block(Resolution::Raw, &[]);
    for format in FORMATS {
        let job = Job::new(2, format).outputs(&[Resolution::Raw, Resolution::OneHour]);
        for (dir, output) in world.merge(std::slice::from_ref(&block), &job).unwrap() {
            assert!(output.files.is_empty() && output.shards.is_empty());
            let left = std::fs::read_dir(dir).unwrap().count();
            // The tests' own meta.json of Parquet.
            assert_eq!(left, usize::from(format == OutputFormat::Parquet));
        }
    }
}

#[test]
fn replicas_are_merged_by_penalty_where_that_is_asked_for() {
    let mut world = World::new();
    let name = labels(&[(METRIC_NAME, "up")]);
    let replica = |offset: i64| {
        let samples: Vec<_> = (0..100).map(|i| (i * 60_000 + offset, 1.0)).collect();
        vec![(name.clone(), vec![chunk(&samples)])]
    };
    // Less than the first penalty of five seconds apart.
    let blocks = [replica(0), replica(3_000)].map(|s| world.block(Resolution::Raw, &s));
    for (dedup, expected) in [(Dedup::Exact, 200), (Dedup::Penalty, 100)] {
        for format in FORMATS {
            let mut job = Job::new(2, format);
            job.dedup = dedup;
            let (_, output) = world.merge_one(&blocks, &job);
            assert_eq!(output.stats.num_samples, expected);
        }
    }
}

#[test]
fn of_blocks_that_share_a_series_the_one_with_the_damaged_chunk_is_named() {
    let mut world = World::new();
    let name = || labels(&[(METRIC_NAME, "up")]);
    let good = chunk(&[(0, 1.0), (60_000, 2.0)]);
    let mut bad = chunk(&[(30_000, 1.0), (90_000, 2.0)]);
    bad.data = encode_xor(&[30_000, 90_000], &[1.0, 2.0]).slice(..5);
    let good = world.block(Resolution::Raw, &[(name(), vec![good])]);
    let bad = world.block(Resolution::Raw, &[(name(), vec![bad])]);
    for blocks in [[good.clone(), bad.clone()], [bad.clone(), good.clone()]] {
        let error = world.merge(&blocks, &Job::new(2, OutputFormat::Parquet));
        match error.unwrap_err() {
            MergeError::Chunk { block, .. } => assert_eq!(block, id_of(&bad)),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn chunks_of_several_encodings_come_through_in_order_of_time() {
    let mut world = World::new();
    let mut chunks = histograms(&[10, 20]);
    chunks.push(chunk(&[(30, 1.0), (40, 2.0)]));
    chunks.extend(histograms(&[50]));
    let series: Vec<Series> = vec![(labels(&[(METRIC_NAME, "mixed")]), chunks)];
    let tsdb = world.block(Resolution::Raw, &series);
    let parquet = world.parquet(&tsdb, 2);
    for block in [tsdb, parquet] {
        let (dir, output) = world.merge_one(&[block], &Job::new(2, OutputFormat::Tsdb));
        assert!(read(&dir, &output) == series);
    }
}
