//! One aggregate of floats, encoded.

use model::Timestamp;
use tsdb::{AggregateChunk, Encoding, encode_xor};

use super::DownsampleError;

/// Encodes one aggregate of floats; nothing where there are none.
pub(super) fn encode(
    times: &[i64],
    values: &[f64],
) -> Result<Option<AggregateChunk>, DownsampleError> {
    let Some(first) = times.first() else {
        return Ok(None);
    };
    if times.len() > usize::from(u16::MAX) {
        return Err(DownsampleError::TooMany {
            min: Timestamp(*first),
            found: times.len(),
        });
    }
    Ok(Some(AggregateChunk {
        encoding: Encoding::Xor,
        data: encode_xor(times, values),
    }))
}
