//! Threads for loops over series, chunks or pages, which do not run on a tokio worker, but for the beginning of an
//! answer.
//!
//! A thread of rayon that has nothing to do looks for work some thirty times before it sleeps, which costs more than
//! most jobs of a request. So the jobs of requests run on tokio's blocking threads, as many at once as there are cores;
//! a loop in one of them that is worth it is split over rayon's threads.
//!
//! Changing threads costs more than the few steps of a small answer. So [`CpuPool::begin`] takes the beginning of a
//! request's work to the pool once, where its jobs run at once; a small answer ends there. [`CpuPool::begin_here`] does
//! not even change to the pool, on a runtime that has more threads than the pool: the others serve connections meanwhile.

use std::{
    cell::Cell,
    collections::VecDeque,
    fmt, future, panic,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use tokio::{runtime::Handle, sync::oneshot, task};

use crate::ServiceError;

/// How much CPU time the jobs of a beginning may take to run at once. What takes more gains by running beside other
/// jobs.
const BEGIN_FOR: Duration = Duration::from_millis(2);

thread_local! {
    /// Up to which CPU time of this thread jobs that are given to a pool run on it at once.
    static AT_ONCE_UNTIL: Cell<Option<Duration>> = const { Cell::new(None) };
    /// Whether that is a thread of the runtime, and whether the work has to leave it.
    static HERE: Cell<Option<Leave>> = const { Cell::new(None) };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    No,
    Yes,
}

/// Runs loops over series, chunks or pages, so many at once.
///
/// Clones share the threads.
#[derive(Clone, Debug)]
pub struct CpuPool {
    threads: Threads,
    count: usize,
    jobs: Arc<Turns>,
    /// Beginnings have turns of their own, so that a small request does not wait for the jobs of large ones.
    begun: Arc<Turns>,
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
            jobs: Arc::new(Turns::new(count)),
            begun: Arc::new(Turns::new(count)),
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
            jobs: Arc::new(Turns::new(count)),
            begun: Arc::new(Turns::new(count)),
        }
    }

    /// The number of threads.
    #[must_use]
    pub const fn threads(&self) -> usize {
        self.count
    }

    /// Runs `work` on the pool; within [`Self::begin`], on the same thread at once. Its turn comes whether or not the
    /// future is polled again. Work whose future is dropped before its turn is not started; started work runs to its
    /// end.
    ///
    /// # Panics
    /// With the payload of `work`, if that panicked; the pool goes on.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        if runs_at_once() {
            return work();
        }
        self.give(&self.jobs, work).await
    }

    /// Polls `work` on the pool once, where the jobs that it gives to a pool run at once, up to some two
    /// milliseconds of CPU time. If it waits for something, it goes on where the caller is.
    ///
    /// # Panics
    /// With the payload of `work`, if that panicked; and outside of a tokio runtime.
    pub async fn begin<F>(&self, work: F) -> F::Output
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let mut work = Box::pin(work);
        // Threads of rayon belong to no runtime.
        let runtime = Handle::current();
        let poll = move || {
            let _runtime = runtime.enter();
            let polled = poll_once(work.as_mut());
            (polled, work)
        };
        match self.give(&self.begun, poll).await {
            (Poll::Ready(output), _) => output,
            (Poll::Pending, work) => work.await,
        }
    }

    /// As [`Self::begin`], on the thread of the caller if a turn is free, up to where the work goes [`to_the_pool`]. At
    /// most as many begin so at once as the pool has threads, so a runtime with more threads has one for its connections.
    ///
    /// # Panics
    /// With the payload of `work`, if that panicked; and outside of a tokio runtime.
    pub async fn begin_here<F>(&self, work: F) -> F::Output
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let Some(turn) = self.threads.turn(&self.begun) else {
            return self.begin(work).await;
        };
        let mut work = Box::pin(work);
        let (polled, leave) = poll_here(work.as_mut());
        drop(turn);
        match (polled, leave) {
            (Poll::Ready(output), _) => output,
            (Poll::Pending, Leave::Yes) => self.begin(work).await,
            (Poll::Pending, Leave::No) => work.await,
        }
    }

    /// Runs `work` on a thread of the pool, when it is its turn.
    async fn give<T: Send + 'static>(
        &self,
        turns: &Arc<Turns>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let span = tracing::Span::current();
        let (tx, rx) = oneshot::channel();
        let job = move || {
            if tx.is_closed() {
                return;
            }
            let result = span.in_scope(|| panic::catch_unwind(panic::AssertUnwindSafe(work)));
            // The caller may have gone away.
            let _ = tx.send(result);
        };
        if let Some(job) = turns.admit(Box::new(job)) {
            self.threads.start(Arc::clone(turns), job);
        }
        match rx.await {
            Ok(Ok(value)) => value,
            Ok(Err(payload)) => panic::resume_unwind(payload),
            // The runtime is ending and starts nothing more.
            Err(_) => future::pending().await,
        }
    }
}

impl Threads {
    /// A turn for work on the caller's thread, if one is free.
    fn turn(&self, turns: &Arc<Turns>) -> Option<Turn> {
        turns.take().then(|| Turn {
            threads: self.clone(),
            turns: Arc::clone(turns),
        })
    }

    /// Runs a job that has been admitted, and then the one whose turn is next.
    fn start(&self, turns: Arc<Turns>, job: Job) {
        let threads = self.clone();
        let run = move || {
            // Made here: a runtime that ends drops what has not run, which then passes no turn on.
            let _turn = Turn { threads, turns };
            job();
        };
        match self {
            Self::Blocking => drop(task::spawn_blocking(run)),
            Self::Rayon(threads) => threads.spawn(run),
        }
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// The turn of a running job. When it is dropped, also because the job panics, it passes to the next one.
struct Turn {
    threads: Threads,
    turns: Arc<Turns>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(job) = self.turns.next() {
            self.threads.start(Arc::clone(&self.turns), job);
        }
    }
}

/// So many jobs at once, the others first come first served.
///
/// The job that ends passes its turn to the one that has waited longest. No turn is ever given to a future, as a
/// semaphore would: a future that is not polled, as that of an answer that nobody reads, would keep it from the others.
struct Turns {
    state: Mutex<TurnState>,
}

struct TurnState {
    free: usize,
    waiting: VecDeque<Job>,
}

impl Turns {
    const fn new(count: usize) -> Self {
        Self {
            state: Mutex::new(TurnState {
                free: count,
                waiting: VecDeque::new(),
            }),
        }
    }

    /// Gives the job back if it is to run now.
    fn admit(&self, job: Job) -> Option<Job> {
        let mut state = self.state.lock();
        if let Some(free) = state.free.checked_sub(1) {
            state.free = free;
            Some(job)
        } else {
            state.waiting.push_back(job);
            None
        }
    }

    /// Takes a turn if one is free.
    fn take(&self) -> bool {
        let mut state = self.state.lock();
        let free = state.free.checked_sub(1);
        state.free = free.unwrap_or_default();
        free.is_some()
    }

    /// The job that runs instead of one that has ended.
    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock();
        let job = state.waiting.pop_front();
        if job.is_none() {
            state.free += 1;
        }
        job
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Turns")
            .field("free", &state.free)
            .field("waiting", &state.waiting.len())
            .finish()
    }
}

/// Leaves the thread of the runtime on which [`CpuPool::begin_here`] has begun this work, which goes on as by
/// [`CpuPool::begin`]; elsewhere does nothing. For what follows and may wait for the disk or for other threads.
pub async fn to_the_pool() {
    future::poll_fn(|cx| {
        if HERE.get().is_none() {
            return Poll::Ready(());
        }
        HERE.set(Some(Leave::Yes));
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Whether jobs that are given to a pool run on this thread at once: in a beginning, as long as that may last.
#[must_use]
pub fn runs_at_once() -> bool {
    AT_ONCE_UNTIL.get().is_some_and(|end| thread_time() < end)
}

/// The CPU time that this thread has taken.
fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Polls a future once on a thread of the runtime, and tells whether it has to leave it.
fn poll_here<F: Future>(work: Pin<&mut F>) -> (Poll<F::Output>, Leave) {
    /// Ends it also if the work panics.
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            HERE.set(None);
        }
    }
    HERE.set(Some(Leave::No));
    let _end = End;
    let polled = poll_once(work);
    (polled, HERE.get().unwrap_or(Leave::No))
}

/// Polls a future whose jobs run at once. Whoever polls it next is woken instead.
fn poll_once<F: Future>(work: Pin<&mut F>) -> Poll<F::Output> {
    /// Ends it also if the work panics.
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            AT_ONCE_UNTIL.set(None);
        }
    }
    AT_ONCE_UNTIL.set(Some(thread_time() + BEGIN_FOR));
    let _end = End;
    work.poll(&mut Context::from_waker(Waker::noop()))
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
            let inner = pool.clone();
            let begun = pool.begin(async move { inner.run(|| -> u32 { panic!("begun") }).await });
            let begun = panic::AssertUnwindSafe(begun).catch_unwind().await;
            assert_eq!(
                begun.unwrap_err().downcast_ref::<&str>().copied(),
                Some("begun")
            );
            assert!(!pool.run(runs_at_once).await);
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
    async fn a_beginning_runs_its_jobs_on_one_thread() {
        for pool in pools(1) {
            let inner = pool.clone();
            let jobs = async move {
                let here = thread::current().id();
                let first = inner.run(|| thread::current().id()).await;
                let second = inner.run(|| thread::current().id()).await;
                (here, first, second)
            };
            let (here, first, second) = pool.begin(jobs).await;
            assert!(here == first && first == second && here != thread::current().id());
        }
    }

    #[tokio::test]
    async fn a_beginning_here_changes_no_thread_while_a_turn_is_free() {
        for pool in pools(1) {
            let caller = thread::current().id();
            let jobs = |pool: CpuPool| async move { pool.run(|| thread::current().id()).await };
            assert_eq!(pool.begin_here(jobs(pool.clone())).await, caller);
            let leaves = async {
                let here = thread::current().id();
                to_the_pool().await;
                (here, thread::current().id(), runs_at_once())
            };
            let (here, there, at_once) = pool.begin_here(leaves).await;
            assert!(here == caller && there != caller && at_once);
            // The thread of the pool gives its turn back after its result.
            while pool.threads.turn(&pool.begun).is_none() {
                task::yield_now().await;
            }
            let waits = async { (runs_at_once(), task::yield_now().await, runs_at_once()) };
            assert_eq!(pool.begin_here(waits).await, (true, (), false));
            let broken = pool.begin_here(async { panic!("begun") });
            let broken = panic::AssertUnwindSafe(broken).catch_unwind().await;
            assert!(broken.is_err() && !runs_at_once());
            assert_eq!(pool.begin_here(jobs(pool.clone())).await, caller);
            // It has the only turn, so another one has to wait for it.
            let first = pool.clone();
            let mut other = Box::pin(async move { first.begin_here(jobs(first.clone())).await });
            let both = async move { (other.as_mut().now_or_never(), other) };
            let (at_once, other) = pool.begin_here(both).await;
            assert_eq!(at_once, None);
            assert_ne!(other.await, caller);
        }
    }

    #[tokio::test]
    async fn what_waits_goes_on_with_its_caller() {
        for pool in pools(1) {
            let inner = pool.clone();
            let work = async move {
                let first = runs_at_once();
                task::yield_now().await;
                (first, runs_at_once(), inner.run(runs_at_once).await)
            };
            assert_eq!(pool.begin(work).await, (true, false, false));
        }
    }

    #[tokio::test]
    async fn long_work_does_not_stay_where_it_began() {
        for pool in pools(2) {
            let inner = pool.clone();
            let work = async move {
                let long = thread_time() + BEGIN_FOR;
                inner.run(move || while thread_time() <= long {}).await;
                inner.run(runs_at_once).await
            };
            assert!(!pool.begin(work).await);
        }
    }

    #[tokio::test]
    async fn a_beginning_waits_for_no_job() {
        for pool in pools(1) {
            let (release, held) = mpsc::channel::<()>();
            let mut job = Box::pin(pool.run(move || held.recv().is_ok()));
            assert!(job.as_mut().now_or_never().is_none());
            if let Threads::Blocking = pool.threads {
                assert_eq!(pool.begin(async { 1 }).await, 1);
            }
            release.send(()).unwrap();
            assert!(job.await);
        }
    }

    #[tokio::test]
    async fn whoever_is_not_polled_keeps_no_turn() {
        for pool in pools(1) {
            let (release, held) = mpsc::channel::<()>();
            let mut first = Box::pin(pool.run(move || held.recv().is_ok()));
            assert!(first.as_mut().now_or_never().is_none());
            let mut unread = Box::pin(pool.run(|| 2));
            assert!(unread.as_mut().now_or_never().is_none());
            let mut last = Box::pin(pool.run(|| 3));
            assert!(last.as_mut().now_or_never().is_none());
            release.send(()).unwrap();
            assert_eq!(last.await, 3);
            assert_eq!(unread.await, 2);
            assert!(first.await);
        }
    }

    #[tokio::test]
    async fn dropped_work_is_not_started() {
        for pool in pools(1) {
            let (release, held) = mpsc::channel::<()>();
            let begun = Arc::new(AtomicUsize::new(0));
            let mut first = Box::pin(pool.run(move || held.recv().is_ok()));
            assert!(first.as_mut().now_or_never().is_none());
            // Both wait, and are given up.
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
