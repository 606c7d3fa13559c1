//! Runs work that blocks, or that computes for long, on threads beside the workers of the runtime.

use std::{future, panic};

use futures::future::BoxFuture;
use tokio::runtime::Handle;
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

/// Runs `work`, which computes for long between its waits, on a thread of its own. Tasks that it spawns run on the
/// workers.
///
/// The thread goes on when the returned future is dropped, and a runtime that is dropped waits for it. So something else
/// has to end `work`.
///
/// # Panics
/// With the payload of `work`, if that panicked.
pub async fn on_own_thread<T: Send + 'static>(work: BoxFuture<'static, T>) -> T {
    let runtime = Handle::current();
    blocking(move || runtime.block_on(work)).await
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn work_is_done_on_another_thread_and_what_it_spawns_on_the_runtime() {
        let here = thread::current().id();
        let work = async {
            let spawned = tokio::spawn(async { thread::current().id() });
            (thread::current().id(), spawned.await.unwrap())
        };
        let (there, spawned) = on_own_thread(Box::pin(work)).await;
        assert_ne!(there, here);
        assert_eq!(spawned, here);
    }

    #[tokio::test]
    #[should_panic(expected = "of the work")]
    async fn a_panic_reaches_the_caller() {
        on_own_thread::<()>(Box::pin(async { panic!("of the work") })).await;
    }
}
