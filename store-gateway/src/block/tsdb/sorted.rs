//! Series in another order than that in which the index has them.

use std::sync::Arc;

use futures::StreamExt as _;
use series::FinalLabels;
use tokio::sync::mpsc::Sender;
use tsdb::ChunkMeta;

use super::{
    BlockError, BlockQuery, BlockSeries, Head, RequestBudget, TsdbBlock, series::MAX_BATCH,
};
use crate::block::order::{First, Sending, Window};

impl TsdbBlock {
    /// Sends the series that match in the order of their final labels, and under these.
    pub(super) async fn send_final(
        self: &Arc<Self>,
        labels: &Arc<FinalLabels>,
        query: &BlockQuery,
        budget: &Arc<RequestBudget>,
        out: &Sender<Vec<BlockSeries>>,
    ) -> Result<(), BlockError> {
        let mut first = First::new(Arc::clone(labels), budget.hold());
        let mut sending = Sending::new(query, budget, out);
        let mut counting = Arc::clone(budget);
        loop {
            let mut heads = self.heads(query.clone(), counting);
            while let Some(heads) = heads.next().await.transpose()? {
                let offer = move || offered(first, heads);
                first = self.source.pool.run(offer).await;
            }
            let (heads, more) = first.take();
            let heads = heads.into_iter();
            let heads: Vec<Head> = heads
                .map(|(labels, chunks)| Head { labels, chunks })
                .collect();
            let mut rest = heads.as_slice();
            while !rest.is_empty() {
                let heads = sending.window(rest);
                let window = self.read_window(heads, query, budget).await?;
                rest = sending.send(window, rest).await?;
            }
            drop(heads);
            first.release();
            if !more || sending.is_done() {
                return Ok(());
            }
            counting = budget.for_rereading();
        }
    }

    /// Reads the chunks of heads as they are stored, and gives as many of the first as fit, in this order.
    async fn read_window(
        &self,
        heads: &[Head],
        query: &BlockQuery,
        budget: &Arc<RequestBudget>,
    ) -> Result<Window, BlockError> {
        let mut window = Window::new(heads.len(), budget.hold());
        if query.skip_chunks {
            for (place, head) in heads.iter().enumerate() {
                let (labels, chunks) = (head.labels.clone(), Vec::new());
                window.put(place, BlockSeries { labels, chunks });
            }
            return Ok(window);
        }
        let mut stored: Vec<(usize, &Head)> = heads.iter().enumerate().collect();
        stored.sort_by_key(|(_, head)| head.chunks.first().map(|chunk| chunk.reference));
        let (places, stored): (Vec<usize>, Vec<&Head>) = stored.into_iter().unzip();
        let mut places = places.into_iter();
        // Chunks count when they are sent.
        let reading = budget.for_rereading();
        let stored = stored.into_iter().cloned().collect();
        for batch in self.batches(stored, MAX_BATCH).await {
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

fn offered(mut first: First<Vec<ChunkMeta>>, heads: Vec<Head>) -> First<Vec<ChunkMeta>> {
    for Head { labels, chunks } in heads {
        let size = size_of_val(chunks.as_slice());
        first.offer(labels, chunks, size);
    }
    first
}
