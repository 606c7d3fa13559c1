use bytes::Bytes;
use proto::{
    info::{InfoResponse, RulesInfo, StoreInfo, TsdbInfo},
    thanos::{Label, ZLabelSet},
};

use super::super::info::of_both;

fn set(value: &'static str) -> ZLabelSet {
    ZLabelSet {
        labels: vec![Label {
            name: "cluster".into(),
            value: Bytes::from(value),
        }],
    }
}

/// A half with these labels and times.
fn half(sets: &[(&'static str, i64, i64)]) -> InfoResponse {
    let times = |start: fn(&(&str, i64, i64)) -> i64| sets.iter().map(start);
    InfoResponse {
        label_sets: sets.iter().map(|(value, ..)| set(value)).collect(),
        store: Some(StoreInfo {
            min_time: times(|s| s.1).min().unwrap_or(i64::MAX),
            max_time: times(|s| s.2).max().unwrap_or(i64::MIN),
            supports_sharding: true,
            supports_without_replica_labels: true,
            supports_projections: false,
            tsdb_infos: sets
                .iter()
                .map(|&(value, min_time, max_time)| TsdbInfo {
                    labels: Some(set(value)),
                    min_time,
                    max_time,
                })
                .collect(),
        }),
        ..InfoResponse::default()
    }
}

#[test]
fn labels_and_times_are_those_of_both() {
    let recent = InfoResponse {
        component_type: "sidecar".to_owned(),
        rules: Some(RulesInfo {}),
        ..half(&[("eu", 50, i64::MAX)])
    };
    let both = of_both(Some(recent.clone()), half(&[("eu", 10, 60), ("us", 0, 5)]));
    assert_eq!(both.label_sets, [set("eu"), set("us")]);
    assert!(both.rules.is_some());
    assert_eq!(both.component_type, "sidecar");
    let store = both.store.unwrap();
    assert_eq!((store.min_time, store.max_time), (0, i64::MAX));
    assert!(store.supports_sharding && store.supports_without_replica_labels);
    let times: Vec<_> = store
        .tsdb_infos
        .iter()
        .map(|i| (i.min_time, i.max_time))
        .collect();
    assert_eq!(times, [(10, i64::MAX), (0, 5)]);

    // Nothing in the bucket yet.
    let both = of_both(Some(recent), half(&[]));
    let store = both.store.unwrap();
    assert_eq!((store.min_time, store.max_time), (50, i64::MAX));
    assert_eq!(store.tsdb_infos.len(), 1);
}

#[test]
fn a_prometheus_that_has_not_answered_may_have_anything() {
    let both = of_both(None, half(&[("eu", 10, 60)]));
    // A querier asks for whatever it wants, and hears that Prometheus is missing.
    assert_eq!(both.label_sets, [ZLabelSet::default(), set("eu")]);
    let store = both.store.unwrap();
    assert_eq!((store.min_time, store.max_time), (i64::MIN, i64::MAX));
    assert!(both.rules.is_some() && both.status.is_some());
}
