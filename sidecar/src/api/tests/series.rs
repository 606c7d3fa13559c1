use bytes::Bytes;
use prost::Message as _;
use proto::{
    prompb::{self, QueryResult, ReadResponse, Sample, TimeSeries, label_matcher::Type},
    thanos::{SeriesRequest, ShardInfo, series_response::Result as Frame},
};
use tonic::Code;

use super::world::{World, frames, matcher, request, sent};
use crate::Limits;

/// The names of the labels of the series below, external ones apart.
const OWN: &[&str] = &["__name__", "a", "job", "k", "pod", "z"];

#[tokio::test]
async fn series_are_sent_under_their_final_labels_in_order() {
    let world = World::new(&[("m", "eu-1")], Some(OWN)).await;
    world.peer.lock().read = frames([
        // As Prometheus sends them: sorted before the external label was merged in.
        sent(&[("__name__", "up"), ("a", "1"), ("m", "eu-1")]),
        sent(&[("__name__", "up"), ("job", "node"), ("m", "eu-1")]),
        sent(&[
            ("__name__", "up"),
            ("job", "node"),
            ("k", "1"),
            ("m", "eu-1"),
        ]),
        sent(&[
            ("__name__", "up"),
            ("job", "node"),
            ("m", "eu-1"),
            ("z", "1"),
        ]),
        sent(&[("__name__", "uq"), ("m", "eu-1")]),
    ]);
    let lines = world.lines(request()).await.unwrap();
    assert_eq!(
        lines,
        [
            r#"{__name__="up", a="1", m="eu-1"}"#,
            r#"{__name__="up", job="node", k="1", m="eu-1"}"#,
            r#"{__name__="up", job="node", m="eu-1"}"#,
            r#"{__name__="up", job="node", m="eu-1", z="1"}"#,
            r#"{__name__="uq", m="eu-1"}"#,
        ]
    );
    let asked = &world.peer.lock().reads;
    let query = &asked[0].queries[0];
    // The lowest time of Prometheus.
    assert_eq!(
        (query.start_timestamp_ms, query.end_timestamp_ms),
        (1000, 9000)
    );
    assert_eq!(query.matchers[0].name, "job");
    assert_eq!(query.matchers[0].r#type(), Type::Eq);
    assert_eq!(asked[0].accepted_response_types, [1, 0]);
}

#[tokio::test]
async fn chunks_are_passed_on_as_they_are() {
    let world = World::new(&[("m", "eu-1")], Some(OWN)).await;
    let mut one = sent(&[("__name__", "up")]);
    let mut histogram = one.chunks[0].clone();
    histogram.r#type = 3;
    one.chunks.push(histogram);
    world.peer.lock().read = frames([one]);
    let series = world.series(request()).await.unwrap();
    let chunks = &series[0].chunks;
    assert_eq!((chunks[0].min_time, chunks[0].max_time), (1000, 2000));
    let raw: Vec<_> = chunks.iter().map(|c| c.raw.as_ref().unwrap()).collect();
    assert_eq!((raw[0].r#type, raw[1].r#type), (0, 2));
    assert_eq!(raw[0].data, &b"data"[..]);
}

#[tokio::test]
async fn replica_labels_are_removed_and_external_ones_win() {
    let external = [("cluster", "eu-1"), ("replica", "a")];
    let world = World::new(&external, Some(OWN)).await;
    world.peer.lock().read = frames([
        sent(&[
            ("__name__", "up"),
            ("cluster", "eu-1"),
            ("pod", "1"),
            ("replica", "a"),
        ]),
        sent(&[
            ("__name__", "up"),
            ("cluster", "eu-1"),
            ("pod", "2"),
            ("replica", "a"),
        ]),
    ]);
    let lines = world
        .lines(SeriesRequest {
            without_replica_labels: vec!["replica".to_owned(), "pod".to_owned()],
            ..request()
        })
        .await
        .unwrap();
    // Two replicas of one series, which the querier makes one.
    assert_eq!(lines, [r#"{__name__="up", cluster="eu-1"}"#; 2]);
}

/// Two orders that cannot be told apart by what is sent: here `cluster` is a label of the series themselves.
#[tokio::test]
async fn own_labels_that_are_called_as_external_ones_do_not_disturb_the_order() {
    for own in [Some(&["__name__", "cluster", "z"][..]), None] {
        let world = World::new(&[("cluster", "eu-1")], own).await;
        world.peer.lock().read = frames([
            sent(&[("__name__", "a"), ("cluster", "eu-1"), ("z", "5")]),
            sent(&[("__name__", "a"), ("cluster", "us-1"), ("z", "3")]),
            sent(&[("__name__", "a"), ("cluster", "eu-1"), ("z", "1")]),
            sent(&[("__name__", "b"), ("cluster", "eu-1")]),
        ]);
        let lines = world.lines(request()).await.unwrap();
        assert_eq!(
            lines,
            [
                r#"{__name__="a", cluster="eu-1", z="1"}"#,
                r#"{__name__="a", cluster="eu-1", z="3"}"#,
                r#"{__name__="a", cluster="eu-1", z="5"}"#,
                r#"{__name__="b", cluster="eu-1"}"#,
            ],
            "{own:?}"
        );
    }
}

#[tokio::test]
async fn an_order_that_turns_out_wrong_is_an_error_and_has_prometheus_looked_at_anew() {
    // The own label `cluster` came after the last heartbeat.
    let world = World::new(&[("cluster", "eu-1")], Some(&["__name__", "z"])).await;
    world.peer.lock().read = frames([
        sent(&[("__name__", "a"), ("cluster", "eu-1"), ("z", "5")]),
        sent(&[("__name__", "a"), ("cluster", "eu-1"), ("z", "1")]),
    ]);
    let error = world.lines(request()).await.unwrap_err();
    assert!(error.message().contains("series out of order"), "{error}");
    world.outdated.notified().await;
}

#[tokio::test]
async fn matchers_on_external_labels_decide_here() {
    let world = World::new(&[("cluster", "eu-1")], Some(OWN)).await;
    world.peer.lock().read = frames([sent(&[("__name__", "up")])]);
    let with = |matchers| SeriesRequest {
        matchers,
        ..request()
    };
    let other = with(vec![matcher("cluster", "us-1"), matcher("job", "node")]);
    assert_eq!(world.lines(other).await.unwrap(), [""; 0]);
    assert_eq!(world.peer.lock().reads, []);
    let ours = with(vec![matcher("cluster", "eu-1"), matcher("job", "node")]);
    assert_eq!(world.lines(ours).await.unwrap().len(), 1);
    assert_eq!(world.peer.lock().reads[0].queries[0].matchers.len(), 1);
    let alone = with(vec![matcher("cluster", "eu-1")]);
    let error = world.lines(alone).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert_eq!(
        error.message(),
        "no matchers specified (excluding external labels)"
    );
}

#[tokio::test]
async fn times_before_what_prometheus_has_are_not_asked_for() {
    let world = World::new(&[("m", "eu-1")], Some(OWN)).await;
    let before = SeriesRequest {
        max_time: 999,
        ..request()
    };
    assert_eq!(world.lines(before).await.unwrap(), [""; 0]);
    assert_eq!(world.peer.lock().reads, []);
}

#[tokio::test]
async fn batches_shares_and_limits_are_kept() {
    let world = World::new(&[("m", "eu-1")], Some(OWN)).await;
    let pods = ["1", "2", "3", "4", "5"];
    world.peer.lock().read =
        frames(pods.map(|pod| sent(&[("__name__", "up"), ("m", "eu-1"), ("pod", pod)])));
    let batched = SeriesRequest {
        response_batch_size: 2,
        ..request()
    };
    let mut sizes = Vec::new();
    for message in world.messages(batched).await.unwrap() {
        match message.result {
            Some(Frame::Batch(batch)) => sizes.push(batch.series.len()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(sizes.iter().sum::<usize>(), 5);
    assert!(sizes.iter().all(|size| *size <= 2), "{sizes:?}");
    let limited = SeriesRequest {
        limit: 2,
        ..request()
    };
    assert_eq!(world.lines(limited).await.unwrap().len(), 2);
    let mut all = 0;
    for shard_index in 0..3 {
        let share = SeriesRequest {
            shard_info: Some(ShardInfo {
                shard_index,
                total_shards: 3,
                by: true,
                labels: vec!["pod".to_owned()],
            }),
            ..request()
        };
        all += world.lines(share).await.unwrap().len();
    }
    assert_eq!(all, 5);
}

#[tokio::test]
async fn answers_past_a_limit_are_refused_with_its_name() {
    let pods = ["1", "2", "3"];
    for (limits, expected) in [
        (
            Limits {
                request_series: 2,
                ..Limits::default()
            },
            "failed to send series: store.limits.request-series limit 2 violated (got 3)",
        ),
        (
            Limits {
                request_samples: 250,
                ..Limits::default()
            },
            "failed to send series: store.limits.request-samples limit 250 violated (got 360)",
        ),
    ] {
        let world = World::limited(&[("m", "eu-1")], Some(OWN), limits).await;
        world.peer.lock().read =
            frames(pods.map(|pod| sent(&[("__name__", "up"), ("m", "eu-1"), ("pod", pod)])));
        let error = world.lines(request()).await.unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted);
        assert_eq!(error.message(), expected);
    }
    let limits = Limits {
        request_sort_bytes: 500,
        ..Limits::default()
    };
    let world = World::limited(&[("m", "eu-1")], None, limits).await;
    world.peer.lock().read =
        frames(pods.map(|pod| sent(&[("__name__", "up"), ("m", "eu-1"), ("pod", pod)])));
    let error = world.lines(request()).await.unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted);
    assert!(
        error.message().contains("store.limits.request-sort-bytes"),
        "{error}"
    );
}

#[tokio::test]
async fn samples_wait_whole_and_past_the_limit_are_refused_with_its_name() {
    let limits = Limits {
        request_sort_bytes: 2000,
        ..Limits::default()
    };
    let world = World::limited(&[("m", "eu-1")], Some(OWN), limits).await;
    world.peer.lock().content_type = "application/x-protobuf";
    let answer = |bytes: usize| {
        let label = prompb::Label {
            name: "pod".into(),
            value: "x".repeat(bytes).into(),
        };
        let series = TimeSeries {
            labels: vec![label],
            samples: vec![Sample::default()],
            ..TimeSeries::default()
        };
        let results = vec![QueryResult {
            timeseries: vec![series],
        }];
        let body = ReadResponse { results }.encode_to_vec();
        let body = snap::raw::Encoder::new().compress_vec(&body).unwrap();
        Bytes::from(body)
    };
    world.peer.lock().read = vec![answer(1900)];
    assert_eq!(world.lines(request()).await.unwrap().len(), 1);
    // Few bytes on the way, and what comes of them; and many on the way.
    for body in [vec![answer(2000)], vec![Bytes::from(vec![0xff; 500]); 5]] {
        world.peer.lock().read = body;
        let error = world.lines(request()).await.unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
        for part in [
            "/api/v1/read: ",
            "store.limits.request-sort-bytes limit: limit 2000 ",
        ] {
            assert!(error.message().contains(part), "{error}");
        }
    }
}

#[tokio::test]
async fn where_series_are_left_out_or_become_one_all_are_asked_for_whatever_the_limit() {
    let own = &["__name__", "pod", "replica"];
    let world = World::new(&[("cluster", "eu-1")], Some(own)).await;
    world.peer.lock().api.insert(
        "api/v1/series",
        r#"{"status":"success","data":[{"__name__":"up","pod":"1"},{"__name__":"up","pod":"1","replica":"a"},{"__name__":"up","pod":"2"}]}"#,
    );
    let wanted = SeriesRequest {
        skip_chunks: true,
        limit: 2,
        ..request()
    };
    let removed = SeriesRequest {
        without_replica_labels: vec!["replica".to_owned()],
        ..wanted.clone()
    };
    assert_eq!(world.lines(removed).await.unwrap().len(), 2);
    let share = SeriesRequest {
        shard_info: Some(ShardInfo {
            total_shards: 1,
            ..ShardInfo::default()
        }),
        ..wanted.clone()
    };
    assert_eq!(world.lines(share).await.unwrap().len(), 2);
    world.lines(wanted).await.unwrap();
    let asked = world.peer.lock().asked.clone();
    let limits: Vec<bool> = asked
        .iter()
        .map(|(_, pairs)| pairs.iter().any(|(name, _)| name == "limit"))
        .collect();
    assert_eq!(limits, [false, false, true]);
}

#[tokio::test]
async fn without_chunks_the_labels_come_from_the_api() {
    let world = World::new(&[("cluster", "eu-1"), ("replica", "a")], Some(OWN)).await;
    world.peer.lock().api.insert(
        "api/v1/series",
        r#"{"status":"success","data":[{"__name__":"up","z":"1"},{"__name__":"up","a":"1"},{"__name__":"up","z":"1","replica":"own"}],"warnings":["results truncated due to limit"]}"#,
    );
    let lines = world
        .lines(SeriesRequest {
            skip_chunks: true,
            limit: 10,
            without_replica_labels: vec!["replica".to_owned()],
            ..request()
        })
        .await
        .unwrap();
    assert_eq!(
        lines,
        [
            r#"{__name__="up", a="1", cluster="eu-1"}"#,
            r#"{__name__="up", cluster="eu-1", z="1"}"#,
        ]
    );
    let asked = world.peer.lock().asked[0].clone();
    let pairs = [
        ("start", "1.000"),
        ("end", "9.000"),
        ("match[]", "{job=\"node\"}"),
        ("limit", "10"),
    ];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(asked, ("api/v1/series".to_owned(), pairs.to_vec()));
}

#[tokio::test]
async fn without_chunks_series_are_found_by_what_they_have_not_too() {
    let world = World::new(&[("m", "eu-1")], Some(OWN)).await;
    let one = || sent(&[("__name__", "up"), ("m", "eu-1")]);
    world.peer.lock().read = frames([one(), one()]);
    let wanted = SeriesRequest {
        skip_chunks: true,
        matchers: vec![matcher("job", "")],
        ..request()
    };
    let series = world.series(wanted).await.unwrap();
    assert_eq!(series.len(), 1);
    assert!(series[0].chunks.is_empty());
    // Prometheus's API refuses such selectors.
    assert!(world.peer.lock().asked.is_empty());
}
