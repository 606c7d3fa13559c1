//! Work under a lease: what one compactor does to a group, no other does meanwhile.
//!
//! ```text
//! take ── another holds it ─▶ left to the other
//!   │
//! work  ∥  renew, three times in a duration ── taken over ─▶ the work is dropped, and commits nothing
//!   │
//! release
//! ```
//! A process that stood still for longer than its lease lasted may wake up in the middle of its work. So the deadline
//! is looked at once more before anything is committed ([`Until::is_over`]).

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use bucket::{Acquired, Holder, Lease, Leases, Renewal};
use model::Timestamp;
use service::Clock;
use tokio::time::sleep;

use crate::CompactError;

/// Until when work is ours, which moves as the lease is renewed.
#[derive(Debug)]
pub(crate) struct Until(AtomicI64);

/// Who has the turn.
#[derive(Debug)]
pub(crate) enum Turn {
    /// We have.
    Ours(Held),
    /// Another works at it.
    Others(Holder),
}

/// The turn is ours.
#[derive(Debug)]
pub(crate) struct Held {
    lease: Option<Lease>,
    pause: Duration,
    until: Arc<Until>,
    clock: Arc<dyn Clock>,
}

impl Until {
    /// Without a lease there is no end.
    pub(crate) const fn ever() -> Self {
        Self(AtomicI64::new(i64::MAX))
    }

    /// Whether the work may be another's at `now`.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        now.0 >= self.0.load(Ordering::Acquire)
    }

    fn set(&self, deadline: Timestamp) {
        self.0.store(deadline.0, Ordering::Release);
    }
}

impl Turn {
    /// Asks for the lease on `name`; without `leases` the turn is always ours.
    ///
    /// # Errors
    /// When the bucket cannot be asked.
    pub(crate) async fn take(
        leases: Option<&Leases>,
        name: &str,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, CompactError> {
        let until = Arc::new(Until::ever());
        let mut held = Held {
            lease: None,
            pause: Duration::ZERO,
            until,
            clock: Arc::clone(clock),
        };
        if let Some(leases) = leases {
            match leases.acquire(name, held.now()).await? {
                Acquired::Lease(lease) => {
                    held.until.set(lease.deadline());
                    held.pause = leases.duration() / 3;
                    held.lease = Some(lease);
                }
                Acquired::HeldBy(holder) => return Ok(Self::Others(holder)),
            }
        }
        Ok(Self::Ours(held))
    }
}

impl Held {
    /// Until when it is.
    pub(crate) fn until(&self) -> Arc<Until> {
        Arc::clone(&self.until)
    }

    /// Whether another may have had its turn after the time `then`.
    pub(crate) fn others_had_it_after(&self, then: Timestamp) -> bool {
        let lease = self.lease.as_ref();
        lease.is_some_and(|lease| lease.was_held_after(then))
    }

    /// Waits for `work`, and lets others have their turn then.
    ///
    /// # Errors
    /// When another has taken the turn before the end, and `work` was dropped.
    pub(crate) async fn during<T>(
        mut self,
        work: impl Future<Output = T> + Send,
    ) -> Result<T, CompactError> {
        let Some(mut lease) = self.lease.take() else {
            return Ok(work.await);
        };
        let done = tokio::select! {
            done = work => done,
            () = self.keep(&mut lease) => {
                let name = lease.name().to_owned();
                return Err(CompactError::LeaseLost { name });
            }
        };
        let name = lease.name().to_owned();
        if let Err(error) = lease.release(self.now()).await {
            tracing::warn!(name, %error, "lease not released, others get it after its deadline");
        }
        Ok(done)
    }

    /// Renews the lease until it is another's.
    async fn keep(&self, lease: &mut Lease) {
        loop {
            sleep(self.pause).await;
            match lease.renew(self.now()).await {
                Ok(Renewal::Renewed) => self.until.set(lease.deadline()),
                Ok(Renewal::Lost) => return,
                Err(error) => {
                    tracing::warn!(name = lease.name(), %error, "lease not renewed");
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

    async fn ours(leases: &Leases, clock: &Arc<dyn Clock>) -> Held {
        match Turn::take(Some(leases), "0@1", clock).await.unwrap() {
            Turn::Ours(held) => held,
            Turn::Others(holder) => panic!("held by {holder}"),
        }
    }

    #[tokio::test]
    async fn while_one_works_another_is_told_who_does_and_then_has_its_turn() {
        let ((one, other), (_, clock)) = (leases("one"), clock());
        let held = ours(&one, &clock).await;
        let meanwhile = Turn::take(Some(&other), "0@1", &clock);
        let told = held.during(meanwhile).await.unwrap().unwrap();
        assert!(matches!(told, Turn::Others(holder) if holder.name == "one"));
        ours(&other, &clock).await;
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_takes_longer_than_the_lease_stays_ours_as_it_is_renewed() {
        let ((one, other), (hand, clock)) = (leases("one"), clock());
        let held = ours(&one, &clock).await;
        let until = held.until();
        let work = async {
            for _ in 0..20 {
                sleep(LASTS / 4).await;
                hand.advance(i64::try_from((LASTS / 4).as_millis()).unwrap());
                assert!(!until.is_over(Timestamp(hand.now_ms())));
                let turn = Turn::take(Some(&other), "0@1", &clock).await.unwrap();
                assert!(matches!(turn, Turn::Others(_)));
            }
        };
        held.during(work).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn work_is_dropped_once_another_has_taken_over() {
        let ((one, other), (hand, clock)) = (leases("one"), clock());
        let held = ours(&one, &clock).await;
        let until = held.until();
        // As after a long sleep of the whole machine.
        hand.advance(3_600_000);
        assert!(until.is_over(Timestamp(hand.now_ms())));
        let _theirs = ours(&other, &clock).await;
        let ended = held.during(std::future::pending::<()>()).await;
        assert!(matches!(ended, Err(CompactError::LeaseLost { .. })));
    }

    #[tokio::test]
    async fn without_leases_the_turn_is_always_ours() {
        let (_, clock) = clock();
        for _ in 0..2 {
            let Turn::Ours(held) = Turn::take(None, "0@1", &clock).await.unwrap() else {
                panic!("nobody else is there");
            };
            assert!(!held.until().is_over(Timestamp(i64::MAX - 1)));
        }
    }
}
