//! Runs work that blocks, or that computes for long, on threads beside the workers of the runtime.

use std::{future, panic};

use tracing::Span;

/// Runs `work`, which may block, on a thread beside the workers.
///
/// # Panics
/// With the payload of `work`, if that panicked.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let span = Span::current();
    let done = tokio::task::spawn_blocking(move || span.in_scope(work)).await;
    match done.map_err(|error| error.try_into_panic()) {
        Ok(value) => value,
        Err(Ok(payload)) => panic::resume_unwind(payload),
        // The runtime is ending and starts nothing more.
        Err(Err(_)) => future::pending().await,
    }
}
