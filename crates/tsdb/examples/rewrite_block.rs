//! Reads a block and writes it anew: `rewrite_block FROM TO`.
//!
//! The tests against Prometheus's own tools look at what comes out.

use std::{env, error::Error, path::Path};

use tsdb::{Block, BlockWriter, SeriesEntry};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args_os().skip(1);
    let (Some(from), Some(to), None) = (args.next(), args.next(), args.next()) else {
        return Err("usage: rewrite_block FROM TO".into());
    };
    let block = Block::open(Path::new(&from))?;
    let mut writer = BlockWriter::create(Path::new(&to), block.symbols().iter())?;

    let mut all = block.refs_by_name()?;
    all.sort_unstable();
    let (mut series, mut chunks) = (block.series_cursor(), block.chunk_cursor());
    let mut entry = SeriesEntry::default();
    for reference in all {
        series.read(reference, &mut entry)?;
        let metas = entry.chunks.iter();
        let chunks: Vec<_> = metas
            .map(|meta| chunks.read(meta))
            .collect::<Result<_, _>>()?;
        writer.add_series_of(&entry.labels, &chunks)?;
    }
    writer.finish(block.meta().clone())?;
    Ok(())
}
