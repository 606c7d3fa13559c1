//! Finds the matching series with their labels, whether they have chunks in the range or not.

use std::{collections::VecDeque, pin::pin, sync::Arc};

use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use model::Labels;
use parking_lot::Mutex;
use parquet_block::{Projection, RowRanges, Selection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc::Sender};

use super::{
    BlockError, BlockQuery, BlockSeries, ParquetBlock, Prefetch, RequestBudget, SHARDS_AT_ONCE,
    rows,
};
use crate::{
    memory::{HeldBytes, HeldFor, SERIES_BYTES},
    usage::DataKind,
};

/// Rows of the first batch of labels: few, so that the first answer is early.
const FIRST_ROWS: usize = 128;
/// Rows of a batch of labels. Each batch decodes its dictionaries anew.
pub(super) const MOST_ROWS: usize = 4096;
/// Likewise if there is no room for so many.
const FEWER_ROWS: usize = 512;
/// The most rows whose labels are being read or wait to be taken.
const ROWS_AHEAD: usize = 2 * MOST_ROWS;
/// The most batches of them: a row group with few matching rows is a batch.
const AHEAD: usize = 64;

/// Rows of a row group.
#[derive(Debug)]
pub(super) struct PendingRows {
    /// The index of the shard in the block.
    pub(super) shard: usize,
    pub(super) group: usize,
    pub(super) rows: RowRanges,
    /// The labels of each row; empty if they are not requested.
    pub(super) labels: Vec<Labels>,
}

/// Matching rows whose chunks may be read. Their labels are being read.
#[derive(Debug)]
pub(super) struct Found {
    pending: PendingRows,
    labels: ArrivingLabels,
}

/// Labels of rows that are being read.
#[derive(Debug)]
struct ArrivingLabels {
    /// A stream of one item.
    labels: Prefetch<Vec<Labels>>,
    /// Permits for the rows, and their memory.
    room: (OwnedSemaphorePermit, HeldBytes),
}

/// Sends rows and starts to read their labels.
struct Finding<'a> {
    block: &'a Arc<ParquetBlock>,
    budget: &'a Arc<RequestBudget>,
    out: &'a Sender<Found>,
    /// Rows of the next batch.
    most: usize,
    /// Permits for rows whose labels are not taken yet.
    room: Arc<Semaphore>,
}

/// The labels of rows whose chunks are read elsewhere, in the order of the rows.
#[derive(Debug, Default)]
pub(super) struct LabelQueue {
    arriving: Arc<Mutex<VecDeque<ArrivingLabels>>>,
    here: VecDeque<Labels>,
    /// The memory of those that came last, at least.
    hold: Option<HeldBytes>,
}

impl ParquetBlock {
    /// The matching series with their labels, whether they have chunks in the range or not.
    pub(super) fn pending_rows(
        self: &Arc<Self>,
        query: BlockQuery,
        budget: Arc<RequestBudget>,
    ) -> Prefetch<PendingRows> {
        let mut found = self.found(query, budget);
        Prefetch::start(async move |out| {
            while let Some(Found {
                mut pending,
                labels,
            }) = found.next().await.transpose()?
            {
                (pending.labels, _) = labels.read().await?;
                if out.send(pending).await.is_err() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// As [`Self::pending_rows`], with labels that may come later.
    pub(super) fn found(
        self: &Arc<Self>,
        query: BlockQuery,
        budget: Arc<RequestBudget>,
    ) -> Prefetch<Found> {
        let block = Arc::clone(self);
        Prefetch::start_with(AHEAD, async move |out| {
            let mut finding = Finding::new(&block, &budget, &out);
            let mut left = block.limit(&query);
            let mut searched = pin!(block.searched(&query, &budget));
            while left > 0
                && let Some((shard, mut selection)) = searched.try_next().await?
            {
                left = rows::truncate(&mut selection, left);
                budget.add_series(rows::count(&selection))?;
                finding.send(shard, selection).await?;
            }
            Ok(())
        })
    }

    /// These rows of shards, with labels that may come later.
    pub(super) fn found_of(
        self: &Arc<Self>,
        selected: Vec<(usize, Selection)>,
        budget: Arc<RequestBudget>,
    ) -> Prefetch<Found> {
        let block = Arc::clone(self);
        Prefetch::start_with(AHEAD, async move |out| {
            let mut finding = Finding::new(&block, &budget, &out);
            for (shard, selection) in selected {
                finding.send(shard, selection).await?;
            }
            Ok(())
        })
    }

    /// The matching rows of shards, whether they have chunks in the range or not.
    pub(super) async fn selected(
        &self,
        query: &BlockQuery,
        budget: &RequestBudget,
    ) -> Result<Vec<(usize, Selection)>, BlockError> {
        let mut left = self.limit(query);
        let mut selected = Vec::new();
        let mut searched = pin!(self.searched(query, budget));
        while left > 0
            && let Some((shard, mut selection)) = searched.try_next().await?
        {
            left = rows::truncate(&mut selection, left);
            budget.add_series(rows::count(&selection))?;
            selected.push((shard, selection));
        }
        Ok(selected)
    }

    /// The matching rows of each shard. Several shards are searched at once, unless the limit makes few rows enough.
    fn searched<'a>(
        &'a self,
        query: &'a BlockQuery,
        budget: &'a RequestBudget,
    ) -> impl Stream<Item = Result<(usize, Selection), BlockError>> + Send + 'a {
        let at_once = match self.limit(query) {
            usize::MAX => SHARDS_AT_ONCE,
            _ => 1,
        };
        let searches = (0..self.shards.len()).map(move |number| async move {
            let selection = self.search(number, &query.matchers, budget).await?;
            Ok((number, selection))
        });
        stream::iter(searches).buffered(at_once)
    }

    /// How many rows must be read. If all have chunks in the range, no more than the limit.
    fn limit(&self, query: &BlockQuery) -> usize {
        match query.limit > 0 && self.within(query.range) {
            true => query.limit,
            false => usize::MAX,
        }
    }

    /// Starts to read the labels of rows.
    fn labels(
        self: &Arc<Self>,
        pending: &PendingRows,
        room: (OwnedSemaphorePermit, HeldBytes),
        budget: &Arc<RequestBudget>,
    ) -> ArrivingLabels {
        let (block, budget) = (Arc::clone(self), Arc::clone(budget));
        let (number, group, rows) = (pending.shard, pending.group, pending.rows.clone());
        let labels = Prefetch::start(async move |out| {
            if let Some(shard) = block.shards.get(number) {
                let lookup = shard.shard.labels(group, rows, Projection::All);
                let labels = block
                    .answer(shard, lookup, DataKind::Series, &budget)
                    .await?;
                // The receiver may have dropped the rows.
                let _ = out.send(labels).await;
            }
            Ok(())
        });
        ArrivingLabels { labels, room }
    }
}

impl<'a> Finding<'a> {
    fn new(
        block: &'a Arc<ParquetBlock>,
        budget: &'a Arc<RequestBudget>,
        out: &'a Sender<Found>,
    ) -> Self {
        Self {
            block,
            budget,
            out,
            most: FIRST_ROWS,
            room: Arc::new(Semaphore::new(ROWS_AHEAD)),
        }
    }

    /// Sends rows of a shard until the receiver is gone.
    async fn send(&mut self, shard: usize, selection: Selection) -> Result<(), BlockError> {
        for (group, mut rest) in selection {
            while !rest.is_empty() && !self.out.is_closed() {
                // Without memory, two small batches take all permits.
                let (most, permits) = match self.budget.has_room() {
                    true => (self.most, 1),
                    false => (self.most.min(FEWER_ROWS), MOST_ROWS / FEWER_ROWS),
                };
                let (rows, others) = rest.split_at(most);
                rest = others;
                self.most = (self.most * 4).min(MOST_ROWS);
                let permit = room_for(&self.room, rows.len() * permits).await?;
                let mut hold = self.budget.hold(HeldFor::Batches);
                hold.set(SERIES_BYTES * rows.len() as u64);
                let room = (permit, hold);
                let pending = PendingRows {
                    shard,
                    group,
                    rows,
                    labels: Vec::new(),
                };
                let labels = self.block.labels(&pending, room, self.budget);
                // The receiver may be gone.
                let _ = self.out.send(Found { pending, labels }).await;
            }
        }
        Ok(())
    }
}

/// Waits until there is room for the labels of so many rows.
async fn room_for(room: &Arc<Semaphore>, rows: usize) -> Result<OwnedSemaphorePermit, BlockError> {
    let rows = u32::try_from(rows).unwrap_or(u32::MAX);
    let room = Arc::clone(room).acquire_many_owned(rows).await;
    // The semaphore is never closed.
    room.map_err(|_| BlockError::Stopped)
}

impl ArrivingLabels {
    /// The labels, and their memory.
    async fn read(mut self) -> Result<(Vec<Labels>, HeldBytes), BlockError> {
        let labels = self.labels.next().await.transpose()?;
        let (_, hold) = self.room;
        Ok((labels.ok_or(BlockError::Stopped)?, hold))
    }
}

impl PendingRows {
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

impl LabelQueue {
    /// The rows that were found. Their labels are to be taken from this queue.
    pub(super) fn rows(
        &self,
        found: Prefetch<Found>,
    ) -> impl Stream<Item = Result<PendingRows, BlockError>> + Send + Unpin + use<> {
        let arriving = Arc::clone(&self.arriving);
        found.map_ok(move |Found { pending, labels }| {
            arriving.lock().push_back(labels);
            pending
        })
    }

    /// The labels of the next `count` rows that were given.
    pub(super) async fn take(&mut self, count: usize) -> Result<Vec<Labels>, BlockError> {
        while self.here.len() < count {
            let next = self.arriving.lock().pop_front();
            let next = next.ok_or(BlockError::Stopped)?;
            let (labels, hold) = next.read().await?;
            self.here.extend(labels);
            self.hold = Some(hold);
        }
        Ok(self.here.drain(..count).collect())
    }
}

/// Sends the rows that were found as series without chunks.
pub(super) async fn send_labels(
    mut found: Prefetch<Found>,
    out: &Sender<Vec<BlockSeries>>,
) -> Result<(), BlockError> {
    while let Some(found) = found.next().await.transpose()? {
        let (labels, _hold) = found.labels.read().await?;
        let series = labels.into_iter().map(|labels| BlockSeries {
            labels,
            chunks: Vec::new(),
        });
        if out.send(series.collect()).await.is_err() {
            break;
        }
    }
    Ok(())
}
