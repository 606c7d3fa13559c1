//! Fetches pages that several requests may want, each once.

use std::ops::Range;

use bytes::Bytes;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::{
    Fetcher, ListedObject, PageCache, Wanted,
    in_flight::{Claim, ClaimedPages},
};
use crate::{budget::RequestBudget, error::BlockError, usage::DataKind};

impl Fetcher {
    /// The whole object. Of those who want it at the same time, one fetches it.
    ///
    /// It does not count towards the limits of `budget`.
    pub(super) async fn shared(
        &self,
        object: &ListedObject,
        kind: DataKind,
        budget: Option<&RequestBudget>,
    ) -> Result<Bytes, BlockError> {
        let all = 0..object.size;
        let wanted = Wanted {
            object,
            ranges: std::slice::from_ref(&all),
            gap: 0,
            kind,
            budget,
        };
        let bytes = self.through(&self.pages, wanted).await?;
        Ok(bytes.into_iter().next().unwrap_or_default())
    }

    /// The ranges, from `pages` or from the bucket. A range that another request fetches is awaited, and fetched only
    /// if that fails. The caller counts them towards the limits.
    pub(super) async fn through(
        &self,
        pages: &PageCache,
        wanted: Wanted<'_>,
    ) -> Result<Vec<Bytes>, BlockError> {
        let (kind, key) = (wanted.kind, &wanted.object.cache_key);
        let found = wanted.ranges.iter().map(|r| pages.get(kind, key, r));
        let mut found: Vec<_> = found.collect();
        loop {
            let missing = wanted.ranges.iter().zip(&mut found);
            let missing = missing.filter(|(_, bytes)| bytes.is_none());
            let (missing, empty): (Vec<_>, Vec<_>) =
                missing.map(|(range, slot)| (range.clone(), slot)).unzip();
            if missing.is_empty() {
                return Ok(found.into_iter().flatten().collect());
            }
            let (claims, claimed) = self.in_flight.claim(key, &missing);
            let (mut own, mut slots, mut awaited) = (Vec::new(), Vec::new(), Vec::new());
            for ((range, slot), claim) in missing.into_iter().zip(empty).zip(claims) {
                match claim {
                    Claim::Own => {
                        own.push(range);
                        slots.push(slot);
                    }
                    Claim::Other(page) => awaited.push((slot, page)),
                }
            }
            let fetched = self.fetch_claimed(wanted, own.clone(), claimed).await?;
            for ((range, slot), bytes) in own.iter().zip(slots).zip(&fetched) {
                pages.put(kind, key, range, bytes);
                *slot = Some(bytes.clone());
            }
            for (slot, page) in awaited {
                *slot = page.page().await;
            }
        }
    }

    /// Fetches ranges that others may wait for. A task does it, so that it goes on while the caller waits for
    /// something else, such as its client. The task ends with the future.
    async fn fetch_claimed(
        &self,
        wanted: Wanted<'_>,
        ranges: Vec<Range<u64>>,
        claimed: ClaimedPages,
    ) -> Result<Vec<Bytes>, BlockError> {
        if ranges.is_empty() {
            return Ok(Vec::new());
        }
        let (fetcher, object) = (self.clone(), wanted.object.clone());
        let (gap, kind) = (wanted.gap, wanted.kind);
        let mut task = JoinSet::new();
        let fetch = async move {
            let wanted = Wanted {
                object: &object,
                ranges: &ranges,
                gap,
                kind,
                budget: None,
            };
            let obtained = fetcher.obtain(wanted).await?;
            claimed.arrived(&obtained.bytes);
            Ok::<_, BlockError>(obtained)
        };
        task.spawn(fetch.in_current_span());
        match task.join_next().await {
            Some(Ok(obtained)) => {
                let obtained = obtained?;
                wanted.fetched(&obtained);
                Ok(obtained.bytes)
            }
            _ => Err(BlockError::Stopped),
        }
    }
}
