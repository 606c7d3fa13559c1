//! Reads the chunks of rows in batches of bounded size. The next batches are fetched while one is decoded and waits
//! for the client, if there is memory and requests are few. The size of rows is unknown before their pages are known; a
//! batch that would fetch too much is cut, and the next one begins with the rest.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use futures::{Stream, StreamExt as _};
use model::{AggregateSet, TimeRange};
use tsdb::Chunk;

use super::{
    BlockError, ParquetBlock, RequestBudget, ShardReader,
    batch::{self, Batch, Fetching, Pages, PlannedRead},
    pending_rows::PendingRows,
};
use crate::{
    fetch::size,
    memory::{BATCHES_AFTER_FETCH, HeldBytes, HeldFor},
    usage::DataKind,
};

/// Batches that are fetched ahead, whatever their size.
pub(super) const AHEAD: usize = 1;
/// More are fetched while all of them together take fewer bytes.
const AHEAD_BYTES: u64 = 2 * AIM;
/// The most batches at once.
const AT_ONCE: usize = 32;

/// Rows of the first batch.
const FIRST_ROWS: usize = 32;
/// Rows of a batch.
const MOST_ROWS: usize = 4096;
/// The bytes that a batch should take, fetched or decoded, whichever is more; and without room for so much or
/// beside many requests. Pages of all time slices should be in one.
const AIM: u64 = 2 << 20;
const SMALL_AIM: u64 = 1 << 20;
/// The most that a batch of several rows fetches, as a multiple of the aim. One row may need a page of each time slice;
/// those that the batch before has come on top.
const MAX_FETCH: u64 = 3;

/// What to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) range: TimeRange,
    /// The aggregates, of a downsampled block.
    pub(super) aggregates: AggregateSet,
    /// Batches that are fetched ahead; if any are, small ones may be more.
    pub(super) ahead: usize,
}

/// Reads chunks for one request, in the order of the rows.
pub(super) struct ChunkReader<'a, S> {
    block: &'a ParquetBlock,
    reading: Reading,
    budget: &'a Arc<RequestBudget>,
    pending: S,
    /// Whether no batch was started yet. Pages of the first are kept: those of an answer of a few series, which may be
    /// asked for again and again, and share them with the series beside them; a large answer drives out no more.
    is_first: bool,
    /// Rows that are in no batch yet.
    rest: Option<PendingRows>,
    /// How the stream of rows has ended, if it has.
    end: Option<Result<(), BlockError>>,
    /// Batches being fetched, in order.
    batches: VecDeque<Batch>,
    /// The pages of the batch that was read last.
    pages: Pages,
    size: BatchSize,
    hold: HeldBytes,
}

/// How many rows to read next.
#[derive(Debug)]
struct BatchSize {
    rows: usize,
    aim: u64,
    /// The bytes of the chunks decoded last, and the number of their rows.
    decoded: (u64, usize),
}

impl<'a, S> ChunkReader<'a, S>
where
    S: Stream<Item = Result<PendingRows, BlockError>> + Unpin,
{
    pub(super) fn new(
        block: &'a ParquetBlock,
        pending: S,
        reading: Reading,
        budget: &'a Arc<RequestBudget>,
    ) -> Self {
        Self {
            block,
            reading,
            budget,
            pending,
            is_first: true,
            rest: None,
            end: None,
            batches: VecDeque::new(),
            pages: Pages::default(),
            size: BatchSize {
                rows: FIRST_ROWS,
                aim: AIM,
                decoded: (0, 1),
            },
            hold: budget.hold(HeldFor::Batches),
        }
    }

    /// The next rows with their chunks in the range, row by row; `None` at the end.
    pub(super) async fn next(
        &mut self,
    ) -> Result<Option<(PendingRows, Vec<Vec<Chunk>>)>, BlockError> {
        loop {
            self.plan().await?;
            let more = self.may_start() && self.end.is_none();
            match self.batches.front_mut() {
                None => match &mut self.end {
                    Some(end) => return std::mem::replace(end, Ok(())).map(|()| None),
                    None => self.rest = received(&mut self.pending, &mut self.end).await,
                },
                Some(first) if more => tokio::select! {
                    biased;
                    pending = received(&mut self.pending, &mut self.end) => self.rest = pending,
                    arrived = first.arrived() => {
                        arrived?;
                        break;
                    }
                },
                Some(_) => break,
            }
        }
        match self.batches.pop_front() {
            Some(batch) => self.read(batch).await.map(Some),
            None => Ok(None),
        }
    }

    /// The bytes of the chunks given last.
    pub(super) const fn decoded(&self) -> u64 {
        self.size.decoded.0
    }

    /// Whether another batch may be fetched now.
    fn may_start(&self) -> bool {
        let ahead = match self.budget.reads_ahead() {
            true => self.reading.ahead,
            false => 0,
        };
        may_start(self.batches.len(), self.cost(), ahead)
    }

    /// The bytes that are being fetched.
    fn cost(&self) -> u64 {
        self.batches.iter().map(|batch| batch.cost).sum()
    }

    /// Tells the bytes that are held.
    fn set_hold(&mut self) {
        let afterwards = self.size.decoded.0.saturating_mul(BATCHES_AFTER_FETCH);
        self.hold.set(self.cost().saturating_add(afterwards));
    }

    /// Starts batches of the rows at hand.
    async fn plan(&mut self) -> Result<(), BlockError> {
        while self.may_start()
            && let Some(mut rest) = self.rest.take()
        {
            let Some(shard) = self.block.shards.get(rest.shard) else {
                continue;
            };
            let (planned, missing, rows) = self.plan_read(shard, &rest).await?;
            let pending = rest.take(rows);
            if !rest.rows.is_empty() {
                self.rest = Some(rest);
            }
            let fetching = Fetching {
                budget: self.budget,
                keep: std::mem::take(&mut self.is_first),
            };
            let batch = Batch::start(self.block, shard, (pending, planned), missing, fetching);
            self.batches.push_back(batch);
            self.set_hold();
        }
        Ok(())
    }

    /// Finds the pages that the first rows need, those of them that are not here yet, and the number of these rows.
    async fn plan_read(
        &mut self,
        shard: &ShardReader,
        pending: &PendingRows,
    ) -> Result<(PlannedRead, Vec<Range<u64>>, usize), BlockError> {
        self.size.aim = match self.budget.reads_ahead() {
            true => AIM,
            false => SMALL_AIM,
        };
        loop {
            let rows = pending.rows.split_at(self.size.rows).0;
            let count = rows.len();
            let (group, range) = (pending.group, self.reading.range);
            let aggregates = self.reading.aggregates;
            let lookup = shard.shard.chunks(group, rows, range, aggregates);
            let planned = self
                .block
                .step(shard, lookup, DataKind::Series, self.budget)
                .await?;
            let before = self.batches.back();
            let missing = batch::missing(&planned, pending.shard, before, &self.pages);
            let fetched = missing.iter().map(size).sum();
            if fetched <= MAX_FETCH * self.size.aim || count <= 1 {
                self.size.fetched(count, fetched);
                return Ok((planned, missing, count));
            }
            self.size.rows = shrunk(count, fetched, self.size.aim);
        }
    }

    async fn read(&mut self, batch: Batch) -> Result<(PendingRows, Vec<Vec<Chunk>>), BlockError> {
        let Some(shard) = self.block.shards.get(batch.pending.shard) else {
            return Ok((batch.pending, Vec::new()));
        };
        let reading = batch.read(self.block, shard, &mut self.pages, self.budget);
        let (pending, chunks) = reading.await?;
        let bytes = chunks.iter().flatten().map(|chunk| chunk.data.len() as u64);
        self.size.decoded = (bytes.sum(), chunks.len().max(1));
        self.set_hold();
        Ok((pending, chunks))
    }
}

/// Whether another batch may be fetched while `count` batches of `bytes` are.
const fn may_start(count: usize, bytes: u64, ahead: usize) -> bool {
    count <= ahead || (ahead > 0 && count < AT_ONCE && bytes < AHEAD_BYTES)
}

/// The next rows; `None` at the end, with the outcome in `end`.
async fn received(
    pending: &mut (impl Stream<Item = Result<PendingRows, BlockError>> + Unpin),
    end: &mut Option<Result<(), BlockError>>,
) -> Option<PendingRows> {
    match pending.next().await {
        Some(Ok(pending)) => return Some(pending),
        Some(Err(error)) => *end = Some(Err(error)),
        None => *end = Some(Ok(())),
    }
    None
}

impl BatchSize {
    /// Adapts to `count` rows that fetch so many bytes. Their decoded size is estimated by the rows before.
    fn fetched(&mut self, count: usize, fetched: u64) {
        let (decoded, rows) = self.decoded;
        let decoded = decoded.saturating_mul(count as u64) / (rows as u64).max(1);
        self.rows = next_rows(self.rows, count, fetched.max(decoded), self.aim);
    }
}

/// How many rows to try after `count` would fetch too much: fewer, and at least one.
fn shrunk(count: usize, fetched: u64, aim: u64) -> usize {
    let fitting = (count as u64).saturating_mul(aim) / fetched.max(1);
    let fitting = usize::try_from(fitting).unwrap_or(usize::MAX);
    fitting.clamp(1, (count / 2).max(1))
}

/// How many rows to read after `count` have taken `taken` bytes: as many as should take `aim`, and at most four times
/// as many as now.
///
/// Rows share pages, so fewer rows seldom take less. After a batch that has not taken too much come no fewer rows than
/// were meant to be in it, and more of them: its rows may have been the last ones of a row group.
fn next_rows(now: usize, count: usize, taken: u64, aim: u64) -> usize {
    let fitting = (count as u64).saturating_mul(aim) / taken.max(1);
    let fitting = usize::try_from(fitting).unwrap_or(usize::MAX);
    let least = if taken <= aim {
        now.max(count + count / 2 + 1)
    } else {
        1
    };
    let most = now.saturating_mul(4).min(MOST_ROWS);
    fitting.max(least).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_slowly_and_shrink_at_once() {
        assert_eq!(next_rows(32, 32, 1000, AIM), 128);
        assert_eq!(next_rows(2048, 2048, 1000, AIM), MOST_ROWS);
        assert_eq!(next_rows(128, 128, 4 * AIM, AIM), 32);
        assert_eq!(next_rows(1, 1, 100 * AIM, AIM), 1);
        assert_eq!(next_rows(32, 2, 0, AIM), 128);
    }

    #[test]
    fn the_few_rows_that_end_a_group_make_the_next_batches_no_smaller() {
        assert_eq!(next_rows(400, 1, AIM / 2, AIM), 400);
        assert_eq!(next_rows(400, 1, AIM, AIM), 400);
    }

    #[test]
    fn batches_grow_whose_rows_share_pages() {
        // Any row takes a page of each slice, which has many rows.
        let page = |row: usize| row / 350;
        let (mut row, mut size, mut batches) = (0, 1, 0);
        while row < 100_000 {
            let pages = page(row + size - 1) - page(row) + 1;
            let taken = pages as u64 * (AIM * 3 / 4);
            if taken > MAX_FETCH * AIM {
                size = shrunk(size, taken, AIM);
                continue;
            }
            (row, size) = (row + size, next_rows(size, size, taken, AIM));
            batches += 1;
        }
        assert!(batches < 600, "{batches}");
    }

    #[test]
    fn batches_are_of_many_rows_even_if_pages_of_one_row_are_too_much() {
        // 14 days are 42 slices. Pages of the batch before are here.
        let page = |row: usize| row / 350;
        let (mut row, mut size, mut batches) = (0usize, FIRST_ROWS, 0);
        while row < 100_000 {
            let here = row.checked_sub(1).map_or(0, |before| page(before) + 1);
            let missing = (page(row + size - 1) + 1 - here) as u64 * 42 * (256 << 10);
            if missing > MAX_FETCH * AIM && size > 1 {
                size = shrunk(size, missing, AIM);
                continue;
            }
            (row, size) = (row + size, next_rows(size, size, missing, AIM));
            batches += 1;
        }
        // Of the 286 pages of a slice, each takes ten batches at most.
        assert!(batches < 2860, "{batches}");
    }

    #[test]
    fn a_batch_that_fetches_too_much_is_cut_until_one_row_is_left() {
        assert_eq!(shrunk(1000, 10 * AIM, AIM), 100);
        assert_eq!(shrunk(1000, MAX_FETCH * AIM + 1, AIM), 333);
        assert_eq!(shrunk(2, 100 * AIM, AIM), 1);
        let mut rows = 4096;
        let mut steps = 0;
        while rows > 1 {
            rows = shrunk(rows, MAX_FETCH * AIM + 1, AIM);
            steps += 1;
        }
        assert!(steps < 16);
    }

    #[test]
    fn small_batches_are_fetched_side_by_side_and_large_ones_in_twos() {
        assert!(may_start(1, 100 * AIM, 1) && !may_start(2, 2 * AIM, 1));
        assert!(may_start(AT_ONCE - 1, AIM, 1) && !may_start(AT_ONCE, 0, 1));
        // What lies beyond a limit is not fetched.
        assert!(may_start(0, 0, 0) && !may_start(1, 0, 0));
    }

    #[test]
    fn batches_of_rows_that_grow_when_decoded_are_smaller() {
        let mut size = BatchSize {
            rows: 1024,
            aim: AIM,
            decoded: (0, 1),
        };
        size.fetched(1024, AIM / 4);
        assert_eq!(size.rows, 4096);
        size.decoded = (4 * AIM, 1024);
        size.fetched(1024, AIM / 4);
        assert_eq!(size.rows, 256);
    }
}
