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

/// What becomes of a write: a put, an upload in parts, or a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFault {
    /// Nothing is done.
    Refused,
    /// A put leaves the first half of its bytes; an upload in parts and a deletion leave nothing done; a file that is
    /// put into a folder is there under the name that it has before it is the object.
    Cut,
    /// It is done, but an error is answered.
    AnswerLost,
}

/// What becomes of a read of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFault {
    /// An error is answered.
    Refused,
    /// The lowest bit of the byte in the middle is turned over.
    Flipped,
    /// The same of this byte.
    FlippedAt(usize),
    /// Only the first half of the bytes come.
    Truncated,
}

/// What is to fail.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    writes: usize,
    write_faults: BTreeMap<usize, WriteFault>,
    /// All from this write on is refused.
    dead_from: Option<usize>,
    /// By the ends of keys.
    read_faults: BTreeMap<String, ReadFault>,
    /// Likewise, those of the next reads, which come first.
    next_read_faults: BTreeMap<String, VecDeque<ReadFault>>,
    rate: Option<Rate>,
    held: BTreeMap<String, Held>,
    held_puts: Option<Held>,
    log: Vec<String>,
    /// The parts of objects that were read.
    ranges: Vec<(String, Range<u64>)>,
}

/// How much may be read.
#[derive(Debug)]
struct Rate {
    per_second: usize,
    /// When the second began, and what was read since.
    since: Instant,
    used: usize,
    refused: usize,
}

impl FailingBucket {
    /// What is in `bucket`, failing on demand.
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

    /// Lets the write with this number fail; the first one from now on is 0.
    pub fn fail_write(&self, number: usize, fault: WriteFault) {
        let mut state = self.faults.0.lock();
        let at = state.writes + number;
        state.write_faults.insert(at, fault);
    }

    /// Lets the write with this number fail, and refuses all that comes after it, reads and listings too: so it is
    /// for a program that is killed, or cut off, there.
    pub fn die_at_write(&self, number: usize, fault: WriteFault) {
        self.fail_write(number, fault);
        let mut state = self.faults.0.lock();
        state.dead_from = Some(state.writes + number + 1);
    }

    /// Lets all reads of objects fail whose keys end so.
    pub fn fail_reads(&self, end: &str, fault: ReadFault) {
        let mut state = self.faults.0.lock();
        state.read_faults.insert(end.to_owned(), fault);
    }

    /// Lets the next reads of objects whose keys end so fail, each in its way.
    pub fn fail_next_reads(&self, end: &str, faults: &[ReadFault]) {
        let mut state = self.faults.0.lock();
        let next = faults.iter().copied().collect();
        state.next_read_faults.insert(end.to_owned(), next);
    }

    /// From now on refuses what is read or listed past so many in a second of tokio's time.
    pub fn limit_reads(&self, per_second: usize) {
        self.faults.0.lock().rate = Some(Rate {
            per_second,
            since: Instant::now(),
            used: 0,
            refused: 0,
        });
    }

    /// How many reads were refused as they were too many.
    #[must_use]
    pub fn refused(&self) -> usize {
        let state = self.faults.0.lock();
        state.rate.as_ref().map_or(0, |rate| rate.refused)
    }

    /// From now on reads of an object wait until they are let through.
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

    /// How many writes were tried.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.faults.0.lock().writes
    }

    /// What was tried: `put KEY`, `upload KEY` (in parts, or of a file into a folder), `delete KEY`, `get KEY`, `head KEY` and `list PREFIX`.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.faults.0.lock().log.clone()
    }

    /// Which parts of an object were read, in the order in which they were asked for.
    #[must_use]
    pub fn ranges_read(&self, key: &str) -> Vec<Range<u64>> {
        let state = self.faults.0.lock();
        let of_key = state.ranges.iter().filter(|(of, _)| of == key);
        of_key.map(|(_, range)| range.clone()).collect()
    }

    /// Forgets what was tried.
    pub fn clear_log(&self) {
        let mut state = self.faults.0.lock();
        state.log.clear();
        state.ranges.clear();
    }
}

impl Faults {
    /// Notes a write, and says what becomes of it.
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

    /// Notes which part of an object is read; what the read has to wait for, if anything.
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

    /// Notes a read, and says what becomes of it.
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
    /// Whether one read more is too many.
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
