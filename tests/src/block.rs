//! A block in a local folder, read series by series.

use std::path::Path;

use model::LabelsBuilder;
use tsdb::{Block, Chunk, SeriesEntry};

/// Reads a TSDB block as Prometheus would; `take` gets the labels and the chunks of each series.
///
/// # Errors
/// When it cannot be read; what `take` refuses.
pub(crate) fn read_block(
    dir: &Path,
    mut take: impl FnMut(LabelsBuilder, Vec<Chunk>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let block = Block::open(dir)?;
    let (mut series, mut chunks) = (block.series_cursor(), block.chunk_cursor());
    let mut entry = SeriesEntry::default();
    for reference in block.refs_by_name()? {
        series.read(reference, &mut entry)?;
        let mut labels = LabelsBuilder::default();
        for (name, value) in &entry.labels {
            labels.set(block.symbols().get(*name), block.symbols().get(*value));
        }
        let read = entry.chunks.iter().map(|chunk| chunks.read(chunk));
        take(labels, read.collect::<Result<_, _>>()?)?;
    }
    Ok(())
}
