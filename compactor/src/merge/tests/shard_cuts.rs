//! Where row groups and shards end.

use model::{METRIC_NAME, Resolution};

use super::blocks::{Job, Series, World, bytes, chunk, labels, open_shard, read};
use crate::OutputFormat;

/// `metrics` metrics of `instances` series each, every one with a label name of its own metric.
fn series(metrics: usize, instances: usize) -> Vec<Series> {
    let one = |metric: usize, instance: usize| {
        let (name, own) = (format!("m{metric:03}"), format!("only_{metric:03}"));
        let instance = format!("{instance:03}");
        let labels = labels(&[(METRIC_NAME, &name), (&own, "x"), ("instance", &instance)]);
        (labels, vec![chunk(&[(0, 1.0), (60_000, metric as f64)])])
    };
    let all = (0..metrics).flat_map(|m| (0..instances).map(move |i| one(m, i)));
    all.collect()
}

#[test]
fn shards_have_no_more_columns_than_allowed_and_only_those_of_their_rows() {
    let mut world = World::new();
    let expected = series(30, 25);
    let block = world.block(Resolution::Raw, &expected);
    let mut job =
        Job::new(2, OutputFormat::Parquet).outputs(&[Resolution::Raw, Resolution::FiveMinutes]);
    job.options.shard_columns = 9;
    let made = world.merge(std::slice::from_ref(&block), &job).unwrap();
    for (dir, output) in &made {
        // Two names are common to all, so that seven metrics fit.
        assert_eq!(output.shards.len(), 5);
        let rows = read(dir, output);
        assert_eq!(rows.len(), expected.len());
        assert!(rows.iter().zip(&expected).all(|(a, b)| a.0 == b.0));
        for (number, shard) in (0..).zip(&output.shards) {
            let opened = open_shard(dir, output.resolution, number);
            let names = opened.shard().label_names();
            let names: Vec<_> = names.map(|n| str::from_utf8(n).unwrap()).collect();
            let metrics = shard.rows / 25;
            assert_eq!(names.len() as u64, 2 + metrics, "{names:?}");
            assert_eq!(shard.min_name, format!("m{:03}", number * 7));
        }
    }
    // What has several shards is read as what has one.
    let whole = Job::new(2, OutputFormat::Parquet);
    let again = world.merge_one(&[made[0].0.clone()], &whole);
    let once = world.merge_one(std::slice::from_ref(&block), &whole);
    assert_eq!(once.1.shards.len(), 1);
    assert!(bytes(&again) == bytes(&once));
    let tsdb = Job::new(2, OutputFormat::Tsdb);
    let again = world.merge_one(&[made[0].0.clone()], &tsdb);
    assert!(bytes(&again) == bytes(&world.merge_one(&[block], &tsdb)));
}

#[test]
fn a_row_with_more_names_than_a_shard_may_have_is_alone_with_its_like() {
    let mut world = World::new();
    let names: Vec<String> = (0..12).map(|n| format!("n{n:02}")).collect();
    let wide = |value: &str| {
        let mut pairs = vec![(METRIC_NAME, "wide"), ("instance", value)];
        pairs.extend(names.iter().map(|name| (&**name, "x")));
        (labels(&pairs), vec![chunk(&[(0, 1.0)])])
    };
    let mut all = series(2, 3);
    all.extend([wide("a"), wide("b")]);
    let block = world.block(Resolution::Raw, &all);
    let mut job = Job::new(2, OutputFormat::Parquet);
    job.options.shard_columns = 5;
    let (dir, output) = world.merge_one(&[block], &job);
    let rows: Vec<u64> = output.shards.iter().map(|shard| shard.rows).collect();
    assert_eq!(rows, [6, 2]);
    assert!(read(&dir, &output) == all);
}

#[test]
fn a_shard_ends_with_the_row_group_that_reaches_its_rows_or_bytes() {
    let mut world = World::new();
    let expected = series(10, 30);
    let block = world.block(Resolution::Raw, &expected);
    let shards = |world: &mut World, rows, bytes| {
        let mut job = Job::new(2, OutputFormat::Parquet);
        job.options.shard_rows = rows;
        job.options.shard_bytes = bytes;
        let (dir, output) = world.merge_one(std::slice::from_ref(&block), &job);
        assert!(read(&dir, &output) == expected);
        assert_eq!(output.files.len(), output.shards.len() * 2);
        output.shards.iter().map(|s| s.rows).collect::<Vec<_>>()
    };
    // Row groups have 40 rows.
    assert_eq!(shards(&mut world, 80, usize::MAX), [80, 80, 80, 60]);
    assert_eq!(shards(&mut world, 81, usize::MAX), [120, 120, 60]);
    assert_eq!(shards(&mut world, usize::MAX, 1).len(), 8);
    assert_eq!(shards(&mut world, usize::MAX, usize::MAX), [300]);
}

#[test]
fn a_row_group_ends_with_a_metric_where_one_ends_near() {
    let mut world = World::new();
    let block = world.block(Resolution::Raw, &series(10, 37));
    let (dir, output) = world.merge_one(&[block], &Job::new(2, OutputFormat::Parquet));
    let shard = open_shard(&dir, output.resolution, 0);
    let rows: Vec<u32> = (0..shard.shard().row_groups())
        .map(|group| shard.shard().rows(group))
        .collect();
    // At most 40, and 37 is within the last eighth.
    assert_eq!(rows, [37; 10]);
}
