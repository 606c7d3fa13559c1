//! Aggregates of floats, encoded.

use bytes::Bytes;
use model::Timestamp;
use tsdb::{AGGREGATES, AggregateChunk, Aggregates, Encoding, encode_xor, encode_xor_onto};

use super::DownsampleError;

/// Encodes one aggregate of floats; nothing where there are none.
pub(super) fn encode(
    times: &[i64],
    values: &[f64],
) -> Result<Option<AggregateChunk>, DownsampleError> {
    if times.is_empty() {
        return Ok(None);
    }
    check_count(times)?;
    Ok(Some(AggregateChunk {
        encoding: Encoding::Xor,
        data: encode_xor(times, values),
    }))
}

/// Encodes the aggregates of a chunk of floats, all of which have samples, in one piece of memory that they share;
/// `scratch` is used again.
pub(super) fn encode_together(
    columns: [(&[i64], &[f64]); AGGREGATES],
    scratch: &mut Vec<u8>,
) -> Result<Aggregates, DownsampleError> {
    scratch.clear();
    let mut ends = [0; AGGREGATES];
    for ((times, values), end) in columns.into_iter().zip(&mut ends) {
        check_count(times)?;
        encode_xor_onto(times, values, scratch);
        *end = scratch.len();
    }
    let bytes = Bytes::copy_from_slice(scratch);
    let mut start = 0;
    Ok(ends.map(|end| {
        let data = bytes.slice(start..end);
        start = end;
        Some(AggregateChunk {
            encoding: Encoding::Xor,
            data,
        })
    }))
}

fn check_count(times: &[i64]) -> Result<(), DownsampleError> {
    if times.len() > usize::from(u16::MAX) {
        return Err(DownsampleError::TooMany {
            min: Timestamp(times.first().copied().unwrap_or_default()),
            found: times.len(),
        });
    }
    Ok(())
}
