//! Remote read: the request to Prometheus, and the series of its answer.

use model::{Labels, Matcher, TimeRange, Timestamp};
use prost::Message as _;
use proto::prompb::{
    self, ChunkedReadResponse, ChunkedSeries, Query, ReadRequest, chunk::Encoding,
    read_request::ResponseType,
};
use series::{Coding, Encoded, Samples, SeriesChunk};

use super::order::Chunks;
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

/// The series of one frame, without their labels that are `external`. An error says what was found.
pub(super) fn series(
    frame: bytes::Bytes,
    external: &Labels,
) -> Result<Vec<(Labels, Chunks)>, String> {
    let answer = ChunkedReadResponse::decode(frame).map_err(|error| error.to_string())?;
    if answer.query_index != 0 {
        let found = answer.query_index;
        return Err(format!("expected the answer to query 0, found to {found}"));
    }
    let series = answer.chunked_series.into_iter();
    series.map(|one| of_one(one, external)).collect()
}

fn of_one(series: ChunkedSeries, external: &Labels) -> Result<(Labels, Chunks), String> {
    let labels = own_labels(&series.labels, external);
    let chunks = series.chunks.into_iter().map(chunk).collect();
    let chunks: Result<Chunks, String> = chunks;
    match chunks {
        Ok(chunks) => Ok((labels, chunks)),
        Err(error) => Err(format!("{labels}: {error}")),
    }
}

/// The labels without those with the name and value of an external one.
pub(super) fn own_labels(wire: &[prompb::Label], external: &Labels) -> Labels {
    let pairs = wire.iter().map(|label| (&*label.name, &*label.value));
    let own = pairs.filter(|(name, value)| external.get(name) != Some(*value));
    let mut own: Vec<(&[u8], &[u8])> = own.collect();
    // Prometheus sends them sorted; other servers may not.
    if !own.is_sorted() {
        own.sort_unstable();
    }
    Labels::from_sorted(own)
}

fn chunk(chunk: prompb::Chunk) -> Result<SeriesChunk, String> {
    let coding = match Encoding::try_from(chunk.r#type) {
        Ok(Encoding::Xor) => Coding::Xor,
        Ok(Encoding::Histogram) => Coding::Histogram,
        Ok(Encoding::FloatHistogram) => Coding::FloatHistogram,
        Ok(Encoding::Unknown) | Err(_) => {
            return Err(format!(
                "chunk of {} to {}: expected encoding 1, 2 or 3, found {}",
                chunk.min_time_ms, chunk.max_time_ms, chunk.r#type
            ));
        }
    };
    Ok(SeriesChunk {
        min: Timestamp(chunk.min_time_ms),
        max: Timestamp(chunk.max_time_ms),
        samples: Samples::Raw(Encoded {
            coding,
            data: chunk.data,
        }),
    })
}

/// The position of the last frame in a streamed answer.
pub(super) fn place(decoder: &FrameDecoder) -> String {
    format!("frame {}", decoder.frames().saturating_sub(1))
}
