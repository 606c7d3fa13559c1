//! What would keep a worker of the runtime for long, off the workers.

use std::panic;

use futures::future::BoxFuture;
use tokio::runtime::Handle;

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

/// Runs `work` on a thread of its own, for work that computes for long between its waits. Tasks that it spawns run on the
/// workers.
///
/// The thread goes on if the returned future is dropped, and the runtime does not end before it: `work` has to be told to
/// end by other means.
///
/// # Panics
/// With the payload of `work`, if that panicked.
pub async fn on_own_thread<T: Send + 'static>(work: BoxFuture<'static, T>) -> T {
    let runtime = Handle::current();
    blocking(move || runtime.block_on(work)).await
}
