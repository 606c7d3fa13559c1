//! Series in another order than that in which the index has them.

use std::{ops::Range, sync::Arc};

use futures::StreamExt as _;
use series::FinalLabels;
use tokio::sync::mpsc::Sender;
use tsdb::ChunkMeta;

use super::{
    BlockError, BlockQuery, BlockSeries, PendingSeries, RequestBudget, TsdbBlock, series::MAX_BATCH,
};
use crate::{
    block::order::{FirstSeries, Window, WindowSender},
    memory::HeldFor,
};

impl TsdbBlock {
    /// Sends the series that match in the order of their final labels, and under these.
    pub(super) async fn send_final(
        self: &Arc<Self>,
        labels: &Arc<FinalLabels>,
        query: &BlockQuery,
        budget: &Arc<RequestBudget>,
        out: &Sender<Vec<BlockSeries>>,
    ) -> Result<(), BlockError> {
        let mut first = FirstSeries::new(Arc::clone(labels), budget.hold(HeldFor::Order));
        let mut sender = WindowSender::new(query, budget, out);
        let mut counting = Arc::clone(budget);
        loop {
            let mut pending = self.pending_series(query.clone(), counting);
            while let Some(pending) = pending.next().await.transpose()? {
                let offer = move || offered(first, pending);
                first = self.source.pool.run(offer).await;
            }
            let take = move || {
                let (found, more) = first.take();
                let pending = found
                    .into_iter()
                    .map(|(labels, chunks)| PendingSeries { labels, chunks });
                (first, pending.collect::<Arc<[PendingSeries]>>(), more)
            };
            let (pending, more);
            (first, pending, more) = self.source.pool.run(take).await;
            let mut rest = &*pending;
            while !rest.is_empty() {
                let from = pending.len() - rest.len();
                let window = from..from + sender.window(rest).len();
                let window = self.read_window(&pending, window, query, budget).await?;
                rest = sender.send(window, rest).await?;
            }
            drop(pending);
            first.release();
            if !more || sender.is_done() {
                return Ok(());
            }
            counting = budget.for_rereading();
        }
    }

    /// Reads the chunks of some of the series as they are stored, and gives as many of the first as fit, in this order.
    async fn read_window(
        &self,
        pending: &Arc<[PendingSeries]>,
        some: Range<usize>,
        query: &BlockQuery,
        budget: &Arc<RequestBudget>,
    ) -> Result<Window, BlockError> {
        let mut window = Window::new(some.len(), budget.hold(HeldFor::Order));
        let pending = Arc::clone(pending);
        if query.skip_chunks {
            let put = move || {
                let pending = pending.get(some).unwrap_or_default();
                for (place, one) in pending.iter().enumerate() {
                    let (labels, chunks) = (one.labels.clone(), Vec::new());
                    window.put(place, BlockSeries { labels, chunks });
                }
                window
            };
            return Ok(self.source.pool.run(put).await);
        }
        let sort = move || {
            let pending = pending.get(some).unwrap_or_default();
            let mut stored: Vec<(usize, &PendingSeries)> = pending.iter().enumerate().collect();
            stored.sort_by_key(|(_, one)| one.chunks.first().map(|chunk| chunk.reference));
            let stored = stored.into_iter();
            let stored = stored.map(|(place, one)| (place, one.clone()));
            stored.unzip()
        };
        let (places, stored): (Vec<usize>, Vec<PendingSeries>) = self.source.pool.run(sort).await;
        let mut places = places.into_iter();
        // Chunks count when they are sent.
        let reading = budget.for_rereading();
        for batch in self.batches(stored, (MAX_BATCH, MAX_BATCH)).await {
            let series = self.read(batch, &reading).await?;
            let places: Vec<usize> = places.by_ref().take(series.len()).collect();
            let put = move || {
                for (place, series) in places.into_iter().zip(series) {
                    window.put(place, series);
                }
                window
            };
            window = self.source.pool.run(put).await;
        }
        Ok(window)
    }
}

fn offered(
    mut first: FirstSeries<Vec<ChunkMeta>>,
    pending: Vec<PendingSeries>,
) -> FirstSeries<Vec<ChunkMeta>> {
    for PendingSeries { labels, chunks } in pending {
        let size = size_of_val(chunks.as_slice());
        first.offer(labels, chunks, size);
    }
    first
}
