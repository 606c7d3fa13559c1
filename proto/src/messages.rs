//! Messages that every StoreAPI makes alike.

use series::{AnswerPart, Coding, Encoded, Samples, SeriesChunk};

use crate::{
    thanos::{
        AggrChunk, Chunk, PartialResponseStrategy, Series, SeriesBatch, SeriesResponse,
        chunk::Encoding, series_response::Result as Frame,
    },
    wire_labels,
};

/// Whether a request takes an answer from which something is missing, if a warning says so.
#[must_use]
pub const fn allows_partial(disabled: bool, strategy: PartialResponseStrategy) -> bool {
    !disabled && matches!(strategy, PartialResponseStrategy::Warn)
}

/// The messages of a part of an answer, in batches as of [`series_messages`].
pub(crate) fn messages(part: AnswerPart, batch_size: i64) -> Vec<SeriesResponse> {
    match part {
        AnswerPart::Warning(text) => vec![warning(text)],
        AnswerPart::Series(series) => {
            series_messages(series.into_iter().map(wire_series), batch_size)
        }
    }
}

fn wire_series(series: series::Series) -> Series {
    Series {
        labels: wire_labels(&series.labels),
        chunks: series.chunks.into_iter().map(wire_chunk).collect(),
    }
}

fn wire_chunk(chunk: SeriesChunk) -> AggrChunk {
    let mut wire = AggrChunk {
        min_time: chunk.min.0,
        max_time: chunk.max.0,
        ..AggrChunk::default()
    };
    match chunk.samples {
        Samples::Raw(samples) => wire.raw = Some(wire_samples(samples)),
        Samples::Aggregates(aggregates) => {
            let [count, sum, min, max, counter] = aggregates.map(|one| one.map(wire_samples));
            wire.count = count;
            wire.sum = sum;
            wire.min = min;
            wire.max = max;
            wire.counter = counter;
        }
    }
    wire
}

fn wire_samples(samples: Encoded) -> Chunk {
    let encoding = match samples.coding {
        Coding::Xor => Encoding::Xor,
        Coding::Histogram => Encoding::Histogram,
        Coding::FloatHistogram => Encoding::FloatHistogram,
    };
    Chunk {
        r#type: encoding.into(),
        data: samples.data,
        // Receivers compute it if they need it.
        hash: 0,
    }
}

/// Messages of `batch_size` series at most, as a request asks for with `response_batch_size`; where that is below 2, of
/// one series each, and no batches.
fn series_messages(
    series: impl IntoIterator<Item = Series>,
    batch_size: i64,
) -> Vec<SeriesResponse> {
    let mut series = series.into_iter();
    let size = usize::try_from(batch_size).unwrap_or(1);
    if size < 2 {
        return series.map(|one| message(Frame::Series(one))).collect();
    }
    let batches = std::iter::from_fn(|| {
        let series: Vec<_> = series.by_ref().take(size).collect();
        (!series.is_empty()).then_some(series)
    });
    batches
        .map(|series| message(Frame::Batch(SeriesBatch { series })))
        .collect()
}

/// A message that says what is missing.
#[must_use]
pub const fn warning(text: String) -> SeriesResponse {
    message(Frame::Warning(text))
}

const fn message(result: Frame) -> SeriesResponse {
    SeriesResponse {
        result: Some(result),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use model::Timestamp;

    use super::*;

    #[test]
    fn batches_hold_no_more_than_was_asked_for() {
        let sizes = |batch_size, count| -> Vec<Option<usize>> {
            let messages = series_messages(vec![Series::default(); count], batch_size);
            let size = |message: SeriesResponse| match message.result {
                Some(Frame::Batch(batch)) => Some(batch.series.len()),
                Some(Frame::Series(_)) => None,
                other => panic!("{other:?}"),
            };
            messages.into_iter().map(size).collect()
        };
        assert_eq!(sizes(2, 5), [Some(2), Some(2), Some(1)]);
        assert_eq!(sizes(64, 5), [Some(5)]);
        assert_eq!(sizes(1, 2), [None, None]);
        assert_eq!(sizes(-3, 2), [None, None]);
        assert_eq!(sizes(64, 0), []);
    }

    #[test]
    fn a_request_takes_a_partial_answer_unless_either_field_refuses_it() {
        use PartialResponseStrategy::{Abort, Warn};
        assert!(allows_partial(false, Warn));
        assert!(!allows_partial(true, Warn));
        assert!(!allows_partial(false, Abort));
        assert!(!allows_partial(true, Abort));
    }

    #[test]
    fn each_aggregate_goes_into_its_field() {
        let part = |text: &'static str, coding| {
            Some(Encoded {
                coding,
                data: Bytes::from_static(text.as_bytes()),
            })
        };
        let wire = wire_chunk(SeriesChunk {
            min: Timestamp(1),
            max: Timestamp(2),
            samples: Samples::Aggregates(Box::new([
                part("count", Coding::Xor),
                None,
                part("min", Coding::Xor),
                None,
                part("counter", Coding::FloatHistogram),
            ])),
        });
        let of = |chunk: Option<Chunk>| chunk.map(|c| (c.r#type, c.data));
        assert_eq!(wire.raw, None);
        assert_eq!(of(wire.count), Some((0, "count".into())));
        assert_eq!(of(wire.sum), None);
        assert_eq!(of(wire.min), Some((0, "min".into())));
        assert_eq!(of(wire.max), None);
        assert_eq!(of(wire.counter), Some((2, "counter".into())));
    }
}
