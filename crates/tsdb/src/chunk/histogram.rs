//! Chunks of native histograms.
//!
//! ```text
//! be16     number of samples
//! 1        what is known of a counter reset before the first; in the high two bits
//! the layout:
//!   1      exponent of the zero threshold + 243; 0 for a threshold of 0; 255: 8 bytes follow
//!   varbit schema
//!   twice, for positive and negative buckets:
//!     varbit  number of spans, each: varbit length, varbit offset (signed)
//!   with custom buckets: varbit number of bounds, each:
//!     varbit  the bound × 1000, + 1; 0: a raw float of 64 bits follows
//! the first sample:
//!   varbit time, count, count of zeros, sum (64 bits), varbit for each bucket
//! each other sample:
//!   the same as the difference from the difference before, the sum as in `window`
//! ```
//! Of integer counts, a bucket is stored as the difference from the bucket before it. Fractional
//! counts are stored raw in the first sample and then as in `window`, each with a window of its own.
//! A sample that marks the end of the series has no buckets, though the layout has; only such
//! samples may follow it in its chunk.

mod append;
mod decode;
mod encode;
mod layout;
mod spans;
mod track;

use model::{CounterReset, Histogram, HistogramCounts, Timestamp};

use self::track::{Fraction, Integer};
use super::{Chunk, ChunkError, Encoding, SAMPLES_PER_CHUNK};

/// A chunk's third byte, of which the high two bits are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Header {
    Unknown = 0,
    NotReset = 0x40,
    Reset = 0x80,
    Gauge = 0xc0,
}

/// Reads the histograms of a chunk of one of the two encodings.
///
/// # Errors
/// When the data is damaged, or the encoding is another.
pub fn decode_histograms(
    encoding: Encoding,
    data: &[u8],
) -> Result<Vec<(Timestamp, Histogram)>, ChunkError> {
    match encoding {
        Encoding::Histogram => decode::decode::<Integer>(data),
        Encoding::FloatHistogram => decode::decode::<Fraction>(data),
        found => Err(ChunkError::Kind {
            expected: "histograms",
            found,
        }),
    }
}

/// Writes histograms as chunks. Times ascend.
///
/// A chunk ends after 120 samples, and where Prometheus would end it: the kind of count, the schema,
/// the zero threshold or the custom bounds change, a counter was reset, or the series ended and
/// goes on.
#[must_use]
pub fn encode_histograms(samples: &[(Timestamp, Histogram)]) -> Vec<Chunk> {
    encode(samples, SAMPLES_PER_CHUNK)
}

/// As [`encode_histograms`], with as many samples in a chunk as it can count: 65,535.
#[must_use]
pub fn encode_long_histograms(samples: &[(Timestamp, Histogram)]) -> Vec<Chunk> {
    encode(samples, usize::from(u16::MAX))
}

fn encode(samples: &[(Timestamp, Histogram)], longest: usize) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let is_integer =
        |(_, h): &(Timestamp, Histogram)| matches!(h.counts, HistogramCounts::Integer(_));
    for run in samples.chunk_by(|a, b| is_integer(a) == is_integer(b)) {
        if run.first().is_some_and(is_integer) {
            encode::encode_run::<Integer>(run, longest, &mut chunks);
        } else {
            encode::encode_run::<Fraction>(run, longest, &mut chunks);
        }
    }
    chunks
}

impl Header {
    fn from_byte(byte: u8) -> Self {
        match byte & 0xc0 {
            0x40 => Self::NotReset,
            0x80 => Self::Reset,
            0xc0 => Self::Gauge,
            _ => Self::Unknown,
        }
    }

    /// The header of the sample at this index of the chunk.
    ///
    /// The first sample says nothing, unless it is of a gauge: the chunk before may have been deleted since, or
    /// another may have come between.
    fn reset(self, place: usize) -> CounterReset {
        match self {
            Self::Gauge => CounterReset::Gauge,
            _ if place > 0 => CounterReset::NotReset,
            _ => CounterReset::Unknown,
        }
    }

    /// The header of a chunk that starts with `first`, before which nothing is known.
    fn of_first(first: &Histogram) -> Self {
        match first.reset {
            CounterReset::Gauge => Self::Gauge,
            CounterReset::Reset => Self::Reset,
            CounterReset::Unknown | CounterReset::NotReset => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests;
