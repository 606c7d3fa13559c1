//! A layer around all services that counts and times each call, and turns panics into errors.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use futures::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use prometheus_client::metrics::counter::Counter;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::{Instrument as _, Span};

use super::{
    call_log::CallLog,
    messages::{CountedBody, Messages},
    methods::{MethodMetrics, Methods},
};
use crate::{request_log::RequestRule, traces};

/// The layer.
#[derive(Clone, Debug)]
pub(super) struct Observe {
    methods: Methods,
    /// Which calls are logged.
    log: Option<Arc<RequestRule>>,
}

/// A service whose calls are counted.
#[derive(Clone, Debug)]
pub(super) struct Observed<S> {
    inner: S,
    with: Observe,
}

/// The body of an answer, whose end is the end of the call.
#[derive(Debug)]
pub(super) struct ObservedBody {
    inner: Body,
    call: Call,
    /// Of a known method.
    messages: Option<Messages>,
    panics: Counter,
}

/// A running call. If it is dropped, its client gave it up.
#[derive(Debug)]
struct Call {
    method: Option<MethodMetrics>,
    log: Option<CallLog>,
    span: Span,
    since: Instant,
}

impl Observe {
    /// Counts the calls of `methods`, and logs those that the rule names.
    pub(super) fn new(methods: Methods, log: Option<RequestRule>) -> Self {
        Self {
            methods,
            log: log.map(Arc::new),
        }
    }
}

impl<S> Layer<S> for Observe {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Observed<S> {
        Observed {
            inner,
            with: self.clone(),
        }
    }
}

impl<S> Service<Request<Body>> for Observed<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<ObservedBody>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Observe { methods, log } = &self.with;
        let method = methods.get(request.uri().path());
        let kind = method.map_or("unknown", |method| method.kind);
        let log = log.as_ref();
        let name = method.map_or("unknown", |_| request.uri().path());
        let span = traces::server_span(name, request.headers());
        span.record("rpc.system", "grpc");
        let log = log.and_then(|rule| CallLog::start(rule, &request, kind, &span));
        let mut call = Call::start(method, log, span.clone());
        let sent = method.map(|method| Messages::new(method.sent.clone()));
        let received = method.map(|method| method.received.clone());
        let request = request.map(|body| match received {
            Some(received) => Body::new(CountedBody::new(body, received)),
            None => body,
        });
        let panics = methods.panics.clone();
        let answer = span.in_scope(|| self.inner.call(request));
        let answer = AssertUnwindSafe(answer).catch_unwind();
        async move {
            let response = match answer.await {
                Ok(response) => response?,
                Err(_) => recovered(&panics).into_http(),
            };
            // An answer without a body has its status in the head.
            if let Some(code) = code(response.headers()) {
                call.end(code, message(response.headers()));
            }
            Ok(response.map(|inner| ObservedBody {
                inner,
                call,
                messages: sent,
                panics,
            }))
        }
        .instrument(span)
        .boxed()
    }
}

impl http_body::Body for ObservedBody {
    type Data = <Body as http_body::Body>::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let Self { inner, call, .. } = &mut *self;
        let poll = AssertUnwindSafe(|| Pin::new(inner).poll_frame(cx));
        let polled = call.span.in_scope(|| catch_unwind(poll));
        let polled = polled.unwrap_or_else(|_| {
            let status = recovered(&self.panics);
            // A body that panicked is not polled again; trailers end the call with its status.
            self.inner = Body::empty();
            let mut trailers = HeaderMap::new();
            let told = status.add_header(&mut trailers);
            Poll::Ready(Some(told.map(|()| Frame::trailers(trailers))))
        });
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref()
                    && let Some(code) = code(trailers)
                {
                    self.call.end(code, message(trailers));
                }
                if let (Some(bytes), Some(messages)) = (frame.data_ref(), &mut self.messages) {
                    messages.pass(bytes);
                }
            }
            Poll::Ready(Some(Err(status))) => self.call.end(status.code(), status.message()),
            Poll::Ready(None) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl ObservedBody {
    /// Counts the end of a call that is given up.
    pub(super) fn end(&mut self, code: Code) {
        self.call.end(code, "the call was given up");
    }
}

impl Call {
    fn start(method: Option<&MethodMetrics>, log: Option<CallLog>, span: Span) -> Self {
        if let Some(method) = method {
            method.started();
        }
        Self {
            method: method.cloned(),
            log,
            span,
            since: Instant::now(),
        }
    }

    /// Counts the end of the call; only the first one counts. `message` is that of an error.
    fn end(&mut self, code: Code, message: &str) {
        let took = self.since.elapsed();
        if let Some(method) = self.method.take() {
            method.handled(code, took.as_secs_f64());
        }
        if let Some(log) = self.log.take() {
            log.end(code, took);
        }
        let span = std::mem::replace(&mut self.span, Span::none());
        span.record("rpc.grpc.status_code", i32::from(code));
        if code != Code::Ok {
            span.record("otel.status_code", "ERROR");
            span.record("otel.status_description", message);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Code::Cancelled, "the client gave the call up");
    }
}

/// The status in a head or in trailers.
fn code(headers: &HeaderMap) -> Option<Code> {
    let status = headers.get(Status::GRPC_STATUS)?;
    Some(Code::from_bytes(status.as_bytes()))
}

/// The text of an error in a head or in trailers, with `%` escapes.
fn message(headers: &HeaderMap) -> &str {
    let message = headers.get(Status::GRPC_MESSAGE);
    message
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Counts a panic. The panic hook has printed its place.
fn recovered(panics: &Counter) -> Status {
    panics.inc();
    tracing::error!("recovered from a panic in a gRPC call");
    Status::internal("panic while answering")
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::poll_fn};

    use http_body::Body as _;
    use tower::service_fn;

    use super::*;
    use crate::{Exposition, Metrics};

    /// A body that panics when it is read.
    struct Broken;

    impl http_body::Body for Broken {
        type Data = <Body as http_body::Body>::Data;
        type Error = Status;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
            panic!("broken body");
        }
    }

    fn observed() -> (Observe, Metrics) {
        let metrics = Metrics::new();
        let methods = Methods::new(&[tonic_health::pb::FILE_DESCRIPTOR_SET], &metrics).unwrap();
        (Observe::new(methods, None), metrics)
    }

    fn request() -> Request<Body> {
        Request::post("http://x/grpc.health.v1.Health/Check")
            .body(Body::empty())
            .unwrap()
    }

    fn handled(metrics: &Metrics, code: &str) -> bool {
        let line = format!("grpc_method=\"Check\",grpc_code=\"{code}\"}} 1\n");
        metrics.encode(Exposition::Prometheus).contains(&line)
    }

    #[tokio::test]
    async fn a_service_that_panics_answers_internal() {
        let (layer, metrics) = observed();
        let mut service = layer.layer(service_fn(
            async |_| -> Result<Response<Body>, Infallible> { panic!("broken service") },
        ));
        let response = service.call(request()).await.unwrap();
        assert_eq!(response.headers()[Status::GRPC_STATUS], "13");
        assert!(handled(&metrics, "Internal"));
        let text = metrics.encode(Exposition::Prometheus);
        assert!(
            text.contains("\ngrpc_req_panics_recovered_total 1\n"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_body_that_panics_ends_with_internal() {
        let (layer, metrics) = observed();
        let mut service = layer.layer(service_fn(async |_| {
            Ok::<_, Infallible>(Response::new(Body::new(Broken)))
        }));
        let mut body = Box::pin(service.call(request()).await.unwrap().into_body());
        let frame = poll_fn(|cx| body.as_mut().poll_frame(cx))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(frame.trailers_ref().unwrap()[Status::GRPC_STATUS], "13");
        assert!(poll_fn(|cx| body.as_mut().poll_frame(cx)).await.is_none());
        assert!(handled(&metrics, "Internal"));
    }

    #[tokio::test]
    async fn an_answer_that_its_client_gives_up_is_counted_as_canceled() {
        let (layer, metrics) = observed();
        let mut service = layer.layer(service_fn(async |_| {
            Ok::<_, Infallible>(Response::new(Body::new(Broken)))
        }));
        drop(service.call(request()).await.unwrap());
        assert!(handled(&metrics, "Canceled"));
    }
}
