//! Chunks: the samples of one series over some time, as bytes and as values.

mod aggregates;
mod downsampled;
mod error;
mod histogram;
mod reader;
mod reencode;
#[cfg(test)]
mod samples;
mod varbit;
mod window;
mod writer;
mod xor;

use bytes::Bytes;
use model::Timestamp;

pub use self::{
    aggregates::{AGGREGATES, AggregateChunk, Aggregates, decode_aggregates, encode_aggregates},
    downsampled::DownsampledChunk,
    error::{ChunkError, UnknownEncoding},
    histogram::{decode_histograms, encode_histograms, encode_long_histograms},
    reencode::reencode,
    xor::{Floats, decode_xor, decode_xor_at, encode_xor, encode_xor_onto},
};

/// Samples of a chunk, as in Prometheus.
const SAMPLES_PER_CHUNK: usize = 120;

/// Samples of one series over some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The encoding of `data`.
    pub encoding: Encoding,
    /// Time of the first sample.
    pub min: Timestamp,
    /// Time of the last sample.
    pub max: Timestamp,
    /// The samples, without the length, encoding and checksum that a segment adds.
    pub data: Bytes,
}

/// The encoding of a chunk's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// Floats.
    Xor = 1,
    /// Native histograms with integer counts.
    Histogram = 2,
    /// Native histograms with fractional counts.
    FloatHistogram = 3,
    /// Thanos's downsampled data: up to five chunks of the other encodings.
    Aggr = 0xff,
}

impl Chunk {
    /// The number of samples by the data's first bytes, which is not checked against the rest. Of downsampled data,
    /// that of the count.
    ///
    /// # Errors
    /// When the data is too short.
    pub fn num_samples(&self) -> Result<u16, ChunkError> {
        if self.encoding != Encoding::Aggr {
            return sample_count(&self.data);
        }
        let [count, ..] = decode_aggregates(&self.data)?;
        count.map_or(Ok(0), |count| sample_count(&count.data))
    }
}

impl Encoding {
    /// The encoding with this number.
    ///
    /// # Errors
    /// When there is none, or only later versions of Prometheus know it.
    pub fn from_byte(byte: u8) -> Result<Self, UnknownEncoding> {
        match byte {
            1 => Ok(Self::Xor),
            2 => Ok(Self::Histogram),
            3 => Ok(Self::FloatHistogram),
            0xff => Ok(Self::Aggr),
            other => Err(UnknownEncoding(other)),
        }
    }
}

/// The count at the start of the data of all encodings except [`Encoding::Aggr`].
fn sample_count(data: &[u8]) -> Result<u16, ChunkError> {
    match data.first_chunk() {
        Some(count) => Ok(u16::from_be_bytes(*count)),
        None => Err(ChunkError::end(data, "a count of samples")),
    }
}
