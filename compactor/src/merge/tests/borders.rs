//! Pages of Parquet blocks that have rows of several spans.

use model::{METRIC_NAME, Resolution};

use super::blocks::{HOUR, Job, Series, World, bytes, chunk, labels};
use crate::OutputFormat;

/// Series in the eight hours from `start` on; of each block, others are left out. A label is on a few in the middle
/// only, so that some pages of it are without values.
fn series(start: i64) -> Vec<Series> {
    let block = usize::try_from(start / HOUR / 8).unwrap();
    let present = (0..1900_usize).filter(|n| !(n / 3 + block).is_multiple_of(4));
    let one = |n: usize| {
        let (name, instance) = (format!("m{}", n / 475), format!("i{n:04}"));
        let mut pairs = vec![(METRIC_NAME, &*name), ("instance", &*instance)];
        if (900..905).contains(&n) {
            pairs.push(("rare", "x"));
        }
        let sample = |i: i64| (start + i * 60_000, (n * 7) as f64 + i as f64);
        (
            labels(&pairs),
            vec![chunk(&(0..9).map(sample).collect::<Vec<_>>())],
        )
    };
    present.map(one).collect()
}

/// Row groups of `rows` rows, with pages of `page` bytes; shards of one row group each or all in one.
fn job(rows: usize, page: usize, shard_rows: usize) -> Job {
    let mut job = Job::new(24, OutputFormat::Parquet);
    job.options.row_group_rows = rows;
    job.options.write.chunks.bytes = page;
    job.options.shard_rows = shard_rows;
    job
}

#[test]
fn pages_that_spans_share_are_read_as_if_each_had_its_own() {
    let mut world = World::new();
    let starts = [0, 8 * HOUR, 16 * HOUR];
    let tsdb = starts.map(|start| world.block(Resolution::Raw, &series(start)));
    let output = job(500, 256 << 10, usize::MAX);
    let expected = world.merge_one(&tsdb, &output);
    assert_eq!(expected.1.stats.num_series, 1900);
    let expected = bytes(&expected);
    // Spans are of 256 series, so that a large page has rows of up to eight of them; there is room for small ones only.
    // Two of the three slices are empty.
    for (rows, page, shard_rows) in [
        (4000, 256 << 10, usize::MAX),
        (4000, 4 << 10, usize::MAX),
        (300, 2 << 10, usize::MAX),
        (300, 4 << 10, 1),
    ] {
        let input = job(rows, page, shard_rows);
        let parquet = tsdb.each_ref().map(|block| {
            let (dir, made) = world.merge_one(std::slice::from_ref(block), &input);
            assert_eq!(made.shards.len() > 1, shard_rows == 1);
            dir
        });
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let merge = || world.merge_one(&parquet, &output);
            let found = pool.build().unwrap().install(merge);
            assert!(bytes(&found) == expected, "{rows} rows, {threads} threads");
        }
    }
}
