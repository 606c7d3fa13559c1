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

/// Samples after which a chunk is followed by another, as in Prometheus.
const SAMPLES_PER_CHUNK: usize = 120;

/// Samples of one series over some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// How `data` is encoded.
    pub encoding: Encoding,
    /// Time of the first sample.
    pub min: Timestamp,
    /// Time of the last sample.
    pub max: Timestamp,
    /// The samples, without the length, encoding and checksum that a segment adds.
    pub data: Bytes,
}

/// How the samples of a chunk are encoded.
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
    /// How many samples there are: what the data's first bytes say, which nothing has checked
    /// against the rest. Of downsampled data, the samples of the count.
    ///
    /// # Errors
    /// When the data is too short to say.
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
    /// When there is none, or it is one that only later versions of Prometheus know.
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

/// The count that data of all encodings but [`Encoding::Aggr`] starts with.
fn sample_count(data: &[u8]) -> Result<u16, ChunkError> {
    match data.first_chunk() {
        Some(count) => Ok(u16::from_be_bytes(*count)),
        None => Err(ChunkError::end(data, "a count of samples")),
    }
}
