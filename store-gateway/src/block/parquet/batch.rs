//! Rows whose chunks are being fetched. A task fetches them, so that it goes on while other batches are decoded and
//! wait for the client.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures::StreamExt as _;
use parquet_block::{Lookup as _, ReadChunks, Step};
use tsdb::Chunk;

use super::{
    BlockError, ParquetBlock, Prefetch, RequestBudget, ShardReader, answer::CHUNKS_GAP,
    pending_rows::PendingRows,
};
use crate::{
    fetch::{Wanted, size},
    usage::DataKind,
};

/// A lookup of chunks, run as far as possible without fetching.
pub(super) type PlannedRead = (ReadChunks, Step<Vec<Vec<Chunk>>>);

/// Rows whose chunks are being fetched.
pub(super) struct Batch {
    pub(super) pending: PendingRows,
    planned: PlannedRead,
    /// The pages that the batch before does not have.
    fetched: Fetched,
    /// The bytes of these.
    pub(super) cost: u64,
}

/// How pages are fetched.
#[derive(Clone, Copy)]
pub(super) struct Fetching<'a> {
    pub(super) budget: &'a Arc<RequestBudget>,
    /// Whether they are kept for other requests.
    pub(super) keep: bool,
}

/// Pages of a file.
#[derive(Debug, Default)]
pub(super) struct Pages {
    /// The index of the shard in the block.
    shard: usize,
    /// In ascending order.
    pages: Vec<Page>,
}

enum Fetched {
    Arriving(Prefetch<Vec<Page>>),
    Here(Vec<Page>),
}

type Page = (Range<u64>, Bytes);

impl Batch {
    /// Starts to fetch the pages that are `missing`.
    pub(super) fn start(
        block: &ParquetBlock,
        shard: &ShardReader,
        (pending, planned): (PendingRows, PlannedRead),
        missing: Vec<Range<u64>>,
        fetching: Fetching<'_>,
    ) -> Self {
        let cost = missing.iter().map(size).sum();
        let fetched = if missing.is_empty() {
            Fetched::Here(Vec::new())
        } else {
            let (fetcher, kept) = (
                block.source.fetcher.clone(),
                Arc::clone(&block.source.pages),
            );
            let (object, budget) = (shard.chunks.clone(), Arc::clone(fetching.budget));
            Fetched::Arriving(Prefetch::start(async move |out| {
                let wanted = Wanted {
                    object: &object,
                    ranges: &missing,
                    gap: CHUNKS_GAP,
                    kind: DataKind::Chunks,
                    budget: Some(&budget),
                };
                let bytes = match fetching.keep {
                    true => fetcher.fetch_through(&kept, wanted).await?,
                    false => fetcher.fetch(wanted).await?,
                };
                // The receiver may have dropped the batch.
                let _ = out.send(missing.into_iter().zip(bytes).collect()).await;
                Ok(())
            }))
        };
        Self {
            pending,
            planned,
            fetched,
            cost,
        }
    }

    /// Waits until everything is fetched. The future may be dropped and the call repeated.
    pub(super) async fn arrived(&mut self) -> Result<(), BlockError> {
        if let Fetched::Arriving(arriving) = &mut self.fetched {
            let pages = arriving.next().await.transpose()?;
            self.fetched = Fetched::Here(pages.unwrap_or_default());
        }
        Ok(())
    }

    /// The rows and their chunks. `pages` are those of the batch before; afterwards they are those of this one.
    pub(super) async fn read(
        mut self,
        block: &ParquetBlock,
        shard: &ShardReader,
        pages: &mut Pages,
        budget: &RequestBudget,
    ) -> Result<(PendingRows, Vec<Vec<Chunk>>), BlockError> {
        self.arrived().await?;
        let (mut lookup, step) = self.planned;
        let number = self.pending.shard;
        let mut fetched = match self.fetched {
            Fetched::Here(pages) => pages.into_iter().peekable(),
            Fetched::Arriving(_) => return Err(BlockError::Stopped),
        };
        let planned = match step {
            Step::Done(chunks) => return Ok((self.pending, chunks)),
            Step::Fetch { ranges, .. } => {
                let page = |range| {
                    let fetched = fetched.next_if(|(fetched, _)| *fetched == range);
                    let bytes = fetched.map(|(_, bytes)| bytes);
                    let bytes = bytes.or_else(|| pages.get(number, &range));
                    (range, bytes.unwrap_or_default())
                };
                let all: Vec<Page> = ranges.into_iter().map(page).collect();
                lookup.supply(all.iter().map(|(_, bytes)| bytes.clone()).collect())?;
                *pages = Pages {
                    shard: number,
                    pages: all,
                };
                block.step(shard, lookup, DataKind::Series, budget).await?
            }
        };
        Ok((
            self.pending,
            block
                .finish(shard, planned, DataKind::Series, budget)
                .await?,
        ))
    }
}

impl Pages {
    fn get(&self, shard: usize, range: &Range<u64>) -> Option<Bytes> {
        let pages = (shard == self.shard).then_some(&self.pages)?;
        let place = pages.binary_search_by_key(&range.start, |(range, _)| range.start);
        let (found, bytes) = pages.get(place.ok()?)?;
        (found == range).then(|| bytes.clone())
    }
}

/// The pages that chunks of a shard need and that neither the batch `before` has nor, if there is none, `pages`.
pub(super) fn missing(
    planned: &PlannedRead,
    shard: usize,
    before: Option<&Batch>,
    pages: &Pages,
) -> Vec<Range<u64>> {
    let missing = wanted(planned).iter().filter(|range| match before {
        Some(before) => before.pending.shard != shard || !wanted(&before.planned).contains(range),
        None => pages.get(shard, range).is_none(),
    });
    missing.cloned().collect()
}

/// The pages that chunks need.
fn wanted((_, step): &PlannedRead) -> &[Range<u64>] {
    match step {
        Step::Fetch { ranges, .. } => ranges,
        Step::Done(_) => &[],
    }
}
