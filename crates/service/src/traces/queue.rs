//! The queue of spans that have ended, and what is counted of them.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use prometheus_client::metrics::{counter::Counter, family::Family};
use tokio::sync::mpsc;

use crate::Metrics;

type ByReason = [(&'static str, &'static str); 1];

/// What became of spans. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct SpanMetrics {
    pub(super) sent: Counter,
    lost: Family<ByReason, Counter>,
}

/// Why a span was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// The queue was full.
    QueueFull,
    /// The collector was not reached, or answered with an error.
    NotSent,
    /// The collector took other spans of the message.
    Rejected,
}

/// Takes spans that have ended. It never waits.
#[derive(Debug)]
pub(super) struct Queue {
    sender: mpsc::Sender<SpanData>,
    metrics: SpanMetrics,
}

impl Queue {
    pub(super) const fn new(sender: mpsc::Sender<SpanData>, metrics: SpanMetrics) -> Self {
        Self { sender, metrics }
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.sender.try_send(span).is_err() {
            self.metrics.lost(Loss::QueueFull, 1);
        }
    }

    /// Nothing: the exporter empties the queue by itself.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl SpanMetrics {
    /// Exports them, each reason at 0.
    pub(super) fn register(&self, metrics: &Metrics) {
        metrics.register(
            "varve_trace_spans_sent_total",
            "Total number of spans that a collector has taken",
            self.sent.clone(),
        );
        metrics.register(
            "varve_trace_spans_lost_total",
            "Total number of sampled spans that were not sent, by reason",
            self.lost.clone(),
        );
        for loss in [Loss::QueueFull, Loss::NotSent, Loss::Rejected] {
            drop(self.lost.get_or_create(&loss.label()));
        }
    }

    pub(super) fn lost(&self, loss: Loss, spans: u64) {
        self.lost.get_or_create(&loss.label()).inc_by(spans);
    }

    /// All that were lost, for whatever reason.
    pub(super) fn all_lost(&self) -> u64 {
        let all = [Loss::QueueFull, Loss::NotSent, Loss::Rejected];
        all.iter()
            .map(|loss| self.lost.get_or_create(&loss.label()).get())
            .sum()
    }
}

impl Loss {
    const fn label(self) -> ByReason {
        let reason = match self {
            Self::QueueFull => "queue_full",
            Self::NotSent => "not_sent",
            Self::Rejected => "rejected",
        };
        [("reason", reason)]
    }
}
