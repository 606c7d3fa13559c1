//! Drives lookups: they decode on the CPU pool, and the pages that they ask for are fetched in between.

use std::sync::Arc;

use parquet_block::{Lookup, ShardFile, Step};

use super::{BlockError, ParquetBlock, RequestBudget, ShardReader};
use crate::fetch::{ListedObject, Wanted, size};

/// Unwanted bytes of a labels file that are fetched to save a request.
const LABELS_GAP: u64 = 128 << 10;
/// Unwanted bytes of a chunks file that are fetched to save a request.
pub(super) const CHUNKS_GAP: u64 = 128 << 10;

impl ParquetBlock {
    /// Answers a lookup; the pages that it reads are kept for other requests.
    pub(super) async fn answer<L>(
        &self,
        shard: &ShardReader,
        lookup: L,
        budget: &RequestBudget,
    ) -> Result<L::Answer, BlockError>
    where
        L: Lookup + Send + 'static,
        L::Answer: Send + 'static,
    {
        let planned = self.step(shard, lookup, budget).await?;
        self.finish(shard, planned, budget).await
    }

    /// Forgets the files of a shard that were fetched whole.
    pub(super) fn forget(&self, shard: &ShardReader) {
        for object in [&shard.labels, &shard.chunks] {
            self.source.fetcher.forget(object);
        }
    }

    /// Runs a lookup as far as possible without fetching: with the pages in memory.
    pub(super) async fn step<L>(
        &self,
        shard: &ShardReader,
        mut lookup: L,
        budget: &RequestBudget,
    ) -> Result<(L, Step<L::Answer>), BlockError>
    where
        L: Lookup + Send + 'static,
        L::Answer: Send + 'static,
    {
        let pages = Arc::clone(&self.source.pages);
        let [labels, chunks] = [&shard.labels, &shard.chunks].map(ListedObject::clone);
        let mut touched = 0;
        let next = move || loop {
            let step = lookup.next()?;
            let Step::Fetch { file, ranges } = &step else {
                return Ok((lookup, step, touched));
            };
            let object = match file {
                ShardFile::Labels => &labels,
                ShardFile::Chunks => &chunks,
            };
            match pages.all(object, ranges) {
                Some(bytes) => {
                    touched += ranges.iter().map(size).sum::<u64>();
                    lookup.supply(bytes)?;
                }
                None => return Ok((lookup, step, touched)),
            }
        };
        let stepped: Result<_, parquet_block::Error> = self.source.pool.run(next).await;
        let (lookup, step, touched) = stepped.inspect_err(|_| self.forget(shard))?;
        // What is in memory counts as if it had been fetched: a request's cost is not a matter of luck.
        budget.add_bytes(touched)?;
        Ok((lookup, step))
    }

    /// Completes a lookup that has run as far as possible.
    pub(super) async fn finish<L>(
        &self,
        shard: &ShardReader,
        (mut lookup, mut step): (L, Step<L::Answer>),
        budget: &RequestBudget,
    ) -> Result<L::Answer, BlockError>
    where
        L: Lookup + Send + 'static,
        L::Answer: Send + 'static,
    {
        loop {
            match step {
                Step::Done(answer) => return Ok(answer),
                Step::Fetch { file, ranges } => {
                    let wanted = Wanted {
                        object: shard.object(file),
                        ranges: &ranges,
                        gap: gap(file),
                        budget: Some(budget),
                    };
                    let pages = &self.source.pages;
                    let bytes = self.source.fetcher.fetch_through(pages, wanted).await?;
                    lookup.supply(bytes)?;
                }
            }
            (lookup, step) = self.step(shard, lookup, budget).await?;
        }
    }
}

impl ShardReader {
    const fn object(&self, file: ShardFile) -> &ListedObject {
        match file {
            ShardFile::Labels => &self.labels,
            ShardFile::Chunks => &self.chunks,
        }
    }
}

const fn gap(file: ShardFile) -> u64 {
    match file {
        ShardFile::Labels => LABELS_GAP,
        ShardFile::Chunks => CHUNKS_GAP,
    }
}
