//! Caches that several processes share, before the bucket.

use std::ops::Range;

use bytes::Bytes;
use cache::{Items, Lookup, RemoteCache};

use super::{Fetcher, Wanted, runs};
use crate::{error::BlockError, usage::DataKind};

/// Caches that several processes share. What is read often is in the memory of this one, besides.
#[derive(Clone, Debug, Default)]
pub struct Caches {
    index: Option<(RemoteCache, Items)>,
    bucket: Option<RemoteCache>,
}

/// Ranges, and what of them came from the bucket.
pub(super) struct Obtained {
    /// In the order in which they were wanted.
    pub(super) bytes: Vec<Bytes>,
    pub(super) from_bucket: usize,
    pub(super) runs: Vec<runs::Run>,
}

impl Caches {
    /// `index` keeps items of these kinds of indexes (`--index-cache.config`); `bucket` chunks and what opens a block
    /// (`--store.caching-bucket.config`).
    #[must_use]
    pub const fn new(index: Option<(RemoteCache, Items)>, bucket: Option<RemoteCache>) -> Self {
        Self { index, bucket }
    }

    fn of(&self, kind: DataKind) -> Option<&RemoteCache> {
        let index = |is_kept: fn(&Items) -> bool| {
            let (cache, items) = self.index.as_ref()?;
            is_kept(items).then_some(cache)
        };
        match kind {
            DataKind::Postings => index(|items| items.postings),
            DataKind::Series => index(|items| items.series),
            DataKind::Header | DataKind::Chunks => self.bucket.as_ref(),
        }
    }
}

impl Fetcher {
    /// The ranges, from a shared cache or the bucket.
    ///
    /// # Errors
    /// When the bucket fails, or the object was replaced or is shorter.
    pub(super) async fn obtain(&self, wanted: Wanted<'_>) -> Result<Obtained, BlockError> {
        let object = &*wanted.object.cache_key;
        let cache = self.caches.of(wanted.kind).and_then(|cache| {
            let lookups = wanted.ranges.iter();
            let lookups = lookups.map(|range| Lookup::new(object, range));
            Some((cache, lookups.collect::<Option<Vec<_>>>()?))
        });
        let Some((cache, lookups)) = cache else {
            let runs = runs::runs(wanted.ranges, wanted.gap);
            return Ok(Obtained {
                bytes: self.all_of(wanted, &runs).await?,
                from_bucket: wanted.ranges.len(),
                runs,
            });
        };
        let key = &wanted.object.cache_key;
        let is_distrusted = self.distrusted.lock().get(key).is_some();
        let mut found = match is_distrusted {
            true => vec![None; lookups.len()],
            false => cache.get(&lookups).await,
        };
        let missing = found.iter().zip(wanted.ranges);
        let missing = missing.filter(|(bytes, _)| bytes.is_none());
        let missing: Vec<Range<u64>> = missing.map(|(_, range)| range.clone()).collect();
        self.shared
            .looked_up(wanted.kind, lookups.len(), missing.len());
        let runs = runs::runs(&missing, wanted.gap);
        let of_missing = Wanted {
            ranges: &missing,
            ..wanted
        };
        let fetched = self.all_of(of_missing, &runs).await?;
        let empty = found.iter_mut().zip(&lookups);
        let empty = empty.filter(|(bytes, _)| bytes.is_none());
        for ((slot, lookup), bytes) in empty.zip(fetched) {
            cache.set(lookup, &bytes);
            *slot = Some(bytes);
        }
        Ok(Obtained {
            bytes: found.into_iter().flatten().collect(),
            from_bucket: missing.len(),
            runs,
        })
    }
}
