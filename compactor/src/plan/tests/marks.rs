//! Marks and failures, on drawings.

use super::*;

#[test]
fn marks_and_failures_part_a_window() {
    let drawing = "|ABCDEF";
    let outcome = Drawing::new(drawing).no_compact('B').outcome();
    assert_eq!(
        outcome,
        "merge A; merge CD; newest F; no-compact B; window-open E"
    );
    let failed = Drawing::new(drawing).edit('B', |m| m.compaction.failed = true);
    let expected = "merge A; merge CD; compaction-failed B; newest F; window-open E";
    assert_eq!(failed.outcome(), expected);
    let damaged = Drawing::new(drawing).damaged('B').outcome();
    assert_eq!(
        damaged,
        "merge A; merge CD; damaged B; newest F; window-open E"
    );
}

#[test]
fn a_block_with_a_deletion_mark_does_not_count() {
    let outcome = Drawing::new("|ABCDEF").deletion_marked('F').outcome();
    assert_eq!(outcome, "merge ABCD; marked-for-deletion F; newest E");
    let parquet = Drawing::new("|ABCDEF\n|aaaa").sources('a', "ABCD");
    let outcome = parquet.deletion_marked('a').outcome();
    assert_eq!(
        outcome,
        "merge ABCD; marked-for-deletion a; newest F; window-open E"
    );
}

#[test]
fn a_window_waits_for_a_block_that_is_too_fresh() {
    let lately = Timestamp(NOW.0 - HOUR / 2 + 1);
    let outcome = Drawing::new("|ABCDEF").uploaded('C', lately).outcome();
    assert_eq!(
        outcome,
        "newest F; too-fresh C; waits-for ABD; window-open E"
    );
    let long_ago = Timestamp(lately.0 - 1);
    let outcome = Drawing::new("|ABCDEF").uploaded('C', long_ago).outcome();
    assert_eq!(outcome, "merge ABCD; newest F; window-open E");
    // What is too fresh does not make the block before it old either.
    let outcome = Drawing::new("|ABCDE").uploaded('E', lately).outcome();
    assert_eq!(outcome, "newest D; too-fresh E; waits-for ABC");
    // A compactor has written it, and read it back.
    let compacted = Drawing::new("|ABCDEF").edit('C', |m| {
        m.thanos.as_mut().unwrap().source = "compactor".to_owned();
    });
    let outcome = compacted.uploaded('C', lately).outcome();
    assert_eq!(outcome, "merge ABCD; newest F; window-open E");
}

#[test]
fn without_an_upload_time_the_name_tells_the_age() {
    let blocks: Vec<Candidate> = Drawing::new("|ABCDEF").blocks();
    let mut options = PlanOptions::new(Timestamp(1000 + HOUR / 2));
    assert_eq!(plan(&blocks, &options).tasks.len(), 1);
    options.now = Timestamp(options.now.0 - 1);
    let plan = plan(&blocks, &options);
    assert!(plan.tasks.is_empty());
    let until = Timestamp(1000 + HOUR / 2);
    let fresh = |l: &Skipped| l.reason == SkipReason::TooFresh { until };
    assert!(plan.skipped.iter().all(fresh), "{plan}");
}

#[test]
fn a_block_whose_times_cannot_be_right_is_left_and_nothing_waits_for_it_or_deletes_it() {
    let day = 24 * HOUR;
    for (min, max) in [
        (Some(0), Some(NOW.0 * 1000)),
        (None, Some(i64::MAX)),
        (Some(i64::MIN), None),
        (Some(LETTER * 2), Some(LETTER)),
        (None, Some(-5)),
        (None, Some(NOW.0 + 14 * day + 1)),
    ] {
        let mut wrong = block('B', LETTER, 2 * LETTER);
        let meta = Arc::make_mut(&mut wrong.meta);
        meta.min_time = min.map_or(meta.min_time, Timestamp);
        meta.max_time = max.map_or(meta.max_time, Timestamp);
        // Young enough to be wrong only ahead of the clock.
        if max == Some(NOW.0 + 14 * day + 1) {
            meta.min_time = Timestamp(NOW.0 - day);
        }
        let options = PlanOptions {
            retention: Retention {
                raw: Some(std::time::Duration::from_secs(1)),
                ..Retention::default()
            },
            downsampling: Downsampling::Off,
            ..PlanOptions::new(NOW)
        };
        let found = plan(std::slice::from_ref(&wrong), &options);
        assert!(found.expired.is_empty(), "{found:?}");
        let reasons: Vec<_> = found
            .skipped
            .iter()
            .map(|left| left.reason.word())
            .collect();
        assert_eq!(reasons, ["wrong-times"], "{min:?} {max:?}");
        // The others are merged as if it were not there.
        let all = [
            block('A', 0, LETTER),
            wrong,
            block('C', 2 * LETTER, 3 * LETTER),
            block('D', 100 * day, 101 * day),
            block('E', 200 * day, 201 * day),
        ];
        let options = PlanOptions::new(NOW);
        let merged: Vec<BlockId> = plan(&all, &options)
            .tasks
            .iter()
            .filter(|task| task.inputs.len() == 2)
            .flat_map(Task::input_ids)
            .collect();
        assert_eq!(merged, [id('A'), id('C')], "{min:?} {max:?}");
    }
}

#[test]
fn a_block_with_a_mark_that_cannot_be_used_is_left_as_it_is_whichever_mark_it_is() {
    for file in [
        DeletionMark::FILE,
        NoCompactMark::FILE,
        NoDownsampleMark::FILE,
    ] {
        let drawing = Drawing::new("|ABCDEF").unusable('B', file);
        let outcome = drawing.outcome();
        let expected = "merge A; merge CD; newest F; unusable-mark B; window-open E";
        assert_eq!(outcome, expected, "{file}");
        // Nor is it deleted as old, nor for being in another block.
        let retention = Retention {
            raw: Some(std::time::Duration::from_hours(40)),
            ..Retention::default()
        };
        let options = PlanOptions {
            retention,
            downsampling: Downsampling::Off,
            ..PlanOptions::new(NOW)
        };
        let told = plan(&drawing.blocks(), &options);
        assert!(told.expired.iter().all(|e| e.block != id('B')), "{told}");
        let covered = Drawing::new("|ABCDEF\n|aaaa").sources('a', "ABCD");
        let told = covered.unusable('B', file).plan();
        assert!(told.covered.iter().all(|c| c.block != id('B')), "{told}");
        assert!(told.covered.iter().any(|c| c.block == id('A')), "{told}");
        // Long enough to be downsampled.
        let long = Drawing::days("|AABB").unusable('A', file).plan();
        assert!(
            long.tasks
                .iter()
                .all(|t| t.input_ids().all(|i| i != id('A')))
        );
    }
}

#[test]
fn no_block_is_left_to_one_whose_mark_cannot_be_used() {
    let drawing = Drawing::new("|ABCDEF\n|aaaa").sources('a', "ABCD");
    let told = drawing.unusable('a', DeletionMark::FILE).plan();
    assert!(told.covered.is_empty(), "{told}");
}

#[test]
fn nothing_is_planned_where_a_block_that_could_not_be_read_may_belong() {
    let mut drawing = Drawing::new("|ABCDEF\n|aaaa").sources('a', "ABCD");
    let why = || Some("get C/no-compact-mark.json: access denied".to_owned());
    drawing.0.get_mut(&'C').unwrap().unread = why();
    // Neither is anything merged, nor marked as covered.
    assert_eq!(drawing.outcome(), "unread ABCDEFa");
    // Where nothing is known of the block, its group may be any.
    let blocks = Drawing::new("|ABCDEF").blocks();
    let options = PlanOptions {
        unread: why(),
        retention: Retention {
            raw: Some(std::time::Duration::from_secs(1)),
            ..Retention::default()
        },
        ..PlanOptions::new(NOW)
    };
    let plan = plan(&blocks, &options);
    assert!(plan.tasks.is_empty() && plan.expired.is_empty(), "{plan}");
    assert!(
        plan.skipped
            .iter()
            .all(|left| left.reason.word() == "unread")
    );
    assert!(plan.to_string().contains("access denied"), "{plan}");
}
