//! Tables computed by hand, and what holds for any samples.

mod floats;
mod histograms;

use model::{Aggregate, Histogram, Timestamp};
use proptest::prelude::*;
use tsdb::{Chunk, DownsampledChunk, Encoding, Floats, decode_histograms, decode_xor, encode_xor};

use super::{DownsampleError, Downsampler};

const FIVE_MINUTES: i64 = 300_000;
const HOUR: i64 = 3_600_000;

/// Chunks of at most `per_chunk` floats.
fn chunks_of(samples: &[(i64, f64)], per_chunk: usize) -> Vec<Chunk> {
    let chunk = |part: &[(i64, f64)]| {
        let (times, values): (Vec<i64>, Vec<f64>) = part.iter().copied().unzip();
        Chunk {
            encoding: Encoding::Xor,
            min: Timestamp(times[0]),
            max: Timestamp(times[times.len() - 1]),
            data: encode_xor(&times, &values),
        }
    };
    samples.chunks(per_chunk).map(chunk).collect()
}

/// The samples of one aggregate of floats.
fn floats(chunk: &DownsampledChunk, aggregate: Aggregate) -> Vec<(i64, f64)> {
    let Some(column) = chunk.column(aggregate) else {
        return Vec::new();
    };
    assert_eq!(column.encoding, Encoding::Xor);
    let mut floats = Floats::default();
    decode_xor(&column.data, &mut floats).unwrap();
    floats.timestamps.into_iter().zip(floats.values).collect()
}

/// The samples of one aggregate of histograms.
fn histograms(chunk: &DownsampledChunk, aggregate: Aggregate) -> Vec<(i64, Histogram)> {
    let Some(column) = chunk.column(aggregate) else {
        return Vec::new();
    };
    let samples = decode_histograms(column.encoding, &column.data).unwrap();
    samples.into_iter().map(|(t, h)| (t.0, h)).collect()
}

/// The samples of one aggregate of all chunks.
fn all(chunks: &[DownsampledChunk], aggregate: Aggregate) -> Vec<(i64, f64)> {
    let each = chunks.iter().map(|chunk| floats(chunk, aggregate));
    each.collect::<Vec<_>>().concat()
}

fn five_minutes(chunks: &[Chunk]) -> Vec<DownsampledChunk> {
    Downsampler::default().five_minutes(chunks).unwrap()
}

fn one_hour(chunks: &[DownsampledChunk]) -> Vec<DownsampledChunk> {
    Downsampler::default().one_hour(chunks).unwrap()
}

proptest! {
    #[test]
    fn any_bytes_are_downsampled_or_refused(
        data in prop::collection::vec(any::<u8>(), 0..80),
        encoding in prop::sample::select(vec![
            Encoding::Xor, Encoding::Histogram, Encoding::FloatHistogram, Encoding::Aggr,
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let (min, max) = (Timestamp(0), Timestamp(1));
        let chunk = Chunk { encoding, min, max, data: data.into() };
        let _ = Downsampler::default().five_minutes(std::slice::from_ref(&chunk));
        let mut chunks = vec![DownsampledChunk {
            min: Timestamp(5),
            max: Timestamp(5),
            aggregates: std::array::from_fn(|place| Some(tsdb::AggregateChunk {
                encoding: if place % 2 == 0 { Encoding::Xor } else { encoding },
                data: rest.clone().into(),
            })),
        }];
        if let Ok(unpacked) = Downsampler::default().unpack(&[chunk]) {
            chunks.splice(0..0, unpacked.into_iter().filter(|chunk| chunk.max.0 < 5));
        }
        let _ = Downsampler::default().one_hour(&chunks);
    }
}

#[test]
fn chunks_that_overlap_are_an_error_that_names_both() {
    let mut chunks = chunks_of(&[(0, 1.0), (10, 2.0), (20, 3.0)], 2);
    chunks[1].min = Timestamp(10);
    let error = Downsampler::default().five_minutes(&chunks).unwrap_err();
    let (end, next) = (Timestamp(10), Timestamp(10));
    assert_eq!(error, DownsampleError::Overlap { end, next });
}

#[test]
fn a_damaged_chunk_is_an_error_that_says_which() {
    let mut chunks = chunks_of(&[(0, 1.0), (10, 2.0), (20, 3.0)], 2);
    let data = &chunks[1].data;
    chunks[1].data = data.slice(..data.len() - 1);
    let error = Downsampler::default().five_minutes(&chunks).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("chunk from 20 to 20: chunk data at byte "),
        "{text}"
    );
}

#[test]
fn downsampled_chunks_are_not_taken_for_raw_ones_nor_raw_ones_for_them() {
    let raw = chunks_of(&[(0, 1.0)], 2);
    let packed = five_minutes(&raw)[0].pack();
    assert!(Downsampler::default().five_minutes(&[packed]).is_err());
    assert!(DownsampledChunk::unpack(&raw[0]).is_err());
}

#[test]
fn what_was_packed_is_unpacked_and_raw_chunks_among_it_are_downsampled() {
    let raw = chunks_of(
        &[
            (0, 1.0),
            (10, 2.0),
            (FIVE_MINUTES, 3.0),
            (2 * FIVE_MINUTES, 4.0),
        ],
        2,
    );
    let made = five_minutes(&raw[..1]);
    let empty = Chunk {
        encoding: Encoding::Xor,
        min: Timestamp(20),
        max: Timestamp(20),
        data: encode_xor(&[], &[]),
    };
    let unpacked = Downsampler::default().unpack(&[made[0].pack(), empty, raw[1].clone()]);
    let expected = [made, five_minutes(&raw[1..])].concat();
    assert_eq!(unpacked, Ok(expected));
}
