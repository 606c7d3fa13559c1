//! Fetches bytes from the bucket: neighbouring ranges in one request, a bounded number of requests at once, and from
//! memory what was fetched before. It does not know what the bytes mean.

mod caches;
mod in_flight;
mod object;
mod pages;
mod piece;
mod runs;
mod shared;
#[cfg(test)]
mod tests;

use std::{ops::Range, sync::Arc, time::Instant};

use bucket::Bucket;
use bytes::Bytes;
use futures::future::try_join_all;
use parking_lot::Mutex;
use quick_cache::{DefaultHashBuilder, Options, OptionsBuilder, UnitWeighter, unsync};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use self::caches::Caches;
use self::{caches::Obtained, in_flight::InFlight, runs::Run};
pub(crate) use self::{
    object::ListedObject,
    pages::{DecodedOf, PageCache},
    piece::Piece,
    runs::{leading, size},
};
use crate::{
    budget::RequestBudget,
    error::BlockError,
    metrics::{ReadMetrics, SharedCacheMetrics},
    usage::{Amount, DataKind},
};

/// Requests to the bucket at once, over all queries.
const IN_FLIGHT: usize = 64;

/// Ranges of one file that are read together.
const TOGETHER: usize = 16;

/// The longest single range. A longer index header or page is damaged.
const MAX_RANGE: u64 = 1 << 30;

/// Speculative bytes in flight, over all queries.
const EAGER: usize = 32 << 20;

/// Objects that were damaged, or seemed so.
const DISTRUSTED: usize = 1024;

/// An object that is read in many places is fetched whole up to so many times the size of a small one.
const SEARCHED: u64 = 4;

/// Reads ranges of objects. Clones share their limits.
#[derive(Clone)]
pub(crate) struct Fetcher {
    bucket: Bucket,
    /// Small objects and other pages that are kept.
    pages: Arc<PageCache>,
    /// What other processes may have fetched.
    caches: Caches,
    /// Objects of which a shared cache may hold damaged bytes.
    distrusted: Arc<Mutex<unsync::Cache<Arc<str>, ()>>>,
    /// The size up to which an object is small.
    small: u64,
    /// A permit for each request to the bucket.
    requests: Arc<Semaphore>,
    /// A permit for each speculative byte in flight.
    eager: Arc<Semaphore>,
    /// The pages being fetched for `pages`.
    in_flight: Arc<InFlight>,
    metrics: ReadMetrics,
    shared: SharedCacheMetrics,
}

/// The ranges to fetch of one object.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The object.
    pub(crate) object: &'a ListedObject,
    /// In ascending order of their starts, within the object.
    pub(crate) ranges: &'a [Range<u64>],
    /// Up to so many unwanted bytes are fetched to save a request.
    pub(crate) gap: u64,
    /// What the bytes are for.
    pub(crate) kind: DataKind,
    /// The budget that the bytes count against; those of an index header belong to no single request.
    pub(crate) budget: Option<&'a RequestBudget>,
}

/// The options of a cache of `most` bytes or items for about `items` of them. What is new drives out only what was not
/// used again, and has half of the cache for that; the other half is for what was. Something larger than half is not
/// kept.
#[expect(clippy::expect_used, reason = "the options that must be set are")]
pub(crate) fn halves(items: usize, most: u64) -> Options {
    let mut options = OptionsBuilder::new();
    // In one part, which all may fill.
    options.shards(1).hot_allocation(0.5);
    options
        .estimated_items_capacity(items)
        .weight_capacity(most);
    options.build().expect("both capacities are set")
}

impl Wanted<'_> {
    /// The ranges out of the whole object. They count as if they had been fetched.
    fn of_whole(&self, whole: &Bytes) -> Result<Vec<Bytes>, BlockError> {
        let runs = runs::runs(self.ranges, self.gap);
        self.count(&runs)?;
        let parts = runs.iter().map(|run| run.of_whole(whole, self.ranges));
        Ok(parts.flatten().collect())
    }

    /// Counts the runs against the budget.
    fn count(&self, runs: &[Run]) -> Result<(), BlockError> {
        let Some(budget) = self.budget else {
            return Ok(());
        };
        let total = runs.iter().map(|run| size(&run.range)).sum();
        budget.add_bytes(self.kind, self.ranges.len() as u64, total)
    }

    /// Counts what came from the bucket.
    fn fetched(&self, obtained: &Obtained) {
        if let Some(budget) = self.budget {
            let items = obtained.from_bucket as u64;
            let bytes = obtained.runs.iter().map(|run| size(&run.range)).sum();
            budget.usage().fetch(self.kind, Amount { items, bytes });
        }
    }
}

impl Fetcher {
    /// `caches` are asked before the bucket. An object of up to `small` bytes is fetched whole at its first use, and kept in `pages`.
    pub(crate) fn new(
        bucket: Bucket,
        pages: Arc<PageCache>,
        caches: Caches,
        small: u64,
        metrics: ReadMetrics,
    ) -> Self {
        Self {
            bucket,
            pages,
            caches,
            distrusted: Arc::new(Mutex::new(unsync::Cache::with_options(
                halves(DISTRUSTED, DISTRUSTED as u64),
                UnitWeighter,
                DefaultHashBuilder::default(),
                unsync::DefaultLifecycle::default(),
            ))),
            small,
            requests: Arc::new(Semaphore::new(IN_FLIGHT)),
            eager: Arc::new(Semaphore::new(EAGER)),
            in_flight: Arc::default(),
            shared: metrics.shared.clone(),
            metrics,
        }
    }

    /// The bytes of each range, in their order. Neighbours may share one piece of memory.
    ///
    /// # Errors
    /// When the bucket fails, the object was replaced or is shorter, or the budget is exceeded.
    pub(crate) async fn fetch(&self, wanted: Wanted<'_>) -> Result<Vec<Bytes>, BlockError> {
        let since = Instant::now();
        let bytes = match self.whole(&wanted).await? {
            Some(whole) => wanted.of_whole(&whole),
            None => self.direct(wanted).await,
        }?;
        self.metrics.fetched(wanted.kind, since.elapsed());
        Ok(bytes)
    }

    /// As [`Self::fetch`], and keeps what is fetched together for later requests of the same ranges.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub(crate) async fn fetch_kept(&self, wanted: Wanted<'_>) -> Result<Vec<Bytes>, BlockError> {
        let runs = runs::runs(wanted.ranges, wanted.gap);
        let joined: Vec<_> = runs.iter().map(|run| run.range.clone()).collect();
        let of_runs = Wanted {
            ranges: &joined,
            gap: 0,
            ..wanted
        };
        let bytes = self.fetch_through(&self.pages, of_runs).await?;
        let parts = runs.iter().zip(&bytes);
        let parts = parts.map(|(run, bytes)| run.of_run(bytes, wanted.ranges));
        Ok(parts.flatten().collect())
    }

    /// Fetches an object whole that will be read in many places, and keeps it; `None` if it is large.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub(crate) async fn fetch_searched(
        &self,
        object: &ListedObject,
    ) -> Result<Option<Bytes>, BlockError> {
        if object.size > self.searched() {
            return Ok(None);
        }
        self.shared(object, DataKind::Header, None).await.map(Some)
    }

    /// A permit for so many speculative bytes, to be held until they are fetched; `None` if there is no room.
    pub(crate) fn eager(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).ok()?;
        Arc::clone(&self.eager).try_acquire_many_owned(bytes).ok()
    }

    /// Keeps the parts of `piece` that [`Self::fetch_kept`] would fetch for `wanted`.
    pub(crate) fn keep(&self, wanted: Wanted<'_>, piece: &Piece) {
        for run in runs::runs(wanted.ranges, wanted.gap) {
            if let Some(bytes) = piece.get(&run.range) {
                let key = &wanted.object.cache_key;
                self.pages.put(wanted.kind, key, &run.range, &bytes);
            }
        }
    }

    /// Forgets what was fetched of an object that turned out to be damaged: the damage may be in transit only.
    /// It is read from the bucket from now on, and replaces what a shared cache has.
    pub(crate) fn forget(&self, object: &ListedObject) {
        self.pages.remove(&object.cache_key);
        let key = Arc::clone(&object.cache_key);
        self.distrusted.lock().insert(key, ());
    }

    /// The largest object that may be in memory whole.
    const fn searched(&self) -> u64 {
        self.small.saturating_mul(SEARCHED)
    }

    /// The whole object if it is small or in memory, and all ranges are within it.
    async fn whole(&self, wanted: &Wanted<'_>) -> Result<Option<Bytes>, BlockError> {
        let object = wanted.object;
        let size = object.size;
        let is_within = |range: &Range<u64>| range.end <= size;
        if wanted.ranges.is_empty() || !wanted.ranges.iter().all(is_within) {
            return Ok(None);
        }
        if size <= self.small {
            let whole = self.shared(object, wanted.kind, wanted.budget).await;
            return whole.map(Some);
        }
        if size <= self.searched() {
            let key = &object.cache_key;
            return Ok(self.pages.get(wanted.kind, key, &(0..size)));
        }
        Ok(None)
    }

    /// As [`Self::fetch`], with `pages` as a cache.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub(crate) async fn fetch_through(
        &self,
        pages: &PageCache,
        wanted: Wanted<'_>,
    ) -> Result<Vec<Bytes>, BlockError> {
        let since = Instant::now();
        let bytes = match self.whole(&wanted).await? {
            Some(whole) => wanted.of_whole(&whole),
            None => {
                wanted.count(&runs::runs(wanted.ranges, wanted.gap))?;
                self.through(pages, wanted).await
            }
        }?;
        self.metrics.fetched(wanted.kind, since.elapsed());
        Ok(bytes)
    }

    /// Fetches ranges that are not kept in memory.
    async fn direct(&self, wanted: Wanted<'_>) -> Result<Vec<Bytes>, BlockError> {
        wanted.count(&runs::runs(wanted.ranges, wanted.gap))?;
        let obtained = self.obtain(wanted).await?;
        wanted.fetched(&obtained);
        Ok(obtained.bytes)
    }

    /// Fetches all runs, and cuts them.
    async fn all_of(&self, wanted: Wanted<'_>, runs: &[Run]) -> Result<Vec<Bytes>, BlockError> {
        let ranges: Vec<_> = runs.iter().map(|run| run.range.clone()).collect();
        let together = if self.bucket.is_folder() { TOGETHER } else { 1 };
        let fetched = ranges
            .chunks(together)
            .map(|part| self.get(wanted.object, part));
        let fetched = try_join_all(fetched).await?;
        let parts = runs.iter().zip(fetched.iter().flatten());
        let parts = parts.flat_map(|(run, bytes)| run.of_run(bytes, wanted.ranges));
        Ok(parts.collect())
    }

    /// Fetches ranges, all of each.
    async fn get(
        &self,
        object: &ListedObject,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, BlockError> {
        let ListedObject { key, etag, .. } = object;
        if let Some(range) = ranges.iter().find(|range| size(range) > MAX_RANGE) {
            return Err(BlockError::TooLarge {
                key: key.to_string(),
                offset: range.start,
                what: "range",
                size: size(range),
                limit: MAX_RANGE,
            });
        }
        let permit = self.requests.acquire().await;
        debug_assert!(permit.is_ok(), "the semaphore is never closed");
        let fetched = self.bucket.get_ranges(key, etag.as_deref(), ranges).await?;
        drop(permit);
        for (bytes, range) in fetched.iter().zip(ranges) {
            if bytes.len() as u64 != size(range) {
                return Err(BlockError::Cut {
                    key: key.to_string(),
                    offset: range.start,
                    expected: size(range),
                    found: bytes.len() as u64,
                });
            }
        }
        Ok(fetched)
    }
}
