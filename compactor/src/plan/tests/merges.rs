//! What is merged of raw blocks, on drawings.

use super::*;

#[test]
fn plans_are_as_drawn() {
    let table = [
        ("nothing", "", ""),
        ("one block is the newest", "|A", "newest A"),
        (
            "a window that is not full is open",
            "|ABC",
            "newest C; window-open AB",
        ),
        (
            "a full window waits for the block after it",
            "|ABCD",
            "newest D; waits-for ABC",
        ),
        ("a full window", "|ABCDE", "merge ABCD; newest E"),
        (
            "a window with a gap is open until a block after it is not the newest",
            "|AB DE",
            "newest E; window-open ABD",
        ),
        (
            "a window with a gap",
            "|AB DEF",
            "merge ABD; newest F; window-open E",
        ),
        (
            "a lone block of a window that is past",
            "|A   EF",
            "merge A; newest F; window-open E",
        ),
        (
            "the largest complete window is taken in one step",
            "|ABCDEFGHIJKLMNOPQRSTUVWXY",
            "merge ABCDEFGHIJKLMNOPQRSTUVWX to raw+5m; newest Y",
        ),
        (
            "smaller windows where the larger is open",
            "|ABCDEFGHIJ",
            "merge ABCD; merge EFGH; newest J; window-open I",
        ),
        (
            "larger blocks that others made",
            "|AAAABBBBCD",
            "merge A; merge B; newest D; window-open C",
        ),
        (
            "a block of two days becomes Parquet on its own",
            "|AAAAAAAAAAAAAAAAAAAAAAAABC",
            "merge A to raw+5m; newest C; window-open B",
        ),
        (
            "Parquet waits for its next larger window",
            "|aaaaBBBC",
            "newest C; waits-for B; window-open a",
        ),
        (
            "Parquet and TSDB become one",
            "|AbbCEF",
            "merge AbC; newest F; window-open E",
        ),
        (
            "Parquet of part of two days, and the rest",
            "|aaaabbbbCDEFGHIJKLMNOPQRSTUVWXY",
            "merge abCDEFGHIJKLMNOPQR to raw+5m; merge STUV; newest Y; window-open WX",
        ),
        (
            "Parquet blocks become a larger one",
            "|aaaabbbbccccddddeeeeffffG",
            "merge abcdef to raw+5m; newest G",
        ),
        (
            "overlapping blocks",
            "|AABBCD\n|XXXX",
            "merge AXB; newest D; window-open C",
        ),
        (
            "overlap across a window's end waits for the window that holds both",
            "|ABCDEFGHIJ\n|   ZZ",
            "merge ABC; merge FGH; newest J; window-open DZEI",
        ),
        (
            "overlap with Parquet",
            "|ABCDEFGHIJKLMNOPQRSTUVWXY\n|   zz\n|   ZZ",
            "merge ABCDZzEFGHIJKLMNOPQRSTUVWX to raw+5m; newest Y",
        ),
        (
            "a late block beside Parquet",
            "|aaaaEF\n|  B",
            "merge aB; newest F; window-open E",
        ),
        (
            "the newest overlaps",
            "|ABCD\n|   E",
            "newest E; waits-for ABCD",
        ),
    ];
    for (name, drawing, outcome) in table {
        assert_eq!(Drawing::new(drawing).outcome(), outcome, "{name}");
    }
}

#[test]
fn a_block_across_the_largest_window_is_merged_alone() {
    let days = 24 * HOUR;
    let blocks = [
        block('A', 13 * days, 15 * days),
        block('B', 15 * days, 15 * days + LETTER),
        block('C', 15 * days + LETTER, 15 * days + 2 * LETTER),
    ];
    let options = PlanOptions {
        downsampling: Downsampling::Off,
        ..PlanOptions::new(NOW)
    };
    let got = plan(&blocks, &options);
    let inputs: Vec<_> = got.tasks.iter().flat_map(Task::input_ids).collect();
    assert_eq!(inputs, [id('A')]);
    assert_eq!(got.tasks[0].window, None);
    let not_yet = plan(&blocks[..2], &options);
    assert!(not_yet.tasks.is_empty(), "{not_yet}");
}

#[test]
fn one_of_ours_across_the_largest_window_stays_as_it_is() {
    let days = 24 * HOUR;
    let blocks = [
        block('a', 13 * days, 15 * days),
        block('B', 15 * days, 15 * days + LETTER),
        block('C', 15 * days + LETTER, 15 * days + 2 * LETTER),
    ];
    let options = PlanOptions {
        downsampling: Downsampling::Off,
        ..PlanOptions::new(NOW)
    };
    assert_eq!(
        outcome(&plan(&blocks, &options)),
        "alone a; newest C; window-open B"
    );
}

#[test]
fn for_thanos_s_components_only_what_something_joins_is_written() {
    let options = PlanOptions {
        output: OutputFormat::Tsdb,
        ..PlanOptions::new(NOW)
    };
    for (drawing, outcome) in [
        ("|AAAABBBBCD", "newest D; window-open ABC"),
        ("|ABCDEF", "merge ABCD; newest F; window-open E"),
        ("|A   EF", "newest F; window-open AE"),
        ("|aaaaBBBCE", "merge BC; newest E; window-open a"),
        // What Parquet there is goes the other way as it grows.
        ("|aaaaEF\n|  B", "merge aB; newest F; window-open E"),
    ] {
        assert_eq!(
            Drawing::new(drawing).outcome_of(&options),
            outcome,
            "{drawing}"
        );
    }
    let plan = plan(&Drawing::new("|ABCDEF").blocks(), &options);
    assert_eq!(plan.tasks[0].format, OutputFormat::Tsdb);
}

#[test]
fn a_block_of_which_much_is_deleted_is_written_anew() {
    let options = PlanOptions {
        output: OutputFormat::Tsdb,
        ..PlanOptions::new(NOW)
    };
    let deleted = |tombstones, drawing| {
        let drawing = Drawing::new(drawing).edit('A', |m| {
            m.stats.num_series = 99;
            m.stats.num_tombstones = tombstones;
        });
        drawing.outcome_of(&options)
    };
    assert_eq!(deleted(5, "|AAAABBBBCD"), "newest D; window-open ABC");
    assert_eq!(
        deleted(6, "|AAAABBBBCD"),
        "merge A; newest D; window-open BC"
    );
    // Less than 8 h will be merged soon; and what may still be written to is left.
    assert_eq!(deleted(6, "|AAABBBBCD"), "newest D; window-open ABC");
    assert_eq!(deleted(6, "|BBBBAAAA"), "newest A; window-open B");
}

#[test]
fn times_that_are_not_worked_on_are_not_there() {
    let blocks: Vec<Candidate> = Drawing::new("|ABCDEF").blocks();
    let mut options = PlanOptions::new(NOW);
    options.times = TimeRange::new(i64::MIN, 2 * LETTER - 1);
    let plan = plan(&blocks, &options);
    assert!(plan.tasks.is_empty(), "{plan}");
    let outside = |l: &&Skipped| l.reason == SkipReason::OutsideTimes;
    assert_eq!(plan.skipped.iter().filter(outside).count(), 4);
}

#[test]
fn blocks_of_other_labels_and_other_shards_are_not_there() {
    let blocks: Vec<Candidate> = Drawing::new("|ABCDEF").blocks();
    let words = |options: &PlanOptions| {
        let plan = plan(&blocks, options);
        let words = plan.skipped.iter().map(|l| l.reason.word());
        (plan.tasks.len(), words.collect::<Vec<_>>())
    };
    let mut options = PlanOptions::new(NOW);
    let drop = "[{action: drop, source_labels: [cluster], regex: eu-.*}]";
    options.filter = BlockFilter::from_yaml(drop).unwrap();
    assert_eq!(words(&options), (0, vec!["not-selected"; 6]));
    let in_shard = |index| {
        let mut options = PlanOptions::new(NOW);
        options.shard = Shard::new(index, 2).unwrap();
        words(&options)
    };
    let (with, without) = match in_shard(0).0 {
        1 => (in_shard(0), in_shard(1)),
        _ => (in_shard(1), in_shard(0)),
    };
    assert_eq!(with, (1, vec!["window-open", "newest"]));
    assert_eq!(without, (0, vec!["other-shard"; 6]));
}
