//! The context of a trace in the headers of requests: W3C's `traceparent` and `tracestate`, which Thanos sends too.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator as _},
    trace::TraceContextExt as _,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{TARGET, sampling};

/// The header that forces a request to be sampled. Thanos passes it on as an entry of `baggage`.
const FORCE: &str = "x-thanos-force-tracing";

struct Headers<'a>(&'a HeaderMap);

struct HeadersMut<'a>(&'a mut HeaderMap);

/// Adds the context of the current span to the headers of a request. Without a span they stay as they are.
pub fn add_context(headers: &mut HeaderMap) {
    let span = Span::current();
    if !span.is_disabled() {
        TraceContextPropagator::new().inject_context(&span.context(), &mut HeadersMut(headers));
    }
}

/// The span of a call or a request to this process, below the span of its caller. Nothing if no spans are wanted.
pub(crate) fn server_span(name: &str, headers: &HeaderMap) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        "server",
        otel.name = name,
        otel.kind = "server",
        otel.status_code = Empty,
        otel.status_description = Empty,
        rpc.system = Empty,
        rpc.grpc.status_code = Empty,
        http.request.method = Empty,
        http.response.status_code = Empty,
        thanos.force_tracing = Empty,
    );
    if !span.is_disabled() {
        if let Some(parent) = parent(headers) {
            // It cannot have begun.
            let _ = span.set_parent(parent);
        }
        if forced(headers) {
            span.record(sampling::FORCE, "true");
        }
    }
    span
}

/// Whether a request says by its headers that it is traced.
pub(crate) fn is_traced(headers: &HeaderMap) -> bool {
    forced(headers) || parent(headers).is_some()
}

/// The span in the headers of a request, if there is a valid one.
fn parent(headers: &HeaderMap) -> Option<Context> {
    let context = TraceContextPropagator::new().extract(&Headers(headers));
    let is_valid = context.span().span_context().is_valid();
    is_valid.then_some(context)
}

/// Whether the headers force the request to be sampled: by the header itself, or as the baggage of a caller.
fn forced(headers: &HeaderMap) -> bool {
    let is_set = |value: &HeaderValue| !value.is_empty();
    if headers.get(FORCE).is_some_and(is_set) {
        return true;
    }
    let lists = headers.get_all("baggage").into_iter();
    let entries = lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','));
    entries.into_iter().any(|entry| {
        let entry = entry.split(';').next().unwrap_or_default();
        entry.split_once('=').is_some_and(|(name, value)| {
            name.trim().eq_ignore_ascii_case(FORCE) && !value.trim().is_empty()
        })
    })
}

/// The id of the span's trace, if it is sent.
pub(crate) fn trace_id(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let span = context.span();
    let context = span.span_context();
    (context.is_valid() && context.is_sampled()).then(|| context.trace_id().to_string())
}

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        let name = HeaderName::try_from(key);
        // Without a state there is nothing to send.
        if let (Ok(name), Ok(value), false) =
            (name, HeaderValue::try_from(&value), value.is_empty())
        {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        pairs.collect()
    }

    #[test]
    fn a_request_is_forced_by_its_header_or_by_the_baggage_that_thanos_makes_of_it() {
        for forcing in [
            [("x-thanos-force-tracing", "1")],
            [("baggage", "x-thanos-force-tracing=true")],
            [("baggage", "a=b, X-Thanos-Force-Tracing = 1;p=q")],
        ] {
            assert!(forced(&headers(&forcing)), "{forcing:?}");
        }
        for other in [
            [("x-thanos-force-tracing", "")],
            // Thanos sends the entry without a value where nothing is forced.
            [("baggage", "x-thanos-force-tracing=")],
            [("baggage", "x-thanos-force-tracing")],
            [("baggage", "a=x-thanos-force-tracing")],
        ] {
            assert!(!forced(&headers(&other)), "{other:?}");
        }
    }

    #[test]
    fn a_parent_is_read_only_from_a_valid_context() {
        let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = parent(&headers(&[("traceparent", valid), ("tracestate", "a=b")]));
        let context = context.unwrap();
        let span = context.span();
        let span = span.span_context();
        assert_eq!(
            span.trace_id().to_string(),
            "0af7651916cd43dd8448eb211c80319c"
        );
        assert!(span.is_sampled() && span.is_remote());
        assert_eq!(span.trace_state().header(), "a=b");
        for invalid in [
            "",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "zz",
        ] {
            assert!(
                parent(&headers(&[("traceparent", invalid)])).is_none(),
                "{invalid}"
            );
        }
        assert!(parent(&HeaderMap::new()).is_none());
    }

    #[test]
    fn without_a_span_no_header_is_added() {
        let mut headers = HeaderMap::new();
        add_context(&mut headers);
        assert!(headers.is_empty());
    }
}
