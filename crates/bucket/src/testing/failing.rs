//! A bucket that fails on demand.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{folder::FailingFolder, hold::Held, store::FailingStore};
use crate::Bucket;

/// A bucket whose operations fail where a test says so, and are noted.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use bucket::{Bucket, testing::{FailingBucket, WriteFault}};
/// let failing = FailingBucket::new(&Bucket::in_memory());
/// failing.die_at_write(1, WriteFault::Cut);
/// let bucket = failing.bucket();
/// bucket.put("a", "1".into()).await.unwrap();
/// bucket.put("b", "1234".into()).await.unwrap_err();
/// failing.heal();
/// assert_eq!(bucket.get("b").await.unwrap(), "12");
/// assert_eq!(failing.log(), ["put a", "put b", "get b"]);
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct FailingBucket {
    bucket: Bucket,
    faults: Arc<Faults>,
}

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

/// What is to fail.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    writes: usize,
    write_faults: BTreeMap<usize, WriteFault>,
    /// All operations from this write on are refused.
    dead_from: Option<usize>,
    /// By suffixes of keys.
    read_faults: BTreeMap<String, ReadFault>,
    /// Likewise, for the next reads, which come first.
    next_read_faults: BTreeMap<String, VecDeque<ReadFault>>,
    rate: Option<Rate>,
    held: BTreeMap<String, Held>,
    held_puts: Option<Held>,
    log: Vec<String>,
    /// The parts of objects that were read.
    ranges: Vec<(String, Range<u64>)>,
}

/// The rate limit of reads.
#[derive(Debug)]
struct Rate {
    per_second: usize,
    /// The start of the second, and the reads since then.
    since: Instant,
    used: usize,
    refused: usize,
}

impl FailingBucket {
    /// The contents of `bucket`, failing on demand.
    #[must_use]
    pub fn new(bucket: &Bucket) -> Self {
        let faults = Arc::new(Faults::default());
        let (of_store, of_folder) = (Arc::clone(&faults), Arc::clone(&faults));
        let failing = bucket
            .wrapped(|inner| Arc::new(FailingStore::new(inner, of_store)))
            .in_folder_of(bucket, |inner| {
                Arc::new(FailingFolder::new(inner, of_folder))
            });
        Self {
            bucket: failing,
            faults,
        }
    }

    /// The bucket that fails.
    #[must_use]
    pub fn bucket(&self) -> Bucket {
        self.bucket.clone()
    }

    /// Fails the write with this number; the first one from now on is 0.
    pub fn fail_write(&self, number: usize, fault: WriteFault) {
        let mut state = self.faults.0.lock();
        let at = state.writes + number;
        state.write_faults.insert(at, fault);
    }

    /// Fails the write with this number and refuses all operations after it, reads and listings too, as for a program
    /// that is killed or cut off there.
    pub fn die_at_write(&self, number: usize, fault: WriteFault) {
        self.fail_write(number, fault);
        let mut state = self.faults.0.lock();
        state.dead_from = Some(state.writes + number + 1);
    }

    /// Fails all reads of objects whose keys have this suffix.
    pub fn fail_reads(&self, end: &str, fault: ReadFault) {
        let mut state = self.faults.0.lock();
        state.read_faults.insert(end.to_owned(), fault);
    }

    /// Fails the next reads of objects whose keys have this suffix, each with its fault.
    pub fn fail_next_reads(&self, end: &str, faults: &[ReadFault]) {
        let mut state = self.faults.0.lock();
        let next = faults.iter().copied().collect();
        state.next_read_faults.insert(end.to_owned(), next);
    }

    /// From now on refuses reads and listings beyond so many in a second of tokio's time.
    pub fn limit_reads(&self, per_second: usize) {
        self.faults.0.lock().rate = Some(Rate {
            per_second,
            since: Instant::now(),
            used: 0,
            refused: 0,
        });
    }

    /// The number of reads refused by the rate limit.
    #[must_use]
    pub fn refused(&self) -> usize {
        let state = self.faults.0.lock();
        state.rate.as_ref().map_or(0, |rate| rate.refused)
    }

    /// From now on holds reads of an object until they are let through.
    #[must_use]
    pub fn hold_reads(&self, key: &str) -> Held {
        let held = Held::new();
        let mut state = self.faults.0.lock();
        state.held.insert(key.to_owned(), held.clone());
        held
    }

    /// From now on puts wait until they are let through.
    #[must_use]
    pub fn hold_puts(&self) -> Held {
        let held = Held::new();
        self.faults.0.lock().held_puts = Some(held.clone());
        held
    }

    /// From now on nothing fails.
    pub fn heal(&self) {
        let mut state = self.faults.0.lock();
        state.write_faults.clear();
        state.read_faults.clear();
        state.next_read_faults.clear();
        state.rate = None;
        state.dead_from = None;
    }

    /// The number of attempted writes.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.faults.0.lock().writes
    }

    /// The attempted operations: `put KEY`, `upload KEY` (in parts, or of a file into a folder), `delete KEY`, `get
    /// KEY`, `head KEY` and `list PREFIX`.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.faults.0.lock().log.clone()
    }

    /// The parts of an object that were read, in the order of the requests.
    #[must_use]
    pub fn ranges_read(&self, key: &str) -> Vec<Range<u64>> {
        let state = self.faults.0.lock();
        let of_key = state.ranges.iter().filter(|(of, _)| of == key);
        of_key.map(|(_, range)| range.clone()).collect()
    }

    /// Forgets the attempted operations.
    pub fn clear_log(&self) {
        let mut state = self.faults.0.lock();
        state.log.clear();
        state.ranges.clear();
    }
}

impl Faults {
    /// Records a write, and returns its fault.
    pub(super) fn write(&self, what: &str, key: &str) -> Option<WriteFault> {
        let mut state = self.0.lock();
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
        let mut state = self.0.lock();
        state
            .ranges
            .extend(range.map(|range| (key.to_owned(), range)));
        state.held.get(key).cloned()
    }

    /// What a put waits for.
    pub(super) fn put(&self) -> Option<Held> {
        self.0.lock().held_puts.clone()
    }

    /// Records a read, and returns its fault.
    pub(super) fn read(&self, what: &str, key: &str) -> Option<ReadFault> {
        let mut state = self.0.lock();
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
