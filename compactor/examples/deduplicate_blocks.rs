//! Merges TSDB blocks of replicas into one, by penalty: `deduplicate_blocks TO BLOCK...`.
//!
//! The tests against Thanos's deduplication look at what comes out.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    error::Error,
    path::Path,
};

use compactor::deduplicate;
use model::Labels;
use tsdb::{Block, BlockWriter, SeriesEntry};

/// Names and values in order.
type Pairs<'a> = Vec<(&'a [u8], &'a [u8])>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args_os().skip(1);
    let to = args.next().ok_or("usage: deduplicate_blocks TO BLOCK...")?;
    let blocks: Vec<Block> = args
        .map(|dir| Block::open(Path::new(&dir)))
        .collect::<Result<_, _>>()?;
    let mut meta = blocks.first().ok_or("no block is given")?.meta().clone();
    for block in &blocks {
        meta.min_time = meta.min_time.min(block.meta().min_time);
        meta.max_time = meta.max_time.max(block.meta().max_time);
    }
    let symbols: BTreeSet<&[u8]> = blocks.iter().flat_map(|b| b.symbols().iter()).collect();
    let mut writer = BlockWriter::create(Path::new(&to), symbols)?;

    let mut all: BTreeMap<Pairs<'_>, Vec<_>> = BTreeMap::new();
    for (source, block) in blocks.iter().enumerate() {
        let (mut series, mut chunks) = (block.series_cursor(), block.chunk_cursor());
        let mut entry = SeriesEntry::default();
        for reference in block.refs_by_name()? {
            series.read(reference, &mut entry)?;
            let text = |symbol| block.symbols().get(symbol);
            let labels = entry.labels.iter().map(|(n, v)| (text(*n), text(*v)));
            let sourced = all.entry(labels.collect()).or_default();
            for meta in &entry.chunks {
                sourced.push((source, chunks.read(meta)?));
            }
        }
    }
    let mut merged = Vec::new();
    for (labels, mut chunks) in all {
        merged.clear();
        deduplicate(&mut chunks, &mut merged)?;
        writer.add_series(&Labels::from_sorted(labels), &merged)?;
    }
    writer.finish(meta)?;
    Ok(())
}
