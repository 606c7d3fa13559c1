//! Reading one block of the bucket: which series match, their labels, their chunks. TSDB and Parquet blocks
//! answer alike; how they are stored shows in the order of their series only ([`BlockOrder`]).
//!
//! ```text
//! tsdb      matchers → postings → series entries → ┐
//!                                                  ├ labels → chunks, in batches of bounded size
//! parquet   matchers → rows → label columns ─────→ ┘
//! ```
//! What to fetch and what it means is decided by `tsdb` and `parquet_block`, on the CPU pool; here the bytes are
//! fetched in between. A task finds series and their labels, another one reads their chunks; each is ahead of
//! who reads by a batch or two.

mod cache;
mod headers;
mod order;
mod parquet;
mod prefetch;
#[cfg(test)]
mod tests;
mod tsdb;

use std::sync::Arc;

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
    fetch::{Fetcher, PageCache},
};

/// Small files, postings, series entries, dictionaries, pages of label columns and of index headers that are kept in
/// memory, over all blocks.
const PAGE_CACHE_BYTES: u64 = 256 << 20;

/// What is asked of one block. External labels have been dealt with: the matchers concern the series' own labels.
#[derive(Clone, Debug)]
pub(crate) struct BlockQuery {
    /// All must match; without any, all series do.
    pub(crate) matchers: Arc<[Matcher]>,
    /// Both ends included.
    pub(crate) range: TimeRange,
    /// What is wanted of a downsampled block's chunks; at least these are given.
    pub(crate) aggregates: AggregateSet,
    /// Only labels are wanted.
    pub(crate) skip_chunks: bool,
    /// At most so many series of this block; 0 for all.
    pub(crate) limit: usize,
    /// How they are sorted.
    pub(crate) order: BlockOrder,
}

/// One series of a block.
#[derive(Clone, Debug)]
pub(crate) struct BlockSeries {
    /// Its own labels, without external ones; the final ones if the order is by these.
    pub(crate) labels: Labels,
    /// The chunks that overlap the range, not trimmed, in the order they are stored in; at least one. Those of a
    /// downsampled block may lack what was not asked for, and be left out if nothing is left of them. With
    /// `skip_chunks` none is given, though at least one overlaps.
    pub(crate) chunks: Vec<Chunk>,
}

/// What a reader needs of the outside. Clones share it.
#[derive(Clone)]
pub(crate) struct BlockSource {
    pool: CpuPool,
    fetcher: Fetcher,
    pages: Arc<PageCache>,
    headers: Arc<HeaderFiles>,
}

/// An opened block. Cheap to clone; holds what is needed to find series, and no connection.
#[derive(Clone)]
pub(crate) struct BlockReader(Opened);

#[derive(Clone)]
enum Opened {
    Tsdb(Arc<TsdbBlock>),
    Parquet(Arc<ParquetBlock>),
}

impl BlockSource {
    /// `bucket` is where blocks are, `pool` does what loops over series and pages, `headers` is what there is of blocks
    /// on the disk, `small` up to how many bytes a file is fetched whole. One for all blocks, since it bounds what is in
    /// flight and in memory.
    pub(crate) fn new(
        bucket: Bucket,
        pool: CpuPool,
        headers: Arc<HeaderFiles>,
        small: u64,
    ) -> Self {
        let pages = Arc::new(PageCache::new(PAGE_CACHE_BYTES));
        Self {
            pool,
            fetcher: Fetcher::new(bucket, Arc::clone(&pages), small),
            pages,
            headers,
        }
    }
}

impl BlockReader {
    /// Opens a block: the header of a TSDB block's index, which is made of its symbols and its postings offset table
    /// if there is none on the disk; the footers of a Parquet block's files.
    ///
    /// # Errors
    /// When a file is missing or damaged, or the bucket refuses.
    pub(crate) async fn open(
        block: Arc<CatalogBlock>,
        source: BlockSource,
    ) -> Result<Self, BlockError> {
        Ok(Self(match block.format {
            Format::Tsdb => Opened::Tsdb(Arc::new(TsdbBlock::open(block, source).await?)),
            Format::Parquet => Opened::Parquet(Arc::new(ParquetBlock::open(block, source).await?)),
        }))
    }

    /// The series that match and have a chunk in the range, each once, in the order that the query wants.
    ///
    /// Another order than the stored one takes memory that does not grow with the answer: of labels or places 4 MiB and
    /// 16 bytes a series, and 8 MiB of chunks, or one series. What does not fit is read again.
    ///
    /// Batches are of a few MiB at most (one series alone may be more), and none is empty. Reading starts at once
    /// and goes on while few batches wait; it stops when the stream is dropped. After an error comes nothing more.
    ///
    /// To be called within a tokio runtime.
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

    /// Whether series come in another order than [`BlockOrder::Stored`] says: those of a TSDB block whose labels have empty
    /// values, which are left out; those of a Parquet block that lack `__name__`. `names` are those of all labels.
    ///
    /// # Errors
    /// When the block is damaged, or the bucket refuses.
    pub(crate) async fn is_out_of_order(&self, names: &[&[u8]]) -> Result<bool, BlockError> {
        match &self.0 {
            Opened::Tsdb(block) => block.has_empty_values(names).await,
            Opened::Parquet(block) => Ok(!block.all_are_named()),
        }
    }

    /// The names of the labels of series that match and have a chunk in the range, sorted, each once. Without
    /// matchers those of all series, whatever the range.
    ///
    /// # Errors
    /// When the block is damaged, the bucket refuses, or the budget is used up.
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

    /// The values of a label of series that match and have a chunk in the range, sorted, each once. Without
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
