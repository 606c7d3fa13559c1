//! A bucket that fails on demand.

use std::{ops::Range, sync::Arc};

use tokio::time::Instant;

use super::{
    faults::{Faults, ListingOrder, Rate, ReadFault, WriteFault},
    folder::FailingFolder,
    hold::Held,
    store::FailingStore,
};
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
        let mut state = self.faults.state();
        let at = state.writes + number;
        state.write_faults.insert(at, fault);
    }

    /// Fails the write with this number and refuses all operations after it, reads and listings too, as for a program
    /// that is killed or cut off there.
    pub fn die_at_write(&self, number: usize, fault: WriteFault) {
        self.fail_write(number, fault);
        let mut state = self.faults.state();
        state.dead_from = Some(state.writes + number + 1);
    }

    /// Fails all reads of objects whose keys have this suffix.
    pub fn fail_reads(&self, end: &str, fault: ReadFault) {
        let mut state = self.faults.state();
        state.read_faults.insert(end.to_owned(), fault);
    }

    /// Fails the next reads of objects whose keys have this suffix, each with its fault.
    pub fn fail_next_reads(&self, end: &str, faults: &[ReadFault]) {
        let mut state = self.faults.state();
        let next = faults.iter().copied().collect();
        state.next_read_faults.insert(end.to_owned(), next);
    }

    /// From now on refuses reads and listings beyond so many in a second of tokio's time.
    pub fn limit_reads(&self, per_second: usize) {
        self.faults.state().rate = Some(Rate {
            per_second,
            since: Instant::now(),
            used: 0,
            refused: 0,
        });
    }

    /// The number of reads refused by the rate limit.
    #[must_use]
    pub fn refused(&self) -> usize {
        let state = self.faults.state();
        state.rate.as_ref().map_or(0, |rate| rate.refused)
    }

    /// From now on lists in this order.
    pub fn list_in(&self, order: ListingOrder) {
        self.faults.state().order = order;
    }

    /// From now on holds reads of an object until they are let through.
    #[must_use]
    pub fn hold_reads(&self, key: &str) -> Held {
        let held = Held::new();
        let mut state = self.faults.state();
        state.held.insert(key.to_owned(), held.clone());
        held
    }

    /// From now on puts wait until they are let through.
    #[must_use]
    pub fn hold_puts(&self) -> Held {
        let held = Held::new();
        self.faults.state().held_puts = Some(held.clone());
        held
    }

    /// From now on nothing fails.
    pub fn heal(&self) {
        let mut state = self.faults.state();
        state.write_faults.clear();
        state.read_faults.clear();
        state.next_read_faults.clear();
        state.rate = None;
        state.dead_from = None;
    }

    /// The number of attempted writes.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.faults.state().writes
    }

    /// The attempted operations: `put KEY`, `upload KEY` (in parts, or of a file into a folder), `delete KEY`, `get
    /// KEY`, `head KEY` and `list PREFIX`.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.faults.state().log.clone()
    }

    /// The parts of an object that were read, in the order of the requests.
    #[must_use]
    pub fn ranges_read(&self, key: &str) -> Vec<Range<u64>> {
        let state = self.faults.state();
        let of_key = state.ranges.iter().filter(|(of, _)| of == key);
        of_key.map(|(_, range)| range.clone()).collect()
    }

    /// Forgets the attempted operations.
    pub fn clear_log(&self) {
        let mut state = self.faults.state();
        state.log.clear();
        state.ranges.clear();
    }
}
