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
fn a_block_that_is_deletion_marked_is_not_there() {
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
    let fresh = |l: &Left| l.reason == LeftReason::TooFresh { until };
    assert!(plan.left.iter().all(fresh), "{plan}");
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
    assert!(plan.left.iter().all(|left| left.reason.word() == "unread"));
    assert!(plan.to_string().contains("access denied"), "{plan}");
}
