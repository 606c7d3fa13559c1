//! Sidecar, compactor and store gateway in one process, on one bucket.
//!
//! ```text
//! Prometheus ◀─ remote read ─ sidecar ───────┐
//!                                 │ upload    ├─ api: one StoreAPI of both ─▶ Thanos Query
//!                   compactor ─ bucket ─ store gateway ─┘
//! ```

mod api;
mod config;
mod error;
mod run;

pub use crate::{
    config::{Config, Deps},
    error::StandaloneError,
    run::run,
};
