//! Reads the chunks of a batch.

use std::ops::Range;

use bytes::Bytes;
use futures::future::try_join_all;
use tsdb::{Chunk, ChunkMeta, Fetched, decode_chunk_record, segment_file_name};

use super::{
    BlockError, BlockSeries, PendingSeries, RequestBudget, TsdbBlock, damaged,
    series::{Batch, CHUNK_GAP},
};
use crate::{
    fetch::{ListedObject, Wanted, size},
    usage::DataKind,
};

/// The longest chunk: some hundred native histograms of thousands of buckets.
const MAX_CHUNK: u64 = 64 << 20;
/// By how much a request may exceed a record whose length is unknown.
const MAX_OVERSHOOT: u64 = 16;

/// A chunk to read, and its range in the segment.
struct ChunkRead {
    /// The position of the result.
    place: usize,
    chunk: ChunkMeta,
    range: Range<u64>,
    /// The number of bytes that was too small.
    had: u64,
}

impl TsdbBlock {
    /// Reads a batch.
    pub(super) async fn read(
        &self,
        batch: Batch,
        budget: &RequestBudget,
    ) -> Result<Vec<BlockSeries>, BlockError> {
        let Batch {
            pending, ranges, ..
        } = batch;
        let chunks = pending.iter().flat_map(|one| &one.chunks);
        let reads = chunks.zip(ranges).enumerate();
        let mut reads: Vec<_> = reads
            .map(|(place, (chunk, range))| ChunkRead {
                place,
                chunk: *chunk,
                range,
                had: 0,
            })
            .collect();
        budget.add_chunks(reads.len() as u64)?;
        let mut found: Vec<Option<Chunk>> = vec![None; reads.len()];
        while !reads.is_empty() {
            self.clip(&mut reads)?;
            // Blocks usually have them in this order.
            reads.sort_by_key(|read| read.chunk.reference);
            let bytes = self.bytes(&reads, budget).await?;
            let decode = move || decode(reads, &bytes, found);
            let decoded = self.source.pool.run(decode).await;
            (found, reads) = decoded.map_err(|source| {
                for segment in &self.segments {
                    self.source.fetcher.forget(segment);
                }
                damaged(&self.block, source)
            })?;
        }
        Ok(hand_out(pending, found))
    }

    /// The bytes of each read, in their order. Segments are fetched side by side.
    async fn bytes(
        &self,
        reads: &[ChunkRead],
        budget: &RequestBudget,
    ) -> Result<Vec<Bytes>, BlockError> {
        let segment = |read: &ChunkRead| read.chunk.reference.segment();
        let mut parts = Vec::new();
        for part in reads.chunk_by(|a, b| segment(a) == segment(b)) {
            if let Some(first) = part.first() {
                let found = self.segment(segment(first))?;
                let ranges: Vec<_> = part.iter().map(|read| read.range.clone()).collect();
                parts.push((found, ranges));
            }
        }
        let fetch = |(segment, ranges): (&ListedObject, Vec<Range<u64>>)| {
            let object = segment.clone();
            async move {
                let wanted = Wanted {
                    object: &object,
                    ranges: &ranges,
                    gap: CHUNK_GAP,
                    kind: DataKind::Chunks,
                    budget: Some(budget),
                };
                self.source.fetcher.fetch(wanted).await
            }
        };
        let bytes = try_join_all(parts.into_iter().map(fetch)).await?;
        Ok(bytes.into_iter().flatten().collect())
    }

    /// Fails reads beyond the end of a segment, and chunks that are too large.
    fn clip(&self, reads: &mut [ChunkRead]) -> Result<(), BlockError> {
        for read in reads {
            let number = read.chunk.reference.segment();
            let segment = self.segment(number)?;
            let (offset, needed) = (read.range.start, size(&read.range));
            let end = read.range.end.min(segment.size);
            let available = end.saturating_sub(offset);
            if available <= read.had || needed > available + MAX_OVERSHOOT {
                let file = segment_file_name(number);
                let needed = needed.max(1);
                let source = tsdb::Error::truncated(&file, offset, needed, segment.size);
                return Err(damaged(&self.block, source));
            }
            if available > MAX_CHUNK {
                return Err(BlockError::TooLarge {
                    key: segment.key.to_string(),
                    offset,
                    what: "chunk",
                    size: needed,
                    limit: MAX_CHUNK,
                });
            }
            read.range.end = end;
        }
        Ok(())
    }
}

/// Decodes chunks into their positions, and gives the reads that need more bytes.
fn decode(
    reads: Vec<ChunkRead>,
    bytes: &[Bytes],
    mut found: Vec<Option<Chunk>>,
) -> tsdb::Result<(Vec<Option<Chunk>>, Vec<ChunkRead>)> {
    let mut short = Vec::new();
    for (read, bytes) in reads.into_iter().zip(bytes) {
        match decode_chunk_record(bytes, &read.chunk)? {
            Fetched::Done(chunk) => {
                if let Some(place) = found.get_mut(read.place) {
                    *place = Some(chunk);
                }
            }
            Fetched::Short { needed } => short.push(ChunkRead {
                range: tsdb::chunk_range(&read.chunk, needed),
                had: bytes.len() as u64,
                ..read
            }),
        }
    }
    Ok((found, short))
}

/// Gives each series its chunks.
fn hand_out(pending: Vec<PendingSeries>, chunks: Vec<Option<Chunk>>) -> Vec<BlockSeries> {
    let mut chunks = chunks.into_iter();
    let series = pending.into_iter().map(|one| BlockSeries {
        labels: one.labels,
        chunks: chunks.by_ref().take(one.chunks.len()).flatten().collect(),
    });
    series.collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::{Labels, Timestamp};
    use tsdb::ChunkRef;

    use super::*;
    use crate::{
        block::tests::fixture::{FLOATS, Fixture, free},
        testing::sized,
    };

    /// A block with a second segment, of the same bytes as the first, and where chunks are in both.
    async fn two_segments(fixture: &Fixture) -> (TsdbBlock, Vec<Range<u64>>) {
        let mut block = fixture.tsdb(FLOATS[0]).await;
        let bytes = fixture
            .bucket
            .get(&block.key("chunks/000001"))
            .await
            .unwrap();
        block
            .files_mut()
            .insert("chunks/000002", sized(bytes.len() as u64));
        let key = block.key("chunks/000002");
        fixture.bucket.put(&key, bytes.clone()).await.unwrap();
        let block = TsdbBlock::open(Arc::new(block), fixture.source.clone())
            .await
            .unwrap();
        // Records one behind the other: a length of up to 127 in a byte or two, encoding, data, checksum.
        let mut ranges = Vec::new();
        let mut at = 8;
        while ranges.len() < 4 {
            let (len, head) = match (bytes[at], bytes[at + 1]) {
                (low, high) if low >= 0x80 => (usize::from(low & 0x7f) | usize::from(high) << 7, 2),
                (low, _) => (usize::from(low), 1),
            };
            let end = at + head + 1 + len + 4;
            ranges.push(at as u64..end as u64);
            at = end;
        }
        (block, ranges)
    }

    #[tokio::test]
    async fn chunks_of_several_segments_in_any_order_come_back_in_the_order_asked_for() {
        let fixture = Fixture::new();
        let (block, places) = two_segments(&fixture).await;
        let asked = [(1, 2), (0, 3), (1, 0), (0, 0), (1, 3), (0, 2)];
        let chunk = |&(segment, place): &(u32, usize)| ChunkMeta {
            // Told apart by this.
            min: Timestamp(i64::from(segment) * 10 + i64::try_from(place).unwrap()),
            max: Timestamp(100),
            reference: ChunkRef::new(segment, u32::try_from(places[place].start).unwrap()),
        };
        let series = |asked: &[(u32, usize)]| PendingSeries {
            labels: Labels::default(),
            chunks: asked.iter().map(chunk).collect(),
        };
        let batch = Batch {
            pending: asked.chunks(4).map(series).collect(),
            ranges: asked
                .iter()
                .map(|(_, place)| places[*place].clone())
                .collect(),
            ..Batch::default()
        };
        let series = block.read(batch, &free()).await.unwrap();
        let times = |series: &BlockSeries| series.chunks.iter().map(|c| c.min.0).collect();
        let times: Vec<Vec<i64>> = series.iter().map(times).collect();
        assert_eq!(times, [vec![12, 3, 10, 0], vec![13, 2]]);
        // The segments are the same, so chunks at the same place are.
        assert_eq!(series[0].chunks[0].data, series[1].chunks[1].data);
        assert_eq!(series[0].chunks[2].data, series[0].chunks[3].data);
        assert_ne!(series[0].chunks[0].data, series[0].chunks[1].data);
    }
}
