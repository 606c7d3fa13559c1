//! What Prometheus's API says of a process.

use axum::response::Response;
use model::{Rfc3339, Timestamp};
use serde::Serialize;

use super::success;

/// The version, as Thanos and Prometheus write it. There is no Go.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Build {
    version: &'static str,
    revision: &'static str,
    branch: &'static str,
    build_user: &'static str,
    build_date: &'static str,
    go_version: &'static str,
}

/// The process.
#[derive(Debug, Serialize)]
pub(super) struct Runtime {
    #[serde(rename = "startTime")]
    start_time: String,
    #[serde(rename = "CWD")]
    cwd: String,
    #[serde(rename = "serverTime")]
    server_time: String,
    /// The cores that it may use.
    #[serde(rename = "GOMAXPROCS")]
    cores: usize,
}

pub(super) async fn build() -> Response {
    success(&Build {
        version: env!("CARGO_PKG_VERSION"),
        revision: "",
        branch: "",
        build_user: "",
        build_date: "",
        go_version: "",
    })
}

pub(super) fn runtime(started: Timestamp, now: Timestamp) -> Runtime {
    let cwd = std::env::current_dir();
    Runtime {
        start_time: Rfc3339(started).to_string(),
        cwd: cwd.map_or_else(|error| error.to_string(), |dir| dir.display().to_string()),
        server_time: Rfc3339(now).to_string(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
    }
}
