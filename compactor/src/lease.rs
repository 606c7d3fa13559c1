//! Work under a lease: what one compactor does to a group, no other does meanwhile.
//!
//! ```text
//! take ── another holds it ─▶ left to the other
//!   │
//! work  ∥  renew, three times in a duration ── taken over ─▶ the work is dropped, and commits nothing
//!   │                └─ a signal to stop ─▶ a commit that is under way ends, the rest is dropped
//! release
//! ```
//! A process that stood still for longer than its lease lasted may wake up in the middle of its work. So the deadline
//! is looked at once more before anything is committed ([`Until::is_over`]).

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use bucket::{Acquired, Holder, Lease, Leases, Renewal};
use futures::FutureExt as _;
use model::Timestamp;
use service::Clock;
use tokio::{
    sync::{Mutex, MutexGuard, OwnedMutexGuard},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::CompactError;

/// Until when work is leased. It moves as the lease is renewed.
#[derive(Debug)]
pub(crate) struct Until {
    deadline: AtomicI64,
    /// Whether the last commit was made; locked during a commit.
    closed: Mutex<bool>,
}

/// The turns of one compactor, which has one at a time.
#[derive(Clone, Debug)]
pub(crate) struct Turns {
    /// `None`: the turn is always ours.
    leases: Option<Leases>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    one: Arc<Mutex<()>>,
}

/// Who has the turn.
#[derive(Debug)]
pub(crate) enum Turn {
    /// This compactor.
    Ours(Held),
    /// Another compactor works on the group.
    Others(Holder),
}

/// Our turn.
#[derive(Debug)]
pub(crate) struct Held {
    lease: Option<Lease>,
    pause: Duration,
    until: Arc<Until>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    /// Dropped last, after the lease is released.
    _one: OwnedMutexGuard<()>,
}

impl Until {
    /// `None` without leases: there is no deadline.
    pub(crate) const fn ever() -> Self {
        Self {
            deadline: AtomicI64::new(i64::MAX),
            closed: Mutex::const_new(false),
        }
    }

    /// Permission to commit at `now`, for as long as the returned value is kept; `None` if another may have the work.
    pub(crate) async fn leave(&self, now: Timestamp) -> Option<MutexGuard<'_, bool>> {
        let closed = self.closed.lock().await;
        (!*closed && !self.is_over(now)).then_some(closed)
    }

    fn is_over(&self, now: Timestamp) -> bool {
        now.0 >= self.deadline.load(Ordering::Acquire)
    }

    fn set(&self, deadline: Timestamp) {
        self.deadline.store(deadline.0, Ordering::Release);
    }

    /// Waits for a running commit, and lets no other begin.
    async fn close(&self) {
        *self.closed.lock().await = true;
    }
}

impl Turns {
    /// The turns of a compactor that stops when `stop` is cancelled.
    pub(crate) fn new(
        leases: Option<Leases>,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            leases,
            clock,
            stop,
            one: Arc::default(),
        }
    }

    /// Tests that leases exclude others, if the bucket is shared.
    ///
    /// # Errors
    /// [`CompactError::Sharing`] when they do not.
    pub(crate) async fn check(&self) -> Result<(), CompactError> {
        let Some(leases) = &self.leases else {
            return Ok(());
        };
        let tested = leases.self_test().await;
        tested.map_err(|source| CompactError::Sharing { source })
    }

    /// Requests the lease on `name`.
    ///
    /// # Errors
    /// When the bucket fails.
    pub(crate) async fn take(&self, name: &str) -> Result<Turn, CompactError> {
        let one = Arc::clone(&self.one).lock_owned().await;
        let mut held = Held {
            lease: None,
            pause: Duration::ZERO,
            until: Arc::new(Until::ever()),
            clock: Arc::clone(&self.clock),
            stop: self.stop.clone(),
            _one: one,
        };
        if let Some(leases) = &self.leases {
            match leases.acquire(name, held.now()).await? {
                Acquired::Lease(lease) => {
                    held.until.set(lease.deadline());
                    held.pause = leases.duration() / 3;
                    held.lease = Some(lease);
                }
                Acquired::HeldBy(holder) => return Ok(Turn::Others(holder)),
            }
        }
        Ok(Turn::Ours(held))
    }

    /// Waits until the compactor is to stop and has no turn; it gets no more then.
    pub(crate) fn stopped(&self) -> impl Future<Output = OwnedMutexGuard<()>> + Send + use<> {
        let Self { stop, one, .. } = self.clone();
        async move {
            stop.cancelled().await;
            one.lock_owned().await
        }
    }
}

impl Held {
    /// The deadline.
    pub(crate) fn until(&self) -> Arc<Until> {
        Arc::clone(&self.until)
    }

    /// Whether another may have had its turn after the time `then`.
    pub(crate) fn others_had_it_after(&self, then: Timestamp) -> bool {
        let lease = self.lease.as_ref();
        lease.is_some_and(|lease| lease.was_held_after(then))
    }

    /// Waits for `work`, then ends the turn.
    ///
    /// # Errors
    /// When another took over before the end, or the compactor stops: `work` was dropped.
    pub(crate) async fn during<T>(
        mut self,
        work: impl Future<Output = T> + Send,
    ) -> Result<T, CompactError> {
        let until = self.until();
        // A panic goes on once the lease is released.
        let work = AssertUnwindSafe(work).catch_unwind();
        let stopped = async {
            self.stop.cancelled().await;
            until.close().await;
        };
        let Some(mut lease) = self.lease.take() else {
            return tokio::select! {
                done = work => Ok(unwound(done)),
                () = stopped => Err(CompactError::Stopped),
            };
        };
        let ended = tokio::select! {
            done = work => Ok(done),
            () = stopped => Err(CompactError::Stopped),
            () = self.keep(&mut lease) => {
                let name = lease.name().to_owned();
                return Err(CompactError::LeaseLost { name });
            }
        };
        let name = lease.name().to_owned();
        if let Err(error) = lease.release(self.now()).await {
            tracing::warn!(name, %error, "lease not released, others get it after its deadline");
        }
        ended.map(unwound)
    }

    /// Renews the lease until another has it.
    async fn keep(&self, lease: &mut Lease) {
        loop {
            sleep(self.pause).await;
            match lease.renew(self.now()).await {
                Ok(Renewal::Renewed) => self.until.set(lease.deadline()),
                Ok(Renewal::Lost) => return,
                Err(error) => {
                    tracing::warn!(lease = lease.name(), %error, "lease not renewed");
                    if !lease.is_valid(self.now()) {
                        return;
                    }
                }
            }
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.clock.now_ms())
    }
}

fn unwound<T>(done: std::thread::Result<T>) -> T {
    done.unwrap_or_else(|payload| resume_unwind(payload))
}

#[cfg(test)]
mod tests {
    use bucket::Bucket;
    use service::ManualClock;

    use super::*;

    const LASTS: Duration = Duration::from_mins(5);

    fn leases(holder: &str) -> (Leases, Leases) {
        let bucket = Bucket::in_memory();
        let of = |holder: &str| Leases::new(bucket.clone(), holder.to_owned(), LASTS);
        (of(holder), of("other"))
    }

    fn clock() -> (ManualClock, Arc<dyn Clock>) {
        let hand = ManualClock::new(1_000_000);
        (hand.clone(), Arc::new(hand))
    }

    fn turns(leases: &Leases, clock: &Arc<dyn Clock>) -> Turns {
        let stop = CancellationToken::new();
        Turns::new(Some(leases.clone()), Arc::clone(clock), stop)
    }

    async fn take(leases: &Leases, clock: &Arc<dyn Clock>) -> Turn {
        turns(leases, clock).take("0@1").await.unwrap()
    }

    async fn ours(turns: &Turns) -> Held {
        match turns.take("0@1").await.unwrap() {
            Turn::Ours(held) => held,
            Turn::Others(holder) => panic!("held by {holder}"),
        }
    }

    #[tokio::test]
    async fn while_one_works_another_is_told_who_does_and_then_has_its_turn() {
        let ((one, other), (_, clock)) = (leases("one"), clock());
        let held = ours(&turns(&one, &clock)).await;
        let told = held.during(take(&other, &clock)).await.unwrap();
        assert!(matches!(told, Turn::Others(holder) if holder.name == "one"));
        ours(&turns(&other, &clock)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_takes_longer_than_the_lease_stays_ours_as_it_is_renewed() {
        let ((one, other), (hand, clock)) = (leases("one"), clock());
        let held = ours(&turns(&one, &clock)).await;
        let until = held.until();
        let work = async {
            for _ in 0..20 {
                sleep(LASTS / 4).await;
                hand.advance(i64::try_from((LASTS / 4).as_millis()).unwrap());
                assert!(!until.is_over(Timestamp(hand.now_ms())));
                assert!(matches!(take(&other, &clock).await, Turn::Others(_)));
            }
        };
        held.during(work).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn work_is_dropped_once_another_has_taken_over() {
        let ((one, other), (hand, clock)) = (leases("one"), clock());
        let held = ours(&turns(&one, &clock)).await;
        let until = held.until();
        // As after a long sleep of the whole machine.
        hand.advance(3_600_000);
        assert!(until.is_over(Timestamp(hand.now_ms())));
        let _theirs = ours(&turns(&other, &clock)).await;
        let ended = held.during(std::future::pending::<()>()).await;
        assert!(matches!(ended, Err(CompactError::LeaseLost { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stopping_compactor_ends_its_commit_drops_the_rest_and_releases_the_lease() {
        let ((one, other), (_, clock)) = (leases("one"), clock());
        let turns = turns(&one, &clock);
        let held = ours(&turns).await;
        let until = held.until();
        let (committed, dropped) = (AtomicI64::new(0), AtomicI64::new(0));
        let work = async {
            let leave = until.leave(Timestamp(clock.now_ms())).await;
            turns.stop.cancel();
            // As a bucket that takes its time.
            sleep(LASTS / 10).await;
            committed.store(1, Ordering::Release);
            drop(leave);
            std::future::pending::<()>().await;
            dropped.store(1, Ordering::Release);
        };
        let stopped = turns.stopped();
        let ended = held.during(work).await;
        assert!(matches!(ended, Err(CompactError::Stopped)));
        assert_eq!(committed.load(Ordering::Acquire), 1);
        assert_eq!(dropped.load(Ordering::Acquire), 0);
        assert!(until.leave(Timestamp(clock.now_ms())).await.is_none());
        assert!(matches!(take(&other, &clock).await, Turn::Ours(_)));
        stopped.await;
    }

    #[tokio::test]
    async fn a_panic_goes_on_once_others_can_have_their_turn() {
        let ((one, other), (_, clock)) = (leases("one"), clock());
        let held = ours(&turns(&one, &clock)).await;
        let work = async { panic!("a fault") };
        let ended = AssertUnwindSafe(held.during(work)).catch_unwind().await;
        let payload = ended.err().unwrap();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"a fault"));
        assert!(matches!(take(&other, &clock).await, Turn::Ours(_)));
    }

    #[tokio::test]
    async fn without_leases_the_turn_is_always_ours_and_work_stops_too() {
        let (_, clock) = clock();
        let turns = Turns::new(None, clock, CancellationToken::new());
        for _ in 0..2 {
            let held = ours(&turns).await;
            let until = held.until();
            assert!(until.leave(Timestamp(i64::MAX - 1)).await.is_some());
        }
        let held = ours(&turns).await;
        turns.stop.cancel();
        let ended = held.during(std::future::pending::<()>()).await;
        assert!(matches!(ended, Err(CompactError::Stopped)));
    }
}
