use std::{convert::Infallible, future::poll_fn};

use tokio::time::advance;
use tower::{ServiceExt as _, service_fn};

use super::*;
use crate::{
    Exposition, Metrics,
    grpc::{methods::Methods, observe::Observe},
};

const LIMIT: Duration = Duration::from_secs(60);

/// A body that holds something, and has as much to send as is taken; or nothing yet.
struct Source {
    _held: Arc<()>,
    part: Option<Bytes>,
}

impl http_body::Body for Source {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match &self.part {
            Some(part) => Poll::Ready(Some(Ok(Frame::data(part.clone())))),
            None => Poll::Pending,
        }
    }
}

/// The body of an answer, what shows whether its source lives, and the metrics.
async fn answer(stalls: &Stalls, part: Option<Bytes>) -> (WatchedBody, Arc<()>, Metrics) {
    let metrics = Metrics::new();
    let methods = Methods::new(&[tonic_health::pb::FILE_DESCRIPTOR_SET], &metrics).unwrap();
    let held = Arc::new(());
    let source = Arc::clone(&held);
    let service = service_fn(move |_| {
        let (_held, part) = (Arc::clone(&source), part.clone());
        let body = Body::new(Source { _held, part });
        std::future::ready(Ok::<_, Infallible>(Response::new(body)))
    });
    let service = stalls.layer(Observe::new(methods, None).layer(service));
    let request = Request::post("http://x/grpc.health.v1.Health/Check");
    let answer = service
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    (answer.into_body(), held, metrics)
}

async fn next(body: &mut WatchedBody) -> Option<Frame<Bytes>> {
    let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
    frame.map(Result::unwrap)
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_taken_is_dropped_and_its_client_told_later() {
    let stalls = Stalls::new(Some(LIMIT));
    let (mut body, held, metrics) = answer(&stalls, Some(Bytes::from_static(b"part"))).await;
    next(&mut body).await.unwrap();
    advance(LIMIT - Duration::from_millis(1)).await;
    stalls.look();
    assert_eq!(Arc::strong_count(&held), 2);
    advance(Duration::from_millis(1)).await;
    stalls.look();
    assert_eq!(Arc::strong_count(&held), 1);
    let text = metrics.encode(Exposition::Prometheus);
    assert!(
        text.contains("grpc_method=\"Check\",grpc_code=\"DeadlineExceeded\"} 1\n"),
        "{text}"
    );
    let trailers = next(&mut body).await.unwrap().into_trailers().unwrap();
    let status = Status::from_header_map(&trailers).unwrap();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(status.message(), "the client took no data for 60s");
    assert!(next(&mut body).await.is_none());
    drop(body);
    stalls.look();
    assert!(stalls.calls.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_large_part_is_taken_in_pieces_each_of_which_is_progress() {
    let stalls = Stalls::new(Some(LIMIT));
    let part = Bytes::from(vec![7; PIECE * 3 + 1]);
    let (mut body, held, _) = answer(&stalls, Some(part)).await;
    for length in [PIECE, PIECE, PIECE, 1, PIECE] {
        let piece = next(&mut body).await.unwrap().into_data().unwrap();
        assert_eq!(piece.len(), length);
        advance(LIMIT - Duration::from_millis(1)).await;
        stalls.look();
    }
    assert!(Arc::strong_count(&held) > 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_there_yet_is_waited_for() {
    let stalls = Stalls::new(Some(LIMIT));
    let (mut body, held, _) = answer(&stalls, None).await;
    let mut first = Box::pin(next(&mut body));
    assert!(first.as_mut().now_or_never().is_none());
    drop(first);
    advance(LIMIT * 10).await;
    stalls.look();
    assert!(Arc::strong_count(&held) > 1);
}

#[tokio::test]
async fn without_a_limit_no_calls_are_remembered() {
    let stalls = Stalls::new(None);
    let _answer = answer(&stalls, None).await;
    assert!(stalls.calls.lock().is_empty());
}
