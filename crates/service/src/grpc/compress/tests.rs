use std::convert::Infallible;

use futures::stream;
use http_body::Body as _;
use tokio_stream::StreamExt as _;
use tonic::Code;
use tower::{ServiceExt as _, service_fn};

use super::*;
use crate::grpc::encoding::tests::message;

const BOTH: [GrpcEncoding; 2] = [GrpcEncoding::Gzip, GrpcEncoding::Snappy];
const LIMIT: usize = 1 << 20;

/// A body of these parts and, at the end, a status of OK.
struct Parts(Vec<Bytes>);

impl http_body::Body for Parts {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(match self.0.is_empty() {
            true => None,
            false => Some(Ok(Frame::data(self.0.remove(0)))),
        })
    }
}

fn layer() -> Compress {
    Compress {
        pool: CpuPool::new("test", 1).unwrap(),
        request_bytes: LIMIT,
        request_wait: Some(Duration::from_secs(60)),
    }
}

/// All of a body, or its error.
async fn read(mut body: Body) -> Result<Vec<u8>, Status> {
    let frames = stream::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
    let mut frames = std::pin::pin!(frames);
    let mut out = Vec::new();
    while let Some(frame) = frames.next().await {
        out.extend(frame?.into_data().unwrap());
    }
    Ok(out)
}

/// Sends what comes, in pieces.
async fn echo(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(match read(request.into_body()).await {
        Ok(bytes) => {
            let parts = bytes.chunks(70_000).map(Bytes::copy_from_slice);
            Response::new(Body::new(Parts(parts.collect())))
        }
        Err(status) => status.into_http(),
    })
}

async fn call(headers: &[(&str, &str)], body: Body) -> Response<Body> {
    let mut request = Request::post("http://x/any.Service/Method");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let service = layer().layer(service_fn(echo));
    service.oneshot(request.body(body).unwrap()).await.unwrap()
}

fn status(response: &Response<Body>) -> Status {
    Status::from_header_map(response.headers()).unwrap()
}

#[tokio::test]
async fn small_and_large_messages_are_decoded_and_the_answer_has_the_encoding_of_the_request() {
    for encoding in BOTH {
        // Small; small, but not once it is decoded; large.
        let random: Vec<u8> = (0..100_000_u32)
            .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect();
        let bodies = [vec![1; 100], vec![2; 500_000], random];
        let wire: Vec<u8> = bodies
            .iter()
            .flat_map(|body| message(Some(encoding), body))
            .collect();
        let parts = wire.chunks(9_001).map(Bytes::copy_from_slice).collect();
        let accepts = format!("identity, {}", encoding.name());
        let headers = [(ENCODING, encoding.name()), (ACCEPT_ENCODING, &accepts)];
        let response = call(&headers, Body::new(Parts(parts))).await;
        assert_eq!(response.headers()[ENCODING], encoding.name());
        assert_eq!(response.headers()[ACCEPT_ENCODING], "identity,gzip,snappy");
        let mut answer = BytesMut::from(&read(response.into_body()).await.unwrap()[..]);
        for body in bodies {
            let one = encoding::take_message(&mut answer, LIMIT).unwrap().unwrap();
            let plain = encoding::plain(Some(encoding), one, LIMIT).unwrap();
            assert!(plain == message(None, &body), "{encoding:?}");
        }
        assert!(answer.is_empty());
    }
}

#[tokio::test]
async fn a_client_that_does_not_say_that_it_takes_an_encoding_gets_none() {
    for accepts in [None, Some("identity"), Some("gzip")] {
        let mut headers = vec![(ENCODING, "snappy")];
        headers.extend(accepts.map(|accepts| (ACCEPT_ENCODING, accepts)));
        let body = message(Some(GrpcEncoding::Snappy), b"abc");
        let response = call(&headers, Body::new(Parts(vec![body]))).await;
        assert!(!response.headers().contains_key(ENCODING));
        let answer = read(response.into_body()).await.unwrap();
        assert_eq!(answer, message(None, b"abc"));
    }
}

#[tokio::test]
async fn an_unknown_encoding_is_refused_with_those_that_are_known() {
    for name in ["zstd", "deflate", "Snappy", ""] {
        let response = call(&[(ENCODING, name)], Body::empty()).await;
        assert_eq!(status(&response).code(), Code::Unimplemented);
        assert_eq!(
            status(&response).message(),
            format!("grpc-encoding {name:?} is not supported, expected identity, gzip or snappy")
        );
        assert_eq!(response.headers()[ACCEPT_ENCODING], "identity,gzip,snappy");
    }
}

#[tokio::test]
async fn a_bomb_ends_at_the_limit() {
    for encoding in BOTH {
        let bomb = message(Some(encoding), &vec![0; 20 * LIMIT]);
        let response = call(&[(ENCODING, encoding.name())], Body::new(Parts(vec![bomb]))).await;
        assert_eq!(status(&response).code(), Code::ResourceExhausted);
        assert_eq!(
            status(&response).message(),
            "grpc message is larger than the limit of 1048576 bytes"
        );
    }
}

#[tokio::test]
async fn a_message_that_does_not_decode_is_an_error_of_the_call() {
    for encoding in BOTH {
        let broken = Bytes::from_static(b"\x01\0\0\0\x03abc");
        let response = call(
            &[(ENCODING, encoding.name())],
            Body::new(Parts(vec![broken])),
        )
        .await;
        let status = status(&response);
        assert_eq!(status.code(), Code::Internal);
        let begin = format!(
            "grpc message of 3 bytes does not decode as {}: ",
            encoding.name()
        );
        assert!(status.message().starts_with(&begin), "{status}");
    }
}

#[tokio::test]
async fn half_a_message_reaches_the_service_which_sees_that() {
    let half = message(None, b"abc").slice(..6);
    let response = call(&[], Body::new(Parts(vec![half.clone()]))).await;
    assert_eq!(read(response.into_body()).await.unwrap(), half);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_come_is_not_waited_for() {
    /// A body that stays behind its parts.
    struct Stuck(Parts);

    impl http_body::Body for Stuck {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            match Pin::new(&mut self.0).poll_frame(cx) {
                Poll::Ready(None) => Poll::Pending,
                other => other,
            }
        }
    }

    let whole = message(None, b"abc");
    for parts in [
        vec![],
        vec![whole.slice(..2)],
        vec![whole.clone(), whole.slice(..7)],
    ] {
        let response = call(&[], Body::new(Stuck(Parts(parts)))).await;
        assert_eq!(status(&response).code(), Code::DeadlineExceeded);
        assert_eq!(
            status(&response).message(),
            "request: the client sent no whole message in 60s"
        );
    }
}
