//! What blocks hold, counted by the rules of the merge but without any of its output: samples of one series at one time
//! once, whichever chunks and blocks they are in, and without those that tombstones delete.

use model::{TimeRange, Timestamp};
use rayon::prelude::*;
use tsdb::{
    Chunk, ChunkError, Coverage, Encoding, Floats, Intervals, decode_histograms, decode_xor,
};

use super::{
    MergeError,
    input::{InputCursor, Inputs, SourceChunk},
    key::Key,
    key_range::{self, KeyRange},
};

/// Input series that are counted as one piece of work.
const SERIES_PER_RANGE: usize = 4096;

/// What some blocks hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// All samples of each block, those that are deleted included.
    pub(crate) stored: Vec<u64>,
    /// Samples that a merge keeps: those of one series at one time once, without what is deleted.
    pub(crate) kept: u64,
}

/// Counts, on the current rayon pool.
///
/// # Errors
/// When an input cannot be read.
pub(super) fn count(inputs: &Inputs) -> Result<Held, MergeError> {
    let key_ranges = key_range::cut(&inputs.all, SERIES_PER_RANGE, &[])?;
    let counted = key_ranges
        .par_iter()
        .map(|key_range| of_key_range(inputs, key_range));
    let counted: Vec<Held> = counted.collect::<Result<_, _>>()?;
    let mut held = Held {
        stored: vec![0; inputs.blocks()],
        kept: 0,
    };
    for part in counted {
        held.kept = held.kept.saturating_add(part.kept);
        for (all, some) in held.stored.iter_mut().zip(part.stored) {
            *all = all.saturating_add(some);
        }
    }
    Ok(held)
}

fn of_key_range(inputs: &Inputs, key_range: &KeyRange) -> Result<Held, MergeError> {
    let mut held = Held {
        stored: vec![0; inputs.blocks()],
        kept: 0,
    };
    let mut cursors = Vec::new();
    for (input, series) in inputs.all.iter().zip(key_range.series()) {
        cursors.push(input.cursor(series.clone())?);
    }
    let (mut key, mut kept) = (Key::default(), Kept::default());
    while let Some(least) = cursors.iter().filter_map(InputCursor::key).min() {
        key.copy(least);
        for (place, cursor) in cursors.iter_mut().enumerate() {
            if cursor.key() != Some(&key) {
                continue;
            }
            let block = inputs.block_of(place);
            let mut samples = 0;
            cursor.stored(|chunk, deleted| {
                samples += u64::from(chunk.num_samples()?);
                kept.add(block, chunk, deleted)
            })?;
            if let Some(stored) = held.stored.get_mut(block) {
                *stored += samples;
            }
            cursor.advance()?;
        }
        let kept = kept.take();
        held.kept += kept.map_err(|(block, source)| MergeError::chunk(inputs.id(block))(source))?;
    }
    Ok(held)
}

/// The samples of one series.
#[derive(Default)]
struct Kept {
    /// Chunks of which nothing is deleted, and their blocks.
    chunks: Vec<SourceChunk>,
    /// Samples of others.
    times: Vec<i64>,
    /// Aggregates, which are never put together.
    aggregates: u64,
}

impl Kept {
    fn add(
        &mut self,
        block: usize,
        chunk: Chunk,
        deleted: Option<&Intervals>,
    ) -> Result<(), ChunkError> {
        let range = TimeRange {
            min: chunk.min,
            max: chunk.max,
        };
        let coverage = deleted.map_or(Coverage::None, |deleted| deleted.coverage(range));
        match (chunk.encoding, coverage) {
            (Encoding::Aggr, Coverage::All) => {}
            (Encoding::Aggr, _) => self.aggregates += u64::from(chunk.num_samples()?),
            (_, Coverage::None) => self.chunks.push((block, chunk)),
            (_, Coverage::Part | Coverage::All) => {
                // What the index says of the chunk's times does not count: each sample is looked at.
                let mut times = Vec::new();
                times_of(&chunk, &mut times)?;
                let is_kept = |time: &i64| deleted.is_none_or(|d| !d.contains(Timestamp(*time)));
                self.times.extend(times.into_iter().filter(is_kept));
            }
        }
        Ok(())
    }

    /// How many samples there are of the series; begins the next one. An error comes with the block that has the chunk.
    fn take(&mut self) -> Result<u64, (usize, ChunkError)> {
        let aggregates = std::mem::take(&mut self.aggregates);
        let mut times = std::mem::take(&mut self.times);
        self.chunks.sort_by_key(|(_, chunk)| chunk.min);
        let follow = |(_, one): &SourceChunk, (_, next): &SourceChunk| one.max < next.min;
        if times.is_empty() && self.chunks.is_sorted_by(follow) {
            let mut samples = aggregates;
            for (block, chunk) in self.chunks.drain(..) {
                let of_chunk = chunk.num_samples().map_err(|error| (block, error))?;
                samples += u64::from(of_chunk);
            }
            return Ok(samples);
        }
        for (block, chunk) in self.chunks.drain(..) {
            times_of(&chunk, &mut times).map_err(|error| (block, error))?;
        }
        times.sort_unstable();
        times.dedup();
        Ok(aggregates + times.len() as u64)
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

    fn kept(chunks: &[&[i64]], deleted: Option<(i64, i64)>) -> u64 {
        let deleted = deleted.map(|(min, max)| [TimeRange::new(min, max)].into_iter().collect());
        let mut kept = Kept::default();
        for times in chunks {
            kept.add(0, chunk(times), deleted.as_ref()).unwrap();
        }
        kept.take().unwrap()
    }

    #[test]
    fn of_chunks_that_overlap_each_time_counts_once() {
        assert_eq!(kept(&[&[1, 2, 3], &[4, 5]], None), 5);
        assert_eq!(kept(&[&[4, 5], &[1, 2, 3]], None), 5);
        assert_eq!(kept(&[&[1, 5], &[3, 5, 7]], None), 4);
        assert_eq!(kept(&[], None), 0);
    }

    #[test]
    fn deleted_samples_do_not_count() {
        assert_eq!(kept(&[&[1, 5], &[3, 5, 7]], Some((2, 5))), 2);
        assert_eq!(kept(&[&[1, 2, 3], &[4, 5]], Some((4, 9))), 3);
        assert_eq!(kept(&[&[1, 2, 3], &[4, 5]], Some((0, 9))), 0);
    }
}
