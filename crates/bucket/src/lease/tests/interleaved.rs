//! Holders whose steps fall into each other in every way, with clocks that differ, answers that are lost, and crashes.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
};

use proptest::prelude::*;

use super::{
    super::*,
    NAME,
    store::{Scripted, pause},
};

const HOLDERS: usize = 3;
const DURATION: i64 = 100_000;

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A holder does so many steps.
    Steps(usize, u8),
    /// Time passes, in milliseconds.
    Time(i64),
    /// A holder is gone, and starts anew.
    Crash(usize),
    /// A holder's current operation is done, but it is told that it was not.
    LostAnswer(usize),
}

/// One who takes the lease, keeps it for a while, and lets it go, again and again.
struct Actor {
    leases: Leases,
    /// What its clock says.
    clock: Rc<Cell<i64>>,
    /// How far its clock is ahead.
    skew: i64,
    /// Until when it takes the lease for its own.
    believes: Rc<Cell<Timestamp>>,
    acquired: Rc<Cell<usize>>,
    lose_answer: Arc<AtomicBool>,
    life: Pin<Box<dyn Future<Output = ()>>>,
}

impl Actor {
    fn new(bucket: &Bucket, number: usize) -> Self {
        let lose_answer = Arc::new(AtomicBool::new(false));
        let of_store = Arc::clone(&lose_answer);
        let bucket = bucket.wrapped(|inner| Scripted::stepwise(inner, of_store));
        let duration = Duration::from_millis(DURATION.unsigned_abs());
        let margin = i64::try_from(Leases::MARGIN.as_millis()).unwrap();
        // The clocks of the first and the last differ by all that they may.
        let skew = margin * i64::try_from(number).unwrap() / i64::try_from(HOLDERS - 1).unwrap();
        let mut actor = Self {
            leases: Leases::new(bucket, format!("holder {number}"), duration),
            clock: Rc::new(Cell::new(skew)),
            skew,
            believes: Rc::new(Cell::new(Timestamp::MIN)),
            acquired: Rc::new(Cell::new(0)),
            lose_answer,
            life: Box::pin(std::future::pending()),
        };
        actor.start();
        actor
    }

    /// What it did before is cut off where it is.
    fn start(&mut self) {
        self.believes.set(Timestamp::MIN);
        self.life = Box::pin(live(
            self.leases.clone(),
            Rc::clone(&self.clock),
            Rc::clone(&self.believes),
            Rc::clone(&self.acquired),
        ));
    }

    fn step(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        assert!(self.life.as_mut().poll(&mut context).is_pending());
    }

    fn holds(&self) -> bool {
        Timestamp(self.clock.get()) < self.believes.get()
    }
}

#[expect(
    clippy::future_not_send,
    reason = "it is polled by hand, on one thread"
)]
async fn live(
    leases: Leases,
    clock: Rc<Cell<i64>>,
    believes: Rc<Cell<Timestamp>>,
    acquired: Rc<Cell<usize>>,
) {
    let now = || Timestamp(clock.get());
    for round in 0.. {
        pause().await;
        let Ok(Acquired::Lease(mut lease)) = leases.acquire(NAME, now()).await else {
            continue;
        };
        believes.set(lease.deadline());
        acquired.set(acquired.get() + 1);
        for _ in 0..round % 3 {
            pause().await;
            let renewed = lease.renew(now()).await;
            believes.set(lease.deadline());
            if matches!(renewed, Ok(Renewal::Lost)) {
                break;
            }
        }
        believes.set(Timestamp::MIN);
        // Whether or not it is told that it went well.
        drop(lease.release(now()).await);
    }
}

fn event() -> impl Strategy<Value = Event> {
    let holder = 0..HOLDERS;
    prop_oneof![
        12 => (holder.clone(), 1..40_u8).prop_map(|(holder, steps)| Event::Steps(holder, steps)),
        4 => (0..DURATION).prop_map(Event::Time),
        1 => holder.clone().prop_map(Event::Crash),
        1 => holder.prop_map(Event::LostAnswer),
    ]
}

/// Lets it all happen; returns how often the lease was taken.
fn play(bucket: &Bucket, events: &[Event]) -> usize {
    let mut actors: Vec<Actor> = (0..HOLDERS).map(|n| Actor::new(bucket, n)).collect();
    let mut time = 0;
    let check = |actors: &[Actor], event| {
        let holding: Vec<&str> = actors
            .iter()
            .filter(|actor| actor.holds())
            .map(|actor| actor.leases.0.holder.as_str())
            .collect();
        assert!(holding.len() < 2, "{holding:?} at once, at {event:?}");
    };
    for event in events {
        match *event {
            Event::Steps(holder, steps) => {
                for _ in 0..steps {
                    actors[holder].step();
                    check(&actors, event);
                }
            }
            Event::Time(passed) => {
                time += passed;
                for actor in &actors {
                    actor.clock.set(time + actor.skew);
                }
            }
            Event::Crash(holder) => actors[holder].start(),
            Event::LostAnswer(holder) => {
                actors[holder].lose_answer.store(true, Ordering::SeqCst);
            }
        }
        check(&actors, event);
    }
    actors.iter().map(|actor| actor.acquired.get()).sum()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn never_do_two_hold_it_and_after_all_are_gone_another_gets_it(
        events in prop::collection::vec(event(), 1..200),
    ) {
        let bucket = Bucket::in_memory();
        play(&bucket, &events);
        let far = Timestamp(i64::MAX / 2);
        let heir = Leases::new(bucket.clone(), "heir".to_owned(), Duration::from_mins(5));
        let acquired = block_on(heir.acquire(NAME, far)).unwrap();
        prop_assert!(matches!(acquired, Acquired::Lease(_)), "{:?}", acquired);
    }
}

#[test]
fn the_lease_changes_hands_in_a_play_of_three_holders() {
    let round = [0, 1, 2].map(|holder| [Event::Steps(holder, 39), Event::Time(20_000)]);
    let events = [round.concat(), round.concat(), round.concat()].concat();
    let taken = play(&Bucket::in_memory(), &events);
    assert!(taken >= 3, "{taken} times");
}
