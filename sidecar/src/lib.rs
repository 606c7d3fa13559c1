//! The sidecar: serves what the Prometheus beside it has, uploads its blocks, and has it reload its configuration, as
//! Thanos's sidecar does.

mod api;
mod checks;
mod config;
mod error;
mod metrics;
mod prometheus;
mod recent;
mod reloader;
mod run;
mod sha256;
mod shipper;
mod view;

pub use crate::{
    api::StoreApi,
    checks::UnequalBlocks,
    config::{Config, Deps, HashFunc, LabelSource, Levels, Limits, Overlaps, PrometheusConfig},
    error::SidecarError,
    prometheus::{FrameDecoder, FrameError, FrameFault},
    reloader::{ReloadMethod, ReloaderConfig, RenderError, Rendered, UnsetVariables, render},
    run::{Sidecar, run, run_once},
    shipper::Pass,
};
