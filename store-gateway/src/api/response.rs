//! Our answers as messages.

use bytes::Bytes;
use model::BlockId;
use prost::Message;
use prost_types::Any;
use proto::{
    hintspb::{Block, LabelNamesResponseHints, LabelValuesResponseHints},
    thanos::{
        self, AggrChunk, LabelNamesResponse, LabelValuesResponse, SeriesResponse, chunk::Encoding,
    },
    wire_labels,
};

use crate::{
    series::{Coding, Encoded, Samples, Series, SeriesChunk},
    store::{AnswerPart, LabelsAnswer},
};

/// What makes frames of an answer's parts: batches of `batch_size` series, or where that is below 2, one series
/// each.
pub(super) fn frames(batch_size: i64) -> impl Fn(AnswerPart) -> Vec<SeriesResponse> + Send + Sync {
    move |part| match part {
        AnswerPart::Warning(text) => vec![proto::warning(text)],
        AnswerPart::Series(series) => {
            let series = series.into_iter().map(wire_series);
            proto::series_messages(series, batch_size)
        }
    }
}

fn wire_series(series: Series) -> thanos::Series {
    thanos::Series {
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
        Samples::Raw(samples) => wire.raw = Some(encoded(samples)),
        Samples::Aggregates(aggregates) => {
            let [count, sum, min, max, counter] = aggregates.map(|one| one.map(encoded));
            wire.count = count;
            wire.sum = sum;
            wire.min = min;
            wire.max = max;
            wire.counter = counter;
        }
    }
    wire
}

fn encoded(samples: Encoded) -> thanos::Chunk {
    let encoding = match samples.coding {
        Coding::Xor => Encoding::Xor,
        Coding::Histogram => Encoding::Histogram,
        Coding::FloatHistogram => Encoding::FloatHistogram,
    };
    thanos::Chunk {
        r#type: encoding.into(),
        data: samples.data,
        // Whoever needs one makes it.
        hash: 0,
    }
}

pub(super) fn names(answer: LabelsAnswer) -> LabelNamesResponse {
    let hints = LabelNamesResponseHints {
        queried_blocks: blocks(&answer.blocks),
    };
    LabelNamesResponse {
        names: answer.texts.into_iter().map(Bytes::from).collect(),
        warnings: answer.warnings,
        hints: Some(any("hintspb.LabelNamesResponseHints", &hints)),
    }
}

pub(super) fn values(answer: LabelsAnswer) -> LabelValuesResponse {
    let hints = LabelValuesResponseHints {
        queried_blocks: blocks(&answer.blocks),
    };
    LabelValuesResponse {
        values: answer.texts.into_iter().map(Bytes::from).collect(),
        warnings: answer.warnings,
        hints: Some(any("hintspb.LabelValuesResponseHints", &hints)),
    }
}

fn blocks(ids: &[BlockId]) -> Vec<Block> {
    let block = |id: &BlockId| Block { id: id.to_string() };
    ids.iter().map(block).collect()
}

fn any(name: &str, message: &impl Message) -> Any {
    Any {
        type_url: format!("type.googleapis.com/{name}"),
        value: message.encode_to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use model::Timestamp;

    use super::*;

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
        let of = |chunk: Option<thanos::Chunk>| chunk.map(|c| (c.r#type, c.data));
        assert_eq!(wire.raw, None);
        assert_eq!(of(wire.count), Some((0, "count".into())));
        assert_eq!(of(wire.sum), None);
        assert_eq!(of(wire.min), Some((0, "min".into())));
        assert_eq!(of(wire.max), None);
        assert_eq!(of(wire.counter), Some((2, "counter".into())));
    }
}
