//! Sends the spans of the queue in batches, and again if the collector is away.

use std::{sync::Arc, time::Duration};

use opentelemetry_proto::{
    tonic::collector::trace::v1::ExportTraceServiceRequest,
    transform::{
        common::tonic::ResourceAttributesWithSchema,
        trace::tonic::group_spans_by_resource_and_scope,
    },
};
use opentelemetry_sdk::{Resource, trace::SpanData};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    config::{Settings, Target},
    grpc::Grpc,
    http::Http,
    queue::{Loss, SpanMetrics},
};

/// The most spans of a request, as in OpenTelemetry's SDKs.
const BATCH: usize = 512;

/// The time between two warnings.
const SAID_EVERY: Duration = Duration::from_mins(1);

/// Sends spans.
pub(super) struct Exporter {
    settings: Arc<Settings>,
    metrics: SpanMetrics,
    resource: ResourceAttributesWithSchema,
    said: Said,
}

/// Sends requests by one of the protocols.
enum Client {
    Grpc(Grpc),
    Http(Http),
}

/// What a collector made of a request that it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Spans that it did not take.
    pub(super) rejected: u64,
}

/// Why a request was not taken. It has no header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: String,
    pub(super) again: Again,
}

/// Whether a request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// It would fail again.
    No,
    /// It may be taken.
    Yes,
    /// As the collector says, not before this time has passed.
    After(Duration),
}

/// Warnings about lost spans, some of which are left out.
#[derive(Debug, Default)]
struct Said {
    at: Option<Instant>,
    /// What had been lost by then.
    lost: u64,
}

impl Exporter {
    pub(super) fn new(settings: Arc<Settings>, metrics: SpanMetrics) -> Self {
        let attributes = settings.resource.iter().cloned();
        let attributes = attributes.map(|(name, value)| opentelemetry::KeyValue::new(name, value));
        let resource = Resource::builder_empty()
            .with_attributes(attributes)
            .build();
        Self {
            resource: (&resource).into(),
            settings,
            metrics,
            said: Said::default(),
        }
    }

    /// Sends what is in the queue, until `end` and then what is left.
    pub(super) async fn run(mut self, mut spans: mpsc::Receiver<SpanData>, end: CancellationToken) {
        let mut client = match &self.settings.target {
            Target::Grpc(address) => Client::Grpc(Grpc::new(address, &self.settings)),
            Target::Http(address, path) => Client::Http(Http::new(address, path, &self.settings)),
        };
        let interval = self.settings.flush_interval;
        while !end.is_cancelled() {
            let mut batch = Vec::new();
            let first = tokio::select! {
                count = spans.recv_many(&mut batch, BATCH) => count,
                () = end.cancelled() => break,
            };
            // The senders live as long as the process, so that there is always one more.
            if first == 0 {
                return;
            }
            let due = Instant::now() + interval;
            while batch.len() < BATCH {
                let room = BATCH - batch.len();
                tokio::select! {
                    _ = spans.recv_many(&mut batch, room) => {}
                    () = sleep_until(due) => break,
                    () = end.cancelled() => break,
                }
            }
            self.send(&mut client, batch, &end).await;
        }
        loop {
            let mut batch = Vec::new();
            while batch.len() < BATCH
                && let Ok(span) = spans.try_recv()
            {
                batch.push(span);
            }
            if batch.is_empty() {
                return;
            }
            self.send(&mut client, batch, &end).await;
        }
    }

    /// Sends a batch, again and again within the time for it; at the end, once more and no longer.
    async fn send(&mut self, client: &mut Client, batch: Vec<SpanData>, end: &CancellationToken) {
        let count = batch.len() as u64;
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let request = ExportTraceServiceRequest { resource_spans };
        let retry = self.settings.retry;
        let (begun, mut pause) = (Instant::now(), retry.first);
        let failure = loop {
            let is_last = end.is_cancelled();
            let failure = match client.send(&request).await {
                Ok(taken) => {
                    let rejected = taken.rejected.min(count);
                    self.metrics.sent.inc_by(count - rejected);
                    if rejected > 0 {
                        self.metrics.lost(Loss::Rejected, rejected);
                        self.say("the collector took only a part of a batch");
                    } else if self.metrics.all_lost() > self.said.lost {
                        self.say("more spans end than the collector takes");
                    }
                    return;
                }
                Err(failure) => failure,
            };
            let wait = failure.again.wait(pause, begun.elapsed(), retry.all);
            let Some(wait) = wait.filter(|_| !is_last) else {
                break failure;
            };
            pause = pause.mul_f64(1.5).min(retry.longest);
            tokio::select! {
                () = sleep(wait) => {}
                () = end.cancelled() => {}
            }
        };
        self.metrics.lost(Loss::NotSent, count);
        self.say(&failure.reason);
    }

    /// Says how many spans were lost, at most once a minute.
    fn say(&mut self, reason: &str) {
        let lost = self.metrics.all_lost();
        if let Some(spans) = self.said.due(lost, Instant::now()) {
            let collector = self.settings.target.address();
            tracing::warn!(collector, spans, error = reason, "spans of traces are lost");
        }
    }
}

impl Client {
    async fn send(&mut self, request: &ExportTraceServiceRequest) -> Result<Taken, Failure> {
        match self {
            Self::Grpc(client) => client.send(request).await,
            Self::Http(client) => client.send(request).await,
        }
    }
}

impl Again {
    /// The time to wait, at least `pause`; none if it would end after `all`, of which so much has passed.
    fn wait(self, pause: Duration, passed: Duration, all: Duration) -> Option<Duration> {
        let wait = match self {
            Self::No => return None,
            Self::Yes => pause,
            Self::After(least) => pause.max(least),
        };
        // A collector may name any time.
        (passed.saturating_add(wait) <= all).then_some(wait)
    }
}

impl Taken {
    /// What an answer says of a part that was not taken.
    pub(super) fn rejecting(spans: Option<i64>) -> Self {
        let rejected = spans.and_then(|spans| u64::try_from(spans).ok());
        Self {
            rejected: rejected.unwrap_or(0),
        }
    }
}

impl Said {
    /// How many were lost since the last warning, if it is time for another.
    fn due(&mut self, lost: u64, now: Instant) -> Option<u64> {
        let is_due = self
            .at
            .is_none_or(|at| now.duration_since(at) >= SAID_EVERY);
        if !is_due {
            return None;
        }
        let spans = lost - self.lost;
        *self = Self {
            at: Some(now),
            lost,
        };
        Some(spans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_gets_nothing_before_it_says_so_and_no_one_waits_longer_than_allowed() {
        let seconds = Duration::from_secs;
        for (again, passed, expected) in [
            (Again::No, 0, None),
            (Again::Yes, 0, Some(5)),
            (Again::Yes, 55, Some(5)),
            (Again::Yes, 56, None),
            (Again::After(seconds(2)), 0, Some(5)),
            (Again::After(seconds(30)), 30, Some(30)),
            (Again::After(seconds(31)), 30, None),
            (Again::After(Duration::MAX), 1, None),
        ] {
            let found = again.wait(seconds(5), seconds(passed), seconds(60));
            assert_eq!(found, expected.map(seconds), "{again:?} after {passed} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn losses_are_said_once_a_minute_with_those_in_between() {
        let mut said = Said::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(said.due(10, at(0)), Some(10));
        assert_eq!(said.due(30, at(59)), None);
        assert_eq!(said.due(35, at(60)), Some(25));
    }
}
