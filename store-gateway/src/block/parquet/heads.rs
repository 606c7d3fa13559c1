//! Finding the series that match, with their labels, whether they have chunks in the range or not.

use std::sync::Arc;

use futures::StreamExt as _;
use parquet_block::{Projection, RowRanges, Selection};
use tokio::sync::mpsc::Sender;

use super::{Ahead, BlockError, BlockQuery, BlockSeries, ParquetBlock, RequestBudget, rows};

/// Rows of the first batch of labels: few, so that the first answer is soon there.
const FIRST_ROWS: usize = 128;
/// Rows of a batch of labels. Each batch decodes the dictionaries it needs anew.
pub(super) const MOST_ROWS: usize = 4096;

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

    /// The series of these rows of shards.
    pub(super) fn heads_of(
        self: &Arc<Self>,
        selected: Vec<(usize, Selection)>,
        budget: Arc<RequestBudget>,
    ) -> Ahead<Heads> {
        let block = Arc::clone(self);
        Ahead::start(async move |out| {
            let mut most = FIRST_ROWS;
            for (number, selection) in selected {
                block
                    .send_selected(number, selection, &mut most, &budget, &out)
                    .await?;
            }
            Ok(())
        })
    }

    /// The rows of shards that match, whether they have chunks in the range or not.
    pub(super) async fn selected(
        &self,
        query: &BlockQuery,
        budget: &RequestBudget,
    ) -> Result<Vec<(usize, Selection)>, BlockError> {
        let mut left = self.limit(query);
        let mut selected = Vec::new();
        for number in 0..self.shards.len() {
            let selection = self.first_rows(number, query, &mut left, budget).await?;
            selected.push((number, selection));
        }
        Ok(selected)
    }

    async fn send_heads(
        &self,
        query: BlockQuery,
        budget: &RequestBudget,
        out: &Sender<Heads>,
    ) -> Result<(), BlockError> {
        let mut left = self.limit(&query);
        let mut most = FIRST_ROWS;
        for number in 0..self.shards.len() {
            let selection = self.first_rows(number, &query, &mut left, budget).await?;
            self.send_selected(number, selection, &mut most, budget, out)
                .await?;
        }
        Ok(())
    }

    /// How many rows need be read: where all have chunks in the range, those past the limit need not.
    fn limit(&self, query: &BlockQuery) -> usize {
        match query.limit > 0 && self.within(query.range) {
            true => query.limit,
            false => usize::MAX,
        }
    }

    /// The rows of a shard that match, `left` at most, which it takes off.
    async fn first_rows(
        &self,
        shard: usize,
        query: &BlockQuery,
        left: &mut usize,
        budget: &RequestBudget,
    ) -> Result<Selection, BlockError> {
        let Some(shard) = self.shards.get(shard).filter(|_| *left > 0) else {
            return Ok(Selection::new());
        };
        let mut selection = self.search(shard, &query.matchers, budget).await?;
        *left = rows::truncate(&mut selection, *left);
        budget.add_series(rows::count(&selection))?;
        Ok(selection)
    }

    /// Reads the labels of rows of a shard, `most` at once, and sends them on as long as anybody takes them.
    async fn send_selected(
        &self,
        number: usize,
        selection: Selection,
        most: &mut usize,
        budget: &RequestBudget,
        out: &Sender<Heads>,
    ) -> Result<(), BlockError> {
        let Some(shard) = self.shards.get(number) else {
            return Ok(());
        };
        for (group, mut rest) in selection {
            while !rest.is_empty() && !out.is_closed() {
                let (rows, others) = rest.split_at(*most);
                rest = others;
                *most = (*most * 4).min(MOST_ROWS);
                let lookup = shard.shard.labels(group, rows.clone(), Projection::All);
                let heads = Heads {
                    shard: number,
                    group,
                    labels: self.answer(shard, lookup, budget).await?,
                    rows,
                };
                // Whoever is gone wants no more.
                let _ = out.send(heads).await;
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
