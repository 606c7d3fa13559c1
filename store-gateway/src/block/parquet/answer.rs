//! Driving lookups: they decode on the CPU pool, and what they ask for is fetched in between.

use parquet_block::{Lookup, ShardFile, Step};

use super::{BlockError, ParquetBlock, RequestBudget, ShardReader};
use crate::fetch::{ListedObject, Wanted};

/// Bytes of a labels file that are fetched in vain to save a request.
const LABELS_GAP: u64 = 128 << 10;
/// Bytes of a chunks file that are fetched in vain to save a request.
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
        let planned = self.step(lookup).await?;
        self.finish(shard, planned, budget).await
    }

    /// Forgets the files of a shard that were fetched whole.
    pub(super) fn forget(&self, shard: &ShardReader) {
        for object in [&shard.labels, &shard.chunks] {
            self.source.fetcher.forget(object);
        }
    }

    /// Lets a lookup go on as far as it can.
    pub(super) async fn step<L>(&self, mut lookup: L) -> Result<(L, Step<L::Answer>), BlockError>
    where
        L: Lookup + Send + 'static,
        L::Answer: Send + 'static,
    {
        let next = move || {
            let step = lookup.next();
            (lookup, step)
        };
        let (lookup, step) = self.source.pool.run(next).await;
        Ok((lookup, step?))
    }

    /// Answers a lookup that has gone as far as it could.
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
            let next = self.step(lookup).await;
            (lookup, step) = next.inspect_err(|_| self.forget(shard))?;
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
