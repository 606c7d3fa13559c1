//! What holds whatever the blocks are: they are planned for, and that is followed, until nothing is left.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{Dedup, OutputFormat};

/// A block after the one before.
#[derive(Clone, Debug)]
struct Drawn {
    /// Letters between the two; less than none where they overlap.
    gap: i64,
    letters: i64,
    kind: Kind,
    replica: &'static str,
    downsampled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tsdb,
    Parquet,
    NoCompact,
    NoDownsample,
    Fresh,
}

fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
    let kind = prop_oneof![
        12 => Just(Kind::Tsdb),
        6 => Just(Kind::Parquet),
        1 => Just(Kind::NoCompact),
        1 => Just(Kind::NoDownsample),
        1 => Just(Kind::Fresh),
    ];
    let gap = prop_oneof![12 => Just(0), 2 => 1..30_i64, 2 => -5..0_i64];
    let letters =
        prop_oneof![6 => Just(1_i64), 2 => Just(4), 3 => Just(24), 1 => Just(168), 1 => 1..30_i64];
    let replica = prop_oneof![5 => Just("a"), 1 => Just("b")];
    let block = (gap, letters, kind, replica, prop::bool::weighted(0.2));
    let block = block.prop_map(|(gap, letters, kind, replica, downsampled)| Drawn {
        gap,
        letters,
        kind,
        replica,
        downsampled,
    });
    prop::collection::vec(block, 1..60)
}

fn name(number: usize) -> BlockId {
    BlockId::new(Timestamp(1000), u128::try_from(number).unwrap())
}

/// The blocks, and the end of the last.
fn blocks(drawn: &[Drawn]) -> (Vec<Candidate>, Timestamp) {
    let (mut at, mut end) = (0, 0);
    let mut blocks = Vec::new();
    for (number, drawn) in drawn.iter().enumerate() {
        let start = (at + drawn.gap * LETTER).max(0);
        at = start + drawn.letters * LETTER;
        end = end.max(at);
        let mut raw = block('A', start, at);
        let meta = Arc::make_mut(&mut raw.meta);
        meta.ulid = name(number);
        meta.compaction.sources = vec![name(number)];
        let thanos = meta.thanos.as_mut().unwrap();
        let replica = drawn.replica.to_owned();
        thanos.labels.insert("replica".to_owned(), replica);
        meta.parquet = (drawn.kind == Kind::Parquet).then(ParquetMeta::default);
        if drawn.downsampled {
            let mut five = raw.clone();
            let meta = Arc::make_mut(&mut five.meta);
            meta.ulid = name(1000 + number);
            let resolution = Resolution::FiveMinutes;
            meta.thanos.as_mut().unwrap().downsample = Downsample { resolution };
            blocks.push(five);
        }
        match drawn.kind {
            Kind::NoCompact => {
                raw = Drawing(BTreeMap::from([('A', raw)])).no_compact('A').0[&'A'].clone();
            }
            Kind::NoDownsample => {
                raw = Drawing(BTreeMap::from([('A', raw)])).no_downsample('A').0[&'A'].clone();
            }
            Kind::Fresh => {
                let meta = Arc::make_mut(&mut raw.meta);
                let now = Rfc3339(Timestamp(at + LETTER)).to_string();
                meta.thanos.as_mut().unwrap().upload_time = now;
            }
            Kind::Tsdb | Kind::Parquet => {}
        }
        blocks.push(raw);
    }
    (blocks, Timestamp(end))
}

fn sources(blocks: &[Candidate], resolution: Resolution) -> BTreeSet<BlockId> {
    let of = blocks.iter().filter(|b| b.meta.resolution() == resolution);
    of.flat_map(|b| Sources::of(&b.meta).into_vec()).collect()
}

fn all_options(now: Timestamp) -> Vec<PlanOptions> {
    let replicas = |dedup| Replicas::new(["replica".to_owned()], dedup).unwrap();
    let plain = PlanOptions::new(now);
    let vertical = PlanOptions {
        replicas: replicas(Dedup::Penalty),
        ..plain.clone()
    };
    let tsdb = PlanOptions {
        output: OutputFormat::Tsdb,
        ..vertical.clone()
    };
    let kept = PlanOptions {
        retention: Retention {
            raw: Some(Duration::from_hours(40)),
            five_minutes: Some(Duration::from_hours(480)),
            one_hour: None,
        },
        ..vertical.clone()
    };
    vec![plain, vertical, tsdb, kept]
}

/// Follows plans to the end, and holds each to what must hold.
fn follow(
    bucket: &mut MadeUp,
    blocks: &[Candidate],
    options: &PlanOptions,
) -> Result<(), TestCaseError> {
    let raw = sources(blocks, Resolution::Raw);
    let (mut ids, mut rounds) = (BTreeSet::new(), 0);
    loop {
        let plan = plan(&bucket.blocks, options);
        let mut planned: Vec<BlockId> = plan.tasks.iter().flat_map(Task::input_ids).collect();
        planned.extend(plan.covered.iter().map(|c| c.block));
        planned.extend(plan.expired.iter().map(|e| e.block));
        planned.extend(plan.skipped.iter().map(|l| l.block));
        planned.sort_unstable();
        let mut all: Vec<BlockId> = bucket.blocks.iter().map(|b| b.meta.ulid).collect();
        all.sort_unstable();
        prop_assert_eq!(planned, all, "each block is planned for once");
        for task in &plan.tasks {
            prop_assert!(ids.insert(task.id.clone()), "twice: {}", task.id);
            let aggregates = task.group.resolution != Resolution::Raw;
            prop_assert!(!(aggregates && task.is_vertical()), "{}", task);
        }
        let more = bucket.follow(&plan);
        // Whatever is gone in one resolution is there in another.
        let mut there = sources(&bucket.blocks, Resolution::Raw);
        if options.retention != Retention::default() {
            there.extend(sources(&bucket.blocks, Resolution::FiveMinutes));
            there.extend(sources(&bucket.blocks, Resolution::OneHour));
            let marked = blocks.iter().filter(|b| b.no_downsample_mark.is_some());
            there.extend(marked.map(|b| b.meta.ulid));
        }
        prop_assert!(
            raw.is_subset(&there),
            "{} lost in {plan}",
            raw.len() - there.len()
        );
        if !more {
            return Ok(());
        }
        rounds += 1;
        prop_assert!(rounds <= 16, "still to do: {plan}");
    }
}

proptest! {
    #[test]
    fn plans_come_to_an_end_and_lose_nothing(drawn in drawn()) {
        let (blocks, end) = blocks(&drawn);
        for mut options in all_options(Timestamp(end.0 + LETTER)) {
            let mut bucket = MadeUp::new(&blocks);
            follow(&mut bucket, &blocks, &options)?;
            // Nothing is too fresh any more.
            options.now.0 += HOUR;
            follow(&mut bucket, &blocks, &options)?;
            // What is long enough is there in the next resolution.
            let five = sources(&bucket.blocks, Resolution::FiveMinutes);
            let hour = sources(&bucket.blocks, Resolution::OneHour);
            for block in &bucket.blocks {
                let long = block.meta.max_time.0 - block.meta.min_time.0;
                let own = Sources::of(&block.meta);
                let needs = match block.meta.resolution() {
                    _ if block.no_downsample_mark.is_some() => continue,
                    Resolution::Raw if long >= 40 * HOUR => &five,
                    Resolution::FiveMinutes if long >= 240 * HOUR => &hour,
                    _ => continue,
                };
                let gone = options.retention != Retention::default();
                let there = own.iter().all(|s| needs.contains(&s) || gone && hour.contains(&s));
                prop_assert!(there, "{:?} {}", block.meta.resolution(), block.meta.ulid);
            }
        }
    }

    #[test]
    fn the_order_of_the_blocks_does_not_matter(
        (drawn, shuffled) in drawn().prop_flat_map(|d| {
            let numbers: Vec<usize> = (0..2 * d.len()).collect();
            (Just(d), Just(numbers).prop_shuffle())
        })
    ) {
        let (blocks, end) = blocks(&drawn);
        let other: Vec<Candidate> = shuffled.iter().filter_map(|n| blocks.get(*n)).cloned().collect();
        prop_assert_eq!(other.len(), blocks.len());
        for options in all_options(Timestamp(end.0 + LETTER)) {
            let told = |blocks: &[Candidate]| {
                let mut plan = plan(blocks, &options);
                plan.covered.sort_by_key(|c| c.block);
                plan.expired.sort_by_key(|e| e.block);
                plan.overdue.sort_by_key(|e| e.block);
                plan.skipped.sort_by_key(|l| l.block);
                serde_json::to_value(&plan).unwrap()
            };
            prop_assert_eq!(told(&other), told(&blocks));
        }
    }
}
