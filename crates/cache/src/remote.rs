//! One cache, whatever its server is.

use std::{
    io,
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::future::BoxFuture;
use service::{Metrics, ServiceError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::{debug, warn};
use xxhash_rust::xxh64::{Xxh64, xxh64};

use crate::{
    breaker::{Breaker, BreakerConfig},
    config::{Backend, CacheConfig},
    connect::within,
    memcached::Memcached,
    metrics::{ClientMetrics, Operation, Skipped},
    redis::Redis,
};

/// The checksum before each value.
const CHECKSUM: usize = size_of::<u64>();

/// The most bytes that wait to be kept.
const QUEUED_BYTES: usize = 16 << 20;

/// Items that are kept by one request to a server.
const WRITTEN_TOGETHER: usize = 32;

/// A range of an object in one version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    key: String,
    /// Of the object and the range, where the checksum of the value begins.
    seed: u64,
    length: usize,
}

/// A cache that other processes may share. Clones share its connections.
#[derive(Clone, Debug)]
pub struct RemoteCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Arc<Client>,
    max_item: usize,
    metrics: ClientMetrics,
    queue: mpsc::Sender<(Item, OwnedSemaphorePermit)>,
    queued_bytes: Arc<Semaphore>,
}

#[derive(Debug)]
enum Client {
    Memcached(Memcached),
    Redis(Box<Redis>),
}

/// A key, and how long its value is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) key: &'a str,
    pub(crate) length: usize,
}

/// A value to be kept.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) key: String,
    pub(crate) value: Bytes,
}

/// Bounds and counts what is asked of one server.
#[derive(Debug)]
pub(crate) struct Guard {
    server: String,
    breaker: Breaker,
    metrics: ClientMetrics,
}

impl Lookup {
    /// The bytes `range` of `object`, a text that names the object and its version. `None` if they are too many.
    #[must_use]
    pub fn new(object: &str, range: &Range<u64>) -> Option<Self> {
        let length = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
        // Two hashes, so that no two objects that there are share a key.
        let hashes = [1, 2].map(|seed| xxh64(object.as_bytes(), seed));
        let [first, second] = hashes;
        let key = format!(
            "varve1:{first:016x}{second:016x}:{:x}:{length:x}",
            range.start
        );
        let mut seed = Xxh64::new(0);
        seed.update(object.as_bytes());
        seed.update(&range.start.to_le_bytes());
        seed.update(&range.end.to_le_bytes());
        Some(Self {
            key,
            seed: seed.digest(),
            length,
        })
    }

    fn item(&self, bytes: &[u8]) -> Item {
        let mut value = BytesMut::with_capacity(CHECKSUM + bytes.len());
        value.put_u64_le(xxh64(bytes, self.seed));
        value.extend_from_slice(bytes);
        Item {
            key: self.key.clone(),
            value: value.freeze(),
        }
    }

    /// The bytes, if it is they.
    fn verified(&self, mut value: Bytes) -> Option<Bytes> {
        let bytes = (value.len() == CHECKSUM + self.length).then(|| value.split_off(CHECKSUM))?;
        (value[..] == xxh64(&bytes, self.seed).to_le_bytes()).then_some(bytes)
    }
}

impl RemoteCache {
    /// The cache that `config` describes; `None` if that is in this process. `name` tells the caches of one process
    /// apart in its metrics. Servers are found and reached later.
    ///
    /// # Errors
    /// When a file of TLS cannot be used.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn open(
        config: &CacheConfig,
        name: &str,
        metrics: &Metrics,
    ) -> Result<Option<Self>, ServiceError> {
        let (client, limits, metrics) = match &config.backend {
            Backend::InMemory(_) => return Ok(None),
            Backend::Memcached(memcached) => {
                let metrics = ClientMetrics::new(metrics, "memcached", name);
                let client = Memcached::open(memcached.clone(), config.ttl, metrics.clone())?;
                (Client::Memcached(client), &memcached.limits, metrics)
            }
            Backend::Redis(redis) => {
                let metrics = ClientMetrics::new(metrics, "redis", name);
                let client = Redis::open(redis.clone(), config.ttl, metrics.clone())?;
                (Client::Redis(Box::new(client)), &redis.limits, metrics)
            }
        };
        let client = Arc::new(client);
        let (queue, queued) = mpsc::channel(limits.queue);
        tokio::spawn(write(Arc::clone(&client), queued, limits.writes));
        Ok(Some(Self(Arc::new(Inner {
            client,
            max_item: match limits.max_item {
                0 => usize::MAX,
                most => usize::try_from(most).unwrap_or(usize::MAX),
            },
            metrics,
            queue,
            queued_bytes: Arc::new(Semaphore::new(QUEUED_BYTES)),
        }))))
    }

    /// What is there of `wanted`, in its order. It takes no longer than the timeout, and never fails.
    pub fn get<'a>(&'a self, wanted: &'a [Lookup]) -> BoxFuture<'a, Vec<Option<Bytes>>> {
        Box::pin(async move {
            let fitting = |one: &&Lookup| one.length + CHECKSUM <= self.0.max_item;
            let asked = wanted.iter().filter(fitting).map(|one| Wanted {
                key: &one.key,
                length: one.length + CHECKSUM,
            });
            let asked: Vec<_> = asked.collect();
            if asked.is_empty() {
                return vec![None; wanted.len()];
            }
            let found = match &*self.0.client {
                Client::Memcached(client) => client.get(&asked).await,
                Client::Redis(client) => client.get(&asked).await,
            };
            let mut found = found.into_iter();
            let values = wanted.iter().map(|one| {
                let value = fitting(&one).then(|| found.next().flatten()).flatten()?;
                let verified = one.verified(value);
                if verified.is_none() {
                    debug!(key = one.key, "a cached value is not the one that was kept");
                }
                verified
            });
            values.collect()
        })
    }

    /// Keeps the bytes of a lookup, later and if there is room. It never waits.
    pub fn set(&self, lookup: &Lookup, bytes: &[u8]) {
        let inner = &*self.0;
        let size = bytes.len() + CHECKSUM;
        if size > inner.max_item {
            inner.metrics.skipped(Operation::Set, Skipped::MaxItemSize);
            return;
        }
        let permits = u32::try_from(size).unwrap_or(u32::MAX);
        let room = Arc::clone(&inner.queued_bytes).try_acquire_many_owned(permits);
        let sent = room.ok().and_then(|room| {
            let place = inner.queue.try_reserve().ok()?;
            place.send((lookup.item(bytes), room));
            Some(())
        });
        if sent.is_none() {
            inner.metrics.skipped(Operation::Set, Skipped::BufferFull);
        }
    }
}

/// Keeps what is in the queue, with so many requests at once.
async fn write(
    client: Arc<Client>,
    mut queue: mpsc::Receiver<(Item, OwnedSemaphorePermit)>,
    at_once: usize,
) {
    let running = Arc::new(Semaphore::new(at_once));
    loop {
        let mut batch = Vec::new();
        if queue.recv_many(&mut batch, WRITTEN_TOGETHER).await == 0 {
            return;
        }
        let Ok(permit) = Arc::clone(&running).acquire_owned().await else {
            return;
        };
        let client = Arc::clone(&client);
        tokio::spawn(async move {
            let (items, _room): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            match &*client {
                Client::Memcached(client) => client.set(&items).await,
                Client::Redis(client) => client.set(&items).await,
            }
            drop(permit);
        });
    }
}

impl Guard {
    pub(crate) fn new(server: &str, breaker: BreakerConfig, metrics: ClientMetrics) -> Self {
        Self {
            server: server.to_owned(),
            breaker: Breaker::new(breaker),
            metrics,
        }
    }

    /// The outcome of `work`, which also gives the bytes of its values; `None` if it failed, took too long or was not
    /// tried.
    pub(crate) async fn run<T>(
        &self,
        operation: Operation,
        limit: Duration,
        work: impl Future<Output = io::Result<(T, usize)>>,
    ) -> Option<T> {
        let start = Instant::now();
        let Some(admitted) = self.breaker.admit(start) else {
            self.metrics.skipped(operation, Skipped::CircuitOpen);
            return None;
        };
        match within(limit, work).await {
            Ok((value, bytes)) => {
                admitted.succeeded();
                self.metrics.succeeded(operation, start.elapsed(), bytes);
                Some(value)
            }
            Err(error) => {
                let reason = match error.kind() {
                    io::ErrorKind::TimedOut => "timeout",
                    io::ErrorKind::InvalidData => "malformed-response",
                    _ => "server-error",
                };
                self.metrics.failed(operation, reason);
                let opened = admitted.failed();
                let server = &self.server;
                if opened {
                    warn!(server, %error, "the cache fails; it is not asked for a while");
                } else {
                    debug!(server, %error, "the cache failed");
                }
                None
            }
        }
    }
}
