//! A layer around all services: a call that takes longer than its client waits ends with `DEADLINE_EXCEEDED`.
//!
//! The server below ends it at the same time, but as `CANCELLED`, which a client that still listens takes for something
//! else.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{self, BoxFuture, Either},
};
use http::{HeaderMap, Request, Response};
use tokio::time::sleep;
use tonic::{Status, body::Body};
use tower::{Layer, Service};

/// How long the client waits: at most eight digits and a unit.
const TIMEOUT: &str = "grpc-timeout";

/// The layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines;

/// A service whose calls end with their clients' patience.
#[derive(Clone, Debug)]
pub(super) struct Timed<S>(S);

impl<S> Layer<S> for Deadlines {
    type Service = Timed<S>;

    fn layer(&self, inner: S) -> Timed<S> {
        Timed(inner)
    }
}

impl<S> Service<Request<Body>> for Timed<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Some(wait) = timeout(request.headers()) else {
            return self.0.call(request).boxed();
        };
        // Begun before the server's own, so that it ends first.
        let over = sleep(wait);
        let answer = self.0.call(request);
        async move {
            match future::select(answer.boxed(), Box::pin(over)).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => {
                    let text = format!("no answer within the {wait:?} that the client waits");
                    Ok(Status::deadline_exceeded(text).into_http())
                }
            }
        }
        .boxed()
    }
}

/// What the client says; none where it says nothing that can be read.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_hours(number)),
        "M" => Some(Duration::from_mins(number)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tonic::Code;
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    /// Asks a service that answers after ten seconds; gives the status in the head of the answer.
    async fn code(wait: Option<&str>) -> Code {
        let slow = service_fn(|_: Request<Body>| async {
            sleep(Duration::from_secs(10)).await;
            Ok::<_, Infallible>(Response::new(Body::empty()))
        });
        let mut request = Request::new(Body::empty());
        if let Some(wait) = wait {
            request.headers_mut().insert(TIMEOUT, wait.parse().unwrap());
        }
        let answer = Deadlines.layer(slow).oneshot(request).await.unwrap();
        Status::from_header_map(answer.headers()).map_or(Code::Ok, |status| status.code())
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_takes_longer_than_its_client_waits_says_so() {
        for short in ["9S", "9999m", "1000u", "1n"] {
            assert_eq!(code(Some(short)).await, Code::DeadlineExceeded, "{short}");
        }
        for long in [None, Some("11S"), Some("1M"), Some("1H"), Some("99999999m")] {
            assert_eq!(code(long).await, Code::Ok, "{long:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_time_is_no_deadline() {
        for odd in ["", "S", "5", "5s", "-1S", "+1S", "123456789n", "1 S"] {
            assert_eq!(code(Some(odd)).await, Code::Ok, "{odd:?}");
        }
    }
}
