//! A layer around all services that decodes the messages of requests and encodes those of answers in the request's
//! encoding.
//!
//! The services see plain messages. The layer also limits the size of a request's message and the time until it has
//! arrived.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use tokio::time::{Sleep, sleep};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use super::encoding::{self, GrpcEncoding, GrpcMessageError};
use crate::CpuPool;

const ENCODING: &str = "grpc-encoding";
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";
/// The encodings that are read and written.
const ACCEPTED: HeaderValue = HeaderValue::from_static("identity,gzip,snappy");
/// The largest message that is decoded or encoded at once; a larger one goes to the pool. Gzip takes about 300 µs.
const INLINE: usize = 16 << 10;

/// The settings of the layer.
#[derive(Clone, Debug)]
pub(super) struct Compress {
    /// The pool for large messages.
    pub(super) pool: CpuPool,
    /// The largest message of a request, both encoded and decoded.
    pub(super) request_bytes: usize,
    /// The longest time until the first message of a request, or the rest of one, has arrived.
    pub(super) request_wait: Option<Duration>,
}

/// A service whose messages are decoded and encoded.
#[derive(Clone, Debug)]
pub(super) struct Compressed<S> {
    inner: S,
    with: Compress,
}

/// A body whose messages are recoded.
struct Recoded {
    inner: Body,
    with: Compress,
    work: Work,
    /// The bytes that are not recoded yet; the last message may be incomplete.
    buffer: BytesMut,
    /// Messages at the pool.
    job: Option<BoxFuture<'static, Result<Bytes, Status>>>,
    /// The trailers after the last message.
    trailers: Option<HeaderMap>,
    ended: bool,
}

/// What is done to the messages.
enum Work {
    Decode {
        encoding: Option<GrpcEncoding>,
        /// The deadline of a message, while one is expected.
        deadline: Option<Pin<Box<Sleep>>>,
    },
    Encode(GrpcEncoding),
}

impl<S> Layer<S> for Compress {
    type Service = Compressed<S>;

    fn layer(&self, inner: S) -> Compressed<S> {
        Compressed {
            inner,
            with: self.clone(),
        }
    }
}

impl<S> Service<Request<Body>> for Compressed<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let headers = request.headers_mut();
        // The service does not handle it.
        let named = headers.remove(ENCODING);
        let accepts = headers.remove(ACCEPT_ENCODING);
        let encoding = match named.as_ref().map(HeaderValue::to_str) {
            None | Some(Ok("identity")) => None,
            Some(name) => match name.ok().and_then(GrpcEncoding::named) {
                Some(encoding) => Some(encoding),
                None => {
                    let refused = unknown(named.as_ref());
                    return async move { Ok(refused) }.boxed();
                }
            },
        };
        let answered_in = encoding.filter(|encoding| takes(accepts.as_ref(), *encoding));
        let deadline = self.with.request_wait.map(|wait| Box::pin(sleep(wait)));
        let work = Work::Decode { encoding, deadline };
        let with = self.with.clone();
        let request = request.map(|body| recoded(body, work, with));
        let answer = self.inner.call(request);
        let with = self.with.clone();
        async move {
            let mut response = answer.await?;
            let headers = response.headers_mut();
            headers.insert(ACCEPT_ENCODING, ACCEPTED);
            // An answer with its status in the head has no messages.
            let Some(encoding) = answered_in.filter(|_| !headers.contains_key(Status::GRPC_STATUS))
            else {
                return Ok(response);
            };
            headers.insert(ENCODING, HeaderValue::from_static(encoding.name()));
            Ok(response.map(|body| recoded(body, Work::Encode(encoding), with)))
        }
        .boxed()
    }
}

/// Whether a client accepts an encoding.
fn takes(accepts: Option<&HeaderValue>, encoding: GrpcEncoding) -> bool {
    let names = accepts.and_then(|names| names.to_str().ok());
    names.is_some_and(|names| names.split(',').any(|name| name.trim() == encoding.name()))
}

/// The answer to a request in an unsupported encoding.
fn unknown(name: Option<&HeaderValue>) -> Response<Body> {
    let name = name.map(HeaderValue::as_bytes).unwrap_or_default();
    let text = format!(
        "grpc-encoding {:?} is not supported, expected identity, gzip or snappy",
        String::from_utf8_lossy(name)
    );
    let mut response = Status::unimplemented(text).into_http();
    response.headers_mut().insert(ACCEPT_ENCODING, ACCEPTED);
    response
}

fn recoded(inner: Body, work: Work, with: Compress) -> Body {
    Body::new(Recoded {
        inner,
        with,
        work,
        buffer: BytesMut::new(),
        job: None,
        trailers: None,
        ended: false,
    })
}

impl http_body::Body for Recoded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let me = &mut *self;
        loop {
            if let Some(job) = &mut me.job {
                let messages = ready!(job.poll_unpin(cx));
                me.job = None;
                return Poll::Ready(Some(messages.map(Frame::data)));
            }
            match me.step() {
                Ok(Some(messages)) => return Poll::Ready(Some(Ok(Frame::data(messages)))),
                Ok(None) if me.job.is_some() => continue,
                Ok(None) => {}
                Err(status) => return Poll::Ready(Some(Err(me.end(status)))),
            }
            if me.ended {
                // The reader detects the incomplete message.
                if !me.buffer.is_empty() {
                    return Poll::Ready(Some(Ok(Frame::data(me.buffer.split().freeze()))));
                }
                let trailers = me.trailers.take();
                return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
            }
            match Pin::new(&mut me.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => me.buffer.extend_from_slice(&data),
                    Err(frame) => {
                        me.trailers = frame.into_trailers().ok();
                        me.ended = true;
                    }
                },
                Poll::Ready(Some(Err(status))) => {
                    return Poll::Ready(Some(Err(me.end(status))));
                }
                Poll::Ready(None) => me.ended = true,
                Poll::Pending => {
                    ready!(me.poll_deadline(cx));
                    let text = format!(
                        "request: the client sent no whole message in {:?}",
                        me.with.request_wait.unwrap_or_default()
                    );
                    let status = me.end(Status::deadline_exceeded(text));
                    return Poll::Ready(Some(Err(status)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.job.is_none() && self.buffer.is_empty() && self.trailers.is_none()
            || self.buffer.is_empty() && self.job.is_none() && self.inner.is_end_stream()
    }
}

impl Recoded {
    /// Recodes the bytes at hand, at once or as a job.
    fn step(&mut self) -> Result<Option<Bytes>, Status> {
        match &mut self.work {
            Work::Decode { encoding, deadline } => {
                let limit = self.with.request_bytes;
                let taken = encoding::take_message(&mut self.buffer, limit);
                let Some(message) = taken.map_err(|e| refused(&e))? else {
                    if deadline.is_none() && !self.buffer.is_empty() {
                        *deadline = self.with.request_wait.map(|wait| Box::pin(sleep(wait)));
                    }
                    return Ok(None);
                };
                *deadline = None;
                let encoding = *encoding;
                // A small message may become large; that is detected here, and left to the pool.
                if message.len() <= INLINE || !encoding::is_encoded(&message) {
                    match encoding::plain(encoding, message.clone(), INLINE.min(limit)) {
                        Err(GrpcMessageError::TooLarge { .. }) => {}
                        other => return other.map(Some).map_err(|e| refused(&e)),
                    }
                }
                let pool = self.with.pool.clone();
                let job = async move {
                    let plain = pool.run(move || encoding::plain(encoding, message, limit));
                    plain.await.map_err(|e| refused(&e))
                };
                self.job = Some(job.boxed());
            }
            Work::Encode(encoding) => {
                let whole = encoding::whole(&self.buffer);
                if whole == 0 {
                    return Ok(None);
                }
                let messages = self.buffer.split_to(whole).freeze();
                let encoding = *encoding;
                let failed =
                    move |e| Status::internal(format!("encoding as {}: {e}", encoding.name()));
                if messages.len() <= INLINE {
                    let messages = encoding::encoded(encoding, messages);
                    return messages.map(Some).map_err(failed);
                }
                let pool = self.with.pool.clone();
                let job = async move {
                    let messages = pool.run(move || encoding::encoded(encoding, messages));
                    messages.await.map_err(failed)
                };
                self.job = Some(job.boxed());
            }
        }
        Ok(None)
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.work {
            Work::Decode {
                deadline: Some(deadline),
                ..
            } => deadline.poll_unpin(cx),
            Work::Decode { .. } | Work::Encode(_) => Poll::Pending,
        }
    }

    /// Nothing follows an error.
    fn end(&mut self, status: Status) -> Status {
        self.inner = Body::empty();
        self.buffer.clear();
        self.trailers = None;
        self.ended = true;
        status
    }
}

fn refused(error: &GrpcMessageError) -> Status {
    match error {
        GrpcMessageError::TooLarge { .. } => Status::resource_exhausted(error.to_string()),
        GrpcMessageError::Encoding { .. }
        | GrpcMessageError::Flag(_)
        | GrpcMessageError::NoEncoding => Status::internal(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
