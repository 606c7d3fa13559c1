//! Retention, on drawings. Small letters are blocks of 5 m.

use std::time::Duration;

use model::NoDownsampleMark;

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

/// Blocks in small letters hold aggregates of 5 m, of the sources that are named; each block has a sample.
fn drawing(lines: &str, sources: &[(char, &str)]) -> Drawing {
    let mut drawing = Drawing::new(lines);
    for candidate in drawing.0.values_mut() {
        let meta = Arc::make_mut(&mut candidate.meta);
        meta.stats.num_samples = 1;
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
            both(letters(4), letters(4)),
            on,
            "AB|",
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
    let mark = |name| NoDownsampleMark {
        id: id(name),
        version: 1,
        details: String::new(),
        no_downsample_time: 1,
        reason: "manual".to_owned(),
    };
    let mut marked = drawing("|AABBCCDD", &[]);
    marked.0.get_mut(&'A').unwrap().no_downsample_mark = Some(mark('A'));
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
fn what_was_uploaded_lately_is_not_marked_yet() {
    let lately = Timestamp(8 * LETTER - HOUR / 4);
    let drawing = drawing("|AABBCCDD", &[]).uploaded('A', lately);
    assert_eq!(retained(&drawing, raw(letters(4)), Downsampling::Off), "B|");
}

#[test]
fn what_is_marked_is_not_merged_and_says_why() {
    let blocks: Vec<Candidate> = drawing("|ABCDEFGH", &[]).0.into_values().collect();
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
fn what_is_held_is_merged_all_the_same_and_says_what_it_waits_for() {
    let blocks: Vec<Candidate> = drawing("|ABCDE", &[]).0.into_values().collect();
    let options = PlanOptions {
        retention: raw(letters(5)),
        ..PlanOptions::new(Timestamp(8 * LETTER + 1))
    };
    let got = plan(&blocks, &options);
    assert_eq!(got.tasks.len(), 1, "{got}");
    let text = got.to_string();
    let keep = format!(
        "keep {}, a block exceeding retention of 10h0m0s, until it is downsampled to 5m\n",
        id('A')
    );
    assert!(text.contains(&keep), "{text}");
}
