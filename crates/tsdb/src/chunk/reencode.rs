//! Chunks that overlap, or cross a border, made into chunks that do neither.

use bytes::Bytes;
use model::{Histogram, Timestamp};

use super::{
    Chunk, ChunkError, Encoding, Floats, SAMPLES_PER_CHUNK, decode_histograms, decode_xor,
    encode_histograms, encode_xor,
};

/// A sample of the one kind or the other.
#[derive(Clone, Copy)]
enum Point {
    Float(f64),
    /// At this place among all histograms.
    Histogram(usize),
}

/// Merges chunks of one series. Where several have a sample at the same time, the one that comes
/// first in `chunks` counts. What comes out is in order of time, whatever its encodings; a chunk
/// ends after 120 samples, before a time in `boundaries`, which ascend, where the encoding changes,
/// and where Prometheus would end a chunk of histograms.
///
/// # Errors
/// When a chunk is damaged, or holds downsampled data.
pub fn reencode(chunks: &[Chunk], boundaries: &[Timestamp]) -> Result<Vec<Chunk>, ChunkError> {
    let mut points: Vec<(i64, Point)> = Vec::new();
    let mut histograms: Vec<Histogram> = Vec::new();
    let mut floats = Floats::default();
    for chunk in chunks {
        if chunk.encoding == Encoding::Xor {
            decode_xor(&chunk.data, &mut floats)?;
            let values = floats.values.iter().map(|value| Point::Float(*value));
            points.extend(floats.timestamps.iter().copied().zip(values));
        } else {
            for (time, histogram) in decode_histograms(chunk.encoding, &chunk.data)? {
                points.push((time.0, Point::Histogram(histograms.len())));
                histograms.push(histogram);
            }
        }
    }
    // Stable, so what came first stays first; and fast, since it finds what is sorted already.
    points.sort_by_key(|(time, _)| *time);
    points.dedup_by_key(|(time, _)| *time);

    let slice_of = |time: i64| boundaries.partition_point(|start| start.0 <= time);
    let mut out = Vec::new();
    let together = |(a, p): &(i64, Point), (b, q): &(i64, Point)| {
        matches!(p, Point::Float(_)) == matches!(q, Point::Float(_)) && slice_of(*a) == slice_of(*b)
    };
    for part in points.chunk_by(together) {
        let mut in_part = Vec::new();
        floats.timestamps.clear();
        floats.values.clear();
        for (time, point) in part {
            match point {
                Point::Float(value) => {
                    floats.timestamps.push(*time);
                    floats.values.push(*value);
                }
                Point::Histogram(at) => {
                    in_part.extend(histograms.get(*at).map(|h| (Timestamp(*time), h.clone())));
                }
            }
        }
        float_chunks(&floats, &mut out);
        out.extend(encode_histograms(&in_part));
    }
    Ok(out)
}

fn float_chunks(floats: &Floats, out: &mut Vec<Chunk>) {
    let timestamps = floats.timestamps.chunks(SAMPLES_PER_CHUNK);
    let parts = timestamps.zip(floats.values.chunks(SAMPLES_PER_CHUNK));
    out.extend(parts.filter_map(|(timestamps, values)| {
        let data: Bytes = encode_xor(timestamps, values);
        Some(Chunk {
            encoding: Encoding::Xor,
            min: Timestamp(*timestamps.first()?),
            max: Timestamp(*timestamps.last()?),
            data,
        })
    }));
}

#[cfg(test)]
mod tests;
