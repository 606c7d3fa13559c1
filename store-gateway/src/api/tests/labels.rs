use bucket::Bucket;
use bytes::Bytes;
use model::Labels;
use prost::Message as _;
use proto::{
    hintspb::{LabelNamesRequestHints, LabelNamesResponseHints},
    info::InfoRequest,
    thanos::{LabelMatcher, LabelNamesRequest, LabelValuesRequest},
};
use tonic::Code;

use super::world::*;
use crate::Config;

const START: i64 = 1_700_006_400_000;

/// Two hours each: `eu` in TSDB from the start, `us` in Parquet too.
async fn world() -> World {
    let bucket = Bucket::in_memory();
    put_tsdb(
        &bucket,
        ALL_KINDS,
        id(1),
        &[("cluster", "eu"), ("replica", "a")],
    )
    .await;
    put_parquet(&bucket, id(2), &[("cluster", "us"), ("pod", "external")]).await;
    World::new(&bucket, Config::default()).await
}

fn names(matchers: &[LabelMatcher]) -> LabelNamesRequest {
    LabelNamesRequest {
        start: START,
        end: START + 7_200_000,
        matchers: matchers.to_vec(),
        ..LabelNamesRequest::default()
    }
}

fn values(label: &str, matchers: &[LabelMatcher]) -> LabelValuesRequest {
    LabelValuesRequest {
        label: label.to_owned(),
        start: START,
        end: START + 7_200_000,
        matchers: matchers.to_vec(),
        ..LabelValuesRequest::default()
    }
}

impl World {
    async fn names(&mut self, request: LabelNamesRequest) -> Vec<String> {
        let answer = self.store.label_names(request).await.unwrap().into_inner();
        assert_eq!(answer.warnings, [""; 0]);
        answer.names.into_iter().map(text).collect()
    }

    async fn values(&mut self, request: LabelValuesRequest) -> Vec<String> {
        let answer = self.store.label_values(request).await.unwrap().into_inner();
        assert_eq!(answer.warnings, [""; 0]);
        answer.values.into_iter().map(text).collect()
    }
}

fn text(bytes: Bytes) -> String {
    String::from_utf8(bytes.into()).unwrap()
}

#[tokio::test]
async fn names_are_those_of_the_series_and_the_external_ones() {
    let mut world = world().await;
    let all = [
        "__name__",
        "cluster",
        "job",
        "pod",
        "replica",
        "weird label",
    ];
    assert_eq!(world.names(names(&[])).await, all);
    let special = matcher("__name__", "=", "special");
    assert_eq!(
        world.names(names(std::slice::from_ref(&special))).await,
        all[..5]
    );
    let us = matcher("cluster", "=", "us");
    assert_eq!(
        world.names(names(&[special.clone(), us])).await,
        ["__name__", "cluster", "job", "pod"]
    );
    // Where nothing matches there are no external labels either.
    assert_eq!(
        world
            .names(names(&[matcher("__name__", "=", "nope")]))
            .await,
        [""; 0]
    );
    let removed = LabelNamesRequest {
        without_replica_labels: vec!["replica".to_owned(), "job".to_owned()],
        ..names(&[special])
    };
    assert_eq!(world.names(removed).await, ["__name__", "cluster", "pod"]);
    let limited = LabelNamesRequest {
        limit: 2,
        ..names(&[])
    };
    assert_eq!(world.names(limited).await, all[..2]);
    let later = LabelNamesRequest {
        start: START + 7_200_000,
        end: i64::MAX,
        ..names(&[])
    };
    assert_eq!(world.names(later).await, [""; 0]);
}

#[tokio::test]
async fn values_are_those_of_the_series_or_the_external_one() {
    let mut world = world().await;
    assert_eq!(world.values(values("cluster", &[])).await, ["eu", "us"]);
    // The external label hides the series' own.
    assert_eq!(
        world.values(values("pod", &[])).await,
        ["external", "p0", "p1", "p2"]
    );
    let special = matcher("__name__", "=", "special");
    let some = [special.clone(), matcher("pod", "=~", "p[01]")];
    assert_eq!(world.values(values("pod", &some)).await, ["p0", "p1"]);
    assert_eq!(world.values(values("cluster", &some)).await, ["eu"]);
    let none = [matcher("__name__", "=", "nope")];
    assert_eq!(world.values(values("cluster", &none)).await, [""; 0]);
    assert_eq!(world.values(values("__name__", &none)).await, [""; 0]);
    let float = [
        matcher("__name__", "=~", ".*float"),
        matcher("cluster", "=", "us"),
    ];
    assert_eq!(
        world.values(values("__name__", &float)).await,
        ["native_float", "nhcb_float"]
    );
    let removed = LabelValuesRequest {
        without_replica_labels: vec!["pod".to_owned()],
        ..values("pod", &[])
    };
    assert_eq!(world.values(removed).await, [""; 0]);
    let limited = LabelValuesRequest {
        limit: 3,
        ..values("pod", &[])
    };
    assert_eq!(world.values(limited).await, ["external", "p0", "p1"]);
    let error = world.store.label_values(values("", &[])).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
}

#[tokio::test]
async fn hints_choose_blocks_and_tell_which_were_asked() {
    let mut world = world().await;
    let asked = async |world: &mut World, hints: Option<LabelNamesRequestHints>| {
        let hints = hints.map(|hints| prost_types::Any {
            type_url: "type.googleapis.com/hintspb.LabelNamesRequestHints".to_owned(),
            value: hints.encode_to_vec(),
        });
        let request = LabelNamesRequest {
            hints,
            ..names(&[])
        };
        let answer = world.store.label_names(request).await.unwrap().into_inner();
        let any = answer.hints.unwrap();
        assert_eq!(
            any.type_url,
            "type.googleapis.com/hintspb.LabelNamesResponseHints"
        );
        let hints = LabelNamesResponseHints::decode(any.value.as_slice()).unwrap();
        hints
            .queried_blocks
            .into_iter()
            .map(|b| b.id)
            .collect::<Vec<_>>()
    };
    let both = [id(1).to_string(), id(2).to_string()];
    assert_eq!(asked(&mut world, None).await, both);
    let second = LabelNamesRequestHints {
        block_matchers: vec![matcher("__block_id", "=", &both[1])],
    };
    assert_eq!(asked(&mut world, Some(second)).await, both[1..]);
}

#[tokio::test]
async fn the_info_says_what_a_querier_must_know() {
    let mut world = world().await;
    let info = world.info.info(InfoRequest {}).await.unwrap().into_inner();
    assert_eq!(info.component_type, "store");
    let sets: Vec<Labels> = info
        .label_sets
        .iter()
        .map(|set| proto::model_labels(&set.labels))
        .collect();
    let eu = Labels::from_pairs([("cluster", "eu"), ("replica", "a")]);
    let us = Labels::from_pairs([("cluster", "us"), ("pod", "external")]);
    assert_eq!(sets, [eu, us]);
    let store = info.store.unwrap();
    assert_eq!((store.min_time, store.max_time), (START, 1_700_013_585_001));
    assert!(store.supports_sharding && store.supports_without_replica_labels);
    assert!(!store.supports_projections);
    assert_eq!(store.tsdb_infos.len(), 2);
    assert_eq!(
        store.tsdb_infos[1].labels.as_ref(),
        Some(&info.label_sets[1])
    );
    assert_eq!(store.tsdb_infos[1].min_time, START);
    assert!(info.rules.is_none() && info.query.is_none());
}
