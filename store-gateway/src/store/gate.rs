//! Lets a bounded number of requests in at once; the others wait in their order.

use std::sync::Arc;

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::metrics::GateMetrics;

/// A gate.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    metrics: GateMetrics,
}

/// A request that was let in; the place is free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Passage {
    metrics: GateMetrics,
    _place: Option<OwnedSemaphorePermit>,
}

impl Gate {
    /// A gate for `most` requests at once.
    pub(crate) fn new(most: usize, metrics: GateMetrics) -> Self {
        metrics.most(most);
        Self {
            places: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            metrics,
        }
    }

    /// Waits for a place.
    pub(crate) async fn enter(&self) -> Passage {
        let start = Instant::now();
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        debug_assert!(place.is_some(), "the semaphore is never closed");
        self.metrics.entered(start.elapsed());
        Passage {
            metrics: self.metrics.clone(),
            _place: place,
        }
    }
}

impl Drop for Passage {
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
        let gate = Gate::new(2, GateMetrics::new(&metrics));
        let line = |name: &str, value: u32| {
            let line = format!("thanos_bucket_store_series_gate_queries_{name} {value}\n");
            let text = metrics.encode(Exposition::Prometheus);
            assert!(text.contains(&line), "{line}{text}");
        };
        let first = gate.enter().await;
        let _second = gate.enter().await;
        let mut third = Box::pin(gate.enter());
        assert!(third.as_mut().now_or_never().is_none());
        line("max", 2);
        line("in_flight", 2);
        drop(first);
        let third = third.await;
        line("total", 3);
        drop(third);
        line("in_flight", 1);
    }
}
