//! TSDB blocks that wait for a store gateway.

use std::time::Duration;

use super::*;
use crate::Retention;

/// The options at `now` if gateways serve these blocks; `|` stands for a gateway that did not answer.
fn options(serve: &str, now: i64) -> PlanOptions {
    PlanOptions {
        served: Some(Arc::new(Served {
            blocks: serve.chars().filter(|c| *c != '|').map(id).collect(),
            is_complete: !serve.contains('|'),
            delay: 48 * HOUR,
        })),
        ..PlanOptions::new(Timestamp(now))
    }
}

/// What is planned at `now` for two days of TSDB blocks, merged to `p` and to TSDB block `X`, if gateways serve these
/// blocks and `p` was first seen to be served at `since`.
fn planned(serve: &str, since: Option<i64>, now: i64) -> (String, String) {
    let mut drawing = Drawing::new(
        "
        raw|ABC
        raw|ppp
        raw|   DEF
        raw|   XXX
        ",
    )
    .sources('p', "ABC")
    .sources('X', "DEF");
    drawing.0.get_mut(&'p').unwrap().served_since = since.map(Timestamp);
    let options = options(serve, now);
    let outcome = drawing.outcome_of(&options);
    let plan = plan(&drawing.blocks(), &options);
    let marks = plan.served.into_iter().map(|block| ('+', block));
    let unmarks = plan.unserved.into_iter().map(|block| ('-', block));
    let changes = marks.chain(unmarks);
    let changes = changes.map(|(sign, block)| format!("{sign}{}", letter(block)));
    (outcome, changes.collect())
}

#[test]
fn what_a_parquet_block_replaces_stays_until_a_gateway_has_served_that_for_the_delay() {
    const NOW: i64 = super::NOW.0;
    let by_tsdb = "cover D by X; cover E by X; cover F by X";
    let unserved = format!("{by_tsdb}; newest X; not-served ABC; window-open p");
    let stay = format!("{by_tsdb}; newest X; waits-for-store ABC; window-open p");
    let go =
        format!("cover A by p; cover B by p; cover C by p; {by_tsdb}; newest X; window-open p");
    for (serve, since, expected, changes) in [
        // Nobody serves it, or any more, or a gateway did not answer.
        ("", None, &unserved, ""),
        ("X", None, &unserved, ""),
        ("", Some(NOW - 100 * HOUR), &unserved, "-p"),
        ("|", Some(NOW - 100 * HOUR), &unserved, ""),
        // It is served for the first time, or not for long enough.
        ("p", None, &stay, "+p"),
        ("p|", None, &stay, "+p"),
        ("p", Some(NOW - 48 * HOUR + 1), &stay, ""),
        ("p", Some(NOW + HOUR), &stay, ""),
        ("p", Some(NOW - 48 * HOUR), &go, ""),
        ("Xp|", Some(NOW - 100 * HOUR), &go, ""),
    ] {
        let found = planned(serve, since, NOW);
        assert_eq!(
            found,
            (expected.clone(), changes.to_owned()),
            "{serve} {since:?}"
        );
    }
}

/// What is planned for raw blocks past their retention, if gateways serve these blocks, and have for so many hours: the
/// expired ones, and after `|` those that wait, in small letters if nobody serves what they wait for.
fn expired(serve: &str, hours: i64, retention: Retention) -> (String, String) {
    const NOW: i64 = 10 * LETTER + 1;
    let mut drawing = Drawing::new(
        "
        raw|AABBCCEEDD
        5|ffFFgg
        1|hh
        ",
    )
    .sources('f', "A")
    .sources('F', "B")
    .sources('g', "C")
    .sources('h', "A")
    .no_downsample('E');
    for block in drawing.0.values_mut().filter(|_| hours > 0) {
        block.served_since = Some(Timestamp(NOW - hours * HOUR));
    }
    let options = PlanOptions {
        retention,
        ..options(serve, NOW)
    };
    let plan = plan(&drawing.blocks(), &options);
    let raw = |block: &BlockId| "ABCDE".contains(letter(*block));
    let gone = plan.expired.iter().map(|e| e.block).filter(raw);
    let waiting = plan.skipped.iter().filter_map(|s| match s.reason {
        SkipReason::NotServed { .. } => Some(letter(s.block).to_ascii_lowercase()),
        SkipReason::WaitsForStore { .. } => Some(letter(s.block)),
        _ => None,
    });
    let blocks = gone.map(letter).chain(['|']).chain(waiting);
    let served = plan.served.iter().map(|block| letter(*block)).collect();
    (blocks.collect(), served)
}

#[test]
fn past_its_retention_a_block_stays_until_a_gateway_has_served_what_is_left_of_its_samples() {
    let of = |raw: u64, five_minutes: Option<u64>, one_hour: Option<u64>| {
        let letters = |count: u64| Duration::from_hours(2 * count);
        Retention {
            raw: Some(letters(raw)),
            five_minutes: five_minutes.map(letters),
            one_hour: one_hour.map(letters),
        }
    };
    let raw = of(2, None, None);
    let all = of(2, Some(2), Some(2));
    let but_one_hour = of(2, Some(2), None);
    for (serve, hours, retention, expected, served) in [
        // B's samples are left in a TSDB block, E's in none.
        ("", 0, raw, "BE|ac", ""),
        ("h", 100, raw, "BE|ac", ""),
        ("f", 0, raw, "BE|Ac", "f"),
        ("f", 47, raw, "BE|Ac", ""),
        ("f", 48, raw, "ABE|c", ""),
        ("fg", 48, raw, "ABCE|", ""),
        // f goes too, and g stays until it has become 1 h.
        ("f", 48, but_one_hour, "BE|ac", ""),
        ("gh", 48, but_one_hour, "ABCE|", ""),
        ("", 0, all, "ABCE|", ""),
    ] {
        let found = expired(serve, hours, retention);
        let expected = (expected.to_owned(), served.to_owned());
        assert_eq!(found, expected, "{serve} {hours} {retention:?}");
    }
}

#[test]
fn of_what_two_resolutions_have_of_a_block_each_must_be_served() {
    const NOW: i64 = 8 * LETTER + 1;
    // g goes, as h has what it has; f stays.
    let mut drawing = Drawing::new(
        "
        raw|AAAA
        5|ggff
        1|hh
        ",
    )
    .sources('A', "XY")
    .sources('g', "Y")
    .sources('f', "X")
    .sources('h', "Y");
    for block in drawing.0.values_mut() {
        block.served_since = Some(Timestamp(NOW - 48 * HOUR));
    }
    for (serve, goes) in [("f", false), ("h", false), ("g", false), ("fh", true)] {
        let options = PlanOptions {
            retention: Retention {
                raw: Some(Duration::from_hours(4)),
                five_minutes: Some(Duration::from_hours(10)),
                one_hour: None,
            },
            ..options(serve, NOW)
        };
        let plan = plan(&drawing.blocks(), &options);
        let expired: String = plan.expired.iter().map(|e| letter(e.block)).collect();
        assert_eq!(expired, if goes { "Ag" } else { "g" }, "{serve}");
    }
}

#[test]
fn a_gateway_has_an_hour_to_find_a_block() {
    const NOW: i64 = super::NOW.0;
    for (age, is_named) in [(HOUR, false), (HOUR + 1, true)] {
        let made = BlockId::new(Timestamp(NOW - age), 1);
        let drawing = Drawing::new("raw|A\nraw|p").sources('p', "A");
        let drawing = drawing.edit('p', |meta| meta.ulid = made);
        let plan = plan(&drawing.blocks(), &options("|", NOW));
        let of_a = plan.skipped.iter().find(|s| s.block == id('A')).unwrap();
        let until = Timestamp(NOW + 48 * HOUR);
        let expected = match is_named {
            true => SkipReason::NotServed { block: made },
            false => SkipReason::WaitsForStore { block: made, until },
        };
        assert_eq!(of_a.reason, expected, "{age}");
    }
}

#[test]
fn a_block_that_waits_says_for_what() {
    let (block, until) = (id('p'), Timestamp(0));
    assert_eq!(
        SkipReason::NotServed { block }.to_string(),
        format!("in parquet/{block}, which no store gateway is known to serve")
    );
    assert_eq!(
        SkipReason::WaitsForStore { block, until }.to_string(),
        format!("in parquet/{block}, which a store gateway must serve until 1970-01-01T00:00:00Z")
    );
}
