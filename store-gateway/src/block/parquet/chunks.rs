//! Reading the chunks of rows in batches of bounded size. How many bytes rows take is not known before their pages
//! are; a batch that would fetch too many is cut, and the next one begins with what fitted.

use model::TimeRange;
use parquet_block::{RowRanges, Step};
use tsdb::Chunk;

use super::{BlockError, ParquetBlock, RequestBudget, ShardReader};
use crate::fetch::{PageCache, size};

/// Rows of the first batch.
const FIRST_ROWS: usize = 32;
/// Rows of a batch.
const MOST_ROWS: usize = 4096;
/// Bytes that a batch should take, fetched or decoded, whichever is more.
const AIM: u64 = 2 << 20;
/// Bytes that a batch of several rows fetches at most: a page of each time slice may have to be read for one row.
const MAX_FETCH: u64 = 3 * AIM;
/// Pages that are kept for the next batch.
const PAGES: u64 = 2 * MAX_FETCH;

/// Reads chunks for one request, in the order of the rows.
pub(super) struct ChunkReader<'a> {
    block: &'a ParquetBlock,
    range: TimeRange,
    budget: &'a RequestBudget,
    pages: PageCache,
    /// How many rows to read next.
    rows: usize,
}

impl<'a> ChunkReader<'a> {
    pub(super) fn new(
        block: &'a ParquetBlock,
        range: TimeRange,
        budget: &'a RequestBudget,
    ) -> Self {
        Self {
            block,
            range,
            budget,
            pages: PageCache::new(PAGES),
            rows: FIRST_ROWS,
        }
    }

    /// The chunks in the range of the first of `rows`, row by row, and the rows that are left.
    pub(super) async fn next(
        &mut self,
        shard: &ShardReader,
        group: usize,
        rows: &RowRanges,
    ) -> Result<(Vec<Vec<Chunk>>, RowRanges), BlockError> {
        loop {
            let (batch, rest) = rows.split_at(self.rows);
            let count = batch.len();
            let lookup = shard.shard.chunks(group, batch, self.range);
            let begun = self.block.step(lookup).await?;
            let fetched = match &begun.1 {
                Step::Fetch { ranges, .. } => ranges.iter().map(size).sum(),
                Step::Done(_) => 0,
            };
            if fetched > MAX_FETCH && count > 1 {
                self.rows = shrunk(count, fetched);
                continue;
            }
            let answer = self.block.finish(shard, begun, &self.pages, self.budget);
            let chunks = answer.await?;
            let decoded = chunks.iter().flatten().map(|chunk| chunk.data.len() as u64);
            self.rows = next_rows(self.rows, count, fetched.max(decoded.sum()));
            return Ok((chunks, rest));
        }
    }

    /// Those of `rows` that have a chunk in the range.
    pub(super) async fn rows_within(
        &mut self,
        shard: &ShardReader,
        group: usize,
        rows: &RowRanges,
    ) -> Result<RowRanges, BlockError> {
        let mut found = Vec::new();
        let mut all = rows.rows();
        let mut rest = rows.clone();
        while !rest.is_empty() {
            let (chunks, others) = self.next(shard, group, &rest).await?;
            rest = others;
            let batch = all.by_ref().take(chunks.len()).zip(chunks);
            let kept = batch.filter(|(_, chunks)| !chunks.is_empty());
            found.extend(kept.map(|(row, _)| row..row.saturating_add(1)));
        }
        Ok(found.into_iter().collect())
    }
}

/// How many rows to try after `count` would fetch too much: fewer, at least one.
fn shrunk(count: usize, fetched: u64) -> usize {
    let fitting = (count as u64).saturating_mul(AIM) / fetched.max(1);
    let fitting = usize::try_from(fitting).unwrap_or(usize::MAX);
    fitting.clamp(1, (count / 2).max(1))
}

/// How many rows to read after `count` have taken `taken` bytes: as many as should take [`AIM`], but no more than
/// four times as many as now.
fn next_rows(now: usize, count: usize, taken: u64) -> usize {
    let fitting = (count as u64).saturating_mul(AIM) / taken.max(1);
    let fitting = usize::try_from(fitting).unwrap_or(usize::MAX);
    fitting.clamp(1, now.saturating_mul(4).min(MOST_ROWS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_slowly_and_shrink_at_once() {
        assert_eq!(next_rows(32, 32, 1000), 128);
        assert_eq!(next_rows(2048, 2048, 1000), MOST_ROWS);
        assert_eq!(next_rows(128, 128, 4 * AIM), 32);
        assert_eq!(next_rows(1, 1, 100 * AIM), 1);
        assert_eq!(next_rows(32, 2, 0), 128);
    }

    #[test]
    fn a_batch_that_fetches_too_much_is_cut_until_one_row_is_left() {
        assert_eq!(shrunk(1000, 10 * AIM), 100);
        assert_eq!(shrunk(1000, MAX_FETCH + 1), 333);
        assert_eq!(shrunk(2, 100 * AIM), 1);
        let mut rows = 4096;
        let mut steps = 0;
        while rows > 1 {
            rows = shrunk(rows, MAX_FETCH + 1);
            steps += 1;
        }
        assert!(steps < 16);
    }
}
