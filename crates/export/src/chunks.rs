//! The chunks of a series, and their contents.

use bytes::Bytes;
use model::{Histogram, STALE_NAN, TimeRange};
use tsdb::{ChunkError, Encoding, Floats, decode_histograms, decode_xor};

/// A chunk of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesChunk {
    /// The times of its samples; both ends are inclusive.
    pub range: TimeRange,
    /// What it holds.
    pub samples: ChunkSamples,
}

/// What a chunk holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkSamples {
    /// Samples as scraped.
    Raw(Encoded),
    /// The aggregates of a downsampled block, in the order of [`model::Aggregate::ALL`].
    Aggregates([Option<Encoded>; 5]),
}

/// Encoded samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Their encoding: not [`Encoding::Aggr`].
    pub encoding: Encoding,
    /// The bytes.
    pub data: Bytes,
}

/// The value of a sample.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Float(f64),
    Histogram(Box<Histogram>),
}

impl Encoded {
    /// Appends the samples to `floats`, if they are floats.
    pub(crate) fn floats(&self, floats: &mut Floats) -> Result<bool, ChunkError> {
        let is_xor = self.encoding == Encoding::Xor;
        if is_xor {
            decode_xor(&self.data, floats)?;
        }
        Ok(is_xor)
    }

    /// The samples, without staleness markers.
    pub(crate) fn samples(&self) -> Result<Vec<(i64, Value)>, ChunkError> {
        let mut floats = Floats::default();
        if self.floats(&mut floats)? {
            let samples = floats.timestamps.into_iter().zip(floats.values);
            return Ok(samples
                .filter(|(_, value)| value.to_bits() != STALE_NAN)
                .map(|(time, value)| (time, Value::Float(value)))
                .collect());
        }
        let samples = decode_histograms(self.encoding, &self.data)?;
        Ok(samples
            .into_iter()
            .filter(|(_, histogram)| !histogram.is_stale())
            .map(|(time, histogram)| (time.0, Value::Histogram(Box::new(histogram))))
            .collect())
    }
}
