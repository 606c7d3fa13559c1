//! What goes wrong at Prometheus, and what a client reads of it.

use axum::http::StatusCode;
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use proto::thanos::{LabelNamesRequest, SeriesRequest, store_server::Store as _};
use tonic::{Code, Request};

use super::{
    super::StoreApi,
    world::{End, World, frames, request, sent},
};

async fn world() -> World {
    let world = World::new(&[("m", "eu-1")], Some(&["__name__"])).await;
    world.peer.lock().read = frames(["a", "b", "c"].map(|name| sent(&[("__name__", name)])));
    world
}

/// The error that ends an answer, which says where Prometheus is.
async fn failed(world: &World) -> String {
    let error = world.lines(request()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unknown, "{error}");
    let text = error.message().to_owned();
    assert!(
        text.starts_with("query Prometheus: http://127.0.0.1:"),
        "{text}"
    );
    assert!(text.contains("/prefix/api/v1/read: "), "{text}");
    text
}

#[tokio::test]
async fn an_answer_cut_in_a_frame_is_no_answer() {
    let world = world().await;
    let last = world.peer.lock().read[2].clone();
    for cut in 1..last.len() {
        world.peer.lock().read[2] = last.slice(..cut);
        let text = failed(&world).await;
        assert!(text.contains("frame 2 at byte "), "{text}");
        assert!(text.contains("found the end of the answer"), "{text}");
    }
}

#[tokio::test]
async fn an_answer_whose_connection_breaks_is_no_answer() {
    let world = world().await;
    // Between two frames, where only HTTP can tell.
    world.peer.lock().end = End::Broken;
    failed(&world).await;
}

#[tokio::test]
async fn a_wrong_checksum_is_an_error() {
    let world = world().await;
    let mut damaged = world.peer.lock().read[1].to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    world.peer.lock().read[1] = damaged.into();
    let text = failed(&world).await;
    assert!(text.contains("frame 1 at byte "), "{text}");
    assert!(text.contains("expected data of checksum"), "{text}");
}

#[tokio::test]
async fn a_frame_of_60_megabytes_is_refused_before_it_has_come() {
    let world = world().await;
    world.peer.lock().read[0] = Bytes::from_static(&[0x80, 0x8e, 0xce, 0x1c, 0, 0, 0, 0]);
    world.peer.lock().end = End::Silence;
    let text = failed(&world).await;
    assert!(text.contains("found a length of 60000000"), "{text}");
}

#[tokio::test]
async fn a_text_behind_the_frames_is_an_error() {
    let world = world().await;
    // Prometheus appends what went wrong on the way.
    let text = Bytes::from_static(b"remote read: out of memory\n");
    world.peer.lock().read.push(text);
    failed(&world).await;
}

#[tokio::test]
async fn an_invalid_message_and_an_unknown_encoding_are_errors() {
    let world = world().await;
    let mut odd = sent(&[("__name__", "b")]);
    odd.chunks[0].r#type = 7;
    world.peer.lock().read[1] = frames([odd]).remove(0);
    let text = failed(&world).await;
    assert!(
        text.ends_with(
            "frame 1: {__name__=\"b\"}: chunk of 1000 to 2000: expected encoding 1, 2 or 3, found 7"
        ),
        "{text}"
    );
    world.peer.lock().content_type = "text/html";
    let text = failed(&world).await;
    assert!(text.contains("content type: \"text/html\""), "{text}");
}

#[tokio::test]
async fn http_statuses_become_the_codes_of_thanos() {
    let world = world().await;
    for (status, code) in [
        (400, Code::InvalidArgument),
        (404, Code::NotFound),
        (422, Code::Internal),
        (500, Code::Internal),
        (503, Code::Unavailable),
        (502, Code::Internal),
    ] {
        world.peer.lock().status = StatusCode::from_u16(status).unwrap();
        let text = failed(&world).await;
        assert!(
            text.contains(&format!("status {status}: no such luck")),
            "{text}"
        );
        let sets = SeriesRequest {
            skip_chunks: true,
            ..request()
        };
        let error = world.lines(sets).await.unwrap_err();
        assert_eq!(error.code(), code, "{status}");
        let names = LabelNamesRequest::default();
        let api = StoreApi(world.recent.clone());
        let error = api.label_names(Request::new(names)).await.unwrap_err();
        assert_eq!(error.code(), code, "{status}");
        assert!(
            error.message().ends_with(&format!(
                "/prefix/api/v1/labels?start=0.000&end=0.000: status {status}: no such luck"
            )),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_first_series_are_sent_while_prometheus_still_answers() {
    let world = world().await;
    world.peer.lock().end = End::Silence;
    let api = StoreApi(world.recent.clone());
    let answer = api.series(Request::new(request())).await.unwrap();
    let mut answer = answer.into_inner();
    // The last one waits for what may begin with it.
    for _ in ["a", "b"] {
        answer.next().await.unwrap().unwrap();
    }
    assert!(answer.next().now_or_never().is_none());
}
