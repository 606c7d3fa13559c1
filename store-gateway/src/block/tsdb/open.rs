//! Opening a TSDB block: the table of contents, then the sections it leads to.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use tsdb::{IndexHeader, Toc};

use super::{BlockError, BlockSource, CatalogBlock, Guesses, INDEX_GAP, Segment, TsdbBlock};
use crate::fetch::Wanted;

/// How much of the end of an index is read at first: of a small block that is the whole postings offset table.
const TAIL: u64 = 64 << 10;

impl TsdbBlock {
    /// Reads the index header.
    pub(in crate::block) async fn open(
        block: Arc<CatalogBlock>,
        source: BlockSource,
    ) -> Result<Self, BlockError> {
        let index: Arc<str> = block.key("index").into();
        let Some(&size) = block.files.get("index") else {
            return Err(BlockError::Missing {
                key: index.to_string(),
            });
        };
        let damaged = |source| BlockError::Tsdb {
            root: block.root.clone(),
            source,
        };
        let fetch = async |range: Range<u64>| {
            let wanted = Wanted {
                key: &index,
                ranges: &[range],
                gap: 0,
                budget: None,
            };
            let bytes = source.fetcher.fetch(wanted).await?;
            Ok::<_, BlockError>(bytes.into_iter().next().unwrap_or_default())
        };
        let tail = Tail {
            start: size.saturating_sub(TAIL),
            bytes: fetch(size.saturating_sub(TAIL)..size).await?,
        };
        let end = tail.get(&Toc::range(size)).unwrap_or_default();
        let toc = Toc::decode(&end, size).map_err(damaged)?;
        let ranges = toc.header_ranges();
        // Both lie at the start of the index, one behind the other.
        let both = [ranges.head, ranges.symbols];
        let first = async {
            if let [Some(head), Some(symbols)] = both.clone().map(|range| tail.get(&range)) {
                return Ok(vec![head, symbols]);
            }
            let wanted = Wanted {
                key: &index,
                ranges: &both,
                gap: INDEX_GAP,
                budget: None,
            };
            source.fetcher.fetch(wanted).await
        };
        let second = async {
            match tail.get(&ranges.postings_table) {
                Some(bytes) => Ok(bytes),
                None => fetch(ranges.postings_table.clone()).await,
            }
        };
        let (first, table) = futures::try_join!(first, second)?;
        let mut first = first.into_iter();
        let head = first.next().unwrap_or_default();
        let symbols = first.next().unwrap_or_default();
        let decode = move || IndexHeader::decode(toc, &head, symbols, table);
        let header = source.pool.run(decode).await.map_err(damaged)?;
        let segments = segments(&block);
        Ok(Self {
            guesses: Guesses::new(&block, &header, &segments),
            header: Arc::new(header),
            segments,
            index,
            block,
            source,
        })
    }
}

/// The end of the index.
struct Tail {
    start: u64,
    bytes: Bytes,
}

impl Tail {
    /// A range of the index, if it is here.
    fn get(&self, range: &Range<u64>) -> Option<Bytes> {
        let from = usize::try_from(range.start.checked_sub(self.start)?).ok()?;
        let to = usize::try_from(range.end.checked_sub(self.start)?).ok()?;
        (from <= to && to <= self.bytes.len()).then(|| self.bytes.slice(from..to))
    }
}

/// The segments in the order of their names, which is how chunk references count them.
fn segments(block: &CatalogBlock) -> Vec<Segment> {
    let is_segment = |name: &str| {
        let number = name.strip_prefix("chunks/");
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let files = block.files.iter().filter(|(name, _)| is_segment(name));
    files
        .map(|(name, &size)| Segment {
            key: block.key(name).into(),
            size,
        })
        .collect()
}

impl Guesses {
    /// As the block states them, else some times the average.
    fn new(block: &CatalogBlock, header: &IndexHeader, segments: &[Segment]) -> Self {
        let stats = block.meta.stats;
        let stated = block.meta.thanos.as_ref().map(|t| t.index_stats);
        let stated = stated.unwrap_or_default();
        let series = header.toc().series_range();
        let chunks: u64 = segments.iter().map(|segment| segment.size).sum();
        Self {
            entry: guess(
                stated.series_max_size,
                series.end.saturating_sub(series.start),
                stats.num_series,
                512..64 << 10,
            ),
            chunk: guess(
                stated.chunk_max_size,
                chunks,
                stats.num_chunks,
                1 << 10..16 << 10,
            ),
        }
    }
}

/// A size that most records do not exceed, though the longest, `stated` if it is not 0, may.
fn guess(stated: u64, total: u64, count: u64, bounds: Range<u64>) -> u64 {
    let average = total.checked_div(count).unwrap_or(bounds.end);
    let guess = average.saturating_mul(4).clamp(bounds.start, bounds.end);
    if stated > 0 { guess.min(stated) } else { guess }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_is_some_averages_but_never_more_than_is_stated() {
        assert_eq!(guess(0, 1000, 10, 100..5000), 400);
        assert_eq!(guess(250, 1000, 10, 100..5000), 250);
        assert_eq!(guess(0, 1000, 0, 100..5000), 5000);
        assert_eq!(guess(0, 10, 10, 100..5000), 100);
    }
}
