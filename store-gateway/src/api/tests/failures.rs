use bucket::{Bucket, testing::ReadFault};
use model::TimeRange;
use proto::{
    info::InfoRequest,
    thanos::{LabelNamesRequest, PartialResponseStrategy, SeriesRequest},
};
use service::Exposition;
use tonic::Code;

use super::world::*;
use crate::{Config, GatewayError, Limits};

fn warned(request: SeriesRequest) -> SeriesRequest {
    SeriesRequest {
        partial_response_strategy: PartialResponseStrategy::Warn.into(),
        ..request
    }
}

#[tokio::test]
async fn a_block_that_cannot_be_read_is_a_warning_or_an_error_as_asked() {
    let failing = failing();
    let bucket = failing.bucket();
    put_tsdb(&bucket, ALL_KINDS, id(1), &[("cluster", "eu")]).await;
    put_tsdb(&bucket, ALL_KINDS, id(2), &[("cluster", "us")]).await;
    let broken = format!("{}/chunks/000001", id(2));
    failing.fail_reads(&broken, ReadFault::Refused);
    let mut world = World::new(&bucket, Config::default()).await;

    let (series, warnings) = taken_apart(world.frames(warned(everything())).await.unwrap());
    assert_eq!(
        series,
        local(ALL_KINDS, &[("cluster", "eu")], TimeRange::ALL)
    );
    let [warning] = warnings.as_slice() else {
        panic!("{warnings:?}");
    };
    assert!(
        warning.contains(&id(2).to_string()) && warning.contains(&broken),
        "{warning}"
    );

    let error = world.frames(everything()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    assert!(error.message().contains(&broken), "{error}");
    let disabled = SeriesRequest {
        partial_response_disabled: true,
        ..warned(everything())
    };
    assert!(world.frames(disabled).await.is_err());

    failing.heal();
    assert_eq!(world.series(everything()).await.len(), 48);
}

#[tokio::test]
async fn a_damaged_block_is_named_with_the_place() {
    let failing = failing();
    let bucket = failing.bucket();
    put_tsdb(&bucket, ALL_KINDS, id(1), &[]).await;
    let index = format!("{}/index", id(1));
    failing.fail_reads(&index, ReadFault::Truncated);
    let mut world = World::new(&bucket, Config::default()).await;
    let error = world.frames(everything()).await.unwrap_err();
    assert_eq!(error.code(), Code::Aborted, "{error}");
    assert!(error.message().contains(&index), "{error}");
    let text = world.metrics.encode(Exposition::Prometheus);
    assert!(
        text.contains("\nthanos_bucket_store_block_load_failures_total 1\n"),
        "{text}"
    );

    let names = LabelNamesRequest {
        end: i64::MAX,
        ..LabelNamesRequest::default()
    };
    let answer = world
        .store
        .label_names(names.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.names, [""; 0]);
    assert!(answer.warnings[0].contains(&index), "{:?}", answer.warnings);
    let strict = LabelNamesRequest {
        partial_response_disabled: true,
        ..names
    };
    let error = world.store.label_names(strict).await.unwrap_err();
    assert_eq!(error.code(), Code::Aborted, "{error}");
}

#[tokio::test]
async fn a_request_past_a_limit_is_refused_with_the_limits_name() {
    let bucket = Bucket::in_memory();
    put_tsdb(&bucket, ALL_KINDS, id(1), &[]).await;
    for (limits, name) in [
        (
            Limits {
                request_series: 23,
                ..Limits::default()
            },
            "series",
        ),
        (
            Limits {
                request_samples: 152 * 120,
                ..Limits::default()
            },
            "samples",
        ),
        (
            Limits {
                downloaded_bytes: 100,
                ..Limits::default()
            },
            "bytes",
        ),
    ] {
        let config = Config {
            limits,
            ..Config::default()
        };
        let mut world = World::new(&bucket, config).await;
        // Not even those who accept a part of the answer get one.
        let error = world.frames(warned(everything())).await.unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
        assert!(
            error.message().contains(&format!("exceeded {name} limit")),
            "{error}"
        );
        let text = world.metrics.encode(Exposition::Prometheus);
        let dropped = format!(
            "thanos_bucket_store_queries_dropped_total{{reason=\"{name}\",tenant=\"default-tenant\"}} 1\n"
        );
        assert!(text.contains(&dropped), "{text}");
    }
    let config = Config {
        limits: Limits {
            request_series: 24,
            request_samples: 153 * 120,
            downloaded_bytes: 0,
        },
        ..Config::default()
    };
    let mut world = World::new(&bucket, config).await;
    assert_eq!(world.series(everything()).await.len(), 24);
}

#[tokio::test]
async fn nothing_is_answered_before_the_bucket_was_looked_at() {
    let failing = failing();
    let bucket = failing.bucket();
    put_tsdb(&bucket, ALL_KINDS, id(1), &[]).await;
    failing.fail_reads("", ReadFault::Refused);
    let mut world = World::new(&bucket, Config::default()).await;
    // A querier that were told nothing would do without the gateway, and say nothing of it.
    let info = world.info.info(InfoRequest {}).await.unwrap().into_inner();
    let store = info.store.unwrap();
    assert_eq!((store.min_time, store.max_time), (i64::MIN, i64::MAX));
    let any = info.label_sets.iter().all(|set| set.labels.is_empty());
    assert!(any && info.label_sets.len() == 1, "{:?}", info.label_sets);
    let error = world.frames(everything()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    assert!(error.message().starts_with("not ready"), "{error}");
    failing.heal();
    world.syncs.sync().await.unwrap();
    assert_eq!(world.series(everything()).await.len(), 24);
}

#[tokio::test]
async fn a_block_that_is_listed_and_not_given_is_missed_by_every_request_that_may_need_it() {
    let failing = failing();
    let bucket = failing.bucket();
    put_tsdb(&bucket, ALL_KINDS, id(1), &[("cluster", "eu")]).await;
    put_tsdb(&bucket, ALL_KINDS, id(2), &[("cluster", "us")]).await;
    let key = format!("{}/meta.json", id(2));
    failing.fail_reads(&key, ReadFault::Refused);
    let mut world = World::new(&bucket, Config::default()).await;
    assert!(!world.probe.status().ready);

    let error = world.frames(everything()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    assert!(error.message().contains(&key), "{error}");
    let (series, warnings) = taken_apart(world.frames(warned(everything())).await.unwrap());
    assert_eq!(series.len(), 24);
    assert!(
        warnings.len() == 1 && warnings[0].contains(&key),
        "{warnings:?}"
    );
    // Its times and labels may be any.
    let other = request(&[matcher("job", "=", "none"), matcher("cluster", "=", "asia")]);
    world.frames(other).await.unwrap_err();
    let names = LabelNamesRequest {
        end: i64::MAX,
        ..LabelNamesRequest::default()
    };
    let answer = world.store.label_names(names.clone()).await.unwrap();
    assert!(answer.into_inner().warnings[0].contains(&key));
    let strict = LabelNamesRequest {
        partial_response_disabled: true,
        ..names
    };
    let error = world.store.label_names(strict).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");

    failing.heal();
    world.syncs.sync().await.unwrap();
    assert!(world.probe.status().ready);
    assert_eq!(world.series(everything()).await.len(), 48);
    // Once known, it is missed where it may be needed only; and ready stays ready.
    let json = bucket.get(&key).await.unwrap();
    bucket.put(&key, json).await.unwrap();
    failing.fail_reads(&key, ReadFault::Refused);
    world.syncs.sync().await.unwrap();
    assert!(world.probe.status().ready);
    world.frames(everything()).await.unwrap_err();
    let eu = [
        matcher("cluster", "=", "eu"),
        matcher("__name__", "=~", ".+"),
    ];
    assert_eq!(world.series(request(&eu)).await.len(), 24);
}

#[tokio::test]
async fn a_block_that_was_replaced_fails_until_the_next_look_and_then_answers_with_the_new_one() {
    let bucket = Bucket::in_memory();
    put_tsdb(&bucket, ALL_KINDS, id(1), &[]).await;
    let mut world = World::new(&bucket, Config::default()).await;
    assert_eq!(
        world.series(everything()).await,
        local(ALL_KINDS, &[], TimeRange::ALL)
    );
    put_tsdb(&bucket, FLOATS[0], id(1), &[]).await;
    let error = world.frames(everything()).await.unwrap_err();
    assert!(
        error.message().contains("changed since it was listed"),
        "{error}"
    );
    let (series, warnings) = taken_apart(world.frames(warned(everything())).await.unwrap());
    assert!(series.is_empty() && warnings.len() == 1, "{warnings:?}");
    world.syncs.sync().await.unwrap();
    assert_eq!(
        world.series(everything()).await,
        local(FLOATS[0], &[], TimeRange::ALL)
    );
    // And Parquet.
    put_parquet(&bucket, id(2), &[("format", "parquet")]).await;
    world.syncs.sync().await.unwrap();
    let parquet = request(&[
        matcher("__name__", "=~", ".+"),
        matcher("format", "=", "parquet"),
    ]);
    let before = world.series(parquet.clone()).await;
    assert_eq!(before.len(), 24);
    let labels = format!("parquet/{}/0.labels.parquet", id(2));
    let bytes = bucket.get(&labels).await.unwrap();
    bucket.put(&labels, bytes).await.unwrap();
    world.syncs.sync().await.unwrap();
    assert_eq!(world.series(parquet).await, before);
}

#[tokio::test]
async fn a_request_that_cannot_be_is_the_clients_fault() {
    let mut world = World::new(&Bucket::in_memory(), Config::default()).await;
    let bad = request(&[matcher("job", "=~", "(")]);
    let error = world.frames(bad).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
}

#[tokio::test]
async fn a_place_at_the_gate_is_free_again_when_the_client_goes() {
    let bucket = Bucket::in_memory();
    put_tsdb(&bucket, ALL_KINDS, id(1), &[]).await;
    let config = Config {
        series_concurrency: 1,
        ..Config::default()
    };
    let mut world = World::new(&bucket, config).await;
    for _ in 0..3 {
        let mut stream = world.store.series(everything()).await.unwrap().into_inner();
        assert!(stream.message().await.unwrap().is_some());
    }
    assert_eq!(world.series(everything()).await.len(), 24);
}

#[tokio::test]
async fn a_gateway_ends_when_it_is_told_to() {
    let mut world = World::new(&Bucket::in_memory(), Config::default()).await;
    assert!(world.probe.status().ready);
    world.end().await.unwrap();
    assert!(!world.probe.status().ready);
    let error = world.syncs.sync().await.unwrap_err();
    assert!(matches!(error, GatewayError::Ended), "{error}");
}
