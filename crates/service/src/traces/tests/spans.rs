//! Which spans are made, below which parent.

use std::cell::Cell;

use http::{HeaderMap, HeaderValue};
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::mpsc;
use tracing_subscriber::{Registry, layer::SubscriberExt as _};

use super::{
    super::{Traces, server_span, trace_id},
    *,
};
use crate::{LogFormat, LogLevel, logging};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";

/// What `work` sends under this sampler.
fn made(sampler: &str, work: impl FnOnce()) -> Vec<SpanData> {
    let traces = Traces::new(otlp(&format!("sampler_type: {sampler}")));
    let mut spans: mpsc::Receiver<SpanData> = traces.0.spans.lock().take().unwrap();
    let subscriber = Registry::default().with(traces.layer());
    tracing::subscriber::with_default(subscriber, work);
    std::iter::from_fn(|| spans.try_recv().ok()).collect()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, value)| {
        (
            http::HeaderName::from_static(name),
            HeaderValue::try_from(*value).unwrap(),
        )
    });
    pairs.collect()
}

/// A call with these headers, and something done for it.
fn call(headers: &HeaderMap) {
    let span = server_span("/thanos.Store/Series", headers);
    span.in_scope(|| drop(crate::span!("inner")));
}

#[test]
fn a_call_is_below_its_caller_and_its_work_below_it() {
    let parent = format!("{PARENT}-01");
    let spans = made("", || call(&headers(&[("traceparent", &parent)])));
    let [inner, call] = spans.as_slice() else {
        panic!("{spans:?}");
    };
    assert_eq!(
        (&*call.name, &*inner.name),
        ("/thanos.Store/Series", "inner")
    );
    assert_eq!(
        call.span_context.trace_id().to_string(),
        "0af7651916cd43dd8448eb211c80319c"
    );
    assert_eq!(call.parent_span_id.to_string(), "b7ad6b7169203331");
    assert_eq!(call.span_kind, opentelemetry::trace::SpanKind::Server);
    assert_eq!(inner.parent_span_id, call.span_context.span_id());
    assert_eq!(inner.span_context.trace_id(), call.span_context.trace_id());
}

#[test]
fn a_call_whose_caller_is_not_sampled_is_not_sent_unless_it_is_forced() {
    let parent = format!("{PARENT}-00");
    let plain = headers(&[("traceparent", &parent)]);
    assert_eq!(made("parentbasedalwayssample", || call(&plain)).len(), 0);
    let forced = headers(&[("traceparent", &parent), ("x-thanos-force-tracing", "1")]);
    let spans = made("parentbasedneversample", || call(&forced));
    assert_eq!(spans.len(), 2);
    // It stays in the caller's trace.
    assert_eq!(
        spans[0].span_context.trace_id().to_string(),
        "0af7651916cd43dd8448eb211c80319c"
    );
    assert_eq!(made("neversample", || call(&HeaderMap::new())).len(), 0);
}

#[test]
fn a_request_that_is_sent_on_carries_the_context_of_its_span() {
    let spans = made("", || {
        let span = crate::span!("outer");
        span.in_scope(|| {
            let mut headers = HeaderMap::new();
            crate::add_context(&mut headers);
            let id = trace_id(&span).unwrap();
            let parent = headers["traceparent"].to_str().unwrap();
            assert!(
                parent.starts_with(&format!("00-{id}-")) && parent.ends_with("-01"),
                "{parent}"
            );
            call(&headers);
        });
    });
    assert_eq!(spans[1].parent_span_id, spans[2].span_context.span_id());
}

#[test]
fn spans_of_libraries_and_events_are_not_sent() {
    let spans = made("", || {
        let _foreign = tracing::info_span!(target: "h2", "frame").entered();
        tracing::info!("an event");
        drop(crate::span!("ours"));
    });
    assert_eq!(spans.len(), 1);
    assert_eq!(&*spans[0].name, "ours");
    assert_eq!(spans[0].events.events.len(), 0);
}

#[test]
fn work_that_fails_ends_its_span_as_failed() {
    let spans = made("", || {
        let failed = crate::in_span(crate::span!("work"), async { Err::<(), _>("broken") });
        let failed = futures::FutureExt::now_or_never(failed).unwrap();
        assert_eq!(failed, Err("broken"));
    });
    let expected = opentelemetry::trace::Status::error("broken");
    assert_eq!(spans[0].status, expected);
}

#[test]
fn without_traces_no_span_is_made_at_any_level_of_the_log() {
    for level in [LogLevel::Error, LogLevel::Info, LogLevel::Debug] {
        let evaluated = Cell::new(0);
        let value = || {
            evaluated.set(evaluated.get() + 1);
            7
        };
        let log = logging::subscriber(level, LogFormat::Logfmt, "", std::io::sink, None).unwrap();
        tracing::subscriber::with_default(log, || {
            for _ in 0..3 {
                let span = crate::span!("work", value = value());
                assert!(span.is_disabled(), "{level}");
                assert!(server_span("x", &HeaderMap::new()).is_disabled());
                let other = tracing::error_span!("of a library");
                assert!(other.is_disabled());
            }
            let mut headers = HeaderMap::new();
            crate::add_context(&mut headers);
            assert!(headers.is_empty());
        });
        assert_eq!(evaluated.get(), 0);
    }
}

#[test]
fn the_log_is_the_same_with_and_without_traces() {
    #[derive(Clone, Default)]
    struct Buffer(std::sync::Arc<parking_lot::Mutex<Vec<u8>>>);
    impl std::io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let work = || {
        let _span = crate::span!("work", secret = 1).entered();
        tracing::info!(a = 1, "said");
        tracing::debug!("not said");
    };
    let logged = |traces: Option<&Traces>| {
        let buffer = Buffer::default();
        let to = buffer.clone();
        let (level, format) = (LogLevel::Info, LogFormat::Logfmt);
        let subscriber =
            logging::subscriber(level, format, "", move || to.clone(), traces).unwrap();
        tracing::subscriber::with_default(subscriber, work);
        let text = String::from_utf8(buffer.0.lock().clone()).unwrap();
        // Without the time.
        text.split_once(" caller")
            .map(|(_, rest)| rest.to_owned())
            .unwrap()
    };
    let traces = Traces::new(otlp(""));
    let line = logged(None);
    assert_eq!(logged(Some(&traces)), line);
    assert!(
        line.ends_with(" level=info msg=said a=1\n") && line.matches('\n').count() == 1,
        "{line}"
    );
}
