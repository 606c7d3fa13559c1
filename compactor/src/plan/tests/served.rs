//! TSDB blocks that wait for a store gateway.

use super::*;

/// What is planned at `now` for two days of TSDB blocks, merged to `p` and to TSDB block `X`, if gateways serve these
/// blocks and `p` was first seen to be served at `since`; `|` stands for a gateway that did not answer.
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
    let options = PlanOptions {
        served: Some(Arc::new(Served {
            blocks: serve.chars().filter(|c| *c != '|').map(id).collect(),
            is_complete: !serve.contains('|'),
            delay: 48 * HOUR,
        })),
        ..PlanOptions::new(Timestamp(now))
    };
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
    let stay = format!("{by_tsdb}; newest X; waits-for-store ABC; window-open p");
    let go =
        format!("cover A by p; cover B by p; cover C by p; {by_tsdb}; newest X; window-open p");
    for (serve, since, expected, changes) in [
        // Nobody serves it, or any more, or a gateway did not answer.
        ("", None, &stay, ""),
        ("X", None, &stay, ""),
        ("", Some(NOW - 100 * HOUR), &stay, "-p"),
        ("|", Some(NOW - 100 * HOUR), &stay, ""),
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

#[test]
fn a_block_that_waits_says_for_what() {
    let (block, until) = (id('p'), Some(Timestamp(0)));
    let said = |until| SkipReason::WaitsForStore { block, until }.to_string();
    assert_eq!(
        said(None),
        format!("in parquet/{block}, which no store gateway serves yet")
    );
    assert_eq!(
        said(until),
        format!("in parquet/{block}, which a store gateway must serve until 1970-01-01T00:00:00Z")
    );
}
