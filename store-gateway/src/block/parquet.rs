//! A Parquet block in the bucket: for each shard a file of labels, and a file of chunks or, in a downsampled block, of
//! aggregates.
//!
//! A shard is read by lookups, which ask for the pages that they need. Pages of labels, and those of an answer's first
//! chunks, stay in memory for all requests, as requests share dictionaries and neighbouring rows. Other pages of chunks
//! stay for the next batch, which may share the last page.

mod answer;
mod batch;
mod before_name;
mod chunks;
mod open;
mod pending_rows;
mod rows;
mod sorted;

use std::{collections::BTreeSet, sync::Arc};

use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use model::{Aggregate, METRIC_NAME, MatchOp, Matcher, TimeRange};
use parquet_block::{Lookup, Selection, Shard};
use tokio::sync::mpsc::Sender;

use self::{
    chunks::{ChunkReader, Reading},
    pending_rows::{Found, LabelQueue, PendingRows},
};
use super::{
    BlockError, BlockOrder, BlockQuery, BlockSeries, BlockSource, RequestBudget,
    prefetch::{Prefetch, send_and_wait},
};
use crate::{catalog::CatalogBlock, fetch::ListedObject, usage::DataKind};

/// The aggregate that tells which series of a downsampled block have a chunk in the range. Each chunk has a count, and
/// counts take the fewest bytes.
const PRESENCE: Aggregate = Aggregate::Count;

/// Shards that are searched at once; most have no match.
const SHARDS_AT_ONCE: usize = 4;

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
    /// The first and the last metric name, if `meta.json` has them.
    names: Option<(String, String)>,
}

impl ParquetBlock {
    pub(super) fn memory_size(&self) -> usize {
        self.shards.iter().map(|s| s.shard.memory_size()).sum()
    }

    /// The matching series with their chunks, in the order of the query.
    pub(super) fn series(
        self: &Arc<Self>,
        query: BlockQuery,
        budget: Arc<RequestBudget>,
    ) -> Prefetch<Vec<BlockSeries>> {
        let block = Arc::clone(self);
        Prefetch::start(async move |out| match &query.order {
            BlockOrder::Stored => {
                let found = block.found(query.clone(), Arc::clone(&budget));
                block.send(found, &query, &budget, &out).await
            }
            BlockOrder::BeforeName(names) => {
                block.send_in_order(names, &query, &budget, &out).await
            }
            BlockOrder::Final(labels) => block.send_final(labels, &query, &budget, &out).await,
        })
    }

    pub(super) async fn label_names(
        &self,
        matchers: Arc<[Matcher]>,
        range: TimeRange,
        budget: Arc<RequestBudget>,
    ) -> Result<Vec<Vec<u8>>, BlockError> {
        if matchers.is_empty() {
            let names = self.shards.iter().flat_map(|shard| {
                let names = shard.shard.label_names();
                names.map(<[u8]>::to_vec)
            });
            return Ok(BTreeSet::from_iter(names).into_iter().collect());
        }
        let names = |shard: &ShardReader, rows| shard.shard.label_names_of(rows);
        self.of_rows(&matchers, range, &budget, names).await
    }

    pub(super) async fn label_values(
        &self,
        name: &str,
        matchers: Arc<[Matcher]>,
        range: TimeRange,
        budget: Arc<RequestBudget>,
    ) -> Result<Vec<Vec<u8>>, BlockError> {
        let values = |shard: &ShardReader, rows| shard.shard.label_values_of(rows, name);
        if matchers.is_empty() {
            let (values, budget) = (&values, &budget);
            let answers = (0..self.shards.len()).map(|number| async move {
                match self.shards.get(number) {
                    Some(shard) => {
                        let lookup = values(shard, shard.shard.everything());
                        self.answer(shard, lookup, DataKind::Series, budget).await
                    }
                    None => Ok(Vec::new()),
                }
            });
            return joined(stream::iter(answers).buffered(SHARDS_AT_ONCE)).await;
        }
        let having = Matcher::new(MatchOp::NotEqual, name, "");
        let having: Arc<[Matcher]> = matchers.iter().cloned().chain(having.ok()).collect();
        self.of_rows(&having, range, &budget, values).await
    }

    /// What the lookups of `ask` find in the matching rows of each shard that have a chunk in the range.
    async fn of_rows<L>(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        budget: &Arc<RequestBudget>,
        ask: impl Fn(&ShardReader, Selection) -> L + Send + Sync,
    ) -> Result<Vec<Vec<u8>>, BlockError>
    where
        L: Lookup<Answer = Vec<Vec<u8>>> + Send + 'static,
    {
        let ask = &ask;
        let answers = (0..self.shards.len()).map(|number| async move {
            let rows = self.search(number, matchers, budget).await?;
            budget.add_series(rows::count(&rows))?;
            match self.shards.get(number) {
                Some(shard) if !rows.is_empty() => {
                    let ask = |rows| ask(shard, rows);
                    self.of_shard(number, shard, rows, range, budget, ask).await
                }
                _ => Ok(Vec::new()),
            }
        });
        joined(stream::iter(answers).buffered(SHARDS_AT_ONCE)).await
    }

    /// What the lookup of `ask` finds in those of `rows` that have a chunk in the range. While chunks are read, it is
    /// tried on all rows: usually that is the answer, and if not, the pages that it needs are in memory.
    async fn of_shard<L>(
        &self,
        number: usize,
        shard: &ShardReader,
        rows: Selection,
        range: TimeRange,
        budget: &Arc<RequestBudget>,
        ask: impl Fn(Selection) -> L + Send + Sync,
    ) -> Result<Vec<Vec<u8>>, BlockError>
    where
        L: Lookup<Answer = Vec<Vec<u8>>> + Send + 'static,
    {
        let of_all = self.answer(shard, ask(rows.clone()), DataKind::Series, budget);
        if self.within(range) {
            return of_all.await;
        }
        let within = self.rows_within(number, rows.clone(), range, budget);
        let (of_all, within) = futures::try_join!(of_all, within)?;
        if within == rows {
            Ok(of_all)
        } else if within.is_empty() {
            Ok(Vec::new())
        } else {
            self.answer(shard, ask(within), DataKind::Series, budget)
                .await
        }
    }

    /// The rows of a shard that have a chunk in the range.
    async fn rows_within(
        &self,
        shard: usize,
        selection: Selection,
        range: TimeRange,
        budget: &Arc<RequestBudget>,
    ) -> Result<Selection, BlockError> {
        let pending = selection.into_iter().map(|(group, rows)| {
            Ok(PendingRows {
                shard,
                group,
                rows,
                labels: Vec::new(),
            })
        });
        let reading = Reading {
            range,
            aggregates: PRESENCE.into(),
            ahead: chunks::AHEAD,
        };
        let mut reader = ChunkReader::new(self, stream::iter(pending), reading, budget);
        let mut found = Vec::new();
        while let Some((pending, chunks)) = reader.next().await? {
            let rows = pending.rows.rows().zip(chunks);
            let rows = rows.filter(|(_, chunks)| !chunks.is_empty());
            found.push((pending.group, rows.map(|(row, _)| row).collect::<Vec<_>>()));
        }
        Ok(rows::joined(found))
    }

    /// The matching rows of a shard.
    async fn search(
        &self,
        number: usize,
        matchers: &[Matcher],
        budget: &RequestBudget,
    ) -> Result<Selection, BlockError> {
        match self.shards.get(number) {
            Some(shard) if shard.may_match(matchers) => {
                let lookup = shard.shard.search(matchers);
                self.answer(shard, lookup, DataKind::Postings, budget).await
            }
            _ => Ok(Selection::new()),
        }
    }

    /// Sends the rows that were found, with their chunks if those are requested.
    async fn send(
        &self,
        found: Prefetch<Found>,
        query: &BlockQuery,
        budget: &Arc<RequestBudget>,
        out: &Sender<Vec<BlockSeries>>,
    ) -> Result<(), BlockError> {
        if query.skip_chunks && self.within(query.range) {
            pending_rows::send_labels(found, out).await
        } else {
            self.send_series(found, query, budget, out).await
        }
    }

    /// Reads the chunks of rows, and sends those that have any in the range.
    async fn send_series(
        &self,
        found: Prefetch<Found>,
        query: &BlockQuery,
        budget: &Arc<RequestBudget>,
        out: &Sender<Vec<BlockSeries>>,
    ) -> Result<(), BlockError> {
        let limited = query.limit > 0;
        let mut left = if limited { query.limit } else { usize::MAX };
        let reading = Reading {
            range: query.range,
            aggregates: if query.skip_chunks {
                PRESENCE.into()
            } else {
                query.aggregates
            },
            // Chunks beyond the limit must not be fetched.
            ahead: if limited { 0 } else { chunks::AHEAD },
        };
        let mut labels = LabelQueue::default();
        let rows = labels.rows(found);
        let mut reader = ChunkReader::new(self, rows, reading, budget);
        while left > 0
            && let Some((pending, chunks)) = reader.next().await?
        {
            let labels = labels.take(pending.rows.len()).await?;
            let rows = labels.into_iter().zip(chunks);
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
            if !series.is_empty() && !send_and_wait(out, series, reader.decoded()).await {
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

/// The answers of the shards, merged.
async fn joined(
    mut said: impl Stream<Item = Result<Vec<Vec<u8>>, BlockError>> + Unpin,
) -> Result<Vec<Vec<u8>>, BlockError> {
    let mut texts = BTreeSet::new();
    while let Some(some) = said.try_next().await? {
        texts.extend(some);
    }
    Ok(texts.into_iter().collect())
}
