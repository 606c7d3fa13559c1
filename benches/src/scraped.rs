//! The scraped sample of the tests, and two days made of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use model::{Labels, Timestamp};
use tsdb::{Block, Chunk, Encoding, Floats, SeriesEntry, decode_xor, encode_xor};

use crate::block::{BLOCK, CHUNK, block_id, start_of, write_block};

/// Names blocks of the sample apart from those of the cluster.
const SOURCE: usize = 3;

/// The blocks of the scraped sample, in order.
///
/// # Errors
/// When the fixtures cannot be listed.
pub fn sample_blocks() -> anyhow::Result<Vec<PathBuf>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/sample");
    let entries = fs::read_dir(dir)?.map(|entry| entry.map(|e| e.path()));
    let mut dirs = entries.collect::<Result<Vec<_>, _>>()?;
    dirs.retain(|dir| dir.is_dir());
    dirs.sort();
    Ok(dirs)
}

/// Makes `blocks` consecutive blocks of the scraped sample, which is as long as six of them and then begins anew, as
/// if all that was scraped had been restarted. Only times are changed.
///
/// # Errors
/// When the sample cannot be read or a block cannot be written.
pub fn make_scraped(folder: &Path, blocks: usize) -> anyhow::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    let sample = sample_blocks()?;
    let make = |(index, from): (usize, &PathBuf)| {
        let id = block_id(index, SOURCE);
        let dir = folder.join(id.to_string());
        let block = Block::open(from)?;
        // The sample's blocks begin where two hours do, as Prometheus cuts them.
        let begin = block.meta().min_time.0;
        let later = start_of(index) - begin.div_euclid(BLOCK) * BLOCK;
        let series = series(&block)?;
        let external = [("cluster", "sample")];
        write_block(&dir, id, &external, index, series, |_, chunks| {
            moved(chunks, later)
        })
        .with_context(|| format!("making {}", dir.display()))?;
        Ok(dir)
    };
    let turns = sample.iter().cycle().take(blocks);
    turns.enumerate().map(make).collect()
}

/// All series of a block with their chunks.
fn series(block: &Block) -> anyhow::Result<Vec<(Labels, Vec<Chunk>)>> {
    let (mut series, mut chunks) = (block.series_cursor(), block.chunk_cursor());
    let (mut entry, symbols) = (SeriesEntry::default(), block.symbols());
    let mut out = Vec::new();
    for reference in block.refs_by_name()? {
        series.read(reference, &mut entry)?;
        let pairs = entry.labels.iter();
        let labels = Labels::from_pairs(pairs.map(|(n, v)| (symbols.get(*n), symbols.get(*v))));
        let read = entry.chunks.iter().map(|chunk| chunks.read(chunk));
        out.push((labels, read.collect::<Result<_, _>>()?));
    }
    Ok(out)
}

/// The samples of a series, `later` ms later.
fn moved(chunks: &[Chunk], later: i64) -> anyhow::Result<Vec<Chunk>> {
    let (mut floats, mut all) = (Floats::default(), Floats::default());
    for chunk in chunks {
        anyhow::ensure!(
            chunk.encoding == Encoding::Xor,
            "expected floats, found {:?}",
            chunk.encoding
        );
        decode_xor(&chunk.data, &mut floats)?;
        all.timestamps
            .extend(floats.timestamps.iter().map(|t| t + later));
        all.values.extend(&floats.values);
    }
    let times = all.timestamps.chunks(CHUNK);
    let made = times
        .zip(all.values.chunks(CHUNK))
        .filter_map(|(times, values)| {
            Some(Chunk {
                encoding: Encoding::Xor,
                min: Timestamp(*times.first()?),
                max: Timestamp(*times.last()?),
                data: encode_xor(times, values),
            })
        });
    Ok(made.collect())
}

#[cfg(test)]
mod tests {
    use model::BlockMeta;

    use super::*;
    use crate::block::START;

    fn values(dir: &Path) -> Vec<(Labels, Vec<u64>)> {
        let mut floats = Floats::default();
        let mut bits = |chunks: Vec<Chunk>| {
            let mut out = Vec::new();
            for chunk in chunks {
                decode_xor(&chunk.data, &mut floats).unwrap();
                out.extend(floats.values.iter().map(|value| value.to_bits()));
            }
            out
        };
        let all = series(&Block::open(dir).unwrap()).unwrap();
        all.into_iter().map(|(l, c)| (l, bits(c))).collect()
    }

    #[test]
    fn the_sample_begins_anew_when_it_is_over_and_only_times_differ() {
        let folder = tempfile::tempdir().unwrap();
        let sample = sample_blocks().unwrap();
        let made = make_scraped(folder.path(), sample.len() + 1).unwrap();
        for (made, from) in made.iter().zip(sample.iter().cycle()) {
            assert_eq!(values(made), values(from));
        }
        let last = fs::read(made.last().unwrap().join(BlockMeta::FILE)).unwrap();
        let meta = BlockMeta::decode(&last).unwrap();
        assert_eq!(meta.min_time.0, START + 6 * BLOCK);
        assert_eq!(meta.max_time.0, START + 7 * BLOCK);
    }
}
