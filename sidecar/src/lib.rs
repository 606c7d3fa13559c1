//! The sidecar: serves what the Prometheus beside it has, and uploads its blocks, as Thanos's sidecar does.

mod api;
mod checks;
mod config;
mod error;
mod http_client;
mod metrics;
mod prometheus;
mod recent;
mod run;
mod shipper;
mod view;

pub use crate::{
    api::StoreApi,
    checks::UnequalBlocks,
    config::{Config, Deps, LabelSource, Levels, Limits, PrometheusConfig},
    error::SidecarError,
    http_client::HttpClientConfig,
    prometheus::{FrameDecoder, FrameError, FrameFault},
    run::{Sidecar, run, run_once},
    shipper::Pass,
};
