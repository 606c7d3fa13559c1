//! Thanos's downsampled chunks: one chunk for each aggregate, one behind the other.
//!
//! ```text
//! count, sum, min, max, counter, each:
//!   uvarint  0 where there is none, and that is all; else the length of the data, never 0
//!   1        encoding: 1, 2 or 3
//!   …        data
//! ```

use bytes::{Bytes, BytesMut};

use super::{ChunkError, Encoding, reader::BitReader};

/// The number of aggregates.
pub const AGGREGATES: usize = 5;

/// The aggregates of a downsampled chunk: count, sum, min, max and counter.
pub type Aggregates = [Option<AggregateChunk>; AGGREGATES];

/// One aggregate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregateChunk {
    /// The encoding of `data`; never [`Encoding::Aggr`].
    pub encoding: Encoding,
    /// The samples.
    pub data: Bytes,
}

const AGGREGATE: &str = "an aggregate";

/// Splits a downsampled chunk into slices of `data`.
///
/// # Errors
/// When the data is damaged, or an aggregate has an unknown encoding.
pub fn decode_aggregates(data: &Bytes) -> Result<Aggregates, ChunkError> {
    let mut aggregates = Aggregates::default();
    let mut at = 0;
    for aggregate in &mut aggregates {
        let mut input = BitReader::new(data, at);
        let len = input.uvarint(AGGREGATE)?;
        if len == 0 {
            at = input.at() / 8;
            continue;
        }
        let encoding = input.bits(8, AGGREGATE)?;
        let start = input.at() / 8;
        let end = usize::try_from(len)
            .ok()
            .and_then(|len| start.checked_add(len))
            .filter(|end| *end <= data.len())
            .ok_or_else(|| {
                let found = format!("{len} bytes of {}", data.len() - start);
                ChunkError::corrupt(input.at(), AGGREGATE, found)
            })?;
        // It has eight bits.
        let encoding = Encoding::from_byte(u8::try_from(encoding).unwrap_or_default())?;
        if encoding == Encoding::Aggr {
            return Err(ChunkError::Kind {
                expected: "an aggregate's samples",
                found: encoding,
            });
        }
        *aggregate = Some(AggregateChunk {
            encoding,
            data: data.slice(start..end),
        });
        at = end;
    }
    Ok(aggregates)
}

/// Joins aggregates to the data of a downsampled chunk. One without data counts as absent.
#[must_use]
pub fn encode_aggregates(aggregates: &Aggregates) -> Bytes {
    let len: usize = aggregates.iter().flatten().map(|a| a.data.len() + 11).sum();
    let mut out = BytesMut::with_capacity(len + AGGREGATES);
    let mut number = Vec::new();
    for aggregate in aggregates {
        let present = aggregate.as_ref().filter(|a| !a.data.is_empty());
        number.clear();
        crate::codec::put_uvarint(&mut number, present.map_or(0, |a| a.data.len() as u64));
        out.extend_from_slice(&number);
        if let Some(aggregate) = present {
            out.extend_from_slice(&[aggregate.encoding as u8]);
            out.extend_from_slice(&aggregate.data);
        }
    }
    out.freeze()
}

#[cfg(test)]
mod tests {
    use model::Timestamp;
    use proptest::prelude::*;

    use super::super::{Chunk, UnknownEncoding, encode_xor};
    use super::*;

    fn aggregates() -> impl Strategy<Value = Aggregates> {
        let encoding = prop_oneof![
            Just(Encoding::Xor),
            Just(Encoding::Histogram),
            Just(Encoding::FloatHistogram)
        ];
        let data = prop::collection::vec(any::<u8>(), 1..300);
        let one = (encoding, data).prop_map(|(encoding, data)| AggregateChunk {
            encoding,
            data: data.into(),
        });
        prop::array::uniform5(prop::option::of(one))
    }

    proptest! {
        #[test]
        fn aggregates_are_read_back(aggregates in aggregates()) {
            let data = encode_aggregates(&aggregates);
            for len in 0..data.len() {
                prop_assert!(decode_aggregates(&data.slice(..len)).is_err());
            }
            prop_assert_eq!(decode_aggregates(&data), Ok(aggregates));
        }

        #[test]
        fn any_bytes_are_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode_aggregates(&data.into());
        }
    }

    #[test]
    fn the_bytes_are_those_that_thanos_writes() {
        let count = encode_xor(&[1], &[2.0]);
        let mut aggregates = Aggregates::default();
        aggregates[0] = Some(AggregateChunk {
            encoding: Encoding::Xor,
            data: count.clone(),
        });
        aggregates[4] = Some(AggregateChunk {
            encoding: Encoding::FloatHistogram,
            data: Bytes::from_static(&[7; 200]),
        });
        let mut expected = vec![11, 1];
        expected.extend_from_slice(&count);
        expected.extend_from_slice(&[0, 0, 0, 0xc8, 0x01, 3]);
        expected.extend_from_slice(&[7; 200]);
        let data = encode_aggregates(&aggregates);
        assert_eq!(data, expected);

        let (min, max) = (Timestamp(1), Timestamp(1));
        let encoding = Encoding::Aggr;
        let chunk = Chunk {
            encoding,
            min,
            max,
            data,
        };
        assert_eq!(chunk.num_samples(), Ok(1));
        let none = Chunk {
            data: encode_aggregates(&Aggregates::default()),
            ..chunk
        };
        assert_eq!(none.data, [0; 5].as_slice());
        assert_eq!(none.num_samples(), Ok(0));
    }

    #[test]
    fn an_aggregate_of_an_unknown_encoding_is_an_error_that_names_it() {
        let data = Bytes::from_static(&[1, 4, 9, 0, 0, 0, 0]);
        let error = decode_aggregates(&data).unwrap_err();
        assert_eq!(error, ChunkError::Encoding(UnknownEncoding(4)));
        assert_eq!(error.to_string(), "unknown chunk encoding 4 (XOR2)");
        let nested = Bytes::from_static(&[1, 0xff, 9, 0, 0, 0, 0]);
        assert!(matches!(
            decode_aggregates(&nested),
            Err(ChunkError::Kind { .. })
        ));
    }
}
