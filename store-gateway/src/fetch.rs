//! Moves bytes from the bucket to who asks for them: neighbouring ranges in one request, a bounded number of
//! requests at once, and what is asked for often from memory. What the bytes mean is not known here.

mod in_flight;
mod lru;
mod object;
mod pages;
mod piece;
mod runs;
mod shared;
#[cfg(test)]
mod tests;

use std::{ops::Range, sync::Arc};

use bucket::Bucket;
use bytes::Bytes;
use futures::future::try_join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::{in_flight::InFlight, runs::Run};
pub(crate) use self::{
    lru::Lru,
    object::ListedObject,
    pages::PageCache,
    piece::Piece,
    runs::{leading, size},
};
use crate::{budget::RequestBudget, error::BlockError};

/// Requests to the bucket that are under way at once, over all queries.
const IN_FLIGHT: usize = 64;

/// The longest single range: an index header or a page that is longer is taken for damaged.
const MAX_RANGE: u64 = 1 << 30;

/// Bytes on their way, over all queries, of which it is not known yet whether anyone needs them.
const EAGER: usize = 32 << 20;

/// An object that has to be looked at in many places is fetched whole if it has so many times the size of a small one.
const SEARCHED: u64 = 4;

/// Reads ranges of objects. Clones share the bound on what is in flight.
#[derive(Clone)]
pub(crate) struct Fetcher {
    bucket: Bucket,
    /// Small objects, whole, and what else is kept.
    pages: Arc<PageCache>,
    /// The size up to which an object is small.
    small: u64,
    /// A permit for each request to the bucket.
    requests: Arc<Semaphore>,
    /// A permit for each byte that is fetched before it is known whether anyone needs it.
    eager: Arc<Semaphore>,
    /// The pages being fetched for `pages`.
    in_flight: Arc<InFlight>,
}

/// What is to be fetched of one object.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The object.
    pub(crate) object: &'a ListedObject,
    /// In ascending order of their starts, within the object.
    pub(crate) ranges: &'a [Range<u64>],
    /// Up to how many bytes that nobody wants are fetched to save a request.
    pub(crate) gap: u64,
    /// What the bytes are counted against; those of an index header are of no single request.
    pub(crate) budget: Option<&'a RequestBudget>,
}

impl Wanted<'_> {
    /// What is wanted of an object that is there whole. It counts as if it had been fetched.
    fn of_whole(&self, whole: &Bytes) -> Result<Vec<Bytes>, BlockError> {
        let runs = runs::runs(self.ranges, self.gap);
        self.count(&runs)?;
        let parts = runs.iter().map(|run| run.of_whole(whole, self.ranges));
        Ok(parts.flatten().collect())
    }

    /// Counts what is fetched against the budget.
    fn count(&self, runs: &[Run]) -> Result<(), BlockError> {
        let total = runs.iter().map(|run| size(&run.range)).sum();
        self.budget.map_or(Ok(()), |budget| budget.add_bytes(total))
    }
}

impl Fetcher {
    /// An object of up to `small` bytes is fetched whole at its first use, and kept in `pages`.
    pub(crate) fn new(bucket: Bucket, pages: Arc<PageCache>, small: u64) -> Self {
        Self {
            bucket,
            pages,
            small,
            requests: Arc::new(Semaphore::new(IN_FLIGHT)),
            eager: Arc::new(Semaphore::new(EAGER)),
            in_flight: Arc::default(),
        }
    }

    /// The bytes of each range, in their order. Those of neighbours may share one piece of memory.
    ///
    /// # Errors
    /// When the bucket refuses, the object is another one by now or shorter, or the budget is used up.
    pub(crate) async fn fetch(&self, wanted: Wanted<'_>) -> Result<Vec<Bytes>, BlockError> {
        match self.whole(&wanted).await? {
            Some(whole) => wanted.of_whole(&whole),
            None => self.direct(wanted).await,
        }
    }

    /// As [`Self::fetch`]; what is fetched together is kept together, for who asks for the same ranges again.
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

    /// Fetches an object whole that has to be looked at in many places, and keeps it; not one that is large.
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
        self.shared(object).await.map(Some)
    }

    /// Room for so many bytes that may be fetched in vain, as long as what is returned is held; none if others have
    /// taken it.
    pub(crate) fn eager(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).ok()?;
        Arc::clone(&self.eager).try_acquire_many_owned(bytes).ok()
    }

    /// Keeps of `piece` what [`Self::fetch_kept`] would fetch for `wanted`, as far as it is there.
    pub(crate) fn keep(&self, wanted: Wanted<'_>, piece: &Piece) {
        for run in runs::runs(wanted.ranges, wanted.gap) {
            if let Some(bytes) = piece.get(&run.range) {
                self.pages.put(&wanted.object.cache_key, &run.range, &bytes);
            }
        }
    }

    /// Forgets what was fetched of an object that turned out to be damaged: the copy may be, and not the object.
    pub(crate) fn forget(&self, object: &ListedObject) {
        self.pages.remove(&object.cache_key);
    }

    /// Up to which size an object may be in memory whole.
    const fn searched(&self) -> u64 {
        self.small.saturating_mul(SEARCHED)
    }

    /// The whole object if it is small, or is there already, and all that is wanted of it lies in it.
    async fn whole(&self, wanted: &Wanted<'_>) -> Result<Option<Bytes>, BlockError> {
        let object = wanted.object;
        let size = object.size;
        let is_within = |range: &Range<u64>| range.end <= size;
        if wanted.ranges.is_empty() || !wanted.ranges.iter().all(is_within) {
            return Ok(None);
        }
        if size <= self.small {
            return self.shared(object).await.map(Some);
        }
        if size <= self.searched() {
            return Ok(self.pages.get(&object.cache_key, &(0..size)));
        }
        Ok(None)
    }

    /// As [`Self::fetch`]; ranges that are in `pages` are taken from there, and the others put there.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub(crate) async fn fetch_through(
        &self,
        pages: &PageCache,
        wanted: Wanted<'_>,
    ) -> Result<Vec<Bytes>, BlockError> {
        match self.whole(&wanted).await? {
            Some(whole) => wanted.of_whole(&whole),
            None => self.through(pages, wanted).await,
        }
    }

    /// Fetches ranges, whatever is in memory.
    async fn direct(&self, wanted: Wanted<'_>) -> Result<Vec<Bytes>, BlockError> {
        let runs = runs::runs(wanted.ranges, wanted.gap);
        wanted.count(&runs)?;
        self.all_of(wanted, runs).await
    }

    /// Fetches all runs, and cuts them.
    async fn all_of(&self, wanted: Wanted<'_>, runs: Vec<Run>) -> Result<Vec<Bytes>, BlockError> {
        let runs = runs.into_iter().map(|run| self.run(wanted, run));
        Ok(try_join_all(runs).await?.into_iter().flatten().collect())
    }

    /// Fetches one run, and cuts it.
    async fn run(&self, wanted: Wanted<'_>, run: Run) -> Result<Vec<Bytes>, BlockError> {
        let bytes = self.get(wanted.object, run.range.clone()).await?;
        Ok(run.of_run(&bytes, wanted.ranges))
    }

    /// Fetches a range, all of it.
    async fn get(&self, object: &ListedObject, range: Range<u64>) -> Result<Bytes, BlockError> {
        let expected = size(&range);
        let ListedObject { key, etag, .. } = object;
        if expected > MAX_RANGE {
            return Err(BlockError::TooLarge {
                key: key.to_string(),
                offset: range.start,
                what: "a part",
                size: expected,
                limit: MAX_RANGE,
            });
        }
        let permit = self.requests.acquire().await;
        debug_assert!(permit.is_ok(), "the semaphore is never closed");
        let start = range.start;
        let bytes = match etag {
            Some(etag) => self.bucket.get_range_of_version(key, etag, range).await?,
            None => self.bucket.get_range(key, range).await?,
        };
        drop(permit);
        if bytes.len() as u64 != expected {
            return Err(BlockError::Cut {
                key: key.to_string(),
                offset: start,
                expected,
                found: bytes.len() as u64,
            });
        }
        Ok(bytes)
    }
}
