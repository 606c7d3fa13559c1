//! A layer around all services that gives up a call whose client takes no data.
//!
//! The server polls a body for its next part when the client has opened window for the part before. So a body that is
//! not polled for long has a client that opens no window. It is dropped with all that the call holds. If the client
//! opens window later, it gets the status; HTTP/2 cannot send the status before.

use std::{
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, Request, Response};
use http_body::{Body as _, Frame};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

use super::observe::ObservedBody;
use crate::connection::{Peer, PeerCall};

/// The most bytes that are sent at once: a client that takes so much makes progress.
const PIECE: usize = 16 << 10;
/// How often calls are checked within their time.
const LOOKS: u32 = 8;

/// The layer, and all running calls.
#[derive(Clone, Debug)]
pub(super) struct Stalls {
    limit: Option<Duration>,
    calls: Arc<Mutex<Vec<Weak<Mutex<Answer>>>>>,
}

/// A service whose answers are watched.
#[derive(Clone, Debug)]
pub(super) struct Watched<S> {
    inner: S,
    stalls: Stalls,
}

/// The body of a watched answer.
#[derive(Debug)]
pub(super) struct WatchedBody(Arc<Mutex<Answer>>);

#[derive(Debug)]
struct Answer {
    state: State,
    /// Since when the client could take data; `None` while there are none.
    since: Option<Instant>,
    /// The limit of that time.
    limit: Duration,
    call: Option<PeerCall>,
    path: String,
}

#[derive(Debug)]
enum State {
    Open {
        body: Box<ObservedBody>,
        /// The rest of a part that is sent in pieces.
        rest: Bytes,
    },
    /// It was given up; the client has not seen it.
    Stalled,
    Ended,
}

impl Stalls {
    /// Gives up calls whose clients take no data for `limit`, if there is a limit.
    pub(super) fn new(limit: Option<Duration>) -> Self {
        Self {
            limit,
            calls: Arc::default(),
        }
    }

    /// Checks the calls from time to time, for ever.
    pub(super) async fn watch<T>(&self) -> T {
        let Some(limit) = self.limit else {
            return std::future::pending().await;
        };
        loop {
            sleep(limit / LOOKS).await;
            self.look();
        }
    }

    fn look(&self) {
        let mut open = Vec::new();
        self.calls.lock().retain(|call| {
            let call = call.upgrade();
            let is_open = call.is_some();
            open.extend(call);
            is_open
        });
        for call in open {
            // A locked body is being polled.
            let stalled = call.try_lock().and_then(|mut answer| answer.look());
            // It is not dropped under a lock.
            drop(stalled);
        }
    }
}

impl<S> Layer<S> for Stalls {
    type Service = Watched<S>;

    fn layer(&self, inner: S) -> Watched<S> {
        Watched {
            inner,
            stalls: self.clone(),
        }
    }
}

impl<S> Service<Request<Body>> for Watched<S>
where
    S: Service<Request<Body>, Response = Response<ObservedBody>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<WatchedBody>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let call = Peer::of(request.extensions()).map(Peer::call);
        let path = request.uri().path().to_owned();
        let Stalls { limit, calls } = self.stalls.clone();
        let answer = self.inner.call(request);
        async move {
            let (head, body) = answer.await?.into_parts();
            let answer = Arc::new(Mutex::new(Answer {
                state: State::Open {
                    body: Box::new(body),
                    rest: Bytes::new(),
                },
                since: Some(Instant::now()),
                limit: limit.unwrap_or(Duration::MAX),
                call,
                path,
            }));
            if limit.is_some() {
                calls.lock().push(Arc::downgrade(&answer));
            }
            Ok(Response::from_parts(head, WatchedBody(answer)))
        }
        .boxed()
    }
}

impl Answer {
    /// Gives the call up if its client has taken no data for `limit`; and closes the connection if it has only such
    /// calls and still takes no data.
    fn look(&mut self) -> Option<State> {
        let limit = self.limit;
        if self.since.is_none_or(|since| since.elapsed() < limit) {
            return None;
        }
        match &mut self.state {
            State::Open { body, .. } => {
                body.end(Code::DeadlineExceeded);
                let (peer, path) = (self.call.as_ref().map(|c| c.peer().address()), &self.path);
                tracing::warn!(peer = ?peer, %path, "ending a call: the client took no data for {limit:?}");
                self.since = Some(Instant::now());
                if let Some(call) = &mut self.call {
                    call.stalled();
                }
                Some(std::mem::replace(&mut self.state, State::Stalled))
            }
            State::Stalled => {
                if self.call.as_ref().is_some_and(PeerCall::cut) {
                    self.since = None;
                }
                None
            }
            State::Ended => None,
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match &mut self.state {
            State::Open { body, rest } => {
                if rest.is_empty() {
                    match Pin::new(&mut **body).poll_frame(cx) {
                        Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                            Ok(data) => *rest = data,
                            Err(other) => return Poll::Ready(Some(Ok(other))),
                        },
                        other => return other,
                    }
                }
                // A copy, so that data waiting at the connection do not keep the whole part.
                let piece = Bytes::copy_from_slice(&rest.split_to(rest.len().min(PIECE)));
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            State::Stalled => {
                self.state = State::Ended;
                let text = format!("the client took no data for {:?}", self.limit);
                let mut trailers = HeaderMap::new();
                let told = Status::deadline_exceeded(text).add_header(&mut trailers);
                Poll::Ready(Some(told.map(|()| Frame::trailers(trailers))))
            }
            State::Ended => Poll::Ready(None),
        }
    }
}

impl http_body::Body for WatchedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut answer = self.0.lock();
        let polled = answer.poll_frame(cx);
        let given = matches!(polled, Poll::Ready(Some(_)));
        answer.since = given.then(Instant::now);
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.0.lock().state {
            State::Open { body, rest } => rest.is_empty() && body.is_end_stream(),
            State::Stalled => false,
            State::Ended => true,
        }
    }
}

#[cfg(test)]
mod tests;
