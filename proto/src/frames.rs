//! Series as the bytes of `SeriesResponse` messages, written straight from labels and chunks: an answer may have a
//! million chunks, and a message of the generated types would be an allocation or two for each.
//!
//! The field numbers are those of `proto/wire/store.proto` and `labels.proto`. As prost does, a field with its default
//! value is left out.

use bytes::Bytes;
use model::{Labels, Timestamp};
use prost::{
    Message as _,
    encoding::{WireType, encoded_len_varint, key_len},
};
use series::{AnswerPart, Coding, Encoded, Samples, Series, SeriesChunk};

use crate::messages::warning;

/// Fields of `SeriesResponse`.
const RESPONSE_SERIES: u32 = 1;
const RESPONSE_BATCH: u32 = 4;
/// The field of `SeriesBatch`.
const BATCH_SERIES: u32 = 1;
/// Fields of `Series`.
const SERIES_LABELS: u32 = 1;
const SERIES_CHUNKS: u32 = 2;
/// Fields of `Label`.
const LABEL_NAME: u32 = 1;
const LABEL_VALUE: u32 = 2;
/// Fields of `AggrChunk`; those of aggregates follow one another in the order of [`model::Aggregate::ALL`].
const CHUNK_MIN: u32 = 1;
const CHUNK_MAX: u32 = 2;
const CHUNK_RAW: u32 = 3;
const CHUNK_COUNT: u32 = 4;
/// Fields of `Chunk`.
const DATA_TYPE: u32 = 1;
const DATA_DATA: u32 = 2;

/// Frames are put together in one piece of memory until it has this many bytes.
const PIECE_BYTES: usize = 256 << 10;

/// The most bytes of a variable-length number.
const MOST_VARINT: usize = 10;

/// The messages of an answer's part: batches of `batch_size` series at most, or where that is below 2, one series each.
pub(crate) fn encoded_messages(part: AnswerPart, batch_size: i64) -> Vec<Bytes> {
    match part {
        AnswerPart::Warning(text) => vec![warning(text).encode_to_vec().into()],
        AnswerPart::Series(series) => of_series(&series, batch_size),
    }
}

fn of_series(series: &[Series], batch_size: i64) -> Vec<Bytes> {
    let size = usize::try_from(batch_size).unwrap_or(1);
    let mut frames = Vec::new();
    let mut piece = Piece::default();
    let mut lens = Vec::new();
    for batch in series.chunks(size.max(1)) {
        lens.clear();
        lens.extend(batch.iter().map(series_len));
        let fields = lens.iter().map(|len| field_len(BATCH_SERIES, *len));
        let len = match size < 2 {
            // A frame that is a series, as one that is a batch of it, has the same length.
            true => fields.sum(),
            false => field_len(RESPONSE_BATCH, fields.sum()),
        };
        piece.make_room(len, &mut frames);
        let out = &mut piece.bytes;
        if size >= 2 {
            let fields = lens.iter().map(|len| field_len(BATCH_SERIES, *len));
            begin(RESPONSE_BATCH, fields.sum(), out);
        }
        for (one, len) in batch.iter().zip(&lens) {
            begin(
                if size < 2 {
                    RESPONSE_SERIES
                } else {
                    BATCH_SERIES
                },
                *len,
                out,
            );
            put_series(one, out);
        }
        piece.end_frame();
    }
    piece.finish(&mut frames);
    frames
}

/// Frames that follow one another in memory.
#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    /// Where each frame ends.
    ends: Vec<usize>,
}

impl Piece {
    /// Makes room for a frame of so many bytes: in this piece, or else in a new one.
    fn make_room(&mut self, len: usize, frames: &mut Vec<Bytes>) {
        // `put_varint` appends ten bytes and cuts off what is too much.
        let len = len + MOST_VARINT;
        if self.bytes.capacity() - self.bytes.len() < len {
            self.finish(frames);
            self.bytes.reserve_exact(len.max(PIECE_BYTES));
        }
    }

    fn end_frame(&mut self) {
        self.ends.push(self.bytes.len());
    }

    /// Adds the frames to the others, and begins anew.
    fn finish(&mut self, frames: &mut Vec<Bytes>) {
        let mut bytes = Bytes::from(std::mem::take(&mut self.bytes));
        let mut start = 0;
        for end in self.ends.drain(..) {
            frames.push(bytes.split_to(end - start));
            start = end;
        }
    }
}

fn series_len(series: &Series) -> usize {
    let labels = series.labels.iter();
    let labels = labels.map(|(name, value)| field_len(SERIES_LABELS, label_len(name, value)));
    let chunks = series.chunks.iter();
    let chunks = chunks.map(|chunk| field_len(SERIES_CHUNKS, chunk_len(chunk)));
    labels.sum::<usize>() + chunks.sum::<usize>()
}

fn put_series(series: &Series, out: &mut Vec<u8>) {
    put_labels(&series.labels, out);
    for chunk in &series.chunks {
        begin(SERIES_CHUNKS, chunk_len(chunk), out);
        put_time(CHUNK_MIN, chunk.min, out);
        put_time(CHUNK_MAX, chunk.max, out);
        for (field, data) in fields(chunk) {
            begin(field, data_len(data), out);
            if let Some(coding) = coding(data) {
                out.push(key(DATA_TYPE, WireType::Varint));
                put_varint(coding, out);
            }
            put_bytes(DATA_DATA, &data.data, out);
        }
    }
}

fn put_labels(labels: &Labels, out: &mut Vec<u8>) {
    for (name, value) in labels.iter() {
        begin(SERIES_LABELS, label_len(name, value), out);
        put_bytes(LABEL_NAME, name, out);
        put_bytes(LABEL_VALUE, value, out);
    }
}

fn label_len(name: &[u8], value: &[u8]) -> usize {
    bytes_len(LABEL_NAME, name) + bytes_len(LABEL_VALUE, value)
}

fn chunk_len(chunk: &SeriesChunk) -> usize {
    let data = fields(chunk).map(|(field, data)| field_len(field, data_len(data)));
    time_len(CHUNK_MIN, chunk.min) + time_len(CHUNK_MAX, chunk.max) + data.sum::<usize>()
}

/// What a chunk holds, each with the field that it is sent in.
fn fields(chunk: &SeriesChunk) -> impl Iterator<Item = (u32, &Encoded)> {
    let (raw, aggregates) = match &chunk.samples {
        Samples::Raw(raw) => (Some((CHUNK_RAW, raw)), None),
        Samples::Aggregates(aggregates) => (None, Some(aggregates)),
    };
    let aggregates = aggregates.into_iter().flat_map(|parts| parts.iter());
    let aggregates = (CHUNK_COUNT..).zip(aggregates);
    let aggregates = aggregates.filter_map(|(field, part)| Some((field, part.as_ref()?)));
    raw.into_iter().chain(aggregates)
}

/// The number of an encoding, but for that of floats, which is 0.
const fn coding(data: &Encoded) -> Option<u64> {
    match data.coding {
        Coding::Xor => None,
        Coding::Histogram => Some(1),
        Coding::FloatHistogram => Some(2),
    }
}

fn data_len(data: &Encoded) -> usize {
    let coding = coding(data).map_or(0, |number| key_len(DATA_TYPE) + encoded_len_varint(number));
    coding + bytes_len(DATA_DATA, &data.data)
}

const fn field_len(field: u32, len: usize) -> usize {
    key_len(field) + encoded_len_varint(len as u64) + len
}

const fn bytes_len(field: u32, bytes: &[u8]) -> usize {
    match bytes.len() {
        0 => 0,
        len => field_len(field, len),
    }
}

const fn time_len(field: u32, time: Timestamp) -> usize {
    match time.0 {
        0 => 0,
        time => key_len(field) + encoded_len_varint(time.cast_unsigned()),
    }
}

/// The key and the length of a field, whose bytes follow.
fn begin(field: u32, len: usize, out: &mut Vec<u8>) {
    out.push(key(field, WireType::LengthDelimited));
    put_varint(len as u64, out);
}

fn put_bytes(field: u32, bytes: &[u8], out: &mut Vec<u8>) {
    if !bytes.is_empty() {
        begin(field, bytes.len(), out);
        out.extend_from_slice(bytes);
    }
}

fn put_time(field: u32, time: Timestamp, out: &mut Vec<u8>) {
    if time.0 != 0 {
        out.push(key(field, WireType::Varint));
        put_varint(time.0.cast_unsigned(), out);
    }
}

/// The key of a field, which is one byte: no field here has a number above 15.
const fn key(field: u32, wire_type: WireType) -> u8 {
    assert!(field < 16, "a key of one byte");
    let [key, ..] = (field << 3 | wire_type as u32).to_le_bytes();
    key
}

/// Appends a number of variable length. prost writes one byte at a time, which took a twentieth of the CPU time of an
/// answer: each chunk has several.
fn put_varint(value: u64, out: &mut Vec<u8>) {
    let mut bytes = [0; MOST_VARINT];
    let (mut left, mut len) = (value, 0);
    for byte in &mut bytes {
        let [low, ..] = left.to_le_bytes();
        left >>= 7;
        len += 1;
        if left == 0 {
            *byte = low;
            break;
        }
        *byte = low | 0x80;
    }
    let end = out.len() + len;
    // To copy all of them takes less time than to copy some.
    out.extend_from_slice(&bytes);
    out.truncate(end);
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;
    use crate::messages::messages;

    fn data() -> impl Strategy<Value = Encoded> {
        let coding = select(vec![Coding::Xor, Coding::Histogram, Coding::FloatHistogram]);
        let bytes = prop_oneof![
            8 => prop::collection::vec(any::<u8>(), 0..200),
            1 => prop::collection::vec(any::<u8>(), 16_000..17_000),
        ];
        (coding, bytes).prop_map(|(coding, data)| Encoded {
            coding,
            data: data.into(),
        })
    }

    fn chunk() -> impl Strategy<Value = SeriesChunk> {
        let aggregate = || prop::option::of(data());
        let aggregates = [
            aggregate(),
            aggregate(),
            aggregate(),
            aggregate(),
            aggregate(),
        ];
        let samples = prop_oneof![
            data().prop_map(Samples::Raw),
            aggregates.prop_map(|parts| Samples::Aggregates(Box::new(parts))),
        ];
        let time = || prop_oneof![Just(0), -300_i64..300, any::<i64>()];
        (time(), time(), samples).prop_map(|(min, max, samples)| SeriesChunk {
            min: Timestamp(min),
            max: Timestamp(max),
            samples,
        })
    }

    fn series() -> impl Strategy<Value = Series> {
        let text = || "\\PC{0,6}|[a-z]{120,140}";
        let labels = prop::collection::btree_map(text(), text(), 0..5);
        let chunks = prop::collection::vec(chunk(), 0..5);
        (labels, chunks).prop_map(|(labels, chunks)| Series {
            labels: Labels::from_pairs(labels),
            chunks,
        })
    }

    proptest! {
        #[test]
        fn frames_are_what_the_generated_types_would_write(
            all in prop::collection::vec(series(), 0..40),
            batch_size in prop_oneof![Just(-1), Just(0), Just(1), 2_i64..9, Just(64)],
        ) {
            let part = || AnswerPart::Series(all.clone());
            let expected = messages(part(), batch_size).into_iter();
            let expected: Vec<_> = expected.map(|frame| Bytes::from(frame.encode_to_vec())).collect();
            prop_assert_eq!(encoded_messages(part(), batch_size), expected);
        }
    }

    #[test]
    fn a_frame_may_be_larger_than_a_piece_of_memory() {
        let data = |len| Encoded {
            coding: Coding::Xor,
            data: vec![7; len].into(),
        };
        let series = |len| Series {
            labels: Labels::from_pairs([("a", "b")]),
            chunks: vec![SeriesChunk {
                min: Timestamp(1),
                max: Timestamp(2),
                samples: Samples::Raw(data(len)),
            }],
        };
        let part = || {
            AnswerPart::Series(
                [10, 3 * PIECE_BYTES, 10, PIECE_BYTES - 40, 10]
                    .map(series)
                    .into(),
            )
        };
        let expected = messages(part(), 0).into_iter();
        let expected: Vec<_> = expected.map(|frame| frame.encode_to_vec()).collect();
        assert_eq!(encoded_messages(part(), 0), expected);
    }

    #[test]
    fn a_frame_fits_into_the_room_that_was_made_for_it() {
        let chunk = |coding, data: Vec<u8>| SeriesChunk {
            min: Timestamp(1),
            max: Timestamp(2),
            samples: Samples::Raw(Encoded {
                coding,
                data: data.into(),
            }),
        };
        // It ends with a number.
        let series = Series {
            labels: Labels::from_pairs([("a", "b")]),
            chunks: vec![
                chunk(Coding::Xor, vec![7; PIECE_BYTES]),
                chunk(Coding::Histogram, Vec::new()),
            ],
        };
        let mut piece = Piece::default();
        piece.make_room(series_len(&series), &mut Vec::new());
        let room = piece.bytes.capacity();
        put_series(&series, &mut piece.bytes);
        assert_eq!(piece.bytes.len(), series_len(&series));
        assert_eq!(piece.bytes.capacity(), room);
    }

    #[test]
    fn a_warning_is_a_frame_of_its_own() {
        let part = || AnswerPart::Warning("gone".to_owned());
        let expected = messages(part(), 0).into_iter();
        let expected: Vec<_> = expected.map(|frame| frame.encode_to_vec()).collect();
        assert_eq!(encoded_messages(part(), 64), expected);
    }
}
