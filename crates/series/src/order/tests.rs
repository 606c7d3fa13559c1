use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

fn named(rest: &[(&str, &str)]) -> Labels {
    labels(&[&[("__name__", "m")], rest].concat())
}

fn final_labels(external: &[(&str, &str)], without: &[&str]) -> FinalLabels {
    FinalLabels::new(
        &labels(external),
        &without.iter().map(|&n| n.into()).collect(),
    )
}

fn order(external: &[(&str, &str)], without: &[&str]) -> FinalOrder<()> {
    FinalOrder::new(final_labels(external, without), |_| true, None, |()| 0)
}

/// Pushes one series and draws what comes out.
fn push(order: &mut FinalOrder<()>, own: Labels) -> Vec<String> {
    drawn(&order.push([(own, ())]).unwrap())
}

fn drawn(series: &[(Labels, ())]) -> Vec<String> {
    let line = |(labels, ()): &(Labels, ())| labels.to_string();
    series.iter().map(line).collect()
}

#[test]
fn series_with_the_same_label_names_leave_when_the_next_comes() {
    let mut order = order(&[("a", "9"), ("x", "9")], &[]);
    assert!(push(&mut order, named(&[("b", "1"), ("z", "01")])).is_empty());
    for i in 2..100 {
        let out = push(&mut order, named(&[("b", "1"), ("z", &format!("{i:02}"))]));
        assert_eq!((out.len(), order.held.series), (1, 1));
    }
    let out = push(&mut order, named(&[("b", "2")]));
    assert_eq!(out, [r#"{__name__="m", a="9", b="1", x="9", z="99"}"#]);
}

#[test]
fn a_series_waits_for_those_that_begin_with_it_and_those_leave_before_it() {
    let mut order = order(&[("x", "9")], &[]);
    assert!(push(&mut order, named(&[])).is_empty());
    assert!(push(&mut order, named(&[("b", "1")])).is_empty());
    assert_eq!(
        push(&mut order, named(&[("b", "2")])),
        [r#"{__name__="m", b="1", x="9"}"#]
    );
    // Behind all that is added: nobody overtakes any more.
    assert_eq!(
        push(&mut order, named(&[("y", "1")])),
        [
            r#"{__name__="m", b="2", x="9"}"#,
            r#"{__name__="m", x="9"}"#
        ]
    );
    assert_eq!(
        drawn(&order.finish().unwrap()),
        [r#"{__name__="m", x="9", y="1"}"#]
    );
}

#[test]
fn series_are_held_together_from_a_label_on_that_is_replaced_or_removed() {
    let mut order = order(&[("x", "9")], &["b"]);
    assert!(push(&mut order, named(&[("a", "1")])).is_empty());
    assert!(push(&mut order, named(&[("a", "1"), ("a2", "5")])).is_empty());
    assert_eq!(
        push(&mut order, named(&[("a", "1"), ("b", "1"), ("c", "2")])),
        [r#"{__name__="m", a="1", a2="5", x="9"}"#]
    );
    assert!(push(&mut order, named(&[("a", "1"), ("b", "2"), ("c", "1")])).is_empty());
    assert!(push(&mut order, named(&[("a", "1"), ("c", "0")])).is_empty());
    assert_eq!(
        push(&mut order, named(&[("a", "2")])),
        [
            r#"{__name__="m", a="1", c="0", x="9"}"#,
            r#"{__name__="m", a="1", c="1", x="9"}"#,
            r#"{__name__="m", a="1", c="2", x="9"}"#,
            r#"{__name__="m", a="1", x="9"}"#,
        ]
    );
}

#[test]
fn how_much_is_held_depends_on_the_removed_labels_that_series_may_have() {
    let depth = |external: &[_], without: &[_], may_have: &[&str]| {
        let has = |name: &[u8]| may_have.iter().any(|n| n.as_bytes() == name);
        Depth::of(&final_labels(external, without), has)
    };
    let all = ["Zone", "__name__", "a", "r"];
    assert_eq!(depth(&[("a", "1")], &[], &all), Depth::Changes);
    assert_eq!(depth(&[("a", "1")], &["r"], &all), Depth::Metric);
    assert_eq!(depth(&[("a", "1")], &["r"], &all[..3]), Depth::Changes);
    assert_eq!(depth(&[("s", "1")], &["r"], &all), Depth::Changes);
    assert_eq!(depth(&[], &["Zone"], &all), Depth::Everything);
    assert_eq!(depth(&[], &["__name__"], &all), Depth::Everything);
    // The external one is removed, too.
    assert_eq!(depth(&[("r", "1")], &["r"], &all), Depth::Metric);
}

#[test]
fn a_metric_is_held_if_a_series_could_become_the_beginning_of_one_that_has_left() {
    let mut order = order(&[("a", "9")], &["r"]);
    assert!(push(&mut order, named(&[("b", "1")])).is_empty());
    assert!(push(&mut order, named(&[("r", "1")])).is_empty());
    assert_eq!(
        push(&mut order, labels(&[("__name__", "n")])),
        [
            r#"{__name__="m", a="9"}"#,
            r#"{__name__="m", a="9", b="1"}"#
        ]
    );
}

#[test]
fn a_budget_that_is_exceeded_is_named_with_what_is_held() {
    let budget = Budget {
        name: "--held-bytes",
        bytes: 1000,
    };
    let labels = final_labels(&[("b", "9")], &[]);
    let mut order = FinalOrder::new(labels, |_| true, Some(budget), |size: &usize| *size);
    // One alone may have more.
    order
        .push([(named(&[("a", "1"), ("b", "1")]), 2000)])
        .unwrap();
    assert!(order.held_bytes() > 2000);
    order
        .push([(named(&[("a", "2"), ("b", "1")]), 400)])
        .unwrap();
    let error = order.push([(named(&[("a", "2"), ("b", "2")]), 400)]);
    let text = error.unwrap_err().to_string();
    let start = "exceeded --held-bytes limit: limit 1000 violated (2 series of ";
    let end = r#" bytes wait to be sorted, the last {__name__="m", a="2", b="2"})"#;
    assert!(text.starts_with(start) && text.ends_with(end), "{text}");
}

#[test]
fn a_series_that_comes_too_late_is_an_error() {
    let mut order = order(&[], &[]);
    let (a, b) = (named(&[("a", "1")]), named(&[("b", "1")]));
    order.push([(b, ())]).unwrap();
    order.push([(a, ())]).unwrap();
    assert_eq!(
        order.finish().unwrap_err().to_string(),
        r#"series out of order: expected one after {__name__="m", b="1"}, found {__name__="m", a="1"}"#
    );
}

fn some_labels() -> impl Strategy<Value = Labels> {
    let rest = prop::sample::select(vec!["A", "Zone", "_a", "b", "c", "q", "z"]);
    let pairs = prop::collection::vec((rest, "[12]"), 0..5);
    let name = prop::option::weighted(0.9, "[ab]");
    (pairs, name).prop_map(|(pairs, name)| {
        let pairs = pairs.into_iter().map(|(n, v)| (n.to_owned(), v));
        let name = name.map(|name| (METRIC_NAME.to_owned(), name));
        Labels::from_pairs(pairs.chain(name))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_order_is_that_of_a_sort_of_everything(
        own in prop::collection::btree_set(some_labels(), 0..40),
        external in some_labels(),
        without in prop::collection::btree_set("A|Zone|b|q|z|__name__".prop_map(String::into_bytes), 0..3),
        names_are_known: bool,
        sorted in prop::bool::weighted(0.8),
        batch in 1_usize..10,
    ) {
        let labels = FinalLabels::new(&external, &without);
        // A series without a name that loses all its labels comes too late if metrics are held.
        let metric = METRIC_NAME.as_bytes();
        let has_name = |l: &Labels| l.get(metric).is_some() || external.get(metric).is_some();
        let is_left = |l: &Labels| labels.apply(l.clone()).iter().any(|(n, _)| n > metric);
        let mut own: Vec<_> = own.into_iter().filter(|l| has_name(l) || is_left(l)).collect();
        let names: BTreeSet<Vec<u8>> = own.iter().flat_map(|l| l.iter().map(|(n, _)| n.to_vec())).collect();
        let may_have = |name: &[u8]| !names_are_known || names.contains(name);
        let size = |_: &usize| 100;
        let mut order = if sorted {
            FinalOrder::new(labels.clone(), may_have, None, size)
        } else {
            own.sort_by_key(Labels::stable_hash);
            FinalOrder::unsorted(labels.clone(), None, size)
        };
        let changed = own.iter().any(|l| labels.first_changed(l).is_some());

        let series: Vec<_> = own.into_iter().enumerate().map(|(i, l)| (l, i)).collect();
        let mut got = Vec::new();
        let mut taken = 0;
        for batch in series.chunks(batch) {
            got.extend(order.push(batch.to_vec()).unwrap());
            taken += batch.len();
            prop_assert_eq!(order.held.series, taken - got.len());
            let held = order.runs.iter().flat_map(|run| &run.series);
            prop_assert_eq!(order.held_bytes(), held.map(|(l, _)| l.heap_size() + OVERHEAD + 100).sum::<usize>());
            if sorted && !changed && order.depth == Depth::Changes {
                // No more than one of each number of labels.
                prop_assert!(order.held.series <= 7);
            }
        }
        got.extend(order.finish().unwrap());
        let mut expected: Vec<_> = series.into_iter().map(|(l, i)| (labels.apply(l), i)).collect();
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        prop_assert_eq!(got, expected);
    }
}
