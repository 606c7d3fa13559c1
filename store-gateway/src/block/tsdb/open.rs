//! Opens a TSDB block: the header of its index, and its files.

use std::{
    ops::Range,
    sync::{Arc, atomic::AtomicBool},
};

use parking_lot::RwLock;
use tokio::sync::{Mutex, OnceCell};
use tsdb::IndexHeader;

use super::{
    BlockError, BlockSource, CatalogBlock, Guesses, TsdbBlock,
    header::{self, OpenedHeader, Origin},
};
use crate::fetch::ListedObject;

impl TsdbBlock {
    /// Opens the header of the index, or builds it.
    pub(in crate::block) async fn open(
        block: Arc<CatalogBlock>,
        source: BlockSource,
    ) -> Result<Self, BlockError> {
        let index = block.object("index");
        let OpenedHeader { header, origin } = header::open(&block, &source, &index).await?;
        let segments = segments(&block);
        Ok(Self {
            guesses: Guesses::new(&block, &header, &segments),
            header: RwLock::new(Arc::new(header)),
            making: Mutex::default(),
            is_new: AtomicBool::new(origin == Origin::Bucket),
            empty_values: OnceCell::new(),
            segments,
            index,
            block,
            source,
        })
    }
}

/// The segments in the order of their names, which is that of chunk references.
fn segments(block: &CatalogBlock) -> Vec<ListedObject> {
    let is_segment = |name: &str| {
        let number = name.strip_prefix("chunks/");
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let files = block
        .objects
        .files
        .iter()
        .filter(|(name, _)| is_segment(name));
    files.map(|(name, _)| block.object(name)).collect()
}

impl Guesses {
    /// The sizes that the block states, or some times the average.
    fn new(block: &CatalogBlock, header: &IndexHeader, segments: &[ListedObject]) -> Self {
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

/// A size that most records do not exceed. `stated` is the largest, 0 if unknown.
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
