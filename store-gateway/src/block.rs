//! Reads one block of the bucket: the matching series, their labels and chunks. TSDB and Parquet blocks give equal
//! answers; they differ only in the stored order of series ([`BlockOrder`]).
//!
//! ```text
//! tsdb      matchers → postings → series entries → ┐
//!                                                  ├ labels → chunks, in batches of bounded size
//! parquet   matchers → rows → label columns ─────→ ┘
//! ```
//! `tsdb` and `parquet_block` decide what to fetch, and decode it, on the CPU pool. This module fetches the bytes. One
//! task finds series and their labels, another reads their chunks; each is a batch or two ahead of its reader.

mod cache;
mod headers;
mod order;
mod parquet;
mod prefetch;
#[cfg(test)]
mod tests;
mod tsdb;

use std::{sync::Arc, time::Instant};

use ::tsdb::Chunk;
use bucket::Bucket;
use futures::Stream;
use model::{AggregateSet, Labels, Matcher, TimeRange};
use service::CpuPool;

#[cfg(test)]
pub(crate) use self::order::HELD_BYTES;
pub(crate) use self::{cache::BlockCache, headers::HeaderFiles, order::BlockOrder};
use self::{parquet::ParquetBlock, tsdb::TsdbBlock};
use crate::{
    budget::RequestBudget,
    catalog::{CatalogBlock, Format},
    error::BlockError,
    fetch::{Caches, Fetcher, PageCache},
    metrics::ReadMetrics,
};

/// A query to one block. External labels were handled before: the matchers are on the series' own labels.
#[derive(Clone, Debug)]
pub(crate) struct BlockQuery {
    /// All must match. Without any, all series match.
    pub(crate) matchers: Arc<[Matcher]>,
    /// Both ends are inclusive.
    pub(crate) range: TimeRange,
    /// The requested aggregates of a downsampled block. Chunks may have more.
    pub(crate) aggregates: AggregateSet,
    /// Whether only labels are requested.
    pub(crate) skip_chunks: bool,
    /// The most series of this block; 0 for all.
    pub(crate) limit: usize,
    /// The order of the series.
    pub(crate) order: BlockOrder,
}

/// One series of a block.
#[derive(Clone, Debug)]
pub(crate) struct BlockSeries {
    /// Its own labels without external ones; the final labels if that is the order.
    pub(crate) labels: Labels,
    /// The chunks that overlap the range, not trimmed, in the stored order; at least one. Those of a downsampled block
    /// may lack aggregates that were not requested, and are left out if they have none that was. With `skip_chunks` it
    /// is empty, though a chunk overlaps.
    pub(crate) chunks: Vec<Chunk>,
}

/// What a reader needs from the gateway. Clones share it.
#[derive(Clone)]
pub(crate) struct BlockSource {
    pool: CpuPool,
    fetcher: Fetcher,
    pages: Arc<PageCache>,
    headers: Arc<HeaderFiles>,
    metrics: ReadMetrics,
}

/// An opened block. Cheap to clone; holds what it needs to find series, and no connection.
#[derive(Clone)]
pub(crate) struct BlockReader(Opened);

#[derive(Clone)]
enum Opened {
    Tsdb(Arc<TsdbBlock>),
    Parquet(Arc<ParquetBlock>),
}

impl BlockSource {
    /// A source of readers for all blocks, since it bounds requests and memory. `pool` runs loops over series and
    /// pages, `headers` are the index headers on the disk, `pages` are the bytes of small files, postings, series
    /// entries, dictionaries, label pages and pages of index headers that are kept, and a file of up to `small` bytes is fetched whole.
    pub(crate) fn new(
        bucket: Bucket,
        pool: CpuPool,
        headers: Arc<HeaderFiles>,
        caches: Caches,
        pages: u64,
        small: u64,
        metrics: ReadMetrics,
    ) -> Self {
        let pages = Arc::new(PageCache::new(pages, metrics.cache.clone()));
        Self {
            pool,
            fetcher: Fetcher::new(bucket, Arc::clone(&pages), caches, small, metrics.clone()),
            pages,
            headers,
            metrics,
        }
    }
}

impl BlockReader {
    /// Opens a block: the header of a TSDB block's index, which is built if it is not on the disk, or the footers of a
    /// Parquet block's files.
    ///
    /// # Errors
    /// When a file is missing or damaged, or the bucket fails.
    pub(crate) async fn open(
        block: Arc<CatalogBlock>,
        source: BlockSource,
    ) -> Result<Self, BlockError> {
        let (since, duration) = (Instant::now(), source.metrics.load_duration.clone());
        let opened = match block.format {
            Format::Tsdb => Opened::Tsdb(Arc::new(TsdbBlock::open(block, source).await?)),
            Format::Parquet => Opened::Parquet(Arc::new(ParquetBlock::open(block, source).await?)),
        };
        duration.observe(since.elapsed().as_secs_f64());
        Ok(Self(opened))
    }

    /// The series that match and have a chunk in the range, each once, in the order of the query.
    ///
    /// Another order than the stored one takes memory, which does not grow with the answer: 4 MiB of labels and 16
    /// bytes a series, and 8 MiB of chunks or one series. What does not fit is read again.
    ///
    /// A batch has a few MiB at most (one series alone may have more), and none is empty. Reading starts at once, goes
    /// on while few batches wait, and stops when the stream is dropped. An error is the last item.
    ///
    /// Must be called within a tokio runtime.
    pub(crate) fn series(
        &self,
        query: BlockQuery,
        budget: Arc<RequestBudget>,
    ) -> impl Stream<Item = Result<Vec<BlockSeries>, BlockError>> + Send + Unpin + 'static {
        match &self.0 {
            Opened::Tsdb(block) => block.series(query, budget),
            Opened::Parquet(block) => block.series(query, budget),
        }
    }

    /// Whether series come in another order than [`BlockOrder::Stored`] says: those of a TSDB block with empty label
    /// values, which are left out, and those of a Parquet block without `__name__`. `names` are the names of all
    /// labels.
    ///
    /// # Errors
    /// When the block is damaged, or the bucket fails.
    pub(crate) async fn is_out_of_order(&self, names: &[&[u8]]) -> Result<bool, BlockError> {
        match &self.0 {
            Opened::Tsdb(block) => block.has_empty_values(names).await,
            Opened::Parquet(block) => Ok(!block.all_are_named()),
        }
    }

    /// The label names of the series that match and have a chunk in the range, sorted, each once. Without matchers
    /// those of all series, whatever the range.
    ///
    /// # Errors
    /// When the block is damaged, the bucket fails, or a limit is exceeded.
    pub(crate) async fn label_names(
        &self,
        matchers: Arc<[Matcher]>,
        range: TimeRange,
        budget: Arc<RequestBudget>,
    ) -> Result<Vec<Vec<u8>>, BlockError> {
        match &self.0 {
            Opened::Tsdb(block) => block.label_names(matchers, range, budget).await,
            Opened::Parquet(block) => block.label_names(matchers, range, budget).await,
        }
    }

    /// The values of a label of the series that match and have a chunk in the range, sorted, each once. Without
    /// matchers those of all series, whatever the range.
    ///
    /// # Errors
    /// As [`Self::label_names`].
    pub(crate) async fn label_values(
        &self,
        name: &str,
        matchers: Arc<[Matcher]>,
        range: TimeRange,
        budget: Arc<RequestBudget>,
    ) -> Result<Vec<Vec<u8>>, BlockError> {
        match &self.0 {
            Opened::Tsdb(block) => block.label_values(name, matchers, range, budget).await,
            Opened::Parquet(block) => block.label_values(name, matchers, range, budget).await,
        }
    }

    /// Bytes held on the heap.
    pub(crate) fn memory_size(&self) -> usize {
        match &self.0 {
            Opened::Tsdb(block) => block.memory_size(),
            Opened::Parquet(block) => block.memory_size(),
        }
    }
}
