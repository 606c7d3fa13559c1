//! What Prometheus has, as those who ask for it may see it.

mod selection;

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use model::{TimeBound, Timestamp};
use serde::de::DeserializeOwned;
use service::{Clock, CpuPool, Probe};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};

pub(crate) use self::selection::{Selection, own_matchers, seconds};
use crate::{
    Config, Deps, Limits, error::AnswerError, metrics::ServeMetrics, prometheus::Prometheus,
    view::View,
};

/// The recent data of one Prometheus. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Recent {
    pub(crate) prometheus: Prometheus,
    pub(crate) pool: CpuPool,
    pub(crate) limits: Limits,
    pub(crate) metrics: ServeMetrics,
    view: watch::Receiver<Option<View>>,
    /// Asks for a heartbeat now.
    outdated: Arc<Notify>,
    min_time: TimeBound,
    clock: Arc<dyn Clock>,
    probe: Probe,
    gate: Option<Arc<Semaphore>>,
    gate_wait: Duration,
}

impl Recent {
    pub(crate) fn new(
        config: &Config,
        deps: &Deps,
        prometheus: Prometheus,
        view: watch::Receiver<Option<View>>,
        outdated: Arc<Notify>,
    ) -> Self {
        let places = NonZeroUsize::new(config.series_concurrency);
        Self {
            prometheus,
            pool: deps.pool.clone(),
            limits: config.limits,
            metrics: ServeMetrics::new(&deps.metrics),
            view,
            outdated,
            min_time: config.min_time,
            clock: Arc::clone(&deps.clock),
            probe: deps.probe.clone(),
            gate: places.map(|n| Arc::new(Semaphore::new(n.get().min(Semaphore::MAX_PERMITS)))),
            gate_wait: config.series_wait,
        }
    }

    /// What is known of Prometheus; it may be away at the moment, which asking it tells.
    ///
    /// # Errors
    /// When it has not answered yet.
    pub(crate) fn view(&self) -> Result<View, AnswerError> {
        self.view.borrow().clone().ok_or(AnswerError::NotReady)
    }

    /// What is known of Prometheus, if it answers at the moment.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) fn ready(&self) -> Result<View, AnswerError> {
        match self.probe.status().ready {
            true => self.view(),
            false => Err(AnswerError::NotReady),
        }
    }

    /// The first time that is served.
    pub(crate) fn min_time(&self, view: &View) -> Timestamp {
        let now = Timestamp(self.clock.now_ms());
        self.min_time.resolve(now).max(view.lowest)
    }

    /// What is known has turned out to be wrong: asks for it anew.
    pub(crate) fn outdated(&self) {
        self.outdated.notify_one();
    }

    /// Waits until a request for series may begin; it may for as long as it holds what this gives.
    ///
    /// # Errors
    /// When it has waited too long.
    pub(crate) async fn enter(&self) -> Result<Option<OwnedSemaphorePermit>, AnswerError> {
        let Some(gate) = &self.gate else {
            return Ok(None);
        };
        match timeout(self.gate_wait, Arc::clone(gate).acquire_owned()).await {
            Ok(place) => Ok(place.ok()),
            Err(_) => Err(AnswerError::Busy {
                waited: self.gate_wait,
            }),
        }
    }

    /// The `data` of an answer of Prometheus's API, and its warnings.
    ///
    /// # Errors
    /// When it is not reached, or answers with an error or what cannot be read.
    pub(crate) async fn ask<T: DeserializeOwned + Send + 'static>(
        &self,
        path: &str,
        pairs: &[(&str, String)],
    ) -> Result<(T, Vec<String>), AnswerError> {
        let body = self.prometheus.ask(path, pairs).await?;
        // An answer may be of many megabytes.
        Ok(self.pool.run(move || body.data()).await?)
    }
}
