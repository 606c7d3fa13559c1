//! What the sources hold, read sample by sample, where an output has fewer than their `meta.json` state.
//!
//! Two things may be the reason although the merge did all it should: a source has fewer samples than it states, which
//! is damage; or it has some of them twice, in chunks that overlap, which is none.

use std::path::Path;

use model::{BlockMeta, ParquetMeta};
use parquet_block::{Contents, LocalShard, labels_file};
use tsdb::{
    Block, Chunk, ChunkError, Encoding, Floats, SeriesEntry, decode_histograms, decode_xor,
};

use crate::{CompactError, MergeError, Task};

/// Samples of a block.
#[derive(Debug, Default)]
struct Held {
    /// All that there are.
    samples: u64,
    /// Those of one series at one time once.
    distinct: u64,
}

/// Sees that the raw sources of `task`, which are below `dir` and share no time, hold no more than `found` samples.
///
/// # Errors
/// When they do; when one holds fewer samples than it states, which is named.
pub(super) fn hold_at_most(found: u64, task: &Task, dir: &Path) -> Result<(), CompactError> {
    let mut expected = 0_u64;
    for input in &task.inputs {
        let (meta, dir) = (&input.meta, dir.join(input.meta.ulid.to_string()));
        let held = read(meta, &dir)?;
        let stated = meta.stats.num_samples;
        if held.samples < stated {
            let samples = held.samples;
            return Err(CompactError::Block {
                block: meta.ulid,
                reason: format!("expected {stated} samples as meta.json states, found {samples}"),
            });
        }
        expected = expected.saturating_add(held.distinct);
    }
    if found < expected {
        return Err(CompactError::Output {
            what: "samples",
            expected: format!("the {expected} of the sources"),
            found: found.to_string(),
        });
    }
    Ok(())
}

fn read(meta: &BlockMeta, dir: &Path) -> Result<Held, MergeError> {
    match &meta.parquet {
        Some(parquet) => read_shards(parquet, Contents::of(meta.resolution()), dir),
        None => read_block(dir),
    }
}

fn read_shards(meta: &ParquetMeta, contents: Contents, dir: &Path) -> Result<Held, MergeError> {
    let wrong = MergeError::parquet(dir);
    let mut held = Held::default();
    for (number, listed) in meta.shards.iter().enumerate() {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let (labels, data) = (
            dir.join(labels_file(number)),
            dir.join(contents.file(number)),
        );
        let shard = LocalShard::open_listed(&labels, &data, listed).map_err(&wrong)?;
        for row in shard.scan() {
            let (_, chunks) = row.map_err(&wrong)?;
            held.add(&chunks).map_err(chunk_error(dir))?;
        }
    }
    Ok(held)
}

fn read_block(dir: &Path) -> Result<Held, MergeError> {
    let wrong = MergeError::block(dir);
    let mut held = Held::default();
    let block = Block::open(dir).map_err(&wrong)?;
    let (mut cursor, mut chunks) = (block.series_cursor(), block.chunk_cursor());
    let mut entry = SeriesEntry::default();
    for series in block.refs_by_name().map_err(&wrong)? {
        cursor.read(series, &mut entry).map_err(&wrong)?;
        let of_series = entry.chunks.iter().map(|meta| chunks.read(meta));
        let of_series: Vec<Chunk> = of_series.collect::<Result<_, _>>().map_err(&wrong)?;
        held.add(&of_series).map_err(chunk_error(dir))?;
    }
    Ok(held)
}

fn chunk_error(dir: &Path) -> impl Fn(ChunkError) -> MergeError + '_ {
    |source| MergeError::Chunk {
        dir: dir.to_path_buf(),
        source,
    }
}

impl Held {
    /// Takes the chunks of a series.
    fn add(&mut self, chunks: &[Chunk]) -> Result<(), ChunkError> {
        let mut samples = 0_u64;
        for chunk in chunks {
            samples += u64::from(chunk.num_samples()?);
        }
        self.samples += samples;
        if chunks.is_sorted_by(|one, next| one.max < next.min) {
            self.distinct += samples;
            return Ok(());
        }
        let mut times = Vec::new();
        for chunk in chunks {
            times_of(chunk, &mut times)?;
        }
        times.sort_unstable();
        times.dedup();
        self.distinct += times.len() as u64;
        Ok(())
    }
}

fn times_of(chunk: &Chunk, times: &mut Vec<i64>) -> Result<(), ChunkError> {
    if chunk.encoding == Encoding::Xor {
        let mut floats = Floats::default();
        decode_xor(&chunk.data, &mut floats)?;
        times.append(&mut floats.timestamps);
    } else {
        let histograms = decode_histograms(chunk.encoding, &chunk.data)?;
        times.extend(histograms.iter().map(|(time, _)| time.0));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use model::Timestamp;
    use tsdb::encode_xor;

    use super::*;

    fn chunk(times: &[i64]) -> Chunk {
        Chunk {
            encoding: Encoding::Xor,
            min: Timestamp(times[0]),
            max: Timestamp(times[times.len() - 1]),
            data: encode_xor(times, &vec![1.0; times.len()]),
        }
    }

    #[test]
    fn of_chunks_that_overlap_each_time_counts_once() {
        let mut held = Held::default();
        held.add(&[chunk(&[1, 2, 3]), chunk(&[4, 5])]).unwrap();
        assert_eq!((held.samples, held.distinct), (5, 5));
        held.add(&[chunk(&[1, 5]), chunk(&[3, 5, 7])]).unwrap();
        assert_eq!((held.samples, held.distinct), (10, 9));
    }
}
