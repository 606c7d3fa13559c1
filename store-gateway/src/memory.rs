//! The memory of all requests together.
//!
//! A request enters when there is room for what it takes at least. From then on it counts what it holds: batches that
//! are read, wait to be sorted or wait for the client. Without room it reads nothing ahead and in smaller batches, so
//! that it goes on with little; new requests wait. Beside many others it reads nothing ahead either.

use std::{
    fmt,
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{self, Notify},
    time::{Instant, timeout},
};

use crate::{error::AnswerError, metrics::MemoryMetrics};

/// How many batches of a block are decoded, merged or wait for the client, besides those that are fetched.
pub(crate) const BATCHES_AFTER_FETCH: u64 = 2;
/// About the bytes of a series before its chunks are read.
pub(crate) const SERIES_BYTES: u64 = 512;

/// What a request takes at least, and what each of its blocks adds, in bytes.
const OF_REQUEST: u64 = 4 << 20;
const OF_BLOCK: u64 = 64 << 10;
/// One request reads ahead only while it holds less than this share of the memory.
const SHARE: u64 = 4;

/// Up to so many requests at once for each processor read ahead. Where there are more, others are decoded while one
/// waits for the bucket.
const READ_AHEAD: usize = 4;

/// The memory of all requests. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Memory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: u64,
    /// How long a request waits for room.
    wait: Duration,
    used: AtomicU64,
    /// The requests that have entered.
    requests: AtomicUsize,
    /// Up to how many of them read ahead.
    read_ahead: usize,
    /// Requests enter one after the other, in the order in which they came.
    turn: sync::Mutex<()>,
    freed: Notify,
    metrics: MemoryMetrics,
}

/// The memory of one request. It counts until it is dropped.
#[derive(Debug)]
pub(crate) struct RequestMemory {
    memory: Memory,
    reserved: u64,
    held: Mutex<u64>,
    /// The bytes that are held for the order of series, and the most of them at once.
    #[cfg(test)]
    sorted: Mutex<(u64, u64)>,
}

/// Bytes that one part of a request holds.
pub(crate) struct HeldBytes {
    request: Arc<RequestMemory>,
    bytes: u64,
    held_for: HeldFor,
}

/// Why bytes are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeldFor {
    /// Batches of series that are fetched, decoded, merged or wait for the client.
    Batches,
    /// Series that wait for others which come before them.
    Order,
}

impl Memory {
    /// Memory of `most` bytes. A request waits no longer than `wait` for room; zero is no limit.
    pub(crate) fn new(most: u64, wait: Duration, metrics: MemoryMetrics) -> Self {
        metrics.most(most);
        let wait = match wait {
            Duration::ZERO => Duration::MAX,
            some => some,
        };
        Self(Arc::new(Inner {
            most,
            wait,
            used: AtomicU64::new(0),
            requests: AtomicUsize::new(0),
            read_ahead: READ_AHEAD * thread::available_parallelism().map_or(1, NonZero::get),
            turn: sync::Mutex::new(()),
            freed: Notify::new(),
            metrics,
        }))
    }

    /// Waits until there is room for a request that reads so many blocks. One that no other request is beside always
    /// has room.
    ///
    /// # Errors
    /// When the time is over.
    pub(crate) async fn enter(&self, blocks: usize) -> Result<Arc<RequestMemory>, AnswerError> {
        let least = OF_REQUEST.saturating_add(OF_BLOCK.saturating_mul(blocks as u64));
        let Inner { wait, metrics, .. } = &*self.0;
        let start = Instant::now();
        let waiting = metrics.waiting();
        let entered = timeout(*wait, self.reserve(least)).await;
        drop(waiting);
        entered.map_err(|_| {
            metrics.refused();
            AnswerError::Memory {
                used: self.used(),
                most: self.0.most,
                waited: start.elapsed(),
            }
        })
    }

    async fn reserve(&self, least: u64) -> Arc<RequestMemory> {
        let turn = self.0.turn.lock().await;
        loop {
            let freed = self.0.freed.notified();
            let used = self.used();
            if used == 0 || used.saturating_add(least) <= self.0.most {
                break;
            }
            freed.await;
        }
        self.add(0, least);
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        drop(turn);
        Arc::new(RequestMemory {
            memory: self.clone(),
            reserved: least,
            held: Mutex::new(0),
            #[cfg(test)]
            sorted: Mutex::default(),
        })
    }

    fn used(&self) -> u64 {
        // The count orders no other memory.
        self.0.used.load(Ordering::Relaxed)
    }

    /// Replaces `before` bytes by `after`.
    fn add(&self, before: u64, after: u64) {
        let used = &self.0.used;
        if after >= before {
            used.fetch_add(after - before, Ordering::Relaxed);
        } else {
            used.fetch_sub(before - after, Ordering::Relaxed);
            self.0.freed.notify_one();
        }
        self.0.metrics.used(self.used());
    }
}

impl RequestMemory {
    /// A part that holds nothing yet.
    pub(crate) fn hold(self: &Arc<Self>, held_for: HeldFor) -> HeldBytes {
        HeldBytes {
            request: Arc::clone(self),
            bytes: 0,
            held_for,
        }
    }

    /// Whether there is room for more than what is needed to go on.
    pub(crate) fn has_room(&self) -> bool {
        let most = self.memory.0.most;
        self.memory.used() < most && *self.held.lock() < most / SHARE
    }

    /// Whether to read ahead: there is room, and requests are few.
    pub(crate) fn reads_ahead(&self) -> bool {
        let Inner {
            requests,
            read_ahead,
            ..
        } = &*self.memory.0;
        requests.load(Ordering::Relaxed) <= *read_ahead && self.has_room()
    }

    fn change(&self, before: u64, after: u64) {
        let mut held = self.held.lock();
        let counted = self.reserved.max(*held);
        *held = (*held + after).saturating_sub(before);
        self.memory.add(counted, self.reserved.max(*held));
    }
}

#[cfg(test)]
impl RequestMemory {
    /// That of a request with more memory than there is.
    pub(crate) fn unbounded() -> Arc<Self> {
        let metrics = MemoryMetrics::new(&service::Metrics::new());
        let memory = Memory::new(u64::MAX, Duration::ZERO, metrics);
        let entered = futures::FutureExt::now_or_never(memory.enter(0));
        entered.expect("there is room").expect("there is room")
    }

    /// The bytes that are held for the order of series, and the most of them at once.
    pub(crate) fn sorted(&self) -> (u64, u64) {
        *self.sorted.lock()
    }
}

impl Drop for RequestMemory {
    fn drop(&mut self) {
        let held = *self.held.get_mut();
        self.memory.0.requests.fetch_sub(1, Ordering::Relaxed);
        self.memory.add(self.reserved.max(held), 0);
    }
}

impl HeldBytes {
    /// Sets the bytes that are held now.
    pub(crate) fn set(&mut self, bytes: u64) {
        let before = std::mem::replace(&mut self.bytes, bytes);
        self.request.change(before, bytes);
        #[cfg(test)]
        if self.held_for == HeldFor::Order {
            let mut sorted = self.request.sorted.lock();
            let held = sorted.0 + bytes - before;
            *sorted = (held, sorted.1.max(held));
        }
    }
}

impl fmt::Debug for HeldBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes for {:?}", self.bytes, self.held_for)
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests;
