//! Rules, targets, metadata, exemplars, statistics, and what the sidecar says of itself.

use futures::StreamExt as _;
use proto::{
    info::{InfoRequest, info_server::Info as _},
    thanos::{
        AlertState, ExemplarsRequest, MetricMetadataRequest, PartialResponseStrategy, RulesRequest,
        TargetHealth, TargetsRequest, TsdbStatisticsRequest, ZLabelSet, exemplars_response,
        exemplars_server::Exemplars as _, metadata_server::Metadata as _, metric_metadata_response,
        rule, rules_response, rules_server::Rules as _, status_server::Status as _,
        targets_response, targets_server::Targets as _, tsdb_statistics_response,
    },
};
use tonic::{Code, Request, Response, Status};

use super::{
    super::{Answer, StoreApi, info::InfoApi, told::Told},
    world::{World, matcher},
};

const RULES: &str = r#"{"status":"success","data":{"groups":[
    {"name":"demo","file":"rules.yml","rules":[
        {"state":"firing","name":"Always","query":"up > 0","duration":60,"keepFiringFor":5,
         "labels":{"severity":"page","cluster":"own"},"annotations":{"summary":"s"},
         "alerts":[{"labels":{"alertname":"Always"},"annotations":{},"state":"firing","activeAt":"2026-08-22T10:00:00Z","value":"1e+00"}],
         "health":"ok","evaluationTime":0.25,"lastEvaluation":"2026-08-22T10:00:00.5Z","type":"alerting"},
        {"name":"demo:up","query":"sum(up)","health":"err","lastError":"no","evaluationTime":0.5,"lastEvaluation":"0001-01-01T00:00:00Z","type":"recording"}
    ],"interval":30,"limit":7,"evaluationTime":0.75,"lastEvaluation":"2026-08-22T10:00:00+02:00"},
    {"name":"empty","file":"rules.yml","rules":null,"interval":30,"limit":0}
]}}"#;

const TARGETS: &str = r#"{"status":"success","data":{"activeTargets":[
    {"discoveredLabels":{"__address__":"a:1"},"labels":{"job":"j"},"scrapePool":"j","scrapeUrl":"http://a:1/metrics",
     "globalUrl":"http://b:1/metrics","lastError":"refused","lastScrape":"2026-08-22T10:00:00Z","lastScrapeDuration":0.5,"health":"down"}
],"droppedTargets":[{"discoveredLabels":{"job":"d"}}]},"warnings":["half of it"]}"#;

async fn world(path: &'static str, answer: &'static str) -> World {
    let world = World::new(&[("cluster", "eu-1")], None).await;
    world.peer.lock().api.insert(path, answer);
    world
}

async fn messages<T>(answer: Result<Response<Answer<T>>, Status>) -> Vec<T> {
    let answer = answer.unwrap().into_inner();
    answer.map(Result::unwrap).collect().await
}

fn text(labels: &Option<ZLabelSet>) -> String {
    proto::model_labels(&labels.as_ref().unwrap().labels).to_string()
}

#[tokio::test]
async fn rules_come_by_group_with_external_labels() {
    let world = world("api/v1/rules", RULES).await;
    let told = Told(world.recent.clone());
    let request = RulesRequest {
        r#type: 1,
        ..RulesRequest::default()
    };
    let messages = messages(told.rules(Request::new(request)).await).await;
    let asked = world.peer.lock().asked[0].1.clone();
    assert_eq!(asked, [("type".to_owned(), "alert".to_owned())]);
    let groups: Vec<_> = messages
        .into_iter()
        .map(|message| match message.result {
            Some(rules_response::Result::Group(group)) => group,
            other => panic!("{other:?}"),
        })
        .collect();
    let [demo, empty] = groups.as_slice() else {
        panic!("{groups:?}");
    };
    assert_eq!((empty.name.as_str(), empty.rules.len()), ("empty", 0));
    assert_eq!((demo.interval, demo.limit), (30.0, 7));
    assert_eq!(demo.evaluation_duration_seconds, 0.75);
    assert_eq!(demo.last_evaluation.unwrap().seconds, 1_787_385_600);
    assert_eq!(
        demo.partial_response_strategy(),
        PartialResponseStrategy::Abort
    );
    let Some(rule::Result::Alert(alert)) = &demo.rules[0].result else {
        panic!("{demo:?}");
    };
    assert_eq!(text(&alert.labels), r#"{cluster="eu-1", severity="page"}"#);
    assert_eq!(text(&alert.annotations), r#"{summary="s"}"#);
    assert_eq!(alert.state(), AlertState::Firing);
    assert_eq!(
        (alert.duration_seconds, alert.keep_firing_for_seconds),
        (60.0, 5.0)
    );
    let instance = &alert.alerts[0];
    assert_eq!(text(&instance.labels), r#"{alertname="Always"}"#);
    assert_eq!(instance.value, "1e+00");
    assert_eq!(instance.active_at.unwrap().seconds, 1_787_392_800);
    let Some(rule::Result::Recording(recording)) = &demo.rules[1].result else {
        panic!("{demo:?}");
    };
    assert_eq!(text(&recording.labels), r#"{cluster="eu-1"}"#);
    assert_eq!(
        (recording.health.as_str(), recording.last_error.as_str()),
        ("err", "no")
    );
}

#[tokio::test]
async fn targets_come_at_once_with_external_labels_and_warnings() {
    let world = world("api/v1/targets", TARGETS).await;
    let told = Told(world.recent.clone());
    let request = TargetsRequest::default();
    let messages = messages(told.targets(Request::new(request)).await).await;
    let [warning, targets] = messages.as_slice() else {
        panic!("{messages:?}");
    };
    assert_eq!(
        warning.result,
        Some(targets_response::Result::Warning("half of it".to_owned()))
    );
    let Some(targets_response::Result::Targets(targets)) = &targets.result else {
        panic!("{targets:?}");
    };
    let active = &targets.active_targets[0];
    assert_eq!(text(&active.labels), r#"{cluster="eu-1", job="j"}"#);
    assert_eq!(
        text(&active.discovered_labels),
        r#"{__address__="a:1", cluster="eu-1"}"#
    );
    assert_eq!(active.health(), TargetHealth::Down);
    assert_eq!(active.last_error, "refused");
    let dropped = &targets.dropped_targets[0];
    assert_eq!(
        text(&dropped.discovered_labels),
        r#"{cluster="eu-1", job="d"}"#
    );
}

#[tokio::test]
async fn metadata_is_passed_on_within_the_limit() {
    let answer = r#"{"status":"success","data":{"up":[{"type":"gauge","help":"h","unit":""},{"type":"unknown","help":"","unit":"s"}]}}"#;
    let world = world("api/v1/metadata", answer).await;
    let told = Told(world.recent.clone());
    let request = MetricMetadataRequest {
        metric: "up".to_owned(),
        limit: -1,
        ..MetricMetadataRequest::default()
    };
    let messages = messages(told.metric_metadata(Request::new(request)).await).await;
    let Some(metric_metadata_response::Result::Metadata(told)) = &messages[0].result else {
        panic!("{messages:?}");
    };
    let metas = &told.metadata["up"].metas;
    assert_eq!(
        (metas[0].r#type.as_str(), metas[1].unit.as_str()),
        ("gauge", "s")
    );
    let asked = world.peer.lock().asked[0].1.clone();
    assert_eq!(asked, [("metric".to_owned(), "up".to_owned())]);
}

#[tokio::test]
async fn exemplars_come_by_series_with_external_labels() {
    let answer = r#"{"status":"success","data":[{"seriesLabels":{"__name__":"up"},"exemplars":[{"labels":{"trace_id":"abc"},"value":"0.5","timestamp":1787392800.123}]}]}"#;
    let world = world("api/v1/query_exemplars", answer).await;
    let told = Told(world.recent.clone());
    let request = ExemplarsRequest {
        query: "up".to_owned(),
        start: 1,
        end: 2500,
        ..ExemplarsRequest::default()
    };
    let messages = messages(told.exemplars(Request::new(request)).await).await;
    let Some(exemplars_response::Result::Data(data)) = &messages[0].result else {
        panic!("{messages:?}");
    };
    assert_eq!(
        text(&data.series_labels),
        r#"{__name__="up", cluster="eu-1"}"#
    );
    let exemplar = &data.exemplars[0];
    assert_eq!((exemplar.value, exemplar.ts), (0.5, 1_787_392_800_123));
    assert_eq!(text(&exemplar.labels), r#"{trace_id="abc"}"#);
    let asked = world.peer.lock().asked[0].1.clone();
    let pairs = [("query", "up"), ("start", "0.001"), ("end", "2.500")];
    assert_eq!(asked, pairs.map(|(n, v)| (n.to_owned(), v.to_owned())));
}

#[tokio::test]
async fn statistics_are_those_of_the_prometheus_that_is_meant() {
    let answer = r#"{"status":"success","data":{"headStats":{"numSeries":5,"numLabelPairs":4,"chunkCount":3,"minTime":1,"maxTime":2},
        "seriesCountByMetricName":[{"name":"up","value":5}],"labelValueCountByLabelName":[],"memoryInBytesByLabelName":null,"seriesCountByLabelValuePair":[]}}"#;
    let world = world("api/v1/status/tsdb", answer).await;
    let told = Told(world.recent.clone());
    let of = |matchers| TsdbStatisticsRequest {
        limit: 3,
        matchers,
        ..TsdbStatisticsRequest::default()
    };
    let away = told.tsdb_statistics(Request::new(of(vec![]))).await;
    assert_eq!(away.err().unwrap().code(), Code::Unavailable);
    world.probe.ready();
    let request = Request::new(of(vec![matcher("cluster", "eu-1")]));
    let messages = messages(told.tsdb_statistics(request).await).await;
    let Some(tsdb_statistics_response::Result::Statistics(statistics)) = &messages[0].result else {
        panic!("{messages:?}");
    };
    let entry = &statistics.statistics[""];
    let head = entry.head_statistics.unwrap();
    assert_eq!((head.num_series, head.max_time), (5, 2));
    assert_eq!(entry.series_count_by_metric_name[0].value, 5);
    let asked = world.peer.lock().asked.clone();
    assert_eq!(asked[0].1, [("limit".to_owned(), "3".to_owned())]);
    let other = Request::new(of(vec![matcher("cluster", "us-1")]));
    let messages = self::messages(told.tsdb_statistics(other).await).await;
    let Some(tsdb_statistics_response::Result::Statistics(none)) = &messages[0].result else {
        panic!("{messages:?}");
    };
    assert!(none.statistics.is_empty());
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_and_no_empty_answer() {
    let world = world(
        "api/v1/rules",
        r#"{"status":"success","data":{"groups":[{"file":"x"}]}}"#,
    )
    .await;
    let told = Told(world.recent.clone());
    let error = told.rules(Request::new(RulesRequest::default())).await;
    let error = error.err().unwrap();
    assert_eq!(error.code(), Code::Internal);
    assert!(
        error
            .message()
            .contains("/prefix/api/v1/rules: missing field `name`"),
        "{error}"
    );
}

#[tokio::test]
async fn info_is_refused_while_prometheus_does_not_answer() {
    let world = World::new(&[("cluster", "eu-1")], None).await;
    let info = InfoApi(StoreApi::new(world.recent.clone()));
    let error = info.info(Request::new(InfoRequest {})).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(error.message(), "not ready: prometheus does not answer");
    world.probe.ready();
    let answer = info.info(Request::new(InfoRequest {})).await.unwrap();
    let answer = answer.into_inner();
    assert_eq!(answer.component_type, "sidecar");
    assert_eq!(answer.label_sets.len(), 1);
    let store = answer.store.unwrap();
    // The lowest time of Prometheus, as --min-time lies before it.
    assert_eq!((store.min_time, store.max_time), (1000, i64::MAX));
    assert!(store.supports_sharding && store.supports_without_replica_labels);
    assert_eq!(store.tsdb_infos.len(), 1);
    assert!(answer.rules.is_some() && answer.targets.is_some() && answer.status.is_some());
    assert!(answer.exemplars.is_some() && answer.metric_metadata.is_some());
    assert!(answer.query.is_none());
}
