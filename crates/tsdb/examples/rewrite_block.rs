//! Reads a block and writes it anew: `rewrite_block FROM TO [--encode]`.
//!
//! With `--encode`, chunks are not copied: their samples are decoded and encoded again. The tests
//! against Prometheus's own tools look at what comes out.

use std::{env, error::Error, ffi::OsString, path::Path};

use tsdb::{Block, BlockWriter, SeriesEntry, reencode};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<OsString> = env::args_os().skip(1).collect();
    let (from, to, encode) = match args.as_slice() {
        [from, to] => (from, to, false),
        [from, to, flag] if flag == "--encode" => (from, to, true),
        _ => return Err("usage: rewrite_block FROM TO [--encode]".into()),
    };
    let block = Block::open(Path::new(from))?;
    let mut writer = BlockWriter::create(Path::new(to), block.symbols().iter())?;

    let mut all = block.refs_by_name()?;
    all.sort_unstable();
    let (mut series, mut chunks) = (block.series_cursor(), block.chunk_cursor());
    let mut entry = SeriesEntry::default();
    for reference in all {
        series.read(reference, &mut entry)?;
        let metas = entry.chunks.iter();
        let mut chunks: Vec<_> = metas
            .map(|meta| chunks.read(meta))
            .collect::<Result<_, _>>()?;
        if encode {
            chunks = reencode(&chunks, &[])?;
        }
        writer.add_series_of(&entry.labels, &chunks)?;
    }
    writer.finish(block.meta().clone())?;
    Ok(())
}
