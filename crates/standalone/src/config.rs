//! Settings of the three, and what they share.

use std::sync::Arc;

use service::{Clock, CpuPool, Metrics, Probe};

/// Settings of the three daemons.
#[derive(Clone, Debug)]
pub struct Config {
    /// The sidecar's. Where its labels come from a Prometheus, what that has is served too; its gRPC server and its bound
    /// on requests at once are the store gateway's.
    pub sidecar: sidecar::Config,
    /// The compactor's.
    pub compactor: compactor::Config,
    /// The store gateway's, with the gRPC server that serves both.
    pub store: store_gateway::Config,
}

/// What the three share.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For answers and uploads.
    pub pool: CpuPool,
    /// For merges, which take minutes: queries must not wait for them.
    pub merge_pool: CpuPool,
    /// Where the metrics go, each with the daemon that counts it as a label.
    pub metrics: Metrics,
    /// Ready while the sidecar and the store gateway are.
    pub probe: Probe,
}
