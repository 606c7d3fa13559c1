use ::series::AnswerPart;
use futures::StreamExt as _;
use proto::thanos::{
    PartialResponseStrategy, SeriesRequest, SeriesResponse, series_response::Result as Frame,
    store_server::Store as _,
};
use tonic::{Code, Request, Status};

use super::{Script, StoreApi, api, parts, series};

/// Asks, and draws each message: `a:x+y` is a series and its chunks, `!` a warning.
async fn drawn(api: &StoreApi, request: SeriesRequest) -> Result<Vec<String>, Status> {
    let answer = api.series(Request::new(request)).await?.into_inner();
    let messages: Vec<SeriesResponse> = answer
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect::<Result<_, _>>()?;
    Ok(messages.into_iter().map(draw).collect())
}

fn draw(message: SeriesResponse) -> String {
    let series = match message.result.unwrap() {
        Frame::Series(one) => vec![one],
        Frame::Batch(batch) => batch.series,
        Frame::Warning(text) => return format!("! {text}"),
        Frame::Hints(hints) => return format!("? {}", hints.type_url),
    };
    let series = series.into_iter().map(|one| {
        let value = String::from_utf8_lossy(&one.labels[0].value).into_owned();
        let chunks = one.chunks.into_iter().map(|c| c.raw.unwrap().data);
        let chunks: Vec<_> = chunks
            .map(|data| String::from_utf8(data.to_vec()).unwrap())
            .collect();
        format!("{value}:{}", chunks.join("+"))
    });
    series.collect::<Vec<_>>().join(" ")
}

fn asked() -> SeriesRequest {
    SeriesRequest {
        response_batch_size: 64,
        ..SeriesRequest::default()
    }
}

fn whole() -> SeriesRequest {
    SeriesRequest {
        partial_response_strategy: PartialResponseStrategy::Abort.into(),
        ..asked()
    }
}

fn bucket() -> Script {
    Script {
        parts: parts([
            vec![series("a", &[(0, "a0")]), series("b", &[(0, "b0")])],
            vec![series("b", &[(20, "b2")]), series("d", &[(0, "d0")])],
        ]),
        ..Script::default()
    }
}

fn recent() -> Script {
    Script {
        parts: parts([
            vec![series("b", &[(20, "b2"), (40, "b4")])],
            vec![series("c", &[(40, "c4")]), series("e", &[(40, "e4")])],
        ]),
        ..Script::default()
    }
}

#[tokio::test(start_paused = true)]
async fn series_of_both_come_in_order_and_what_both_have_comes_once() {
    let api = api(bucket(), recent());
    let lines = drawn(&api, asked()).await.unwrap();
    assert_eq!(
        lines.join(" "),
        "a:a0 b:b0+b2+b4 c:c4 d:d0 e:e4",
        "{lines:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_first_series_leave_before_the_halves_have_ended() {
    let api = api(bucket(), recent());
    let answer = api.series(Request::new(asked())).await.unwrap();
    let first = answer.into_inner().next().await.unwrap().unwrap();
    assert_eq!(draw(first), "a:a0");
}

#[tokio::test(start_paused = true)]
async fn chunks_that_differ_are_all_sent_in_order_of_time_the_larger_first() {
    let one = |chunks: &[(i64, &'static str)]| Script {
        parts: parts([vec![series("a", chunks)]]),
        ..Script::default()
    };
    let api = api(
        one(&[(0, "x"), (20, "same"), (40, "short")]),
        one(&[(10, "y"), (20, "same"), (40, "longer")]),
    );
    let lines = drawn(&api, asked()).await.unwrap();
    assert_eq!(lines, ["a:x+y+same+longer+short"]);
}

#[tokio::test(start_paused = true)]
async fn the_limit_and_the_size_of_batches_hold_for_both_together() {
    let api = api(bucket(), recent());
    let request = SeriesRequest {
        limit: 3,
        response_batch_size: 2,
        ..SeriesRequest::default()
    };
    let lines = drawn(&api, request).await.unwrap();
    assert!(lines.iter().all(|line| line.split(' ').count() <= 2));
    assert_eq!(lines.join(" "), "a:a0 b:b0+b2+b4 c:c4");
    let single = drawn(&api, SeriesRequest::default()).await.unwrap();
    assert_eq!(single.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_half_that_fails_is_a_warning_or_an_error_as_the_request_says() {
    let away = || Status::unavailable("prometheus is away");
    let refuses = Script {
        refuses: Some(away()),
        ..Script::default()
    };
    let breaks = Script {
        breaks: Some(away()),
        ..recent()
    };
    for (half, rest) in [
        (refuses, "a:a0 b:b0+b2 d:d0"),
        (breaks, "a:a0 b:b0+b2+b4 c:c4 d:d0 e:e4"),
    ] {
        for api in [api(bucket(), half.clone()), api(half.clone(), bucket())] {
            let lines = drawn(&api, asked()).await.unwrap();
            let (warnings, series): (Vec<String>, Vec<String>) =
                lines.into_iter().partition(|line| line.starts_with('!'));
            assert_eq!(warnings, ["! prometheus is away"]);
            assert_eq!(series.join(" "), rest);
            let error = drawn(&api, whole()).await.unwrap_err();
            assert_eq!(error.code(), Code::Unavailable);
            assert_eq!(error.message(), "prometheus is away");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn if_both_fail_there_is_no_answer_and_both_are_named() {
    let fails = |text: &str| Script {
        breaks: Some(Status::unavailable(text)),
        ..Script::default()
    };
    let error = drawn(&api(fails("no bucket"), fails("no prometheus")), asked())
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(error.message(), "no bucket; no prometheus");
    let bad = || Script {
        refuses: Some(Status::invalid_argument("bad pattern")),
        ..Script::default()
    };
    let error = drawn(&api(bad(), bad()), asked()).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert_eq!(error.message(), "bad pattern");
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_one_half_finds_exceeded_ends_the_request() {
    let limited = Script {
        breaks: Some(Status::resource_exhausted("limit x violated")),
        ..recent()
    };
    let error = drawn(&api(bucket(), limited), asked()).await.unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted);
}

#[tokio::test(start_paused = true)]
async fn warnings_of_a_half_are_passed_on() {
    let mut warns = bucket();
    warns
        .parts
        .insert(1, AnswerPart::Warning("block X is damaged".to_owned()));
    let lines = drawn(&api(warns, recent()), asked()).await.unwrap();
    assert!(
        lines.contains(&"! block X is damaged".to_owned()),
        "{lines:?}"
    );
    assert_eq!(lines.iter().filter(|l| l.starts_with('!')).count(), 1);
}
