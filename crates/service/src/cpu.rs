//! Threads for loops over series, chunks or pages, which never run on a tokio worker.
//!
//! A thread of rayon that has nothing to do looks for work some thirty times before it sleeps, which costs more than
//! most jobs of a request. So the jobs of requests run on tokio's blocking threads, as many at once as there are cores;
//! a loop in one of them that is worth it is split over rayon's threads.

use std::{future, panic, sync::Arc, thread};

use tokio::{
    sync::{Semaphore, oneshot},
    task,
};

use crate::ServiceError;

/// Jobs for each thread that wait in rayon's queue. All others wait as futures, first come first served.
const QUEUED_PER_THREAD: usize = 2;

/// Runs loops over series, chunks or pages, so many at once.
///
/// Clones share the threads.
#[derive(Clone, Debug)]
pub struct CpuPool {
    threads: Threads,
    count: usize,
    admitted: Arc<Semaphore>,
}

#[derive(Clone, Debug)]
enum Threads {
    /// Those of the runtime.
    Blocking,
    Rayon(Arc<rayon::ThreadPool>),
}

impl CpuPool {
    /// For long jobs that split their work: `threads` threads of rayon called `name-0`, `name-1`, …; 0 stands for one
    /// per core. Work that uses rayon runs on the same threads.
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
        let count = pool.current_num_threads();
        Ok(Self {
            threads: Threads::Rayon(Arc::new(pool)),
            count,
            admitted: Arc::new(Semaphore::new(count * QUEUED_PER_THREAD)),
        })
    }

    /// For the many short jobs of requests, `threads` of them at once; 0 stands for one per core. Work that uses rayon
    /// runs on the threads that the process shares.
    #[must_use]
    pub fn for_requests(threads: usize) -> Self {
        let count = match threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        Self {
            threads: Threads::Blocking,
            count,
            admitted: Arc::new(Semaphore::new(count)),
        }
    }

    /// The number of threads.
    #[must_use]
    pub const fn threads(&self) -> usize {
        self.count
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
        let job = move || {
            // Held until the work has ended, whether or not anyone waits for it.
            let _permit = permit;
            if tx.is_closed() {
                return;
            }
            let result = span.in_scope(|| panic::catch_unwind(panic::AssertUnwindSafe(work)));
            // The caller may have gone away.
            let _ = tx.send(result);
        };
        match &self.threads {
            Threads::Blocking => drop(task::spawn_blocking(job)),
            Threads::Rayon(threads) => threads.spawn(job),
        }
        match rx.await {
            Ok(Ok(value)) => value,
            Ok(Err(payload)) => panic::resume_unwind(payload),
            // The runtime is ending and starts nothing more.
            Err(_) => future::pending().await,
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

    /// Both kinds, of so many threads.
    fn pools(threads: usize) -> [CpuPool; 2] {
        let rayon = CpuPool::new("test", threads).unwrap();
        [rayon, CpuPool::for_requests(threads)]
    }

    #[tokio::test]
    async fn the_value_of_the_work_is_returned() {
        for pool in pools(2) {
            assert_eq!(pool.run(|| 6 * 7).await, 42);
            assert_eq!(pool.threads(), 2);
        }
    }

    #[tokio::test]
    async fn jobs_of_requests_are_no_more_at_once_than_there_are_threads() {
        let pool = CpuPool::for_requests(2);
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let counts = Arc::new((running, most));
        let jobs = (0..50).map(|_| {
            let counts = Arc::clone(&counts);
            pool.run(move || {
                let (running, most) = &*counts;
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
            })
        });
        futures::future::join_all(jobs).await;
        assert!((1..=2).contains(&counts.1.load(Ordering::SeqCst)));
    }

    #[tokio::test]
    async fn a_panic_reaches_the_caller_and_the_pool_survives() {
        for pool in pools(1) {
            let broken = panic::AssertUnwindSafe(pool.run(|| -> u32 { panic!("broken") }))
                .catch_unwind()
                .await;
            assert_eq!(
                broken.unwrap_err().downcast_ref::<&str>().copied(),
                Some("broken")
            );
            assert_eq!(pool.run(|| 1).await, 1);
        }
    }

    #[tokio::test]
    async fn dropped_work_is_not_started() {
        for pool in pools(1) {
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
}
