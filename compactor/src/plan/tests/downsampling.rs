//! What is downsampled, on drawings. A letter is a day, unless said otherwise.

use super::*;

#[test]
fn raw_blocks_become_5m_and_1h_as_drawn() {
    for (name, drawing, outcome) in [
        (
            "in the pass that makes a block long enough",
            " |AABBCCDDEEFFGGHHII",
            "merge ABCDEFG to raw+5m+1h; merge H to raw+5m; downsample I to 5m",
        ),
        (
            "5 m only below ten days",
            " |AABBCCDD          EEFFGG",
            "merge ABCD to raw+5m; merge E to raw+5m; merge F to raw+5m; downsample G to 5m",
        ),
        (
            "as its own task in a window that is open",
            " |aabbcc",
            "downsample a to 5m; downsample b to 5m; downsample c to 5m",
        ),
        (
            "the longest as its own task, at once to 1 h",
            " |aaaaaaaaaaaaaa",
            "downsample a to 5m+1h",
        ),
        (
            "nothing that is shorter",
            " |a b c",
            "newest c; window-open ab",
        ),
    ] {
        assert_eq!(Drawing::days(drawing).outcome(), outcome, "{name}");
    }
}

#[test]
fn a_raw_block_is_long_enough_from_40_hours_on() {
    // A letter is two hours.
    let blocks = |letters: usize| Drawing::new(&format!("|{}", "a".repeat(letters))).outcome();
    assert_eq!(blocks(19), "newest a");
    assert_eq!(blocks(20), "downsample a to 5m");
}

#[test]
fn an_existing_block_is_not_made_again() {
    for (name, drawing, sources, outcome) in [
        (
            "all of 5 m: it is merged there, and becomes 1 h there",
            " |AABBCCDDEEFFGGHHII\n5|aabbccddeeffgghhii",
            &["aA", "bB", "cC", "dD", "eE", "fF", "gG", "hH", "iI"][..],
            "merge ABCDEFG; merge H; merge abcdefg to 5m+1h; newest Ii; window-open h",
        ),
        (
            "a part: what is made of all of it replaces that part",
            " |AABBCCDDEEFFGGHHII\n5|aabbccddee    hhii",
            &["aA", "bB", "cC", "dD", "eE", "hH", "iI"],
            "merge ABCDEFG to raw+5m+1h; merge H; newest Ii; waits-for-task abcde; window-open h",
        ),
        (
            "1 h of all, but not 5 m",
            " |AABBCCDDEEFFGGHHII\n5|              hhii\n1|mmmmmmmmmmmmmm",
            &["mABCDEFG", "hH", "iI"],
            "merge ABCDEFG to raw+5m; merge H; newest Iim; window-open h",
        ),
    ] {
        let drawing = sources
            .iter()
            .fold(Drawing::days(drawing), |drawing, sources| {
                let (name, sources) = sources.split_at(1);
                drawing.sources(name.chars().next().unwrap(), sources)
            });
        assert_eq!(drawing.outcome(), outcome, "{name}");
    }
    // Of another group.
    let other = Drawing::days(" |aa\n5|xx").sources('x', "a");
    assert_eq!(other.outcome(), "newest ax");
    let other = other.label("x", "cluster", "eu-2");
    assert_eq!(other.outcome(), "downsample a to 5m; newest x");
}

#[test]
fn a_block_to_be_deleted_does_not_count() {
    let drawing = Drawing::days(" |aa\n5|xx").sources('x', "a");
    assert_eq!(
        drawing.deletion_marked('x').outcome(),
        "downsample a to 5m; marked-for-deletion x"
    );
}

#[test]
fn marks_forbid_what_they_name() {
    let drawing = || Drawing::days("|AABBCC");
    assert_eq!(
        drawing().no_compact('A').outcome(),
        "downsample A to 5m; merge B to raw+5m; downsample C to 5m"
    );
    // What is merged has no mark any more, and so it is with Thanos.
    assert_eq!(
        drawing().no_downsample('A').no_downsample('C').outcome(),
        "merge A; merge B to raw+5m; newest C"
    );
    let damaged = NoCompactReason::Other("damaged".to_owned());
    assert_eq!(
        drawing()
            .no_compact_for('A', damaged)
            .damaged('B')
            .outcome(),
        "downsample C to 5m; damaged B; no-compact A"
    );
    let failed = drawing().edit('A', |m| m.compaction.failed = true);
    assert_eq!(
        failed.outcome(),
        "downsample A to 5m; merge B to raw+5m; downsample C to 5m"
    );
}

#[test]
fn a_block_to_be_merged_soon_is_downsampled_with_its_neighbours() {
    let lately = Timestamp(NOW.0 - HOUR / 4);
    let drawing = Drawing::days("|AABBCCDDEEFFGGHHII").uploaded('C', lately);
    assert_eq!(
        drawing.outcome(),
        "merge H to raw+5m; downsample I to 5m; too-fresh C; waits-for ABDEFG"
    );
}

#[test]
fn nothing_is_made_of_nothing_and_nothing_when_it_is_off() {
    let empty = Drawing::days("|aa").edit('a', |m| m.stats.num_samples = 0);
    assert_eq!(empty.outcome(), "newest a");
    let options = PlanOptions {
        downsampling: Downsampling::Off,
        ..PlanOptions::new(NOW)
    };
    let drawing = Drawing::days(" |AABBCCDDEEFFGGHHII\n5|aabbccddeeffgghhii");
    assert_eq!(
        drawing.outcome_of(&options),
        "merge ABCDEFG; merge H; merge abcdefg; newest Ii; window-open h"
    );
}

#[test]
fn all_remaining_work_is_counted() {
    let todo_of = |drawing: &str, options: &PlanOptions| {
        let drawing = Drawing::days(drawing);
        todo(&drawing.blocks(), options)
    };
    let expected = Todo {
        compactions: 2,
        compaction_blocks: 8,
        downsample_blocks: 4,
        deletion_blocks: 0,
    };
    let options = PlanOptions::new(NOW);
    assert_eq!(todo_of(" |AABBCCDDEEFFGGHHII", &options), expected);
    assert_eq!(todo_of("|A", &options), Todo::default());
    // Made now, merged once it is there, deleted once that is: what was there, and what was made of it.
    let hours = |hours| Some(std::time::Duration::from_hours(hours));
    let options = PlanOptions {
        retention: Retention {
            raw: hours(48),
            five_minutes: hours(240),
            one_hour: None,
        },
        ..options
    };
    let expected = Todo {
        compactions: 0,
        compaction_blocks: 0,
        downsample_blocks: 4,
        deletion_blocks: 11,
    };
    assert_eq!(todo_of(" |AABBCCDDEEFFGGHHII", &options), expected);
}
