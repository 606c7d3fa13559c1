use proto::thanos::{
    LabelNamesRequest, LabelValuesRequest, PartialResponseStrategy, store_server::Store as _,
};
use tonic::{Code, Request, Status};

use super::{Script, api};

fn half(texts: &[&'static str]) -> Script {
    Script {
        texts: texts.to_vec(),
        ..Script::default()
    }
}

#[tokio::test]
async fn names_and_values_of_both_are_each_told_once_in_order_within_the_limit() {
    let bucket = Script {
        warnings: vec!["block X is damaged".to_owned()],
        ..half(&["a", "c", "d"])
    };
    let api = api(bucket, half(&["b", "c"]));
    for (limit, expected) in [(0, &["a", "b", "c", "d"][..]), (3, &["a", "b", "c"])] {
        let request = LabelNamesRequest {
            limit,
            ..LabelNamesRequest::default()
        };
        let answer = api.label_names(Request::new(request)).await.unwrap();
        let answer = answer.into_inner();
        assert_eq!(answer.names, expected);
        assert_eq!(answer.warnings, ["block X is damaged"]);
        let request = LabelValuesRequest {
            label: "n".to_owned(),
            limit,
            ..LabelValuesRequest::default()
        };
        let answer = api.label_values(Request::new(request)).await.unwrap();
        let answer = answer.into_inner();
        assert_eq!(answer.values, expected);
        assert_eq!(answer.warnings, ["block X is damaged"]);
    }
}

#[tokio::test]
async fn a_half_that_fails_is_a_warning_or_an_error_as_the_request_says() {
    let away = Script {
        refuses: Some(Status::unavailable("prometheus is away")),
        ..Script::default()
    };
    let one = api(half(&["a"]), away.clone());
    let answer = one.label_names(Request::new(LabelNamesRequest::default()));
    let answer = answer.await.unwrap().into_inner();
    assert_eq!(answer.names, ["a"]);
    assert_eq!(answer.warnings, ["prometheus is away"]);
    for request in [
        LabelNamesRequest {
            partial_response_disabled: true,
            ..LabelNamesRequest::default()
        },
        LabelNamesRequest {
            partial_response_strategy: PartialResponseStrategy::Abort.into(),
            ..LabelNamesRequest::default()
        },
    ] {
        let error = one.label_names(Request::new(request)).await.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable);
    }
    let none = api(away.clone(), away);
    let request = LabelValuesRequest::default();
    let error = none.label_values(Request::new(request)).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(error.message(), "prometheus is away");
}
