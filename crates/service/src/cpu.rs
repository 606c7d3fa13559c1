//! Threads for loops over series, chunks or pages, which never run on a tokio worker.

use std::{panic, sync::Arc};

use tokio::sync::{Semaphore, oneshot};

use crate::ServiceError;

/// Jobs for each thread that wait in rayon's queue. All others wait as futures, first come first served.
const QUEUED_PER_THREAD: usize = 2;

/// A fixed-size pool for loops over series, chunks or pages.
///
/// Clones share the threads. Work that uses rayon runs on the same threads.
#[derive(Clone, Debug)]
pub struct CpuPool {
    threads: Arc<rayon::ThreadPool>,
    admitted: Arc<Semaphore>,
}

impl CpuPool {
    /// A pool of `threads` threads called `name-0`, `name-1`, …; 0 stands for one per core.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub fn new(name: &str, threads: usize) -> Result<Self, ServiceError> {
        let name = name.to_owned();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(move |i| format!("{name}-{i}"))
            .build()
            .map_err(|source| ServiceError::CpuPool { threads, source })?;
        let admitted = pool.current_num_threads() * QUEUED_PER_THREAD;
        Ok(Self {
            threads: Arc::new(pool),
            admitted: Arc::new(Semaphore::new(admitted)),
        })
    }

    /// The number of threads.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.current_num_threads()
    }

    /// Runs `work` on the pool. Work that has not started is dropped with the future; started work runs to its end.
    ///
    /// # Panics
    /// With the payload of `work`, if that panicked; the pool goes on.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let permit = Arc::clone(&self.admitted).acquire_owned().await;
        debug_assert!(permit.is_ok(), "the semaphore is never closed");
        let span = tracing::Span::current();
        let (tx, rx) = oneshot::channel();
        self.threads.spawn(move || {
            // Held until the work has ended, whether or not anyone waits for it.
            let _permit = permit;
            if tx.is_closed() {
                return;
            }
            let result = span.in_scope(|| panic::catch_unwind(panic::AssertUnwindSafe(work)));
            // The caller may have gone away.
            let _ = tx.send(result);
        });
        match rx.await {
            Ok(Ok(value)) => value,
            Ok(Err(payload)) => panic::resume_unwind(payload),
            Err(_) => unreachable!("the sender is dropped only after sending, or once we are gone"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn the_value_of_the_work_is_returned() {
        let pool = CpuPool::new("test", 2).unwrap();
        assert_eq!(pool.run(|| 6 * 7).await, 42);
        assert_eq!(pool.threads(), 2);
    }

    #[tokio::test]
    async fn a_panic_reaches_the_caller_and_the_pool_survives() {
        let pool = CpuPool::new("test", 1).unwrap();
        let broken = panic::AssertUnwindSafe(pool.run(|| -> u32 { panic!("broken") }))
            .catch_unwind()
            .await;
        assert_eq!(
            broken.unwrap_err().downcast_ref::<&str>().copied(),
            Some("broken")
        );
        assert_eq!(pool.run(|| 1).await, 1);
    }

    #[tokio::test]
    async fn dropped_work_is_not_started() {
        let pool = CpuPool::new("test", 1).unwrap();
        let (release, held) = mpsc::channel::<()>();
        let begun = Arc::new(AtomicUsize::new(0));
        let mut first = Box::pin(pool.run(move || held.recv().is_ok()));
        assert!(first.as_mut().now_or_never().is_none());
        // One more is queued in rayon, the last waits for a permit; both are given up.
        for _ in 0..2 {
            let begun = Arc::clone(&begun);
            let mut queued = Box::pin(pool.run(move || begun.fetch_add(1, Ordering::SeqCst)));
            assert!(queued.as_mut().now_or_never().is_none());
        }
        release.send(()).unwrap();
        assert!(first.await);
        pool.run(|| ()).await;
        assert_eq!(begun.load(Ordering::SeqCst), 0);
    }
}
