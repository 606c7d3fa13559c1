//! A chunk without the samples that tombstones delete.

use model::Timestamp;
use tsdb::{
    Chunk, ChunkError, Coverage, Encoding, Floats, Intervals, decode_histograms, decode_xor,
    encode_histograms, encode_xor,
};

/// Whether tombstones delete a part of `chunk` that cannot be cut off, because it holds aggregates.
pub(crate) fn divides(deleted: &Intervals, chunk: &Chunk) -> bool {
    let (min, max) = (chunk.min, chunk.max);
    chunk.encoding == Encoding::Aggr
        && deleted.coverage(model::TimeRange { min, max }) == Coverage::Part
}

/// What is left of `chunk`: the chunk itself if nothing is deleted, and `None` if everything is.
///
/// # Errors
/// When the chunk must be decoded and does not.
pub(crate) fn without(chunk: &Chunk, deleted: &Intervals) -> Result<Vec<Chunk>, ChunkError> {
    let (min, max) = (chunk.min, chunk.max);
    match deleted.coverage(model::TimeRange { min, max }) {
        Coverage::None => return Ok(vec![chunk.clone()]),
        Coverage::All => return Ok(Vec::new()),
        Coverage::Part => {}
    }
    if chunk.encoding != Encoding::Xor {
        let mut samples = decode_histograms(chunk.encoding, &chunk.data)?;
        samples.retain(|(time, _)| !deleted.contains(*time));
        return Ok(encode_histograms(&samples));
    }
    let mut floats = Floats::default();
    decode_xor(&chunk.data, &mut floats)?;
    let (timestamps, values): (Vec<i64>, Vec<f64>) = floats
        .timestamps
        .into_iter()
        .zip(floats.values)
        .filter(|(time, _)| !deleted.contains(Timestamp(*time)))
        .unzip();
    let (Some(min), Some(max)) = (timestamps.first(), timestamps.last()) else {
        return Ok(Vec::new());
    };
    Ok(vec![Chunk {
        encoding: Encoding::Xor,
        min: Timestamp(*min),
        max: Timestamp(*max),
        data: encode_xor(&timestamps, &values),
    }])
}

#[cfg(test)]
mod tests {
    use model::TimeRange;

    use super::*;

    fn chunk() -> Chunk {
        Chunk {
            encoding: Encoding::Xor,
            min: Timestamp(0),
            max: Timestamp(40),
            data: encode_xor(&[0, 10, 20, 30, 40], &[0.0, 1.0, 2.0, 3.0, 4.0]),
        }
    }

    fn left(ranges: &[(i64, i64)]) -> Vec<Chunk> {
        let mut deleted = Intervals::default();
        for (min, max) in ranges {
            deleted.add(TimeRange::new(*min, *max));
        }
        without(&chunk(), &deleted).unwrap()
    }

    #[test]
    fn a_chunk_outside_of_what_is_deleted_stays_as_it_is() {
        assert_eq!(left(&[(41, 100)]), [chunk()]);
    }

    #[test]
    fn a_chunk_that_is_deleted_whole_is_gone() {
        assert_eq!(left(&[(-5, 40)]), []);
        assert_eq!(left(&[(0, 15), (16, 29), (30, 40)]), []);
    }

    #[test]
    fn of_a_chunk_that_is_deleted_in_part_the_rest_stays() {
        let left = left(&[(0, 5), (20, 30)]);
        assert_eq!(left.len(), 1);
        assert_eq!((left[0].min, left[0].max), (Timestamp(10), Timestamp(40)));
        let mut floats = Floats::default();
        decode_xor(&left[0].data, &mut floats).unwrap();
        assert_eq!(floats.timestamps, [10, 40]);
        assert_eq!(floats.values, [1.0, 4.0]);
    }
}
