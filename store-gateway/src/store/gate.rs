//! Lets a bounded number of requests in at once; the others wait in their order, but not for ever.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use crate::{error::AnswerError, metrics::GateMetrics};

/// A gate.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    most: usize,
    /// How long a request waits for a permit.
    wait: Duration,
    permits: Arc<Semaphore>,
    metrics: GateMetrics,
}

/// A request that was let in; the permit is free again when it is dropped.
#[derive(Debug)]
pub(crate) struct GatePermit {
    metrics: GateMetrics,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Gate {
    /// A gate for `most` requests at once, where one waits no longer than `wait`; zero is no limit.
    pub(crate) fn new(most: usize, wait: Duration, metrics: GateMetrics) -> Self {
        metrics.most(most);
        let wait = match wait {
            Duration::ZERO => Duration::MAX,
            some => some,
        };
        Self {
            most,
            wait,
            permits: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            metrics,
        }
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// When none has become free in time.
    pub(crate) async fn enter(&self) -> Result<GatePermit, AnswerError> {
        let start = Instant::now();
        let waiting = self.metrics.waiting();
        let permit = timeout(self.wait, Arc::clone(&self.permits).acquire_owned()).await;
        drop(waiting);
        let Ok(permit) = permit else {
            self.metrics.refused(start.elapsed());
            return Err(AnswerError::Busy {
                most: self.most,
                waited: self.wait,
            });
        };
        debug_assert!(permit.is_ok(), "the semaphore is never closed");
        self.metrics.entered(start.elapsed());
        Ok(GatePermit {
            metrics: self.metrics.clone(),
            _permit: permit.ok(),
        })
    }
}

impl Drop for GatePermit {
    fn drop(&mut self) {
        self.metrics.left();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use service::{Exposition, Metrics};

    use super::*;

    #[tokio::test]
    async fn no_more_requests_are_let_in_than_there_are_places() {
        let metrics = Metrics::new();
        let gate = Gate::new(2, Duration::from_secs(90), GateMetrics::new(&metrics));
        let line = |name: &str, value: u32| {
            let line = format!("thanos_bucket_store_series_gate_queries_{name} {value}\n");
            let text = metrics.encode(Exposition::Prometheus);
            assert!(text.contains(&line), "{line}{text}");
        };
        let first = gate.enter().await.unwrap();
        let _second = gate.enter().await.unwrap();
        let mut third = Box::pin(gate.enter());
        assert!(third.as_mut().now_or_never().is_none());
        line("max", 2);
        line("in_flight", 2);
        line("waiting", 1);
        drop(first);
        let third = third.await.unwrap();
        line("total", 3);
        line("waiting", 0);
        drop(third);
        line("in_flight", 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_waits_too_long_is_refused_with_the_name_of_the_limit() {
        let metrics = Metrics::new();
        let gate = Gate::new(1, Duration::from_secs(90), GateMetrics::new(&metrics));
        let first = gate.enter().await.unwrap();
        let start = Instant::now();
        let error = gate.enter().await.unwrap_err();
        assert_eq!(start.elapsed().as_secs(), 90);
        assert_eq!(
            error.to_string(),
            "limit store.grpc.series-max-concurrency: 1 Series requests were under way for the 90s that this one waited"
        );
        let text = metrics.encode(Exposition::Prometheus);
        for line in [
            "thanos_bucket_store_series_gate_queries_refused_total 1\n",
            "thanos_bucket_store_series_gate_queries_waiting 0\n",
            "thanos_bucket_store_series_gate_queries_in_flight 1\n",
            "thanos_bucket_store_series_gate_duration_seconds_count 2\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        // One that gave up waiting took no permit.
        drop(first);
        gate.enter().await.unwrap();
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_waits_no_more() {
        let metrics = Metrics::new();
        let gate = Gate::new(1, Duration::ZERO, GateMetrics::new(&metrics));
        let _first = gate.enter().await.unwrap();
        let mut second = Box::pin(gate.enter());
        assert!(second.as_mut().now_or_never().is_none());
        drop(second);
        let text = metrics.encode(Exposition::Prometheus);
        assert!(
            text.contains("thanos_bucket_store_series_gate_queries_waiting 0\n"),
            "{text}"
        );
    }
}
