//! Chunks of an answer: samples as scraped, or the requested aggregates of a downsampled block.

use bytes::Bytes;
use model::{Aggregate, AggregateSet, Timestamp};
use tsdb::{Chunk, ChunkError, Encoding};

/// A chunk of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesChunk {
    /// Time of the first sample.
    pub min: Timestamp,
    /// Time of the last sample, inclusive.
    pub max: Timestamp,
    /// What it holds.
    pub samples: Samples,
}

/// What a chunk holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Samples {
    /// Samples as scraped.
    Raw(Encoded),
    /// The requested aggregates that exist, in the order of [`Aggregate::ALL`].
    Aggregates(Box<[Option<Encoded>; 5]>),
}

/// Encoded samples.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Encoded {
    /// How they are encoded.
    pub coding: Coding,
    /// The bytes.
    pub data: Bytes,
}

/// How samples are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Coding {
    /// Floats.
    Xor,
    /// Native histograms with integer counts.
    Histogram,
    /// Native histograms with float counts.
    FloatHistogram,
}

impl SeriesChunk {
    /// The chunk of an answer; `None` if it holds none of the `wanted` aggregates.
    ///
    /// # Errors
    /// When the aggregates of a downsampled chunk cannot be told apart.
    pub fn new(chunk: Chunk, wanted: AggregateSet) -> Result<Option<Self>, ChunkError> {
        let (min, max) = (chunk.min, chunk.max);
        let samples = match Coding::of(chunk.encoding) {
            Some(coding) => Samples::Raw(Encoded {
                coding,
                data: chunk.data,
            }),
            None => {
                let parts = split(&chunk.data, wanted)?;
                if parts.iter().all(Option::is_none) {
                    return Ok(None);
                }
                Samples::Aggregates(Box::new(parts))
            }
        };
        Ok(Some(Self { min, max, samples }))
    }

    /// Bytes of encoded samples.
    #[must_use]
    pub fn size(&self) -> usize {
        self.parts().map(|part| part.data.len()).sum()
    }

    fn parts(&self) -> impl Iterator<Item = &Encoded> {
        let (raw, aggregates) = match &self.samples {
            Samples::Raw(raw) => (Some(raw), None),
            Samples::Aggregates(parts) => (None, Some(parts.iter().flatten())),
        };
        raw.into_iter().chain(aggregates.into_iter().flatten())
    }
}

/// Puts the chunks of one series in order of time, of equal times the larger first. Of chunks with the same bytes, as
/// replicas and overlapping blocks have, one is kept.
pub(crate) fn arrange(chunks: &mut Vec<SeriesChunk>) {
    // The chunks of one block are in order, each once.
    if chunks.is_sorted_by(|a, b| a.max < b.min) {
        return;
    }
    chunks.sort_by(|a, b| {
        let times = (a.min, a.max).cmp(&(b.min, b.max));
        let sizes = || b.size().cmp(&a.size());
        times
            .then_with(sizes)
            .then_with(|| a.parts().cmp(b.parts()))
    });
    chunks.dedup();
}

impl Coding {
    /// `None` for a chunk of aggregates.
    #[must_use]
    pub const fn of(encoding: Encoding) -> Option<Self> {
        match encoding {
            Encoding::Xor => Some(Self::Xor),
            Encoding::Histogram => Some(Self::Histogram),
            Encoding::FloatHistogram => Some(Self::FloatHistogram),
            Encoding::Aggr => None,
        }
    }
}

impl From<Coding> for Encoding {
    fn from(coding: Coding) -> Self {
        match coding {
            Coding::Xor => Self::Xor,
            Coding::Histogram => Self::Histogram,
            Coding::FloatHistogram => Self::FloatHistogram,
        }
    }
}

/// The wanted aggregates that exist.
fn split(data: &Bytes, wanted: AggregateSet) -> Result<[Option<Encoded>; 5], ChunkError> {
    let mut parts = [const { None }; 5];
    let held = tsdb::decode_aggregates(data)?;
    let places = Aggregate::ALL.into_iter().zip(&mut parts);
    for ((aggregate, part), held) in places.zip(held) {
        if let Some(held) = held.filter(|_| wanted.contains(aggregate)) {
            *part = Coding::of(held.encoding).map(|coding| Encoded {
                coding,
                data: held.data,
            });
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Count, no sum, min, no max, counter.
    const AGGREGATES: &[u8] = b"\x02\x01co\x00\x03\x01min\x00\x07\x03counter";

    fn chunk(encoding: Encoding, data: &'static [u8]) -> Chunk {
        Chunk {
            encoding,
            min: Timestamp(10),
            max: Timestamp(20),
            data: Bytes::from_static(data),
        }
    }

    fn aggregates(wanted: AggregateSet) -> [Option<(Coding, String)>; 5] {
        let sent = SeriesChunk::new(chunk(Encoding::Aggr, AGGREGATES), wanted);
        let Samples::Aggregates(parts) = sent.unwrap().unwrap().samples else {
            panic!("aggregates are sent as such");
        };
        parts.map(|part| part.map(|p| (p.coding, String::from_utf8(p.data.to_vec()).unwrap())))
    }

    #[test]
    fn of_a_downsampled_chunk_the_wanted_aggregates_that_are_there_are_sent() {
        let of = |coding, text: &str| Some((coding, text.to_owned()));
        let all = [
            of(Coding::Xor, "co"),
            None,
            of(Coding::Xor, "min"),
            None,
            of(Coding::FloatHistogram, "counter"),
        ];
        assert_eq!(aggregates(AggregateSet::ALL), all);
        let some = AggregateSet::from(Aggregate::Counter) | Aggregate::Sum.into();
        assert_eq!(
            aggregates(some),
            [
                None,
                None,
                None,
                None,
                of(Coding::FloatHistogram, "counter")
            ]
        );
        let none = SeriesChunk::new(chunk(Encoding::Aggr, AGGREGATES), Aggregate::Sum.into());
        assert_eq!(none, Ok(None));
    }

    #[test]
    fn samples_as_scraped_are_sent_whatever_aggregates_are_wanted() {
        let sent = SeriesChunk::new(chunk(Encoding::Histogram, b"h"), AggregateSet::default());
        assert_eq!(
            sent.unwrap().unwrap().samples,
            Samples::Raw(Encoded {
                coding: Coding::Histogram,
                data: Bytes::from_static(b"h")
            })
        );
    }

    #[test]
    fn damaged_aggregates_are_an_error() {
        let cut = chunk(Encoding::Aggr, &AGGREGATES[..AGGREGATES.len() - 1]);
        assert!(SeriesChunk::new(cut, AggregateSet::default()).is_err());
    }

    #[test]
    fn chunks_are_sent_in_order_of_time_and_each_once() {
        let sent = |min, max, data: &'static [u8]| {
            let chunk = Chunk {
                min: Timestamp(min),
                max: Timestamp(max),
                ..chunk(Encoding::Xor, data)
            };
            SeriesChunk::new(chunk, AggregateSet::ALL).unwrap().unwrap()
        };
        let mut chunks = vec![
            sent(20, 30, b"d"),
            sent(0, 10, b"a"),
            sent(0, 20, b"c"),
            sent(0, 10, b"a"),
            sent(0, 10, b"bb"),
            sent(20, 30, b"d"),
        ];
        arrange(&mut chunks);
        let drawn: Vec<_> = chunks
            .iter()
            .flat_map(SeriesChunk::parts)
            .map(|p| str::from_utf8(&p.data).unwrap())
            .collect();
        assert_eq!(drawn, ["bb", "a", "c", "d"]);
    }
}
