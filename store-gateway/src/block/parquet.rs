//! A Parquet block in the bucket: for each shard a file of labels and a file of chunks.
//!
//! A shard is asked in lookups, each of which tells the pages it needs. Pages of labels are kept in memory over all
//! requests, since dictionaries and neighbouring rows share them; pages of chunks for the one request, since two
//! batches that follow one another share those at their edges.

mod answer;
mod chunks;
mod open;
mod rows;

use std::{collections::BTreeSet, sync::Arc};

use futures::StreamExt as _;
use model::{MatchOp, Matcher, TimeRange};
use parquet_block::{Projection, RowRanges, Selection, Shard};
use tokio::sync::mpsc::Sender;

use self::chunks::ChunkReader;
use super::{BlockError, BlockQuery, BlockSeries, BlockSource, RequestBudget, ahead::Ahead};
use crate::catalog::CatalogBlock;

/// Rows of the first batch of labels: few, so that the first answer is soon there.
const FIRST_ROWS: usize = 128;
/// Rows of a batch of labels. Each batch decodes the dictionaries it needs anew.
const MOST_ROWS: usize = 4096;

/// A Parquet block whose footers have been read.
pub(super) struct ParquetBlock {
    block: Arc<CatalogBlock>,
    source: BlockSource,
    shards: Vec<ShardReader>,
}

/// An opened shard.
struct ShardReader {
    shard: Shard,
    labels: Arc<str>,
    chunks: Arc<str>,
    /// The first and the last metric name, where the block tells.
    names: Option<(String, String)>,
}

/// Rows of a row group, with their labels.
struct Heads {
    /// The shard's place in the block.
    shard: usize,
    group: usize,
    rows: RowRanges,
    labels: Vec<model::Labels>,
}

impl ParquetBlock {
    pub(super) fn memory_size(&self) -> usize {
        self.shards.iter().map(|s| s.shard.memory_size()).sum()
    }

    /// The series that match, with their chunks.
    pub(super) fn series(
        self: &Arc<Self>,
        query: BlockQuery,
        budget: Arc<RequestBudget>,
    ) -> Ahead<Vec<BlockSeries>> {
        let block = Arc::clone(self);
        let heads = self.heads(query.clone(), Arc::clone(&budget));
        Ahead::start(async move |out| {
            if query.skip_chunks && block.within(query.range) {
                send_labels(heads, &out).await
            } else {
                block.send_series(heads, &query, &budget, &out).await
            }
        })
    }

    pub(super) async fn label_names(
        &self,
        matchers: Arc<[Matcher]>,
        range: TimeRange,
        budget: Arc<RequestBudget>,
    ) -> Result<Vec<String>, BlockError> {
        let mut names = BTreeSet::new();
        for shard in &self.shards {
            if matchers.is_empty() {
                names.extend(shard.shard.label_names().map(str::to_owned));
            } else if let Some(rows) = self.select(shard, &matchers, range, &budget).await? {
                let lookup = shard.shard.label_names_of(rows);
                names.extend(self.answer_labels(shard, lookup, &budget).await?);
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
    ) -> Result<Vec<String>, BlockError> {
        let having = Matcher::new(MatchOp::NotEqual, name, "");
        let having: Arc<[Matcher]> = matchers.iter().cloned().chain(having.ok()).collect();
        let mut values = BTreeSet::new();
        for shard in &self.shards {
            let rows = if matchers.is_empty() {
                None
            } else {
                match self.select(shard, &having, range, &budget).await? {
                    None => continue,
                    rows => rows,
                }
            };
            let lookup = shard.shard.label_values(name, rows);
            values.extend(self.answer_labels(shard, lookup, &budget).await?);
        }
        Ok(values.into_iter().collect())
    }

    /// The rows of a shard that match and have a chunk in the range, if there are any.
    async fn select(
        &self,
        shard: &ShardReader,
        matchers: &[Matcher],
        range: TimeRange,
        budget: &RequestBudget,
    ) -> Result<Option<Selection>, BlockError> {
        let mut selection = self.search(shard, matchers, budget).await?;
        budget.add_series(rows::count(&selection))?;
        if !self.within(range) {
            let mut reader = ChunkReader::new(self, range, budget);
            for (group, rows) in &mut selection {
                *rows = reader.rows_within(shard, *group, rows).await?;
            }
            selection.retain(|(_, rows)| !rows.is_empty());
        }
        Ok((!selection.is_empty()).then_some(selection))
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
        self.answer_labels(shard, lookup, budget).await
    }

    /// The series that match, whether they have chunks in the range or not.
    fn heads(self: &Arc<Self>, query: BlockQuery, budget: Arc<RequestBudget>) -> Ahead<Heads> {
        let block = Arc::clone(self);
        Ahead::start(async move |out| block.send_heads(query, &budget, &out).await)
    }

    async fn send_heads(
        &self,
        query: BlockQuery,
        budget: &RequestBudget,
        out: &Sender<Heads>,
    ) -> Result<(), BlockError> {
        // Where all rows have chunks in the range, those past the limit need not be read.
        let limited = query.limit > 0 && self.within(query.range);
        let mut left = if limited { query.limit } else { usize::MAX };
        let mut most = FIRST_ROWS;
        for (number, shard) in self.shards.iter().enumerate() {
            let mut selection = self.search(shard, &query.matchers, budget).await?;
            left = rows::truncate(&mut selection, left);
            budget.add_series(rows::count(&selection))?;
            for (group, mut rest) in selection {
                while !rest.is_empty() {
                    let (rows, others) = rest.split_at(most);
                    rest = others;
                    most = (most * 4).min(MOST_ROWS);
                    let lookup = shard.shard.labels(group, rows.clone(), Projection::All);
                    let labels = self.answer_labels(shard, lookup, budget).await?;
                    let heads = Heads {
                        shard: number,
                        group,
                        rows,
                        labels,
                    };
                    if out.send(heads).await.is_err() {
                        return Ok(());
                    }
                }
            }
            if left == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Reads the chunks of heads, and sends on those that have any in the range.
    async fn send_series(
        &self,
        mut heads: Ahead<Heads>,
        query: &BlockQuery,
        budget: &RequestBudget,
        out: &Sender<Vec<BlockSeries>>,
    ) -> Result<(), BlockError> {
        let mut left = if query.limit == 0 {
            usize::MAX
        } else {
            query.limit
        };
        let mut reader = ChunkReader::new(self, query.range, budget);
        while let Some(heads) = heads.next().await {
            let heads = heads?;
            let Some(shard) = self.shards.get(heads.shard) else {
                continue;
            };
            let mut labels = heads.labels.into_iter();
            let mut rest = heads.rows;
            while !rest.is_empty() && left > 0 {
                let (chunks, others) = reader.next(shard, heads.group, &rest).await?;
                rest = others;
                let rows = labels.by_ref().take(chunks.len()).zip(chunks);
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
                    return Ok(());
                }
            }
            if left == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Whether each series of the block has a chunk in the range.
    fn within(&self, range: TimeRange) -> bool {
        range.covers(self.block.meta.time_range())
    }
}

/// Sends heads on as series without chunks.
async fn send_labels(
    mut heads: Ahead<Heads>,
    out: &Sender<Vec<BlockSeries>>,
) -> Result<(), BlockError> {
    while let Some(heads) = heads.next().await {
        let series = heads?.labels.into_iter().map(|labels| BlockSeries {
            labels,
            chunks: Vec::new(),
        });
        if out.send(series.collect()).await.is_err() {
            break;
        }
    }
    Ok(())
}
