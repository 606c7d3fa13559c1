//! Finding the series that match, with their labels, whether they have chunks in the range or not.

use std::sync::Arc;

use futures::StreamExt as _;
use parquet_block::{Projection, RowRanges};
use tokio::sync::mpsc::Sender;

use super::{Ahead, BlockError, BlockQuery, BlockSeries, ParquetBlock, RequestBudget, rows};

/// Rows of the first batch of labels: few, so that the first answer is soon there.
const FIRST_ROWS: usize = 128;
/// Rows of a batch of labels. Each batch decodes the dictionaries it needs anew.
const MOST_ROWS: usize = 4096;

/// Rows of a row group, with their labels.
#[derive(Debug)]
pub(super) struct Heads {
    /// The shard's place in the block.
    pub(super) shard: usize,
    pub(super) group: usize,
    pub(super) rows: RowRanges,
    /// Of each row; none, if nobody asks for them.
    pub(super) labels: Vec<model::Labels>,
}

impl ParquetBlock {
    /// The series that match, whether they have chunks in the range or not.
    pub(super) fn heads(
        self: &Arc<Self>,
        query: BlockQuery,
        budget: Arc<RequestBudget>,
    ) -> Ahead<Heads> {
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
                    let labels = self.answer(shard, lookup, budget).await?;
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
}

impl Heads {
    /// Takes the first `most` rows.
    pub(super) fn take(&mut self, most: usize) -> Self {
        let (rows, rest) = self.rows.split_at(most);
        self.rows = rest;
        let labels = self.labels.drain(..rows.len().min(self.labels.len()));
        Self {
            labels: labels.collect(),
            rows,
            ..*self
        }
    }
}

/// Sends heads on as series without chunks.
pub(super) async fn send_labels(
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
