//! The sidecar: uploads the blocks of the Prometheus beside it, as Thanos's sidecar does.
//!
//! The API over recent data (`thanos.Store` on remote read) is not served; a query gets recent data from the querier's
//! other endpoints.

mod checks;
mod config;
mod error;
mod http_client;
mod metrics;
mod prometheus;
mod run;
mod shipper;

pub use crate::{
    checks::UnequalBlocks,
    config::{Config, Deps, LabelSource, Levels, PrometheusConfig},
    error::SidecarError,
    http_client::HttpClientConfig,
    run::{run, run_once},
    shipper::Pass,
};
