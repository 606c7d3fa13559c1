use std::collections::BTreeSet;

use model::MatchOp;

use super::*;
use crate::{
    catalog::{Format, Rules},
    request::OnFailure,
    testing::Drawn,
};

/// The blocks of a drawing: a line for each resolution, ten milliseconds a letter, Parquet blocks in lower case.
fn drawn(drawing: &str) -> Vec<Drawn> {
    let mut blocks = Vec::new();
    for line in drawing
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let (resolution, row) = line.split_once(' ').unwrap();
        let resolution = match resolution {
            "raw" => Resolution::Raw,
            "5m" => Resolution::FiveMinutes,
            "1h" => Resolution::OneHour,
            other => panic!("resolution {other}"),
        };
        let row = row.trim();
        for letter in row
            .chars()
            .filter(char::is_ascii_alphabetic)
            .collect::<BTreeSet<_>>()
        {
            let (from, to) = (row.find(letter).unwrap(), row.rfind(letter).unwrap() + 1);
            let at = |column: usize| i64::try_from(column * 10).unwrap();
            let drawn = Drawn::raw(letter.to_ascii_uppercase(), at(from), at(to));
            let drawn = drawn.resolution(resolution);
            blocks.push(if letter.is_ascii_lowercase() {
                drawn.parquet()
            } else {
                drawn
            });
        }
    }
    blocks
}

fn catalog(blocks: &[Drawn]) -> Catalog {
    Catalog::new(&Drawn::snapshot(blocks), &Rules::default(), Timestamp(0)).0
}

fn matcher(op: MatchOp, name: &str, value: &str) -> Matcher {
    Matcher::new(op, name, value).unwrap()
}

fn selector(min: i64, max: i64) -> Selector {
    Selector {
        matchers: vec![matcher(MatchOp::Equal, "__name__", "up")],
        range: TimeRange::new(min, max),
        block_matchers: Vec::new(),
        without: BTreeSet::new(),
        limit: 0,
        on_failure: OnFailure::Abort,
    }
}

fn letters(chosen: &[Chosen]) -> String {
    let letter = |one: &Chosen| {
        let letter = Drawn::letter(one.block.id);
        match one.block.format {
            Format::Tsdb => letter,
            Format::Parquet => letter.to_ascii_lowercase(),
        }
    };
    chosen.iter().map(letter).collect()
}

const RAW: i64 = 0;
const FIVE_MINUTES: i64 = 300_000;
const ONE_HOUR: i64 = 3_600_000;

const HISTORY: &str = "
    raw  ....CCCCDDEE
    5m   AAAABBBB....
    1h   FFFF........
";

#[test]
fn the_coarsest_resolution_allowed_answers_and_finer_ones_fill_its_gaps() {
    let catalog = catalog(&drawn(HISTORY));
    for (min, max, resolution, expected) in [
        (0, 119, ONE_HOUR, "FBDE"),
        (0, 119, FIVE_MINUTES, "ABDE"),
        (0, 119, FIVE_MINUTES - 1, "CDE"),
        (0, 119, RAW, "CDE"),
        (0, 119, -5, "CDE"),
        (0, 39, RAW, ""),
        (0, 39, i64::MAX, "F"),
        (40, 79, ONE_HOUR, "B"),
        (39, 40, ONE_HOUR, "FB"),
        (79, 80, ONE_HOUR, "BD"),
        // A block's end is excluded, a request's included.
        (100, 100, ONE_HOUR, "E"),
        (120, 200, ONE_HOUR, ""),
        (50, 40, ONE_HOUR, ""),
    ] {
        let chosen = for_series(&catalog, &selector(min, max), resolution);
        assert_eq!(
            letters(&chosen),
            expected,
            "{min} to {max}, {resolution} ms"
        );
    }
}

#[test]
fn resolutions_are_chosen_whatever_the_format() {
    let mixed = "
        raw  ....ccccDDee
        5m   AAAAbbbb....
        1h   ffff........
    ";
    for blocks in [
        drawn(mixed),
        drawn(HISTORY).into_iter().map(Drawn::parquet).collect(),
    ] {
        let catalog = catalog(&blocks);
        let history = self::catalog(&drawn(HISTORY));
        for resolution in [RAW, FIVE_MINUTES - 1, FIVE_MINUTES, ONE_HOUR, i64::MAX] {
            for (min, max) in [(0, 119), (0, 39), (40, 79), (39, 40), (79, 80), (100, 100)] {
                let selector = selector(min, max);
                let expected = letters(&for_series(&history, &selector, resolution));
                let found = letters(&for_series(&catalog, &selector, resolution));
                assert_eq!(
                    found.to_uppercase(),
                    expected,
                    "{min} to {max}, {resolution} ms"
                );
            }
        }
    }
}

#[test]
fn parquet_blocks_stand_for_the_tsdb_blocks_of_their_resolution() {
    let mut blocks = drawn("raw AAAABBBB....EEEE");
    // The Parquet block holds two downsampled TSDB blocks, which are there still.
    let five = |block: Drawn| block.resolution(Resolution::FiveMinutes);
    blocks.extend([
        five(Drawn::raw('C', 0, 40).sources("A")),
        five(Drawn::raw('D', 40, 80).sources("B")),
        five(Drawn::raw('M', 0, 80).sources("AB")).parquet(),
    ]);
    let catalog = catalog(&blocks);
    for (resolution, expected) in [(ONE_HOUR, "mE"), (FIVE_MINUTES, "mE"), (RAW, "ABE")] {
        let chosen = for_series(&catalog, &selector(0, 159), resolution);
        assert_eq!(letters(&chosen), expected);
    }
}

#[test]
fn a_gap_between_coarse_blocks_is_filled_and_no_block_is_asked_twice() {
    let catalog = catalog(&drawn(
        "
        raw  AAAAAAAAAAAA
        5m   ..BB..CC..DD
        1h   ....EE......
        ",
    ));
    let chosen = for_series(&catalog, &selector(0, 119), ONE_HOUR);
    assert_eq!(letters(&chosen), "ABECD");
    let chosen = for_series(&catalog, &selector(20, 39), FIVE_MINUTES);
    assert_eq!(letters(&chosen), "B");
}

#[test]
fn coarse_blocks_within_each_other_leave_no_gap_between_them() {
    let mut blocks = drawn(
        "
        raw  AAAABBBB
        5m   CCCCCCCC
        ",
    );
    blocks.push(Drawn::raw('D', 10, 20).resolution(Resolution::FiveMinutes));
    let chosen = for_series(&catalog(&blocks), &selector(0, 79), FIVE_MINUTES);
    assert_eq!(letters(&chosen), "CD");
}

#[test]
fn labels_are_asked_of_blocks_of_every_resolution() {
    let catalog = catalog(&drawn(HISTORY));
    assert_eq!(letters(&for_labels(&catalog, &selector(0, 50))), "CABF");
    let all = Selector {
        matchers: Vec::new(),
        ..selector(40, 40)
    };
    assert_eq!(letters(&for_labels(&catalog, &all)), "CB");
}

fn regions() -> Catalog {
    catalog(&[
        Drawn::raw('A', 0, 10).labels(&[("region", "eu"), ("replica", "1")]),
        Drawn::raw('B', 0, 10).labels(&[("region", "eu"), ("replica", "2")]),
        Drawn::raw('C', 0, 10).labels(&[("region", "us"), ("replica", "1")]),
        Drawn::raw('D', 0, 10),
    ])
}

#[test]
fn matchers_on_external_labels_choose_blocks_and_are_done() {
    let catalog = regions();
    for (op, name, value, expected) in [
        (MatchOp::Equal, "region", "eu", "DAB"),
        (MatchOp::NotEqual, "region", "eu", "DC"),
        (MatchOp::Regex, "replica", "2|3", "DB"),
        (MatchOp::Equal, "region", "", "D"),
        (MatchOp::Equal, "job", "x", "DABC"),
    ] {
        let mut selector = selector(0, 9);
        selector.matchers.push(matcher(op, name, value));
        let chosen = for_series(&catalog, &selector, RAW);
        assert_eq!(letters(&chosen), expected, "{name} {op:?} {value:?}");
        for one in &chosen {
            // Of D, whose series may have the label, both are left.
            let external = one.block.labels.get(name).is_some();
            assert_eq!(one.matchers.len(), if external { 1 } else { 2 });
        }
    }
}

#[test]
fn where_no_matcher_is_left_there_are_no_series_but_there_are_labels() {
    let catalog = regions();
    let mut selector = selector(0, 9);
    selector.matchers = vec![matcher(MatchOp::Equal, "region", "eu")];
    assert_eq!(letters(&for_series(&catalog, &selector, RAW)), "D");
    assert_eq!(letters(&for_labels(&catalog, &selector)), "DAB");
}

#[test]
fn matchers_on_blocks_see_their_names_and_external_labels() {
    let catalog = regions();
    let id = Drawn::id('B').to_string();
    for (op, name, value, expected) in [
        (MatchOp::Equal, "__block_id", id.as_str(), "B"),
        (MatchOp::NotEqual, "__block_id", id.as_str(), "DAC"),
        (MatchOp::Equal, "region", "eu", "AB"),
        (MatchOp::NotEqual, "region", "eu", "DC"),
    ] {
        let selector = Selector {
            block_matchers: vec![matcher(op, name, value)],
            ..selector(0, 9)
        };
        assert_eq!(letters(&for_series(&catalog, &selector, RAW)), expected);
        assert_eq!(letters(&for_labels(&catalog, &selector)), expected);
    }
}

#[test]
fn times_that_are_not_served_are_not_asked_for() {
    let rules = Rules {
        min_time: model::TimeBound::At(Timestamp(15)),
        max_time: model::TimeBound::At(Timestamp(25)),
        ..Rules::default()
    };
    let blocks = drawn("raw AABBCC");
    let (catalog, _) = Catalog::new(&Drawn::snapshot(&blocks), &rules, Timestamp(0));
    let ask = |min, max| {
        let selector = selector(min, max).within(catalog.bounds(Timestamp(0)));
        for_series(&catalog, &selector, RAW)
    };
    let chosen = ask(0, 100);
    assert_eq!(letters(&chosen), "AB");
    assert_eq!(chosen[0].range, TimeRange::new(15, 25));
    assert_eq!(letters(&ask(26, 100)), "");
}

proptest::proptest! {
    /// One serves what is older than a bound that moves with the clock, the other what is newer.
    #[test]
    fn two_gateways_parted_at_a_moving_bound_lose_nothing_at_any_time(
        spans in proptest::collection::vec((0i64..100, 1i64..50), 1..8),
        ago in 0i64..60,
        look in 0i64..150,
        later in 0i64..100,
        (from, length) in (-10i64..150, 0i64..150),
    ) {
        let blocks: Vec<Drawn> = ('A'..)
            .zip(&spans)
            .map(|(letter, (min, length))| Drawn::raw(letter, *min, min + length))
            .collect();
        let bound = model::TimeBound::FromNow(-ago);
        let older = Rules { max_time: bound, ..Rules::default() };
        let newer = Rules { min_time: bound, ..Rules::default() };
        // Neither looks at the bucket again before it is asked.
        let now = Timestamp(look + later);
        let chosen: Vec<Chosen> = [older, newer]
            .iter()
            .flat_map(|rules| {
                let snapshot = Drawn::snapshot(&blocks);
                let (catalog, _) = Catalog::new(&snapshot, rules, Timestamp(look));
                let selector = selector(from, from + length).within(catalog.bounds(now));
                for_series(&catalog, &selector, RAW)
            })
            .collect();
        for (letter, (min, span)) in ('A'..).zip(&spans) {
            for time in (*min).max(from)..(min + span).min(from + length + 1) {
                let gives = |one: &Chosen| {
                    one.block.id == Drawn::id(letter) && one.range.contains(Timestamp(time))
                };
                proptest::prop_assert!(chosen.iter().any(gives), "{letter} at {time}");
            }
        }
    }
}

#[test]
fn a_block_that_is_not_given_is_missing_where_it_may_be_needed() {
    let old = Drawn::raw('A', 0, 40).labels(&[("region", "us")]);
    let old = old.resolution(Resolution::FiveMinutes);
    let mut snapshot = Drawn::snapshot(&[old]);
    let view = &snapshot.blocks[0];
    snapshot.unread.push(bucket::UnreadBlock {
        objects: Arc::clone(&view.objects),
        key: view.objects.key(BlockMeta::FILE),
        reason: "refused".to_owned(),
        meta: Some(Arc::clone(&view.meta)),
    });
    let missing = |snapshot: &bucket::Snapshot, selector: &Selector, coarsest| {
        let (catalog, _) = Catalog::new(snapshot, &Rules::default(), Timestamp(0));
        missing(&catalog, selector, coarsest).len()
    };
    let other = |selector: Selector| Selector {
        matchers: vec![matcher(MatchOp::Equal, "region", "eu")],
        ..selector
    };
    let block = |id: String| Selector {
        block_matchers: vec![matcher(MatchOp::Equal, BLOCK_ID, &id)],
        ..selector(0, 10)
    };
    // An earlier version tells its times, labels and resolution.
    assert_eq!(missing(&snapshot, &selector(39, 50), FIVE_MINUTES), 1);
    assert_eq!(missing(&snapshot, &selector(40, 50), FIVE_MINUTES), 0);
    assert_eq!(missing(&snapshot, &selector(0, 10), RAW), 0);
    assert_eq!(missing(&snapshot, &other(selector(0, 10)), ONE_HOUR), 0);
    // Else it may be any.
    snapshot.unread[0].meta = None;
    assert_eq!(missing(&snapshot, &other(selector(40, 50)), RAW), 1);
    assert_eq!(missing(&snapshot, &selector(10, 0), RAW), 0);
    assert_eq!(
        missing(&snapshot, &block(Drawn::id('A').to_string()), RAW),
        1
    );
    assert_eq!(
        missing(&snapshot, &block(Drawn::id('B').to_string()), RAW),
        0
    );
}
