//! What downsampling makes: the aggregates of some time of one series.

use model::Timestamp;
use tsdb::{
    AggregateChunk, Aggregates, Chunk, Encoding, decode_aggregates, encode_aggregates, encode_xor,
};

use super::DownsampleError;

/// The aggregates of some time of one series, each encoded by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownsampledChunk {
    /// Time of the first window's sample. The counter's first value may be earlier.
    pub min: Timestamp,
    /// Time of the last window's sample.
    pub max: Timestamp,
    /// The aggregates, at the places that [`Aggregate`] numbers.
    pub aggregates: Aggregates,
}

/// What is kept of the samples of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Aggregate {
    /// How many samples.
    Count = 0,
    /// Their sum.
    Sum = 1,
    /// The least; not of histograms.
    Min = 2,
    /// The greatest; not of histograms.
    Max = 3,
    /// Value of the counter since the chunk's first sample, its resets taken out.
    Counter = 4,
}

impl Aggregate {
    /// All of them, in their order in a chunk.
    pub const ALL: [Self; tsdb::AGGREGATES] =
        [Self::Count, Self::Sum, Self::Min, Self::Max, Self::Counter];
}

impl DownsampledChunk {
    /// Splits a chunk of a downsampled TSDB block.
    ///
    /// # Errors
    /// When it is damaged or holds raw samples.
    pub fn unpack(chunk: &Chunk) -> Result<Self, DownsampleError> {
        if chunk.encoding != Encoding::Aggr {
            return Err(DownsampleError::of(chunk)(tsdb::ChunkError::Kind {
                expected: "aggregates",
                found: chunk.encoding,
            }));
        }
        let aggregates = decode_aggregates(&chunk.data).map_err(DownsampleError::of(chunk))?;
        Ok(Self {
            min: chunk.min,
            max: chunk.max,
            aggregates,
        })
    }

    /// The chunk of a downsampled TSDB block.
    #[must_use]
    pub fn pack(&self) -> Chunk {
        Chunk {
            encoding: Encoding::Aggr,
            min: self.min,
            max: self.max,
            data: encode_aggregates(&self.aggregates),
        }
    }

    /// One aggregate as a chunk of its own, with the times of all of them.
    #[must_use]
    pub fn column(&self, aggregate: Aggregate) -> Option<Chunk> {
        let AggregateChunk { encoding, data } = self.get(aggregate)?.clone();
        Some(Chunk {
            encoding,
            min: self.min,
            max: self.max,
            data,
        })
    }

    pub(super) fn get(&self, aggregate: Aggregate) -> Option<&AggregateChunk> {
        self.aggregates.get(aggregate as usize)?.as_ref()
    }

    /// Whether these are aggregates of histograms, which the counter tells, or the sum where there
    /// is no counter.
    pub(super) fn is_histogram(&self) -> bool {
        let value = self
            .get(Aggregate::Counter)
            .or_else(|| self.get(Aggregate::Sum));
        value.is_some_and(|value| value.encoding != Encoding::Xor)
    }
}

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
