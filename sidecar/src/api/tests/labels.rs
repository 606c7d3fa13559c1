use proto::thanos::{LabelNamesRequest, LabelValuesRequest, store_server::Store as _};
use tonic::{Code, Request};

use super::{
    super::StoreApi,
    world::{World, matcher},
};

async fn world() -> World {
    let world = World::new(&[("cluster", "eu-1"), ("replica", "a")], None).await;
    let mut peer = world.peer.lock();
    for (path, answer) in [
        (
            "api/v1/labels",
            r#"{"status":"success","data":["job","__name__","replica"],"warnings":["half of it"]}"#,
        ),
        (
            "api/v1/label/job/values",
            r#"{"status":"success","data":["b","a"]}"#,
        ),
        (
            "api/v1/series",
            r#"{"status":"success","data":[{"job":"b"}]}"#,
        ),
    ] {
        peer.api.insert(path, answer);
    }
    drop(peer);
    world
}

async fn names(world: &World, request: LabelNamesRequest) -> (Vec<String>, Vec<String>) {
    let api = StoreApi(world.recent.clone());
    let answer = api.label_names(Request::new(request)).await.unwrap();
    let answer = answer.into_inner();
    (texts(answer.names), answer.warnings)
}

async fn values(world: &World, request: LabelValuesRequest) -> Vec<String> {
    let api = StoreApi(world.recent.clone());
    let answer = api.label_values(Request::new(request)).await.unwrap();
    texts(answer.into_inner().values)
}

fn texts(bytes: Vec<bytes::Bytes>) -> Vec<String> {
    let text = |b: &bytes::Bytes| String::from_utf8_lossy(b).into_owned();
    bytes.iter().map(text).collect()
}

fn at_all_times(label: &str) -> LabelValuesRequest {
    LabelValuesRequest {
        label: label.to_owned(),
        start: i64::MIN,
        end: i64::MAX,
        ..LabelValuesRequest::default()
    }
}

#[tokio::test]
async fn names_are_those_of_the_series_and_the_external_ones_once_each() {
    let world = world().await;
    let all = LabelNamesRequest {
        start: 1000,
        end: 2000,
        ..LabelNamesRequest::default()
    };
    let (found, warnings) = names(&world, all.clone()).await;
    assert_eq!(found, ["__name__", "cluster", "job", "replica"]);
    assert_eq!(warnings, ["half of it"]);
    let some = LabelNamesRequest {
        without_replica_labels: vec!["replica".to_owned()],
        limit: 2,
        ..all.clone()
    };
    assert_eq!(names(&world, some).await.0, ["__name__", "cluster"]);
    let none = LabelNamesRequest {
        matchers: vec![matcher("cluster", "us-1")],
        ..all
    };
    assert_eq!(names(&world, none).await.0, [""; 0]);
    assert_eq!(world.peer.lock().asked.len(), 2);
}

#[tokio::test]
async fn values_are_those_of_the_series_or_the_external_one() {
    let world = world().await;
    assert_eq!(values(&world, at_all_times("job")).await, ["a", "b"]);
    assert_eq!(values(&world, at_all_times("cluster")).await, ["eu-1"]);
    let matching = LabelValuesRequest {
        matchers: vec![matcher("job", "b")],
        ..at_all_times("cluster")
    };
    assert_eq!(values(&world, matching.clone()).await, ["eu-1"]);
    let nothing = r#"{"status":"success","data":[]}"#;
    world.peer.lock().api.insert("api/v1/series", nothing);
    assert_eq!(values(&world, matching).await, [""; 0]);
    let removed = LabelValuesRequest {
        without_replica_labels: vec!["replica".to_owned()],
        ..at_all_times("replica")
    };
    assert_eq!(values(&world, removed).await, [""; 0]);
}

#[tokio::test]
async fn a_label_without_a_name_is_refused() {
    let world = world().await;
    let api = StoreApi(world.recent.clone());
    let error = api.label_values(Request::new(at_all_times(""))).await;
    let error = error.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert_eq!(error.message(), "label name parameter cannot be empty");
}
