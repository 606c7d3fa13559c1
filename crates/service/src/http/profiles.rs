//! Profiles of the process, in pprof's format.

mod format;

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use pprof::{ProfilerGuard, ProfilerGuardBuilder};
use prost::Message as _;
use serde::Deserialize;
use tokio::{sync::Mutex, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{GrpcEncoding, blocking};

/// Samples of a CPU second, as in Go.
const FREQUENCY: i32 = 100;
/// Libraries in which a stack is not unwound, as that could wait for a lock.
const LEFT_OUT: [&str; 4] = ["libc", "libgcc", "pthread", "vdso"];
/// The default of `seconds`, as in Go.
const SECONDS: u64 = 30;
/// The most `seconds`.
const MOST_SECONDS: u64 = 300;

/// Which profiles may be fetched.
#[derive(Clone, Copy, Debug, Default)]
pub enum Profiles {
    /// None.
    #[default]
    Off,
    /// That of the CPU, and that of the heap, which this function makes.
    On {
        /// The heap in use as a profile of pprof, or why there is none.
        heap: fn() -> Result<Vec<u8>, String>,
    },
}

/// The state of the routes.
#[derive(Clone, Debug)]
pub(super) struct Profiling {
    profiles: Profiles,
    /// Held while a profile of the CPU is made; there can be one at a time.
    cpu: Arc<Mutex<()>>,
    shutdown: CancellationToken,
}

/// The query of a request.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    seconds: Option<u64>,
}

impl Profiling {
    /// A profile of the CPU ends early at `shutdown`.
    pub(super) fn new(profiles: Profiles, shutdown: CancellationToken) -> Self {
        Self {
            profiles,
            cpu: Arc::default(),
            shutdown,
        }
    }
}

/// `/debug/pprof/profile?seconds=N`: where the process spends CPU time for so long.
pub(super) async fn cpu(
    State(profiling): State<Profiling>,
    Query(asked): Query<Asked>,
) -> Response {
    if matches!(profiling.profiles, Profiles::Off) {
        return off();
    }
    let seconds = asked.seconds.unwrap_or(SECONDS);
    if !(1..=MOST_SECONDS).contains(&seconds) {
        let said = format!("seconds: expected 1 to {MOST_SECONDS}, found {seconds}\n");
        return (StatusCode::BAD_REQUEST, said).into_response();
    }
    let Ok(_alone) = profiling.cpu.try_lock() else {
        let said = "another CPU profile is being made\n";
        return (StatusCode::CONFLICT, said).into_response();
    };
    // Dropping the guard ends the signals, also if the client has gone.
    let builder = ProfilerGuardBuilder::default();
    let guard = match builder.frequency(FREQUENCY).blocklist(&LEFT_OUT).build() {
        Ok(guard) => guard,
        Err(error) => return failed(&error),
    };
    let wait = sleep(Duration::from_secs(seconds));
    profiling.shutdown.run_until_cancelled(wait).await;
    // Names of functions are looked up in the files of the program.
    match blocking(move || profile(&guard)).await {
        Ok(bytes) => answer(bytes),
        Err(error) => failed(&error),
    }
}

/// `/debug/pprof/heap`: what has allocated the heap in use.
pub(super) async fn heap(State(profiling): State<Profiling>) -> Response {
    let Profiles::On { heap } = profiling.profiles else {
        return off();
    };
    match blocking(heap).await {
        Ok(bytes) => answer(bytes),
        Err(said) => (StatusCode::NOT_FOUND, format!("{said}\n")).into_response(),
    }
}

fn profile(guard: &ProfilerGuard<'_>) -> Result<Vec<u8>, String> {
    let report = guard.report().build().map_err(|error| error.to_string())?;
    GrpcEncoding::Gzip
        .encode(&format::Profile::of_cpu(&report).encode_to_vec())
        .map_err(|error| error.to_string())
}

fn answer(bytes: Vec<u8>) -> Response {
    let content_type = [(header::CONTENT_TYPE, "application/octet-stream")];
    (content_type, bytes).into_response()
}

fn off() -> Response {
    let said = "profiles are off; --debug.pprof turns them on\n";
    (StatusCode::NOT_FOUND, said).into_response()
}

fn failed(error: &impl std::fmt::Display) -> Response {
    let said = format!("CPU profile: {error}\n");
    (StatusCode::INTERNAL_SERVER_ERROR, said).into_response()
}
