//! A Parquet block in the bucket: for each shard a file of labels, and a file of chunks or, in a downsampled
//! block, of aggregates.
//!
//! A shard is asked in lookups, each of which tells the pages it needs. Pages of labels are kept in memory over all
//! requests, since dictionaries and neighbouring rows share them; pages of chunks from one batch to the next, since
//! two that follow one another share those at their edges.

mod answer;
mod batch;
mod chunks;
mod early;
mod heads;
mod open;
mod rows;
mod sorted;

use std::{collections::BTreeSet, sync::Arc};

use futures::stream;
use model::{Aggregate, METRIC_NAME, MatchOp, Matcher, TimeRange};
use parquet_block::{Selection, Shard};
use tokio::sync::mpsc::Sender;

use self::{
    chunks::{ChunkReader, Reading},
    heads::Heads,
};
use super::{
    BlockError, BlockOrder, BlockQuery, BlockSeries, BlockSource, RequestBudget, ahead::Ahead,
};
use crate::{catalog::CatalogBlock, fetch::ListedObject};

/// What is read of a downsampled block to know which series have a chunk in the range. Each chunk has a count, and
/// counts take the fewest bytes.
const TELLING: Aggregate = Aggregate::Count;

/// A Parquet block whose footers have been read.
pub(super) struct ParquetBlock {
    block: Arc<CatalogBlock>,
    source: BlockSource,
    shards: Vec<ShardReader>,
}

/// An opened shard.
struct ShardReader {
    shard: Shard,
    labels: ListedObject,
    /// The second file, of chunks or of aggregates.
    chunks: ListedObject,
    /// The first and the last metric name, where the block tells.
    names: Option<(String, String)>,
}

impl ParquetBlock {
    pub(super) fn memory_size(&self) -> usize {
        self.shards.iter().map(|s| s.shard.memory_size()).sum()
    }

    /// The series that match, with their chunks, in the order that the query wants.
    pub(super) fn series(
        self: &Arc<Self>,
        query: BlockQuery,
        budget: Arc<RequestBudget>,
    ) -> Ahead<Vec<BlockSeries>> {
        let block = Arc::clone(self);
        Ahead::start(async move |out| match &query.order {
            BlockOrder::Stored => {
                let heads = block.heads(query.clone(), Arc::clone(&budget));
                block.send(heads, &query, &budget, &out).await
            }
            BlockOrder::Early(names) => block.send_by_early(names, &query, &budget, &out).await,
            BlockOrder::Final(labels) => block.send_final(labels, &query, &budget, &out).await,
        })
    }

    pub(super) async fn label_names(
        &self,
        matchers: Arc<[Matcher]>,
        range: TimeRange,
        budget: Arc<RequestBudget>,
    ) -> Result<Vec<Vec<u8>>, BlockError> {
        let mut names = BTreeSet::new();
        for (number, shard) in self.shards.iter().enumerate() {
            if matchers.is_empty() {
                names.extend(shard.shard.label_names().map(<[u8]>::to_vec));
            } else if let Some(rows) = self
                .select(number, shard, &matchers, range, &budget)
                .await?
            {
                let lookup = shard.shard.label_names_of(rows);
                names.extend(self.answer(shard, lookup, &budget).await?);
            }
        }
        Ok(names.into_iter().collect())
    }

    pub(super) async fn label_values(
        &self,
        name: &str,
        matchers: Arc<[Matcher]>,
        range: TimeRange,
        budget: Arc<RequestBudget>,
    ) -> Result<Vec<Vec<u8>>, BlockError> {
        let having = Matcher::new(MatchOp::NotEqual, name, "");
        let having: Arc<[Matcher]> = matchers.iter().cloned().chain(having.ok()).collect();
        let mut values = BTreeSet::new();
        for (number, shard) in self.shards.iter().enumerate() {
            let rows = if matchers.is_empty() {
                None
            } else {
                match self.select(number, shard, &having, range, &budget).await? {
                    None => continue,
                    rows => rows,
                }
            };
            let lookup = shard.shard.label_values(name, rows);
            values.extend(self.answer(shard, lookup, &budget).await?);
        }
        Ok(values.into_iter().collect())
    }

    /// The rows of a shard that match and have a chunk in the range, if there are any.
    async fn select(
        &self,
        number: usize,
        shard: &ShardReader,
        matchers: &[Matcher],
        range: TimeRange,
        budget: &Arc<RequestBudget>,
    ) -> Result<Option<Selection>, BlockError> {
        let mut selection = self.search(shard, matchers, budget).await?;
        budget.add_series(rows::count(&selection))?;
        if !self.within(range) {
            selection = self.rows_within(number, selection, range, budget).await?;
        }
        Ok((!selection.is_empty()).then_some(selection))
    }

    /// Those rows of a shard that have a chunk in the range.
    async fn rows_within(
        &self,
        shard: usize,
        selection: Selection,
        range: TimeRange,
        budget: &Arc<RequestBudget>,
    ) -> Result<Selection, BlockError> {
        let heads = selection.into_iter().map(|(group, rows)| {
            Ok(Heads {
                shard,
                group,
                rows,
                labels: Vec::new(),
            })
        });
        let reading = Reading {
            range,
            aggregates: TELLING.into(),
            ahead: chunks::AHEAD,
        };
        let mut reader = ChunkReader::new(self, stream::iter(heads), reading, budget);
        let mut found = Vec::new();
        while let Some((heads, chunks)) = reader.next().await? {
            let rows = heads.rows.rows().zip(chunks);
            let rows = rows.filter(|(_, chunks)| !chunks.is_empty());
            found.push((heads.group, rows.map(|(row, _)| row).collect::<Vec<_>>()));
        }
        Ok(rows::joined(found))
    }

    /// The rows of a shard that match.
    async fn search(
        &self,
        shard: &ShardReader,
        matchers: &[Matcher],
        budget: &RequestBudget,
    ) -> Result<Selection, BlockError> {
        if !shard.may_match(matchers) {
            return Ok(Selection::new());
        }
        let lookup = shard.shard.search(matchers);
        self.answer(shard, lookup, budget).await
    }

    /// Sends heads on, with their chunks if these are wanted.
    async fn send(
        &self,
        heads: Ahead<Heads>,
        query: &BlockQuery,
        budget: &Arc<RequestBudget>,
        out: &Sender<Vec<BlockSeries>>,
    ) -> Result<(), BlockError> {
        if query.skip_chunks && self.within(query.range) {
            heads::send_labels(heads, out).await
        } else {
            self.send_series(heads, query, budget, out).await
        }
    }

    /// Reads the chunks of heads, and sends on those that have any in the range.
    async fn send_series(
        &self,
        heads: Ahead<Heads>,
        query: &BlockQuery,
        budget: &Arc<RequestBudget>,
        out: &Sender<Vec<BlockSeries>>,
    ) -> Result<(), BlockError> {
        let limited = query.limit > 0;
        let mut left = if limited { query.limit } else { usize::MAX };
        let reading = Reading {
            range: query.range,
            aggregates: if query.skip_chunks {
                TELLING.into()
            } else {
                query.aggregates
            },
            // What lies beyond the limit must not be fetched.
            ahead: if limited { 0 } else { chunks::AHEAD },
        };
        let mut reader = ChunkReader::new(self, heads, reading, budget);
        while left > 0
            && let Some((heads, chunks)) = reader.next().await?
        {
            let rows = heads.labels.into_iter().zip(chunks);
            let rows = rows.filter(|(_, chunks)| !chunks.is_empty()).take(left);
            let mut series: Vec<_> = rows
                .map(|(labels, chunks)| BlockSeries { labels, chunks })
                .collect();
            left -= series.len();
            if query.skip_chunks {
                for series in &mut series {
                    series.chunks = Vec::new();
                }
            } else {
                let chunks = series.iter().map(|series| series.chunks.len() as u64);
                budget.add_chunks(chunks.sum())?;
            }
            if !series.is_empty() && out.send(series).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Whether each series has a name.
    pub(super) fn all_are_named(&self) -> bool {
        self.shards
            .iter()
            .all(|one| one.shard.all_have(METRIC_NAME))
    }

    /// Whether each series of the block has a chunk in the range.
    fn within(&self, range: TimeRange) -> bool {
        range.covers(self.block.meta.time_range())
    }
}
