//! The values of data columns: the chunks of one series in one time slice. In a downsampled block each aggregate
//! has a column, whose records are that aggregate of each chunk, with the times of the whole chunk.
//!
//! ```text
//! record*
//! record   uvarint encoding      1 XOR, 2 histogram, 3 float histogram
//!          uvarint min time      milliseconds as an unsigned 64-bit integer, not zig-zag
//!          uvarint max time      of the last sample
//!          uvarint length
//!          chunk                 as Prometheus holds it in memory: without length, encoding byte and checksum
//! ```
//! Records are in order of their encodings, and those of one encoding in order of time. A value without records
//! means that the series has no samples in the slice.

use std::ops::Range;

use bytes::Bytes;
use model::{TimeRange, Timestamp};
use tsdb::{AGGREGATES, Chunk, DownsampledChunk, Encoding};

use super::schema::Slices;
use crate::format::{fault::Fault, varint};

/// Encodings of records, in their order.
const ENCODINGS: [Encoding; 3] = [Encoding::Xor, Encoding::Histogram, Encoding::FloatHistogram];

/// Appends the records of `chunks`, which are in order of time.
pub fn encode(chunks: &[Chunk], out: &mut Vec<u8>) {
    let number = |chunk: &Chunk| chunk.encoding as u64;
    if chunks.is_sorted_by_key(number) {
        chunks.iter().for_each(|chunk| record(chunk, out));
    } else {
        let mut chunks: Vec<&Chunk> = chunks.iter().collect();
        chunks.sort_by_key(|chunk| number(chunk));
        chunks.into_iter().for_each(|chunk| record(chunk, out));
    }
}

/// Appends the values of a row of a downsampled block, whose `chunks` are in order of time, to `values`, of which there
/// will be one for each column: slice after slice those of [`model::Aggregate::ALL`]. A chunk is never cut, so it is in
/// the slice in which it begins.
pub fn encode_aggregates(chunks: &[DownsampledChunk], slices: &Slices, values: &mut Vec<Vec<u8>>) {
    values.resize_with(slices.count().saturating_mul(AGGREGATES), Vec::new);
    for encoding in ENCODINGS {
        for chunk in chunks {
            let first = slices.nearest(chunk.min).saturating_mul(AGGREGATES);
            for (value, aggregate) in values.iter_mut().skip(first).zip(&chunk.aggregates) {
                // An aggregate without data counts as absent.
                let present = aggregate.as_ref().filter(|one| !one.data.is_empty());
                if let Some(one) = present.filter(|one| one.encoding == encoding) {
                    put(encoding, [chunk.min, chunk.max], &one.data, value);
                }
            }
        }
    }
}

fn record(chunk: &Chunk, out: &mut Vec<u8>) {
    put(chunk.encoding, [chunk.min, chunk.max], &chunk.data, out);
}

fn put(encoding: Encoding, times: [Timestamp; 2], data: &[u8], out: &mut Vec<u8>) {
    varint::put(out, encoding as u64);
    for time in times {
        varint::put(out, time.0.cast_unsigned());
    }
    varint::put(out, data.len() as u64);
    out.extend_from_slice(data);
}

/// The length of the longest chunk of a value in milliseconds, 0 if there is none.
///
/// Fails if it is not a valid value of an aggregate: not in order, two records of the same times, or one without
/// samples.
pub(crate) fn longest(value: &[u8]) -> Result<i64, Fault> {
    let (mut at, mut longest, mut last) = (0, 0, None);
    while at < value.len() {
        let Head {
            encoding,
            min,
            max,
            data,
        } = Head::decode(value, at)?;
        if encoding == Encoding::Aggr || data.is_empty() {
            let reason = format!(
                "record: expected samples, found {} bytes of {encoding:?}",
                data.len()
            );
            return Err(Fault::new(at, reason));
        }
        let key = (encoding as u64, min, max);
        if last.is_some_and(|last| last >= key) {
            let reason =
                format!("record: expected one after the one before, found one from {min} to {max}");
            return Err(Fault::new(at, reason));
        }
        longest = max.0.saturating_sub(min.0).max(longest);
        (at, last) = (data.end, Some(key));
    }
    Ok(longest)
}

/// The head of a record, and the range of its chunk in the value.
struct Head {
    encoding: Encoding,
    min: Timestamp,
    max: Timestamp,
    data: Range<usize>,
}

impl Head {
    /// The head of the record at `at`.
    fn decode(value: &[u8], at: usize) -> Result<Self, Fault> {
        let mut rest = value.get(at..).unwrap_or_default();
        let fault = |reason: String| Fault::new(at, reason);
        let cut = || fault("record of a chunk ends early".to_owned());
        let mut next = || varint::take(&mut rest).ok_or_else(cut);
        let (encoding, min, max, len) = (next()?, next()?, next()?, next()?);
        let start = value.len() - rest.len();
        let encoding = u8::try_from(encoding)
            .map_err(|_| format!("chunk: expected a known encoding, found {encoding}"))
            .and_then(|byte| Encoding::from_byte(byte).map_err(|e| e.to_string()))
            .map_err(fault)?;
        let (min, max) = (Timestamp(min.cast_signed()), Timestamp(max.cast_signed()));
        if min > max {
            return Err(fault(format!(
                "chunk: expected an end at {min} or later, found {max}"
            )));
        }
        let end = usize::try_from(len)
            .ok()
            .filter(|len| *len <= rest.len())
            .map(|len| start + len)
            .ok_or_else(|| {
                fault(format!(
                    "expected a chunk of {len} bytes, found {}",
                    rest.len()
                ))
            })?;
        Ok(Self {
            encoding,
            min,
            max,
            data: start..end,
        })
    }
}

/// What is known of a value of raw chunks that can be passed on unchanged and joined to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// From the start of the first chunk to the end of the last, both inclusive.
    pub range: TimeRange,
    /// The encoding of all chunks.
    pub encoding: Encoding,
    /// The number of chunks.
    pub chunks: u64,
    /// The number of samples, by the chunks' counts.
    pub samples: u64,
}

/// Reads the heads of a value's records without decoding a chunk. `None` if there is no record, or one is damaged, of
/// another encoding than the first, or does not begin after the one before ends.
#[must_use]
pub fn summary(value: &[u8]) -> Option<Summary> {
    let mut summary: Option<Summary> = None;
    let mut at = 0;
    while at < value.len() {
        let head = Head::decode(value, at).ok()?;
        if head.encoding == Encoding::Aggr {
            return None;
        }
        let samples = value.get(head.data.clone())?.first_chunk::<2>()?;
        let (min, max) = (head.min, head.max);
        let so_far = summary.get_or_insert(Summary {
            range: TimeRange { min, max },
            encoding: head.encoding,
            chunks: 0,
            samples: 0,
        });
        let follows = so_far.chunks == 0 || so_far.range.max < min;
        if !follows || so_far.encoding != head.encoding {
            return None;
        }
        so_far.range.max = max;
        so_far.chunks += 1;
        so_far.samples += u64::from(u16::from_be_bytes(*samples));
        at = head.data.end;
    }
    summary
}

/// The chunks of a value, which share its bytes. An error is the last item.
pub fn decode(value: &Bytes) -> Decoder<'_> {
    Decoder { value, at: 0 }
}

/// The chunks of a value, in the stored order.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    value: &'a Bytes,
    at: usize,
}

impl Decoder<'_> {
    fn record(&mut self) -> Result<Chunk, Fault> {
        let head = Head::decode(self.value, self.at)?;
        self.at = head.data.end;
        Ok(Chunk {
            encoding: head.encoding,
            min: head.min,
            max: head.max,
            data: self.value.slice(head.data),
        })
    }
}

impl Iterator for Decoder<'_> {
    type Item = Result<Chunk, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.value.len() {
            return None;
        }
        let record = self.record();
        if record.is_err() {
            self.at = self.value.len();
        }
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_chunk() -> impl Strategy<Value = Chunk> {
        let encodings = vec![Encoding::Xor, Encoding::Histogram, Encoding::FloatHistogram];
        let times = (any::<i64>(), any::<i64>());
        let data = prop::collection::vec(any::<u8>(), 0..40);
        (prop::sample::select(encodings), times, data).prop_map(|(encoding, (a, b), data)| Chunk {
            encoding,
            min: Timestamp(a.min(b)),
            max: Timestamp(a.max(b)),
            data: data.into(),
        })
    }

    fn chunk() -> Chunk {
        Chunk {
            encoding: Encoding::Xor,
            min: Timestamp(1_700_006_400_000),
            max: Timestamp(1_700_034_600_000),
            data: Bytes::from_static(&[0; 118]),
        }
    }

    #[test]
    fn a_record_is_the_one_that_parquet_common_writes() {
        let mut value = Vec::new();
        encode(&[chunk()], &mut value);
        let head = [
            0x01, 0x80, 0xa0, 0x9c, 0x82, 0xbd, 0x31, 0xc0, 0xb8, 0xd5, 0x8f, 0xbd, 0x31, 0x76,
        ];
        assert_eq!(value[..head.len()], head);
        assert_eq!(value.len(), head.len() + 118);
    }

    #[test]
    fn a_time_before_1970_takes_ten_bytes() {
        let mut early = chunk();
        early.min = Timestamp(-1);
        let mut value = Vec::new();
        encode(&[early], &mut value);
        assert_eq!(
            value[1..11],
            [255, 255, 255, 255, 255, 255, 255, 255, 255, 1]
        );
    }

    proptest! {
        #[test]
        fn chunks_come_back_and_share_the_bytes_of_their_value(
            chunks in prop::collection::vec(any_chunk(), 0..6),
        ) {
            let mut value = Vec::new();
            encode(&chunks, &mut value);
            let value = Bytes::from(value);
            let decoded: Vec<Chunk> = decode(&value).map(Result::unwrap).collect();
            let mut expected = chunks;
            expected.sort_by_key(|chunk| chunk.encoding as u64);
            prop_assert_eq!(&decoded, &expected);
            let within = value.as_ptr_range();
            for chunk in decoded.iter().filter(|chunk| !chunk.data.is_empty()) {
                prop_assert!(within.contains(&chunk.data.as_ptr()));
            }
        }

        #[test]
        fn any_bytes_are_chunks_or_one_error_at_the_end(
            bytes in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let bytes = Bytes::from(bytes);
            let records: Vec<_> = decode(&bytes).collect();
            let good = records.iter().take_while(|record| record.is_ok()).count();
            prop_assert!(good + 1 >= records.len());
            if let Some(summary) = summary(&bytes) {
                prop_assert_eq!((summary.chunks, good), (records.len() as u64, records.len()));
            }
        }
    }

    #[test]
    fn a_summary_is_of_chunks_of_one_encoding_that_follow_one_another() {
        let of = |chunks: &[(Encoding, i64, i64)]| {
            let chunks: Vec<Chunk> = chunks
                .iter()
                .map(|(encoding, min, max)| Chunk {
                    encoding: *encoding,
                    min: Timestamp(*min),
                    max: Timestamp(*max),
                    data: Bytes::from_static(&[1, 4, 0]),
                })
                .collect();
            let mut value = Vec::new();
            chunks.iter().for_each(|chunk| record(chunk, &mut value));
            assert_eq!(summary(&value[..value.len() - 1]), None, "cut short");
            summary(&value)
        };
        let (xor, histogram) = (Encoding::Xor, Encoding::Histogram);
        for (encoding, chunks) in [(xor, 1), (xor, 3), (histogram, 2)] {
            let all = [(encoding, -5, 5), (encoding, 6, 6), (encoding, 7, 20)];
            let expected = Summary {
                range: TimeRange::new(-5, all[chunks - 1].2),
                encoding,
                chunks: chunks as u64,
                samples: 260 * chunks as u64,
            };
            assert_eq!(of(&all[..chunks]), Some(expected));
        }
        assert_eq!(of(&[(xor, 0, 5), (xor, 5, 9)]), None, "overlap");
        assert_eq!(of(&[(xor, 6, 9), (xor, 0, 5)]), None, "order");
        assert_eq!(of(&[(xor, 0, 5), (histogram, 6, 9)]), None, "encodings");
        assert_eq!(of(&[(Encoding::Aggr, 0, 5)]), None, "aggregates");
        assert_eq!(summary(&[]), None);
    }

    #[test]
    fn a_record_that_is_wrong_tells_what_is_wrong() {
        let mut value = Vec::new();
        encode(&[chunk()], &mut value);
        let cut = Bytes::copy_from_slice(&value[..value.len() - 1]);
        let error = decode(&cut).next().unwrap().unwrap_err().reason;
        assert_eq!(error, "expected a chunk of 118 bytes, found 117");
        let cut = Bytes::copy_from_slice(&value[..9]);
        let error = decode(&cut).next().unwrap().unwrap_err().reason;
        assert_eq!(error, "record of a chunk ends early");
        value[0] = 9;
        let unknown = Bytes::from(value);
        let error = decode(&unknown).next().unwrap().unwrap_err().reason;
        assert!(error.contains('9'), "{error}");
        let mut backwards = chunk();
        std::mem::swap(&mut backwards.min, &mut backwards.max);
        let mut value = Vec::new();
        encode(&[backwards], &mut value);
        let error = decode(&value.into()).next().unwrap().unwrap_err().reason;
        assert!(
            error.contains("an end at 1700034600000 or later"),
            "{error}"
        );
    }
}
