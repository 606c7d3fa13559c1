//! A chunk of a downsampled block, split into its aggregates.

use model::{Aggregate, Timestamp};

use super::{
    Chunk, ChunkError, Encoding,
    aggregates::{AggregateChunk, Aggregates, decode_aggregates, encode_aggregates},
};

/// The aggregates of one chunk of one series, each with its own encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownsampledChunk {
    /// Time of the first window's sample. The counter's first value may be earlier.
    pub min: Timestamp,
    /// Time of the last window's sample.
    pub max: Timestamp,
    /// The aggregates, indexed by [`Aggregate`].
    pub aggregates: Aggregates,
}

impl DownsampledChunk {
    /// Splits a chunk of a downsampled TSDB block.
    ///
    /// # Errors
    /// When it is damaged or holds raw samples.
    pub fn unpack(chunk: &Chunk) -> Result<Self, ChunkError> {
        if chunk.encoding != Encoding::Aggr {
            return Err(ChunkError::Kind {
                expected: "aggregates",
                found: chunk.encoding,
            });
        }
        Ok(Self {
            min: chunk.min,
            max: chunk.max,
            aggregates: decode_aggregates(&chunk.data)?,
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

    /// One aggregate, if it exists.
    #[must_use]
    pub fn get(&self, aggregate: Aggregate) -> Option<&AggregateChunk> {
        self.aggregates.get(aggregate as usize)?.as_ref()
    }

    /// One aggregate as a chunk of its own, with the times of the whole chunk.
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

    /// Whether these are aggregates of histograms, by the counter, or by the sum if there is no counter.
    #[must_use]
    pub fn is_histogram(&self) -> bool {
        let value = self
            .get(Aggregate::Counter)
            .or_else(|| self.get(Aggregate::Sum));
        value.is_some_and(|value| value.encoding != Encoding::Xor)
    }
}
