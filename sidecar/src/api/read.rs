//! Remote read: the request to Prometheus, and the series of its answer.

use bytes::Bytes;
use model::{Labels, Matcher, TimeRange, Timestamp};
use prost::Message as _;
use proto::prompb::{Query, ReadRequest, chunk::Encoding, read_request::ResponseType};
use series::{Coding, Encoded, Samples, SeriesChunk};

use super::{fields::Fields, order::Chunks};
use crate::prometheus::FrameDecoder;

/// A request for the series that match all `matchers`, encoded and compressed.
pub(super) fn request(matchers: &[Matcher], range: TimeRange) -> Vec<u8> {
    let request = ReadRequest {
        queries: vec![Query {
            start_timestamp_ms: range.min.0,
            end_timestamp_ms: range.max.0,
            matchers: matchers.iter().map(Into::into).collect(),
            hints: None,
        }],
        accepted_response_types: vec![
            ResponseType::StreamedXorChunks.into(),
            ResponseType::Samples.into(),
        ],
    };
    let mut encoder = snap::raw::Encoder::new();
    // Encoding fails for 4 GiB and more, which no received message has.
    encoder
        .compress_vec(&request.encode_to_vec())
        .unwrap_or_default()
}

/// Fields of `ChunkedReadResponse`, `ChunkedSeries`, `Label` and `Chunk`.
const ANSWER_SERIES: u32 = 1;
const ANSWER_QUERY: u32 = 2;
const SERIES_LABELS: u32 = 1;
const SERIES_CHUNKS: u32 = 2;
const LABEL_NAME: u32 = 1;
const LABEL_VALUE: u32 = 2;
const CHUNK_MIN: u32 = 1;
const CHUNK_MAX: u32 = 2;
const CHUNK_TYPE: u32 = 3;
const CHUNK_DATA: u32 = 4;

/// Adds the series of one frame to `all`, without their labels that are `external`. An error says what was found.
pub(super) fn series(
    frame: &Bytes,
    external: &Labels,
    all: &mut Vec<(Labels, Chunks)>,
) -> Result<(), String> {
    for field in Fields::of(frame) {
        match field? {
            (ANSWER_SERIES, value) => {
                all.push(one_series(value.bytes("chunked_series")?, frame, external)?);
            }
            (ANSWER_QUERY, value) => {
                let found = value.number("query_index")?;
                if found != 0 {
                    return Err(format!("expected the answer to query 0, found to {found}"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn one_series(
    message: &[u8],
    frame: &Bytes,
    external: &Labels,
) -> Result<(Labels, Chunks), String> {
    let mut pairs: Vec<(&[u8], &[u8])> = Vec::with_capacity(16);
    let mut chunks = Chunks::new();
    let mut odd = None;
    for field in Fields::of(message) {
        match field? {
            (SERIES_LABELS, value) => pairs.push(label(value.bytes("labels")?)?),
            (SERIES_CHUNKS, value) => match chunk(value.bytes("chunks")?, frame) {
                Ok(chunk) => chunks.push(chunk),
                Err(error) => odd = odd.or(Some(error)),
            },
            _ => {}
        }
    }
    let labels = own_labels(pairs, external);
    match odd {
        None => Ok((labels, chunks)),
        Some(error) => Err(format!("{labels}: {error}")),
    }
}

fn label(message: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let (mut name, mut text) = (&[][..], &[][..]);
    for field in Fields::of(message) {
        match field? {
            (LABEL_NAME, value) => name = value.bytes("name")?,
            (LABEL_VALUE, value) => text = value.bytes("value")?,
            _ => {}
        }
    }
    Ok((name, text))
}

/// The labels without those with the name and value of an external one.
pub(super) fn own_labels<'a>(mut pairs: Vec<(&'a [u8], &'a [u8])>, external: &Labels) -> Labels {
    pairs.retain(|(name, value)| external.get(name) != Some(*value));
    // Prometheus sends them sorted; other servers may not.
    if !pairs.is_sorted() {
        pairs.sort_unstable();
    }
    Labels::from_sorted(pairs)
}

fn chunk(message: &[u8], frame: &Bytes) -> Result<SeriesChunk, String> {
    let (mut min, mut max, mut encoding, mut data) = (0_i64, 0_i64, 0, &[][..]);
    for field in Fields::of(message) {
        match field? {
            (CHUNK_MIN, value) => min = value.number("min_time_ms")?.cast_signed(),
            (CHUNK_MAX, value) => max = value.number("max_time_ms")?.cast_signed(),
            (CHUNK_TYPE, value) => encoding = value.number("type")?,
            (CHUNK_DATA, value) => data = value.bytes("data")?,
            _ => {}
        }
    }
    let coding = i32::try_from(encoding).map(Encoding::try_from);
    let coding = match coding {
        Ok(Ok(Encoding::Xor)) => Coding::Xor,
        Ok(Ok(Encoding::Histogram)) => Coding::Histogram,
        Ok(Ok(Encoding::FloatHistogram)) => Coding::FloatHistogram,
        _ => {
            return Err(format!(
                "chunk of {min} to {max}: expected encoding 1, 2 or 3, found {encoding}"
            ));
        }
    };
    Ok(SeriesChunk {
        min: Timestamp(min),
        max: Timestamp(max),
        samples: Samples::Raw(Encoded {
            coding,
            data: frame.slice_ref(data),
        }),
    })
}

/// The position of the last frame in a streamed answer.
pub(super) fn place(decoder: &FrameDecoder) -> String {
    format!("frame {}", decoder.frames().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proto::prompb::{Chunk, ChunkedReadResponse, ChunkedSeries, Label};

    use super::*;

    /// The same by the generated types.
    fn by_prost(frame: &[u8], external: &Labels) -> Result<Vec<(Labels, Chunks)>, ()> {
        let answer = ChunkedReadResponse::decode(frame).map_err(|_| ())?;
        if answer.query_index != 0 {
            return Err(());
        }
        let series = answer.chunked_series.iter();
        let series = series.map(|one| {
            let pairs = one.labels.iter().map(|l| (&*l.name, &*l.value));
            let chunks = one.chunks.iter().map(|chunk| {
                let coding = match chunk.r#type() {
                    Encoding::Xor => Coding::Xor,
                    Encoding::Histogram => Coding::Histogram,
                    Encoding::FloatHistogram => Coding::FloatHistogram,
                    Encoding::Unknown => return Err(()),
                };
                Ok(SeriesChunk {
                    min: Timestamp(chunk.min_time_ms),
                    max: Timestamp(chunk.max_time_ms),
                    samples: Samples::Raw(Encoded {
                        coding,
                        data: chunk.data.clone(),
                    }),
                })
            });
            let chunks = chunks.collect::<Result<_, ()>>()?;
            Ok((own_labels(pairs.collect(), external), chunks))
        });
        series.collect()
    }

    fn ours(frame: Vec<u8>, external: &Labels) -> Result<Vec<(Labels, Chunks)>, String> {
        let mut all = Vec::new();
        series(&frame.into(), external, &mut all).map(|()| all)
    }

    fn drawn() -> impl Strategy<Value = ChunkedReadResponse> {
        let label = ("[a-f]{0,2}", "[a-c]{0,2}").prop_map(|(name, value)| Label {
            name: name.into(),
            value: value.into(),
        });
        let data = prop::collection::vec(any::<u8>(), 0..200);
        let chunk = (any::<i64>(), any::<i64>(), 1..=3_i32, data);
        let chunk = chunk.prop_map(|(min_time_ms, max_time_ms, r#type, data)| Chunk {
            min_time_ms,
            max_time_ms,
            r#type,
            data: data.into(),
        });
        let series = (
            prop::collection::vec(label, 0..5),
            prop::collection::vec(chunk, 0..4),
        );
        let series = series.prop_map(|(labels, chunks)| ChunkedSeries { labels, chunks });
        let all = prop::collection::vec(series, 0..4);
        all.prop_map(|chunked_series| ChunkedReadResponse {
            chunked_series,
            query_index: 0,
        })
    }

    proptest! {
        #[test]
        fn a_frame_is_what_the_generated_types_read(answer in drawn()) {
            let external = Labels::from_pairs([("a", "b"), ("c", "a")]);
            let frame = answer.encode_to_vec();
            let expected = by_prost(&frame, &external);
            prop_assert_eq!(ours(frame, &external).map_err(drop), expected);
        }

        /// Where prost finds an error, so do we; what we refuse besides has a field of another type than it should.
        #[test]
        fn a_damaged_frame_is_an_error_wherever_it_is_one_of_prost(
            answer in drawn(),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut frame = answer.encode_to_vec();
            prop_assume!(!frame.is_empty());
            let at = at.index(frame.len());
            frame[at] = byte;
            let none = Labels::default();
            let expected = by_prost(&frame, &none);
            if let Ok(found) = ours(frame, &none) {
                prop_assert_eq!(Ok(found), expected);
            }
        }
    }

    #[test]
    fn an_answer_to_another_query_is_an_error() {
        let answer = ChunkedReadResponse {
            query_index: 3,
            ..ChunkedReadResponse::default()
        };
        let error = ours(answer.encode_to_vec(), &Labels::default()).unwrap_err();
        assert_eq!(error, "expected the answer to query 0, found to 3");
        let error = ours(vec![0x0a, 0x05, 0x0a], &Labels::default()).unwrap_err();
        assert_eq!(error, "field 1: expected 5 bytes, found 1");
    }
}
