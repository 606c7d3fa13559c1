//! Retention, on drawings. Small letters are blocks of 5 m.

use std::time::Duration;

use super::*;
use crate::plan::retention::{Downsampling, Retention};

/// So many letters of time.
fn letters(count: u64) -> Option<Duration> {
    Some(Duration::from_hours(2 * count))
}

fn raw(raw: Option<Duration>) -> Retention {
    Retention {
        raw,
        ..Retention::default()
    }
}

/// Blocks in small letters hold aggregates of 5 m, of the sources that are named.
fn drawing(lines: &str, sources: &[(char, &str)]) -> Drawing {
    let mut drawing = Drawing::new(lines);
    for candidate in drawing.0.values_mut() {
        let meta = Arc::make_mut(&mut candidate.meta);
        if meta.parquet.is_some() {
            let resolution = Resolution::FiveMinutes;
            meta.thanos.as_mut().unwrap().downsample = Downsample { resolution };
        }
    }
    for (name, of) in sources {
        drawing = drawing.sources(*name, of);
    }
    drawing
}

/// The blocks to mark, and those held, when it is now the end of the eighth letter and a millisecond.
fn retained(drawing: &Drawing, retention: Retention, downsampling: Downsampling) -> String {
    let blocks: Vec<Candidate> = drawing.0.values().cloned().collect();
    let plan = plan(
        &blocks,
        &PlanOptions {
            retention,
            downsampling,
            ..PlanOptions::new(Timestamp(8 * LETTER + 1))
        },
    );
    let named = |expired: &[Expired]| expired.iter().map(|e| letter(e.block)).collect::<String>();
    format!("{}|{}", named(&plan.expired), named(&plan.overdue))
}

#[test]
fn blocks_are_marked_or_held_as_drawn() {
    let (on, off) = (Downsampling::On, Downsampling::Off);
    let both = |raw, five_minutes| Retention {
        raw,
        five_minutes,
        ..Retention::default()
    };
    let day = "|AABBCCDD";
    let halves = "|AABBCCDD\n|ffffgggg";
    for (name, drawn, sources, retention, downsampling, expected) in [
        ("for ever", day, &[][..], raw(None), off, "|"),
        ("by its end", day, &[], raw(letters(4)), off, "AB|"),
        (
            "not a moment too early",
            day,
            &[],
            raw(letters(5)),
            off,
            "A|",
        ),
        (
            "held until it is downsampled",
            day,
            &[],
            raw(letters(4)),
            on,
            "|AB",
        ),
        (
            "held, but for what is downsampled",
            halves,
            &[('f', "AX"), ('g', "CD")],
            raw(letters(4)),
            on,
            "A|B",
        ),
        (
            "downsampled with all of its sources",
            halves,
            &[('A', "VW"), ('f', "V"), ('g', "W"), ('B', "YZ")],
            raw(letters(4)),
            on,
            "A|B",
        ),
        (
            "nothing is held that would be kept no longer",
            day,
            &[],
            Retention {
                one_hour: letters(4),
                ..both(letters(4), letters(4))
            },
            on,
            "AB|",
        ),
        (
            "held for the sake of 1 h, though 5 m is kept no longer",
            day,
            &[],
            both(letters(4), letters(4)),
            on,
            "|AB",
        ),
        (
            "each resolution by its own",
            halves,
            &[('f', "AB"), ('g', "CD")],
            both(None, letters(4)),
            off,
            "f|",
        ),
        (
            "what is to become 1 h is held too",
            halves,
            &[('f', "AB"), ('g', "CD")],
            both(letters(2), letters(4)),
            on,
            "ABC|f",
        ),
    ] {
        let outcome = retained(&drawing(drawn, sources), retention, downsampling);
        assert_eq!(outcome, expected, "{name}");
    }
}

#[test]
fn nothing_waits_for_what_never_comes() {
    let marked = drawing("|AABBCCDD", &[]).no_downsample('A');
    assert_eq!(retained(&marked, raw(letters(4)), Downsampling::On), "A|B");
    let empty = drawing("|AABBCCDD", &[]).edit('A', |m| m.stats.num_samples = 0);
    assert_eq!(retained(&empty, raw(letters(4)), Downsampling::On), "A|B");
}

#[test]
fn a_downsampled_block_that_is_to_be_deleted_holds_nothing() {
    let drawing = drawing("|AABBCCDD\n|ffff", &[('f', "AB")]).deletion_marked('f');
    assert_eq!(retained(&drawing, raw(letters(4)), Downsampling::On), "|AB");
}

#[test]
fn a_block_uploaded_lately_is_not_marked_yet() {
    let lately = Timestamp(8 * LETTER - HOUR / 4);
    let drawing = drawing("|AABBCCDD", &[]).uploaded('A', lately);
    assert_eq!(retained(&drawing, raw(letters(4)), Downsampling::Off), "B|");
}

#[test]
fn a_marked_block_is_not_merged_and_the_plan_says_why() {
    let blocks: Vec<Candidate> = drawing("|ABCDEFGH", &[]).blocks();
    let got = plan(
        &blocks,
        &PlanOptions {
            retention: raw(letters(5)),
            downsampling: Downsampling::Off,
            ..PlanOptions::new(Timestamp(8 * LETTER + 1))
        },
    );
    let merged: String = got
        .tasks
        .iter()
        .flat_map(Task::input_ids)
        .map(letter)
        .collect();
    assert_eq!(merged, "D", "{got}");
    let text = got.to_string();
    let mark = format!(
        "mark {} for deletion: block exceeding retention of 10h0m0s\n",
        id('A')
    );
    assert!(text.contains(&mark), "{text}");
    let json = serde_json::to_value(&got).unwrap();
    assert_eq!(json["expired"][0]["retention"], "10h0m0s");
}

#[test]
fn a_kept_block_is_downsampled_and_the_plan_says_so() {
    let options = PlanOptions {
        retention: raw(letters(5)),
        ..PlanOptions::new(Timestamp(8 * LETTER + 1))
    };
    let got = plan(&drawing("|ABCDE", &[]).blocks(), &options);
    assert_eq!(
        outcome(&got),
        "downsample ABC to 5m; newest E; window-open D"
    );
    let text = got.to_string();
    let keep = format!(
        "keep {}, a block exceeding retention of 10h0m0s, until it is downsampled to 5m\n",
        id('A')
    );
    assert!(text.contains(&keep), "{text}");
    let done = drawing("|ABCDE\n|fff", &[('f', "ABC")]);
    assert_eq!(
        done.outcome_of(&options),
        "expired ABC; newest Ef; window-open D"
    );
}

#[test]
fn short_blocks_are_downsampled_before_they_go() {
    let at = |letters: i64| PlanOptions {
        retention: raw(Some(Duration::from_hours(40))),
        ..PlanOptions::new(Timestamp(letters * LETTER))
    };
    for (name, drawn, sources, now, expected) in [
        (
            "the newest too",
            " |ABC",
            &[][..],
            100,
            "downsample ABC to 5m",
        ),
        (
            "not across what becomes a block of its own",
            " |ABCDE",
            &[],
            100,
            "downsample AB to 5m; downsample C to 5m; downsample DE to 5m; no-compact",
        ),
        (
            "not across what is downsampled",
            " |ABCDE\n5|  z",
            &[('z', "C")],
            100,
            "downsample AB to 5m; downsample DE to 5m; expired C; newest z",
        ),
        ("across a gap", " |AB DE", &[], 100, "downsample ABDE to 5m"),
        (
            "overlapping blocks go together, and only when all are over",
            " |ABC\n | ZZZZZZZZZZZZZZZZZZ",
            &[],
            23,
            "downsample A to 5m; newest C; window-open BZ",
        ),
    ] {
        let mut drawing = Drawing::new(drawn);
        for (name, of) in sources {
            drawing = drawing.sources(*name, of);
        }
        if expected.contains("no-compact") {
            drawing = drawing.no_compact('C');
        }
        let expected = expected.trim_end_matches("; no-compact");
        assert_eq!(drawing.outcome_of(&at(now)), expected, "{name}");
    }
    let damaged = Drawing::new("|ABC").damaged('B');
    assert_eq!(
        damaged.outcome_of(&at(100)),
        "downsample A to 5m; downsample C to 5m; damaged B"
    );
}

#[test]
fn overdue_blocks_of_a_long_time_become_one_block_for_each_window() {
    let options = PlanOptions {
        retention: raw(Some(Duration::from_hours(48))),
        ..PlanOptions::new(NOW)
    };
    // The first fortnight is long enough for 1 h at once.
    assert_eq!(
        Drawing::days("|AABBCCDDEEFFGGHHII").outcome_of(&options),
        "downsample ABCDEFG to 5m+1h; downsample HI to 5m"
    );
}

#[test]
fn nothing_is_made_that_would_be_deleted_at_once() {
    let kept = |five_minutes, one_hour| PlanOptions {
        retention: Retention {
            raw: None,
            five_minutes,
            one_hour,
        },
        ..PlanOptions::new(NOW)
    };
    let month = Some(Duration::from_hours(30 * 24));
    let raw = Drawing::days("|AABBCCDDEEFFGGHHII");
    assert_eq!(
        raw.outcome_of(&kept(month, month)),
        "merge ABCDEFG; merge H; newest I"
    );
    // 5 m is a step on the way then.
    assert_eq!(
        raw.outcome_of(&kept(month, None)),
        "merge ABCDEFG to raw+5m+1h; merge H to raw+5m+1h; downsample I to 5m+1h"
    );
    // Once it is made, and the step is gone, it is not made again.
    let made = Drawing::days(" |aaaaaaaaaaaaaa\n1|hhhhhhhhhhhhhh").sources('h', "a");
    assert_eq!(made.outcome_of(&kept(month, None)), "newest ah");
}
