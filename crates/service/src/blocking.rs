//! Blocking system calls, off the workers.

use std::panic;

/// Runs `work` on a thread for blocking calls.
///
/// # Panics
/// With the payload of `work`, if that panicked.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| e.try_into_panic())
    {
        Ok(value) => value,
        Err(Ok(payload)) => panic::resume_unwind(payload),
        Err(Err(_)) => unreachable!("it is never cancelled"),
    }
}
