//! The chunks of one series from all inputs, made to fit the slices of the output.

use model::{TimeRange, Timestamp};
use parquet_block::Slices;
use tsdb::{Chunk, ChunkError, reencode};

use super::{input::SourceChunk, penalty};
use crate::Dedup;

/// Why chunks cannot be arranged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArrangeError {
    /// A chunk that must be re-encoded does not decode.
    #[error(transparent)]
    Chunk(ChunkError),
    /// Two inputs hold different aggregates of the same time.
    #[error("different aggregates of the same time")]
    Overlap([(usize, TimeRange); 2]),
}

/// Raw chunks in order of time, none overlapping another, none across the border of two slices.
///
/// A chunk that is so already passes unchanged, and the same chunk from several inputs passes once. Only
/// chunks that overlap others or straddle a border are decoded and encoded again. `dedup` decides which of
/// the samples that overlap are kept.
///
/// # Errors
/// When a chunk that must be re-encoded does not decode.
pub(crate) fn arrange_raw(
    chunks: &mut Vec<SourceChunk>,
    dedup: Dedup,
    slices: &Slices,
    out: &mut Vec<Chunk>,
) -> Result<(), ArrangeError> {
    if dedup == Dedup::Penalty {
        let mut merged = Vec::new();
        penalty(chunks, &mut merged).map_err(ArrangeError::Chunk)?;
        // They overlap no more, but may straddle.
        chunks.extend(merged.into_iter().map(|chunk| (0, chunk)));
    }
    chunks.sort_by_key(|(_, chunk)| chunk.min);
    let mut run: Vec<SourceChunk> = Vec::new();
    let mut run_max = Timestamp::MIN;
    for (source, chunk) in chunks.drain(..) {
        if !run.is_empty() && chunk.min > run_max {
            finish_run(&mut run, slices, out)?;
            run_max = Timestamp::MIN;
        }
        run_max = run_max.max(chunk.max);
        if !run.iter().any(|(_, known)| *known == chunk) {
            run.push((source, chunk));
        }
    }
    finish_run(&mut run, slices, out)
}

/// Gives the chunks of a run that overlap one another, and empties the run.
fn finish_run(
    run: &mut Vec<SourceChunk>,
    slices: &Slices,
    out: &mut Vec<Chunk>,
) -> Result<(), ArrangeError> {
    let fits = |chunk: &Chunk| slices.index_of(chunk.min) == slices.index_of(chunk.max);
    if run.len() == 1 && run.iter().all(|(_, chunk)| fits(chunk)) {
        out.extend(run.drain(..).map(|(_, chunk)| chunk));
        return Ok(());
    }
    run.sort_by_key(|(source, chunk)| (*source, chunk.min));
    let boundaries: Vec<Timestamp> = (1..slices.count()).map(|k| slices.range(k).min).collect();
    let chunks: Vec<Chunk> = run.drain(..).map(|(_, chunk)| chunk).collect();
    if !chunks.is_empty() {
        out.extend(reencode(&chunks, &boundaries).map_err(ArrangeError::Chunk)?);
    }
    Ok(())
}

/// Downsampled chunks in order of time, unchanged. The same chunk from several inputs is given once.
///
/// # Errors
/// When two different chunks overlap: neither tells which aggregates are right.
pub(crate) fn arrange_aggregates(
    chunks: &mut Vec<SourceChunk>,
    out: &mut Vec<Chunk>,
) -> Result<(), ArrangeError> {
    chunks.sort_by_key(|(source, chunk)| (chunk.min, *source));
    let mut last: Option<usize> = None;
    for (source, chunk) in chunks.drain(..) {
        if let (Some(before), Some(known)) = (last, out.last())
            && chunk.min <= known.max
        {
            if *known == chunk {
                continue;
            }
            let range = |chunk: &Chunk| TimeRange {
                min: chunk.min,
                max: chunk.max,
            };
            return Err(ArrangeError::Overlap([
                (before, range(known)),
                (source, range(&chunk)),
            ]));
        }
        last = Some(source);
        out.push(chunk);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tsdb::{Encoding, Floats, decode_xor, encode_xor};

    use super::*;

    fn chunk(samples: &[(i64, f64)]) -> Chunk {
        let (timestamps, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
        Chunk {
            encoding: Encoding::Xor,
            min: Timestamp(timestamps[0]),
            max: Timestamp(timestamps[timestamps.len() - 1]),
            data: encode_xor(&timestamps, &values),
        }
    }

    fn samples(chunk: &Chunk) -> Vec<(i64, f64)> {
        let mut floats = Floats::default();
        decode_xor(&chunk.data, &mut floats).unwrap();
        floats.timestamps.into_iter().zip(floats.values).collect()
    }

    fn arranged(chunks: Vec<SourceChunk>) -> Vec<Chunk> {
        let slices = Slices::new(Timestamp(0), Timestamp(200), 100);
        let (mut chunks, mut out) = (chunks, Vec::new());
        arrange_raw(&mut chunks, Dedup::Exact, &slices, &mut out).unwrap();
        out
    }

    #[test]
    fn chunks_that_fit_are_passed_on_as_they_are_in_order_of_time() {
        let (early, late) = (chunk(&[(0, 1.0), (99, 2.0)]), chunk(&[(100, 3.0)]));
        let out = arranged(vec![(0, late.clone()), (1, early.clone())]);
        assert_eq!(out, [early, late]);
    }

    #[test]
    fn the_same_chunk_of_two_inputs_is_passed_on_once() {
        let one = chunk(&[(0, 1.0), (50, 2.0)]);
        assert_eq!(arranged(vec![(0, one.clone()), (1, one.clone())]), [one]);
    }

    #[test]
    fn of_equal_timestamps_the_first_input_counts() {
        let first = chunk(&[(20, 1.0), (40, 1.0)]);
        let second = chunk(&[(10, 2.0), (20, 2.0), (30, 2.0)]);
        let out = arranged(vec![(1, second), (0, first)]);
        assert_eq!(out.len(), 1);
        assert_eq!(
            samples(&out[0]),
            [(10, 2.0), (20, 1.0), (30, 2.0), (40, 1.0)]
        );
    }

    #[test]
    fn a_chunk_across_two_slices_is_cut_at_the_border() {
        let out = arranged(vec![(
            0,
            chunk(&[(98, 1.0), (99, 2.0), (100, 3.0), (150, 4.0)]),
        )]);
        assert_eq!(out.len(), 2);
        assert_eq!(samples(&out[0]), [(98, 1.0), (99, 2.0)]);
        assert_eq!(samples(&out[1]), [(100, 3.0), (150, 4.0)]);
        assert_eq!((out[0].max, out[1].min), (Timestamp(99), Timestamp(100)));
    }

    fn aggregates(times: &[i64]) -> Chunk {
        let count = encode_xor(times, &vec![1.0; times.len()]);
        let mut aggregates = tsdb::Aggregates::default();
        aggregates[0] = Some(tsdb::AggregateChunk {
            encoding: Encoding::Xor,
            data: count,
        });
        tsdb::DownsampledChunk {
            min: Timestamp(times[0]),
            max: Timestamp(times[times.len() - 1]),
            aggregates,
        }
        .pack()
    }

    #[test]
    fn aggregates_are_passed_on_as_they_are_and_once() {
        let (early, late) = (aggregates(&[50, 150]), aggregates(&[160, 170]));
        let mut chunks = vec![
            (0, late.clone()),
            (0, early.clone()),
            (1, early.clone()),
            (2, late.clone()),
        ];
        let mut out = Vec::new();
        arrange_aggregates(&mut chunks, &mut out).unwrap();
        assert_eq!(out, [early, late]);
    }

    #[test]
    fn different_aggregates_of_one_time_are_refused_with_both_inputs_and_times() {
        let mut chunks = vec![(3, aggregates(&[100, 200])), (1, aggregates(&[50, 150]))];
        let error = arrange_aggregates(&mut chunks, &mut Vec::new()).unwrap_err();
        let ArrangeError::Overlap(found) = error else {
            panic!("{error:?}");
        };
        assert_eq!(
            found,
            [(1, TimeRange::new(50, 150)), (3, TimeRange::new(100, 200))]
        );
    }
}
