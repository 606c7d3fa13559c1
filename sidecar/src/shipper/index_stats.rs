//! The longest series entry and the longest chunk of a block, which let a reader fetch either in one go.

use std::{fs, path::Path};

use model::IndexStats;
use tsdb::{Block, ChunkRef, SeriesEntry, segment_file_name};

use crate::SidecarError;

/// Bounds of the sizes in the block in `dir`, from where its series and chunks begin. Reads the whole index.
///
/// What is last in its part of the file is bounded by the end of that part, so a bound may be a little high.
///
/// # Errors
/// When the block cannot be read or is damaged.
pub(crate) fn gather(dir: &Path) -> Result<IndexStats, SidecarError> {
    let block = Block::open(dir)?;
    let series = block.select(&[])?;
    let header = block.header();
    let mut offsets: Vec<u64> = series.iter().map(|s| header.series_offset(*s)).collect();
    offsets.sort_unstable();
    offsets.push(header.toc().series_range().end);
    let mut chunks: Vec<ChunkRef> = Vec::new();
    let mut cursor = block.series_cursor();
    let mut entry = SeriesEntry::default();
    for reference in series {
        cursor.read(reference, &mut entry)?;
        chunks.extend(entry.chunks.iter().map(|c| c.reference));
    }
    chunks.sort_unstable();
    Ok(IndexStats {
        series_max_size: longest_gap(offsets.into_iter()),
        chunk_max_size: longest_chunk(dir, &chunks)?,
    })
}

fn longest_chunk(dir: &Path, chunks: &[ChunkRef]) -> Result<u64, SidecarError> {
    let mut longest = 0;
    for segment in chunks.chunk_by(|a, b| a.segment() == b.segment()) {
        let Some(first) = segment.first() else {
            continue;
        };
        let path = dir.join(segment_file_name(first.segment()));
        let size = fs::metadata(&path).map_err(SidecarError::io(&path))?.len();
        let offsets = segment.iter().map(|c| u64::from(c.offset()));
        longest = longest.max(longest_gap(offsets.chain([size])));
    }
    Ok(longest)
}

/// The greatest distance between neighbours, which ascend.
fn longest_gap(mut offsets: impl Iterator<Item = u64>) -> u64 {
    let Some(mut before) = offsets.next() else {
        return 0;
    };
    let mut longest = 0;
    for offset in offsets {
        longest = longest.max(offset.saturating_sub(before));
        before = offset;
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/fixtures/golden/tsdb/floats/01HF8J5JG0RAVB4GMS32W7ZJ2B"
    );

    #[test]
    fn every_series_and_chunk_fits_the_bounds_and_one_nearly_fills_them() {
        let stats = gather(Path::new(BLOCK)).unwrap();
        let block = Block::open(Path::new(BLOCK)).unwrap();
        let mut chunks = block.chunk_cursor();
        let mut cursor = block.series_cursor();
        let mut entry = SeriesEntry::default();
        let mut longest = 0;
        for series in block.select(&[]).unwrap() {
            cursor.read(series, &mut entry).unwrap();
            for chunk in &entry.chunks {
                longest = longest.max(chunks.read(chunk).unwrap().data.len() as u64);
            }
        }
        // A record is at most five bytes of length, one of encoding and four of checksum longer.
        assert!(longest < stats.chunk_max_size, "{stats:?}, {longest}");
        assert!(stats.chunk_max_size <= longest + 10, "{stats:?}, {longest}");
        assert!((16..512).contains(&stats.series_max_size), "{stats:?}");
    }

    #[test]
    fn a_truncated_index_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("chunks")).unwrap();
        for file in ["meta.json", "chunks/000001"] {
            fs::copy(Path::new(BLOCK).join(file), dir.path().join(file)).unwrap();
        }
        let index = fs::read(Path::new(BLOCK).join("index")).unwrap();
        fs::write(dir.path().join("index"), &index[..index.len() / 2]).unwrap();
        let error = gather(dir.path()).unwrap_err().to_string();
        assert!(error.contains("index"), "{error}");
    }
}
