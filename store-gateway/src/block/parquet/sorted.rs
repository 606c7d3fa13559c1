//! Series in another order than that of their rows.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use parquet_block::{Projection, RowRanges};
use series::FinalLabels;
use tokio::sync::mpsc::Sender;

use super::{
    BlockError, BlockQuery, BlockSeries, PRESENCE, ParquetBlock, RequestBudget,
    before_name::RowsInOrder,
    chunks::{self, ChunkReader, Reading},
    pending_rows::PendingRows,
    rows::{Row, number},
};
use crate::{
    block::order::{FirstSeries, Window, WindowSender},
    memory::HeldFor,
    usage::DataKind,
};

/// Row groups whose labels are read at once.
pub(super) const GROUPS_AT_ONCE: usize = 16;

impl ParquetBlock {
    /// Sends the series that match, first by the labels `names`, then as they are stored.
    pub(super) async fn send_in_order(
        self: &Arc<Self>,
        names: &[Vec<u8>],
        query: &BlockQuery,
        budget: &Arc<RequestBudget>,
        out: &Sender<Vec<BlockSeries>>,
    ) -> Result<(), BlockError> {
        let own = Arc::new(FinalLabels::default());
        match self.rows_in_order(names, query, budget).await? {
            RowsInOrder::Same(selected) => {
                let found = self.found_of(selected, Arc::clone(budget));
                self.send(found, query, budget, out).await
            }
            RowsInOrder::Rows(rows) => {
                let mut sender = WindowSender::new(query, budget, out);
                let mut hold = budget.hold(HeldFor::Order);
                hold.set(size_of_val(rows.as_slice()) as u64);
                self.send_rows(&rows, &own, query, budget, &mut sender)
                    .await
            }
            // By all own labels, so by these first.
            RowsInOrder::TooMany => {
                let counted = budget.for_rereading();
                self.send_passes(&own, query, (budget, counted), out).await
            }
        }
    }

    /// Sends the series that match in the order of their final labels, and under these.
    pub(super) async fn send_final(
        self: &Arc<Self>,
        labels: &Arc<FinalLabels>,
        query: &BlockQuery,
        budget: &Arc<RequestBudget>,
        out: &Sender<Vec<BlockSeries>>,
    ) -> Result<(), BlockError> {
        let counting = Arc::clone(budget);
        self.send_passes(labels, query, (budget, counting), out)
            .await
    }

    /// The same; `counting` counts the series that match.
    async fn send_passes(
        self: &Arc<Self>,
        labels: &Arc<FinalLabels>,
        query: &BlockQuery,
        (budget, mut counting): (&Arc<RequestBudget>, Arc<RequestBudget>),
        out: &Sender<Vec<BlockSeries>>,
    ) -> Result<(), BlockError> {
        let mut first = FirstSeries::new(Arc::clone(labels), budget.hold(HeldFor::Order));
        let mut sender = WindowSender::new(query, budget, out);
        loop {
            let mut pending = self.pending_rows(query.clone(), counting);
            while let Some(pending) = pending.next().await.transpose()? {
                let offer = move || offered(first, pending);
                first = self.source.pool.run(offer).await;
            }
            let take = move || {
                let (rows, more) = first.take();
                first.release();
                let rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
                (first, rows, more)
            };
            let (rows, more);
            (first, rows, more) = self.source.pool.run(take).await;
            let mut hold = budget.hold(HeldFor::Order);
            hold.set(size_of_val(rows.as_slice()) as u64);
            self.send_rows(&rows, labels, query, budget, &mut sender)
                .await?;
            if !more || sender.is_done() {
                return Ok(());
            }
            counting = budget.for_rereading();
        }
    }

    async fn send_rows(
        &self,
        rows: &[Row],
        labels: &Arc<FinalLabels>,
        query: &BlockQuery,
        budget: &Arc<RequestBudget>,
        sender: &mut WindowSender<'_>,
    ) -> Result<(), BlockError> {
        let mut rest = rows;
        while !rest.is_empty() {
            let rows = sender.window(rest);
            let window = self.read_window(rows, labels, query, budget).await?;
            rest = sender.send(window, rest).await?;
        }
        Ok(())
    }

    /// Reads rows as they are stored, and gives as many of the first as fit, in this order.
    async fn read_window(
        &self,
        rows: &[Row],
        labels: &Arc<FinalLabels>,
        query: &BlockQuery,
        budget: &Arc<RequestBudget>,
    ) -> Result<Window, BlockError> {
        let rows = rows.to_vec();
        let mut window = Window::new(rows.len(), budget.hold(HeldFor::Order));
        let sort = move || {
            let mut stored: Vec<(usize, Row)> = rows.into_iter().enumerate().collect();
            stored.sort_unstable_by_key(|(_, row)| (row.shard, row.group, row.row));
            stored
        };
        let stored = self.source.pool.run(sort).await;
        let pending = self.rows_with_labels(&stored, budget).await?;
        let mut places = stored.into_iter().map(|(place, _)| place);
        if query.skip_chunks && self.within(query.range) {
            let labels = Arc::clone(labels);
            let put = move || {
                let own = pending.into_iter().flat_map(|pending| pending.labels);
                for (own, place) in own.zip(places) {
                    let labels = labels.apply(own);
                    let chunks = Vec::new();
                    window.put(place, BlockSeries { labels, chunks });
                }
                window
            };
            return Ok(self.source.pool.run(put).await);
        }
        let skip_chunks = query.skip_chunks;
        let reading = Reading {
            range: query.range,
            aggregates: if skip_chunks {
                PRESENCE.into()
            } else {
                query.aggregates
            },
            ahead: chunks::AHEAD,
        };
        let pending = stream::iter(pending.into_iter().map(Ok));
        let mut reader = ChunkReader::new(self, pending, reading, budget);
        while let Some((pending, chunks)) = reader.next().await? {
            let places: Vec<usize> = places.by_ref().take(chunks.len()).collect();
            let labels = Arc::clone(labels);
            let put = move || {
                for ((own, mut chunks), place) in pending.labels.into_iter().zip(chunks).zip(places)
                {
                    // Without a chunk in the range, it is not sent.
                    if chunks.is_empty() {
                        continue;
                    }
                    if skip_chunks {
                        chunks = Vec::new();
                    }
                    let labels = labels.apply(own);
                    window.put(place, BlockSeries { labels, chunks });
                }
                window
            };
            window = self.source.pool.run(put).await;
        }
        Ok(window)
    }

    /// The rows, which ascend, with their labels.
    async fn rows_with_labels(
        &self,
        rows: &[(usize, Row)],
        budget: &RequestBudget,
    ) -> Result<Vec<PendingRows>, BlockError> {
        let mut groups = Vec::new();
        for of_group in rows.chunk_by(|(_, a), (_, b)| (a.shard, a.group) == (b.shard, b.group)) {
            if let Some((_, Row { shard, group, .. })) = of_group.first() {
                let rows = of_group.iter().map(|(_, row)| row.row);
                let rows: RowRanges = rows.map(|row| row..row.saturating_add(1)).collect();
                groups.push((*shard as usize, *group as usize, rows));
            }
        }
        let pending = groups.into_iter().map(|(number, group, rows)| async move {
            let labels = match self.shards.get(number) {
                Some(shard) => {
                    let lookup = shard.shard.labels(group, rows.clone(), Projection::All);
                    self.answer(shard, lookup, DataKind::Series, budget).await?
                }
                None => Vec::new(),
            };
            Ok(PendingRows {
                shard: number,
                group,
                rows,
                labels,
            })
        });
        stream::iter(pending)
            .buffered(GROUPS_AT_ONCE)
            .try_collect()
            .await
    }
}

fn offered(mut first: FirstSeries<Row>, pending: PendingRows) -> FirstSeries<Row> {
    let (shard, group) = (number(pending.shard), number(pending.group));
    for (row, own) in pending.rows.rows().zip(pending.labels) {
        let row = Row {
            rank: 0,
            shard,
            group,
            row,
        };
        first.offer(own, row, size_of::<Row>());
    }
    first
}
