//! From pending series to whole ones: batches of bounded size, each with its chunks.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use futures::StreamExt as _;
use tokio::sync::mpsc::Sender;

use super::{BlockError, BlockSeries, Guesses, PendingSeries, Prefetch, RequestBudget, TsdbBlock};
use crate::{
    block::prefetch::send_and_wait,
    fetch::{ListedObject, size},
    memory::{BATCHES_AFTER_FETCH, HeldFor},
};

/// Bytes of chunks in the first batch: few, so that the first answer is early.
const FIRST_BATCH: u64 = 128 << 10;
/// Bytes of chunks in a batch, with the unwanted ones; and if there is no room for so many.
pub(super) const MAX_BATCH: u64 = 2 << 20;
const SMALL_BATCH: u64 = 256 << 10;
/// Unwanted bytes of a segment that are fetched to save a request.
pub(super) const CHUNK_GAP: u64 = 128 << 10;

/// Batches are read ahead while all of them together take fewer bytes.
const AHEAD_BYTES: u64 = 4 << 20;
/// The most batches that are read at once: their labels take memory too.
const AT_ONCE: usize = 4;

/// Series that are read together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) pending: Vec<PendingSeries>,
    /// The range of each chunk in its segment, series after series.
    pub(super) ranges: Vec<Range<u64>>,
    /// About how many bytes are fetched.
    pub(super) cost: u64,
}

/// Sends series without chunks.
pub(super) async fn send_labels(
    mut pending: Prefetch<Vec<PendingSeries>>,
    out: &Sender<Vec<BlockSeries>>,
) -> Result<(), BlockError> {
    while let Some(pending) = pending.next().await {
        let series = pending?.into_iter().map(|one| BlockSeries {
            labels: one.labels,
            chunks: Vec::new(),
        });
        if out.send(series.collect()).await.is_err() {
            break;
        }
    }
    Ok(())
}

impl TsdbBlock {
    /// Reads the chunks of series, and sends them. The next batches are read meanwhile.
    pub(super) async fn send_series(
        self: &Arc<Self>,
        mut pending: Prefetch<Vec<PendingSeries>>,
        budget: &Arc<RequestBudget>,
        out: &Sender<Vec<BlockSeries>>,
    ) -> Result<(), BlockError> {
        let (mut waiting, mut reading) = (VecDeque::<Batch>::new(), VecDeque::new());
        let (mut is_first, mut bytes, mut sent) = (true, 0, 0);
        let mut hold = budget.hold(HeldFor::Batches);
        // How the series have ended, if they have.
        let mut end = None;
        loop {
            let has_room = |bytes, count| {
                count == 0 || bytes < AHEAD_BYTES && count < AT_ONCE && budget.reads_ahead()
            };
            while has_room(bytes, reading.len())
                && let Some(batch) = waiting.pop_front()
            {
                bytes += batch.cost;
                reading.push_back((batch.cost, self.start(batch, budget)));
            }
            let has_room = has_room(bytes, reading.len()) && end.is_none();
            hold.set(bytes + BATCHES_AFTER_FETCH * sent);
            tokio::select! {
                biased;
                next = pending.next(), if has_room => match next {
                    Some(Ok(pending)) => {
                        let most = if budget.has_room() { MAX_BATCH } else { SMALL_BATCH };
                        let first = if is_first { FIRST_BATCH } else { most };
                        waiting.extend(self.batches(pending, (first, most)).await);
                        is_first = false;
                    }
                    Some(Err(error)) => end = Some(Err(error)),
                    None => end = Some(Ok(())),
                },
                Some(series) = first(&mut reading) => {
                    sent = reading.pop_front().map_or(0, |(cost, _)| cost);
                    bytes -= sent;
                    if !send_and_wait(out, series?, sent).await {
                        return Ok(());
                    }
                }
                else => return end.unwrap_or(Ok(())),
            }
        }
    }

    /// Starts to read a batch. It goes on while others wait for the client.
    fn start(
        self: &Arc<Self>,
        batch: Batch,
        budget: &Arc<RequestBudget>,
    ) -> Prefetch<Vec<BlockSeries>> {
        let (block, budget) = (Arc::clone(self), Arc::clone(budget));
        Prefetch::start(async move |out| {
            let series = block.read(batch, &budget).await?;
            // The receiver may have dropped the batch.
            let _ = out.send(series).await;
            Ok(())
        })
    }

    /// Cuts series into batches; the first takes up to `most.0` bytes, the others up to `most.1`.
    pub(super) async fn batches(
        &self,
        pending: Vec<PendingSeries>,
        most: (u64, u64),
    ) -> Vec<Batch> {
        let ends: Vec<u64> = self.segments.iter().map(|segment| segment.size).collect();
        let guesses = self.guesses;
        let cut = move || cut(pending, &ends, guesses, most);
        self.source.pool.run(cut).await
    }

    /// The segment that chunk references call `segment`.
    pub(super) fn segment(&self, segment: u32) -> Result<&ListedObject, BlockError> {
        let found = self.segments.get(segment as usize);
        found.ok_or_else(|| BlockError::Missing {
            key: self.block.key(&tsdb::segment_file_name(segment)),
        })
    }
}

/// The series of the first batch, if any.
async fn first(
    reading: &mut VecDeque<(u64, Prefetch<Vec<BlockSeries>>)>,
) -> Option<Result<Vec<BlockSeries>, BlockError>> {
    let (_, batch) = reading.front_mut()?;
    // An end would look like a complete answer.
    Some(batch.next().await.unwrap_or(Err(BlockError::Stopped)))
}

/// Cuts series into batches. The first takes up to `first` bytes and the others up to `most`, unless a series alone is
/// larger. `ends` are the sizes of the segments.
fn cut(
    pending: Vec<PendingSeries>,
    ends: &[u64],
    guesses: Guesses,
    (first, most): (u64, u64),
) -> Vec<Batch> {
    let mut ranges = ranges(&pending, ends, guesses).into_iter().peekable();
    let mut batches: Vec<Batch> = Vec::new();
    let (mut max, mut total, mut last) = (first, 0, None);
    for one in pending {
        let own: Vec<_> = ranges.by_ref().take(one.chunks.len()).collect();
        let cost: u64 = one
            .chunks
            .iter()
            .zip(&own)
            .map(|(chunk, range)| cost(&mut last, chunk.reference.segment(), range))
            .sum();
        total += cost;
        match batches.last_mut() {
            Some(batch) if total <= max => {
                batch.pending.push(one);
                batch.ranges.extend(own);
                batch.cost = total;
            }
            open => {
                if open.is_some() {
                    max = most;
                    total = cost;
                }
                batches.push(Batch {
                    pending: vec![one],
                    ranges: own,
                    cost,
                });
            }
        }
    }
    batches
}

/// The range of each chunk in its segment. A chunk ends before the next one if that is known.
fn ranges(pending: &[PendingSeries], ends: &[u64], guesses: Guesses) -> Vec<Range<u64>> {
    let mut chunks = pending.iter().flat_map(|one| &one.chunks).peekable();
    let mut ranges = Vec::new();
    while let Some(chunk) = chunks.next() {
        let segment = chunk.reference.segment();
        let mut range = tsdb::chunk_range(chunk, guesses.chunk);
        if let Some(next) = chunks.peek()
            && next.reference.segment() == segment
            && next.reference > chunk.reference
        {
            range.end = range.end.min(next.reference.offset().into());
        }
        if let Some(&end) = ends.get(segment as usize) {
            range.end = range.end.min(end.max(range.start));
        }
        ranges.push(range);
    }
    ranges
}

/// The bytes that fetching `range` adds after `last`.
fn cost(last: &mut Option<(u32, u64)>, segment: u32, range: &Range<u64>) -> u64 {
    let before = last.replace((segment, range.end));
    match before {
        Some((same, end))
            if same == segment && range.start >= end && range.start - end <= CHUNK_GAP =>
        {
            range.end.saturating_sub(end)
        }
        _ => size(range),
    }
}

#[cfg(test)]
mod tests {
    use model::{Labels, Timestamp};
    use tsdb::{ChunkMeta, ChunkRef};

    use super::*;

    /// A series with chunks at these places.
    fn series(places: &[(u32, u32)]) -> PendingSeries {
        let chunk = |&(segment, offset): &(u32, u32)| ChunkMeta {
            min: Timestamp(0),
            max: Timestamp(0),
            reference: ChunkRef::new(segment, offset),
        };
        PendingSeries {
            labels: Labels::default(),
            chunks: places.iter().map(chunk).collect(),
        }
    }

    const GUESSES: Guesses = Guesses {
        entry: 0,
        chunk: 100,
    };

    #[test]
    fn a_chunk_ends_where_the_next_or_the_segment_does() {
        let pending = [series(&[(0, 8), (0, 40)]), series(&[(0, 500), (1, 8)])];
        let ranges = ranges(&pending, &[550, 1000], GUESSES);
        assert_eq!(ranges, [8..40, 40..140, 500..550, 8..108]);
    }

    #[test]
    fn batches_are_cut_between_series_by_their_bytes() {
        let pending: Vec<_> = (0..6).map(|i| series(&[(0, 8 + i * 100)])).collect();
        let batches = cut(pending, &[10_000], GUESSES, (250, MAX_BATCH));
        let sizes: Vec<_> = batches
            .iter()
            .map(|b| (b.pending.len(), b.ranges.len()))
            .collect();
        assert_eq!(sizes, [(2, 2), (4, 4)]);
        assert_eq!(
            cut(
                vec![series(&[(0, 8), (0, 5000)])],
                &[10_000],
                GUESSES,
                (10, MAX_BATCH)
            )
            .len(),
            1
        );
    }

    #[test]
    fn bytes_between_chunks_are_counted_if_they_are_fetched() {
        let mut last = None;
        assert_eq!(cost(&mut last, 0, &(8..10)), 2);
        assert_eq!(cost(&mut last, 0, &(18..20)), 10);
        assert_eq!(cost(&mut last, 1, &(28..30)), 2);
        assert_eq!(cost(&mut last, 1, &(8..10)), 2);
        let far = 10 + CHUNK_GAP + 1;
        assert_eq!(cost(&mut last, 1, &(far..far + 2)), 2);
    }
}
