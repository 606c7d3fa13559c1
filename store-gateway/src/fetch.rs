//! Moves bytes from the bucket to who asks for them: neighbouring ranges in one request, a bounded number of
//! requests at once, and what is asked for often from memory. What the bytes mean is not known here.

mod lru;
mod object;
mod pages;
mod runs;
#[cfg(test)]
mod tests;

use std::{ops::Range, sync::Arc};

use bucket::Bucket;
use bytes::Bytes;
use futures::future::try_join_all;
use tokio::sync::Semaphore;

use self::runs::Run;
pub(crate) use self::{
    lru::Lru,
    object::ListedObject,
    pages::PageCache,
    runs::{leading, size},
};
use crate::block::{BlockError, RequestBudget};

/// Requests to the bucket that are under way at once, over all queries.
const IN_FLIGHT: usize = 64;

/// The longest single range: an index header or a page that is longer is taken for damaged.
const MAX_RANGE: u64 = 1 << 30;

/// Reads ranges of objects. Clones share the bound on what is in flight.
#[derive(Clone)]
pub(crate) struct Fetcher {
    bucket: Bucket,
    /// Small objects, whole, and what else is kept.
    pages: Arc<PageCache>,
    /// The size up to which an object is small.
    small: u64,
    in_flight: Arc<Semaphore>,
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

impl Fetcher {
    /// An object of up to `small` bytes is fetched whole at its first use, and kept in `pages`.
    pub(crate) fn new(bucket: Bucket, pages: Arc<PageCache>, small: u64) -> Self {
        Self {
            bucket,
            pages,
            small,
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT)),
        }
    }

    /// The bytes of each range, in their order. Those of neighbours may share one piece of memory.
    ///
    /// # Errors
    /// When the bucket refuses, the object is another one by now or shorter, or the budget is used up.
    pub(crate) async fn fetch(&self, wanted: Wanted<'_>) -> Result<Vec<Bytes>, BlockError> {
        let runs = runs::runs(wanted.ranges, wanted.gap);
        let total = runs.iter().map(|run| size(&run.range)).sum();
        if let Some(budget) = wanted.budget {
            budget.add_bytes(total)?;
        }
        if let Some(whole) = self.whole(&wanted).await? {
            let runs = runs.iter().map(|run| run.of_whole(&whole, wanted.ranges));
            return Ok(runs.flatten().collect());
        }
        let runs = runs.into_iter().map(|run| self.run(wanted, run));
        Ok(try_join_all(runs).await?.into_iter().flatten().collect())
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

    /// Forgets what was fetched of an object that turned out to be damaged: the copy may be, and not the object.
    pub(crate) fn forget(&self, object: &ListedObject) {
        self.pages.remove(&object.place);
    }

    /// The whole object if it is small, and all that is wanted of it lies in it.
    async fn whole(&self, wanted: &Wanted<'_>) -> Result<Option<Bytes>, BlockError> {
        let object = wanted.object;
        let size = object.size;
        let is_within = |range: &Range<u64>| range.end <= size;
        if size > self.small || !wanted.ranges.iter().all(is_within) || wanted.ranges.is_empty() {
            return Ok(None);
        }
        let all = 0..size;
        if let Some(bytes) = self.pages.get(&object.place, &all) {
            return Ok(Some(bytes));
        }
        let bytes = self.get(object, all.clone()).await?;
        self.pages.put(&object.place, &all, &bytes);
        Ok(Some(bytes))
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
        let key = &wanted.object.place;
        let mut found: Vec<_> = wanted.ranges.iter().map(|r| pages.get(key, r)).collect();
        let ranges = wanted.ranges.iter().zip(&found);
        let missing = ranges.filter(|(_, bytes)| bytes.is_none());
        let missing: Vec<_> = missing.map(|(range, _)| range.clone()).collect();
        let fetched = self
            .fetch(Wanted {
                ranges: &missing,
                ..wanted
            })
            .await?;
        for (range, bytes) in missing.iter().zip(&fetched) {
            pages.put(key, range, bytes);
        }
        let mut fetched = fetched.into_iter();
        for slot in found.iter_mut().filter(|slot| slot.is_none()) {
            *slot = fetched.next();
        }
        Ok(found.into_iter().flatten().collect())
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
        let permit = self.in_flight.acquire().await;
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
