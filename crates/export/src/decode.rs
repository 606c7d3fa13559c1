//! The samples of encoded chunks.

use model::{Histogram, STALE_NAN};
use series::{Coding, Encoded};
use tsdb::{ChunkError, Floats, decode_histograms, decode_xor};

/// The value of a sample.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Float(f64),
    Histogram(Box<Histogram>),
}

/// Appends the samples of `encoded` to `floats`, if they are floats.
pub(crate) fn append_floats(encoded: &Encoded, floats: &mut Floats) -> Result<bool, ChunkError> {
    let is_xor = encoded.coding == Coding::Xor;
    if is_xor {
        decode_xor(&encoded.data, floats)?;
    }
    Ok(is_xor)
}

/// The samples of `encoded`, without staleness markers.
pub(crate) fn samples(encoded: &Encoded) -> Result<Vec<(i64, Value)>, ChunkError> {
    let mut floats = Floats::default();
    if append_floats(encoded, &mut floats)? {
        let samples = floats.timestamps.into_iter().zip(floats.values);
        return Ok(samples
            .filter(|(_, value)| value.to_bits() != STALE_NAN)
            .map(|(time, value)| (time, Value::Float(value)))
            .collect());
    }
    let samples = decode_histograms(encoded.coding.into(), &encoded.data)?;
    Ok(samples
        .into_iter()
        .filter(|(_, histogram)| !histogram.is_stale())
        .map(|(time, histogram)| (time.0, Value::Histogram(Box::new(histogram))))
        .collect())
}
