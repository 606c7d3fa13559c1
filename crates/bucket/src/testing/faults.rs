//! What of a bucket is to fail, and what was asked of it.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    time::Duration,
};

use object_store::Error;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::hold::Held;

/// The fault of a write: a put, an upload in parts, or a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFault {
    /// Nothing is done.
    Refused,
    /// A put leaves the first half of its bytes. An upload in parts and a deletion have no effect. A file that is put
    /// into a folder has its name from before it becomes the object.
    Cut,
    /// It is done, but answered with an error.
    AnswerLost,
}

/// The fault of a read of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFault {
    /// It is answered with an error.
    Refused,
    /// The lowest bit of the middle byte is flipped.
    Flipped,
    /// The lowest bit of this byte is flipped.
    FlippedAt(usize),
    /// Only the first half of the bytes arrives.
    Truncated,
}

/// How a store lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListingOrder {
    /// By key, and after a key if it is asked to.
    #[default]
    ByKey,
    /// The greatest key first.
    Backwards,
    /// By key, and always from the start.
    FromStart,
}

/// What is to fail.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<State>);

/// The faults to come, and the log of the past.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) writes: usize,
    pub(super) write_faults: BTreeMap<usize, WriteFault>,
    /// All operations from this write on are refused.
    pub(super) dead_from: Option<usize>,
    /// By suffixes of keys.
    pub(super) read_faults: BTreeMap<String, ReadFault>,
    /// Likewise, for the next reads, which come first.
    pub(super) next_read_faults: BTreeMap<String, VecDeque<ReadFault>>,
    pub(super) rate: Option<Rate>,
    pub(super) held: BTreeMap<String, Held>,
    pub(super) held_puts: Option<Held>,
    pub(super) order: ListingOrder,
    pub(super) log: Vec<String>,
    /// The parts of objects that were read.
    pub(super) ranges: Vec<(String, Range<u64>)>,
}

/// The rate limit of reads.
#[derive(Debug)]
pub(super) struct Rate {
    pub(super) per_second: usize,
    /// The start of the second, and the reads since then.
    pub(super) since: Instant,
    pub(super) used: usize,
    pub(super) refused: usize,
}

impl Faults {
    /// The state, locked.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// Records a write, and returns its fault.
    pub(super) fn write(&self, what: &str, key: &str) -> Option<WriteFault> {
        let mut state = self.state();
        state.log.push(format!("{what} {key}"));
        let number = state.writes;
        state.writes += 1;
        if state.dead_from.is_some_and(|from| number >= from) {
            return Some(WriteFault::Refused);
        }
        state.write_faults.get(&number).copied()
    }

    /// Records a read of a part of an object, and returns what it must wait for, if anything.
    pub(super) fn part(&self, key: &str, range: Option<Range<u64>>) -> Option<Held> {
        let mut state = self.state();
        state
            .ranges
            .extend(range.map(|range| (key.to_owned(), range)));
        state.held.get(key).cloned()
    }

    /// What a put waits for.
    pub(super) fn put(&self) -> Option<Held> {
        self.state().held_puts.clone()
    }

    /// Records a read, and returns its fault.
    pub(super) fn read(&self, what: &str, key: &str) -> Option<ReadFault> {
        let mut state = self.state();
        state.log.push(format!("{what} {key}"));
        if state.dead_from.is_some_and(|from| state.writes >= from) {
            return Some(ReadFault::Refused);
        }
        if state.rate.as_mut().is_some_and(Rate::is_used_up) {
            return Some(ReadFault::Refused);
        }
        let mut next = state.next_read_faults.iter_mut();
        let next =
            next.find_map(|(end, next)| key.ends_with(end.as_str()).then(|| next.pop_front()));
        if let Some(fault) = next.flatten() {
            return Some(fault);
        }
        let mut faults = state.read_faults.iter();
        let fault = faults.find(|(end, _)| key.ends_with(end.as_str()));
        fault.map(|(_, fault)| *fault)
    }
}

impl Rate {
    /// Whether the rate limit refuses one more read.
    fn is_used_up(&mut self) -> bool {
        if self.since.elapsed() >= Duration::from_secs(1) {
            (self.since, self.used) = (Instant::now(), 0);
        }
        self.used += 1;
        let is_used_up = self.used > self.per_second;
        self.refused += usize::from(is_used_up);
        is_used_up
    }
}

/// The error of an operation that is made to fail.
pub(super) fn injected() -> Error {
    Error::Generic {
        store: "failing",
        source: "injected fault".into(),
    }
}
