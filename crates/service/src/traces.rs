//! Traces: spans of calls and of the work for them, sent to a collector by OTLP.
//!
//! ```text
//! spans of `tracing` (target "trace") ── layer, sampler ──▶ queue, bounded ──▶ exporter ── OTLP ──▶ collector
//! ```
//! A crate makes a span by `tracing`'s macros with the target `"trace"`; other spans are nobody's. Without a
//! configuration nothing enables them, so that a span costs the look at a flag. A full queue loses spans and delays
//! nobody.

mod config;
mod context;
mod export;
mod fields;
mod grpc;
mod http;
mod jaeger;
mod otlp;
mod queue;
mod sampling;
mod span;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracerProvider, SpanData},
};
use parking_lot::Mutex;
use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

pub(crate) use self::context::{is_traced, server_span, trace_id};
use self::{
    config::Settings,
    export::Exporter,
    queue::{Queue, SpanMetrics},
};
pub use self::{
    context::add_context,
    span::{fail_span, in_span},
};
use crate::{Metrics, ServiceError};

/// The target of all spans that are sent.
const TARGET: &str = "trace";

/// How long the last spans may take to be sent.
const FLUSH: Duration = Duration::from_secs(5);

/// What `--tracing.config` configures. Clones share it.
#[derive(Clone)]
pub struct Traces(Arc<Inner>);

struct Inner {
    settings: Arc<Settings>,
    provider: SdkTracerProvider,
    /// Until the exporter runs.
    spans: Mutex<Option<mpsc::Receiver<SpanData>>>,
    metrics: SpanMetrics,
}

impl Traces {
    /// Reads Thanos's YAML; none if it is empty. `variable` gives the variables of the environment, and `process` is the
    /// name of a service without one.
    ///
    /// # Errors
    /// [`ServiceError::File`] for a type or a value that cannot be used, and for files of `tls_config` that cannot. The
    /// error has no value that may be secret.
    pub fn from_yaml(
        yaml: &str,
        process: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, ServiceError> {
        let settings = Settings::from_yaml(yaml, process, &variable)?;
        Ok(settings.map(Self::new))
    }

    fn new(settings: Settings) -> Self {
        let metrics = SpanMetrics::default();
        let (sender, spans) = mpsc::channel(settings.queue);
        let attributes = settings.resource.iter().cloned();
        let attributes = attributes.map(|(name, value)| opentelemetry::KeyValue::new(name, value));
        let provider = SdkTracerProvider::builder()
            .with_resource(
                Resource::builder_empty()
                    .with_attributes(attributes)
                    .build(),
            )
            .with_sampler(settings.sampling.clone())
            .with_span_processor(Queue::new(sender, metrics.clone()))
            .build();
        Self(Arc::new(Inner {
            settings: Arc::new(settings),
            provider,
            spans: Mutex::new(Some(spans)),
            metrics,
        }))
    }

    /// What is to be said about the configuration: fields without effect, and where the spans go.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.0.settings.notices
    }

    /// Exports the metrics of spans.
    pub fn register(&self, metrics: &Metrics) {
        self.0.metrics.register(metrics);
    }

    /// Does `work` and sends spans beside it; the last ones for at most 5 s after it has ended.
    pub async fn beside<T>(&self, work: impl Future<Output = T>) -> T {
        let spans = self.0.spans.lock().take();
        let Some(spans) = spans else {
            debug_assert!(false, "spans are sent once");
            return work.await;
        };
        let end = CancellationToken::new();
        let mut task = self.export(spans, end.clone());
        let done = work.await;
        end.cancel();
        if timeout(FLUSH, task.join_next()).await.is_err() {
            tracing::warn!("the last spans could not be sent within {FLUSH:?}");
        }
        done
    }

    /// Sends spans until the token is cancelled, and then those that are left.
    fn export(&self, spans: mpsc::Receiver<SpanData>, end: CancellationToken) -> JoinSet<()> {
        let exporter = Exporter::new(Arc::clone(&self.0.settings), self.0.metrics.clone());
        let mut task = JoinSet::new();
        task.spawn(exporter.run(spans, end));
        task
    }

    /// What turns spans of `tracing` into those that are sent.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.provider.tracer(env!("CARGO_PKG_NAME")))
            // Each of these adds attributes or work that nobody asked for.
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false)
            .with_filter(filter_fn(is_sent).with_max_level_hint(Level::INFO))
    }
}

/// Whether it is a span that is sent, if spans are.
pub(crate) fn is_sent(of: &Metadata<'_>) -> bool {
    of.is_span() && of.target() == TARGET
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}
