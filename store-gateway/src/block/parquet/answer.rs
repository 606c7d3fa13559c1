//! Drives lookups: they decode on the CPU pool, and the pages that they ask for are fetched in between.

use std::sync::Arc;

use parquet_block::{Lookup, ShardFile, Step};

use super::{BlockError, ParquetBlock, RequestBudget, ShardReader};
use crate::{
    fetch::{ListedObject, Wanted, size},
    usage::DataKind,
};

/// Unwanted bytes of a labels file that are fetched to save a request.
const LABELS_GAP: u64 = 128 << 10;
/// Unwanted bytes of a chunks file that are fetched to save a request.
pub(super) const CHUNKS_GAP: u64 = 128 << 10;

impl ParquetBlock {
    /// Answers a lookup; the pages that it reads are kept for other requests. `labels` is what those of labels are for.
    pub(super) async fn answer<L>(
        &self,
        shard: &ShardReader,
        lookup: L,
        labels: DataKind,
        budget: &RequestBudget,
    ) -> Result<L::Answer, BlockError>
    where
        L: Lookup + Send + 'static,
        L::Answer: Send + 'static,
    {
        let planned = self.step(shard, lookup, labels, budget).await?;
        self.finish(shard, planned, labels, budget).await
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
        labels: DataKind,
        budget: &RequestBudget,
    ) -> Result<(L, Step<L::Answer>), BlockError>
    where
        L: Lookup + Send + 'static,
        L::Answer: Send + 'static,
    {
        let pages = Arc::clone(&self.source.pages);
        let [label_file, chunk_file] = [&shard.labels, &shard.chunks].map(ListedObject::clone);
        let mut touched = Vec::new();
        let next = move || loop {
            let step = lookup.next()?;
            let Step::Fetch { file, ranges } = &step else {
                return Ok((lookup, step, touched));
            };
            let object = match file {
                ShardFile::Labels => &label_file,
                ShardFile::Chunks => &chunk_file,
            };
            let kind = kind(*file, labels);
            match pages.all(kind, object, ranges) {
                Some(bytes) => {
                    let size = ranges.iter().map(size).sum::<u64>();
                    touched.push((kind, ranges.len() as u64, size));
                    lookup.supply(bytes)?;
                }
                None => return Ok((lookup, step, touched)),
            }
        };
        let stepped: Result<_, parquet_block::Error> = self.source.pool.run(next).await;
        let (lookup, step, touched) = stepped.inspect_err(|_| self.forget(shard))?;
        // What is in memory counts as if it had been fetched: a request's cost is not a matter of luck.
        for (kind, pages, bytes) in touched {
            budget.add_bytes(kind, pages, bytes)?;
        }
        Ok((lookup, step))
    }

    /// Completes a lookup that has run as far as possible.
    pub(super) async fn finish<L>(
        &self,
        shard: &ShardReader,
        (mut lookup, mut step): (L, Step<L::Answer>),
        labels: DataKind,
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
                        kind: kind(file, labels),
                        budget: Some(budget),
                    };
                    let pages = &self.source.pages;
                    let bytes = self.source.fetcher.fetch_through(pages, wanted).await?;
                    lookup.supply(bytes)?;
                }
            }
            (lookup, step) = self.step(shard, lookup, labels, budget).await?;
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

/// What pages of the file are for, if those of labels are for `labels`.
const fn kind(file: ShardFile, labels: DataKind) -> DataKind {
    match file {
        ShardFile::Labels => labels,
        ShardFile::Chunks => DataKind::Chunks,
    }
}

const fn gap(file: ShardFile) -> u64 {
    match file {
        ShardFile::Labels => LABELS_GAP,
        ShardFile::Chunks => CHUNKS_GAP,
    }
}
