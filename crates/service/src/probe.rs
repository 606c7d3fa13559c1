//! The health and readiness of a daemon.

use std::sync::Arc;

use prometheus_client::metrics::{family::Family, gauge::Gauge};
use tokio::sync::watch;

use crate::Metrics;

type StatusLabels = [(&'static str, String); 2];

/// The health and readiness of a daemon, for HTTP, gRPC and metrics. Clones share it.
#[derive(Clone, Debug)]
pub struct Probe(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    component: String,
    status: watch::Sender<Status>,
    ready: Gauge,
    healthy: Gauge,
}

/// The state of a probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// It runs.
    pub healthy: bool,
    /// It can answer requests.
    pub ready: bool,
}

impl Probe {
    /// A probe of `component`, neither healthy nor ready; registers `thanos_status`.
    #[must_use]
    pub fn new(component: &str, metrics: &Metrics) -> Self {
        let status: Family<StatusLabels, Gauge> = metrics.register(
            "thanos_status",
            "Represents status (0 indicates failure, 1 indicates success) of the component",
            Family::default(),
        );
        let gauge = |check: &str| {
            let labels = [
                ("component", component.to_owned()),
                ("check", check.to_owned()),
            ];
            status.get_or_create_owned(&labels)
        };
        Self(Arc::new(Inner {
            component: component.to_owned(),
            status: watch::Sender::new(Status::default()),
            ready: gauge("ready"),
            healthy: gauge("healthy"),
        }))
    }

    /// Healthy from now on.
    pub fn healthy(&self) {
        self.update(|status| status.healthy = true);
    }

    /// Not healthy from now on, for this reason.
    pub fn not_healthy(&self, reason: &str) {
        if self.update(|status| status.healthy = false) {
            tracing::warn!(
                component = self.0.component,
                reason,
                "changing probe status: not healthy"
            );
        }
    }

    /// Ready from now on.
    pub fn ready(&self) {
        if self.update(|status| status.ready = true) {
            tracing::info!(component = self.0.component, "changing probe status: ready");
        }
    }

    /// Not ready from now on, for this reason.
    pub fn not_ready(&self, reason: &str) {
        if self.update(|status| status.ready = false) {
            tracing::warn!(
                component = self.0.component,
                reason,
                "changing probe status: not ready"
            );
        }
    }

    /// The current state.
    #[must_use]
    pub fn status(&self) -> Status {
        *self.0.status.borrow()
    }

    /// The current state and each change to come.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.0.status.subscribe()
    }

    /// Changes the state; returns whether it was another.
    fn update(&self, change: impl FnOnce(&mut Status)) -> bool {
        self.0.status.send_if_modified(|status| {
            let before = *status;
            change(status);
            self.0.ready.set(status.ready.into());
            self.0.healthy.set(status.healthy.into());
            *status != before
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exposition;

    #[test]
    fn the_gauge_follows_the_status() {
        let metrics = Metrics::new();
        let probe = Probe::new("store", &metrics);
        let line = |check, value| {
            format!("thanos_status{{component=\"store\",check=\"{check}\"}} {value}\n")
        };
        let text = metrics.encode(Exposition::Prometheus);
        assert!(text.contains(&line("ready", 0)), "{text}");
        probe.healthy();
        probe.ready();
        let text = metrics.encode(Exposition::Prometheus);
        assert!(text.contains(&line("ready", 1)), "{text}");
        assert!(text.contains(&line("healthy", 1)), "{text}");
        probe.not_ready("the bucket is gone");
        assert_eq!(
            probe.status(),
            Status {
                healthy: true,
                ready: false
            }
        );
    }
}
