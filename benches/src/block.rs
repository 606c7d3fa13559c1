//! Blocks as a sidecar uploads them: two hours each, one after the other.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::Context;
use model::{
    BlockId, BlockMeta, BlockStats, CompactionMeta, Extra, Labels, ThanosMeta, TimeRange, Timestamp,
};
use rayon::prelude::*;
use tsdb::{Block, BlockWriter, Chunk};

/// Start of the first block: a multiple of two days, in ms.
pub const START: i64 = 1_700_006_400_000;
/// Length of a block, ms.
pub const BLOCK: i64 = 7_200_000;
/// Samples of a chunk.
pub(crate) const CHUNK: usize = 120;
/// Series whose chunks are in memory at once.
const AT_ONCE: usize = 4096;

/// Start of the `index`th block, ms.
pub(crate) fn start_of(index: usize) -> i64 {
    START + BLOCK * i64::try_from(index).unwrap_or_default()
}

/// The name of the `index`th block of the `source`th writer of blocks.
pub(crate) fn block_id(index: usize, source: usize) -> BlockId {
    BlockId::new(
        Timestamp(start_of(index)),
        ((source as u128) << 32) + index as u128 + 1,
    )
}

/// From the beginning of the first block to the end of the last.
///
/// # Errors
/// When there is none, or one cannot be opened.
pub fn times(blocks: &[PathBuf]) -> anyhow::Result<TimeRange> {
    let mut all: Option<TimeRange> = None;
    for dir in blocks {
        let block = Block::open(dir)?;
        let (min, max) = (block.meta().min_time, block.meta().max_time);
        let before = all.get_or_insert(TimeRange { min, max });
        before.min = before.min.min(min);
        before.max = before.max.max(max);
    }
    let all = all.context("a block")?;
    Ok(TimeRange::new(all.min.0, all.max.0 - 1))
}

/// Writes a block of these series, whatever their order, with the chunks that `chunks` makes of each.
pub(crate) fn write_block<S: Send + Sync>(
    dir: &Path,
    id: BlockId,
    external: &[(&str, &str)],
    index: usize,
    mut series: Vec<(Labels, S)>,
    chunks: impl Fn(&Labels, &S) -> anyhow::Result<Vec<Chunk>> + Sync,
) -> anyhow::Result<()> {
    series.par_sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let symbols: BTreeSet<&[u8]> = series
        .iter()
        .flat_map(|(labels, _)| labels.iter().flat_map(|(name, value)| [name, value]))
        .collect();
    let mut writer = BlockWriter::create(dir, symbols)?;
    for some in series.chunks(AT_ONCE) {
        let made = some
            .par_iter()
            .map(|(labels, series)| chunks(labels, series));
        let made: Vec<Vec<Chunk>> = made.collect::<anyhow::Result<_>>()?;
        for ((labels, _), chunks) in some.iter().zip(&made) {
            writer.add_series(labels, chunks)?;
        }
    }
    let labels = external.iter();
    writer.finish(BlockMeta {
        ulid: id,
        min_time: Timestamp(start_of(index)),
        max_time: Timestamp(start_of(index + 1)),
        stats: BlockStats::default(),
        compaction: CompactionMeta {
            level: 1,
            sources: vec![id],
            ..CompactionMeta::default()
        },
        version: 1,
        thanos: Some(ThanosMeta {
            version: 1,
            labels: labels
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
            source: "sidecar".to_owned(),
            ..ThanosMeta::default()
        }),
        parquet: None,
        extra: Extra::default(),
    })?;
    Ok(())
}
