//! Remote read, in both forms.

use axum::{
    body::Body,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures::stream;
use model::{
    CounterReset, Histogram, HistogramCounts, Labels, Matcher, Span, TimeRange, Timestamp,
};
use prost::Message as _;
use proto::{
    prompb::{
        self, BucketSpan, ChunkedReadResponse, ChunkedSeries, QueryResult, ReadRequest,
        ReadResponse, Sample, TimeSeries,
        histogram::{Count, ResetHint, ZeroCount},
        read_request::ResponseType,
    },
    thanos,
};
use tsdb::{Chunk, Encoding, Floats, decode_histograms, decode_xor};

use super::{Content, RemoteRead, Shared};

const STREAMED: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
/// How many chunks of a series are sent at once; the rest follows in the next frame.
const CHUNKS_A_FRAME: usize = 20;

pub(super) async fn read(State(content): State<Shared>, body: Bytes) -> Response {
    match content.answer(&body) {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

impl Content {
    fn answer(&self, body: &[u8]) -> anyhow::Result<Response> {
        let request = snap::raw::Decoder::new().decompress_vec(body)?;
        let request = ReadRequest::decode(request.as_slice())?;
        let [query] = request.queries.as_slice() else {
            anyhow::bail!("expected one query, found {}", request.queries.len());
        };
        let range = TimeRange {
            min: Timestamp(query.start_timestamp_ms),
            max: Timestamp(query.end_timestamp_ms),
        };
        let matchers = matchers(&query.matchers)?;
        let streams = request
            .accepted_response_types()
            .any(|t| t == ResponseType::StreamedXorChunks);
        if self.read == RemoteRead::Streamed && streams {
            let frames = self.select(&matchers, range).flat_map(|(labels, chunks)| {
                let labels = self.labelled(labels);
                let parts = chunks.chunks(CHUNKS_A_FRAME);
                parts
                    .map(|part| Ok::<_, std::io::Error>(frame(&labels, part)))
                    .collect::<Vec<_>>()
            });
            let body = Body::from_stream(stream::iter(frames.collect::<Vec<_>>()));
            return Ok(([(CONTENT_TYPE, STREAMED)], body).into_response());
        }
        let mut timeseries = Vec::new();
        for (labels, chunks) in self.select(&matchers, range) {
            let mut series = TimeSeries {
                labels: self.labelled(labels),
                ..TimeSeries::default()
            };
            for chunk in chunks {
                add_samples(&mut series, chunk, range)?;
            }
            timeseries.push(series);
        }
        let answer = ReadResponse {
            results: vec![QueryResult { timeseries }],
        };
        let body = snap::raw::Encoder::new().compress_vec(&answer.encode_to_vec())?;
        Ok(([(CONTENT_TYPE, "application/x-protobuf")], body).into_response())
    }

    /// The labels with the external ones among them, as they are sent. Own ones stay as they are.
    fn labelled(&self, own: &Labels) -> Vec<prompb::Label> {
        let text = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
        let missing = self.external.iter();
        let missing = missing.filter(|(name, _)| !own.iter().any(|(other, _)| other == *name));
        let mut labels: Vec<_> = own
            .iter()
            .chain(missing)
            .map(|(name, value)| prompb::Label {
                name: text(name),
                value: text(value),
            })
            .collect();
        labels.sort_by(|a, b| a.name.cmp(&b.name));
        labels
    }
}

fn matchers(wire: &[prompb::LabelMatcher]) -> anyhow::Result<Vec<Matcher>> {
    // The two messages have the same fields.
    let wire = wire.iter().map(|m| thanos::LabelMatcher {
        r#type: m.r#type,
        name: m.name.clone(),
        value: m.value.clone(),
    });
    Ok(proto::matchers(&wire.collect::<Vec<_>>())?)
}

fn frame(labels: &[prompb::Label], chunks: &[&Chunk]) -> Bytes {
    let chunks = chunks.iter().map(|chunk| prompb::Chunk {
        min_time_ms: chunk.min.0,
        max_time_ms: chunk.max.0,
        r#type: match chunk.encoding {
            Encoding::Xor => 1,
            Encoding::Histogram => 2,
            Encoding::FloatHistogram => 3,
            Encoding::Aggr => 0,
        },
        data: chunk.data.clone(),
    });
    let answer = ChunkedReadResponse {
        chunked_series: vec![ChunkedSeries {
            labels: labels.to_vec(),
            chunks: chunks.collect(),
        }],
        query_index: 0,
    };
    let data = answer.encode_to_vec();
    let mut out = Vec::new();
    prost::encoding::encode_varint(data.len() as u64, &mut out);
    out.extend(crc32c::crc32c(&data).to_be_bytes());
    out.extend(data);
    out.into()
}

fn add_samples(series: &mut TimeSeries, chunk: &Chunk, range: TimeRange) -> anyhow::Result<()> {
    if chunk.encoding == Encoding::Xor {
        let mut floats = Floats::default();
        decode_xor(&chunk.data, &mut floats)?;
        let samples = floats.timestamps.iter().zip(&floats.values);
        let samples = samples.filter(|(time, _)| range.contains(Timestamp(**time)));
        series.samples.extend(samples.map(|(time, value)| Sample {
            value: *value,
            timestamp: *time,
        }));
        return Ok(());
    }
    let samples = decode_histograms(chunk.encoding, &chunk.data)?.into_iter();
    let samples = samples.filter(|(time, _)| range.contains(*time));
    series
        .histograms
        .extend(samples.map(|(time, histogram)| histogram_sent(time, &histogram)));
    Ok(())
}

fn histogram_sent(at: Timestamp, histogram: &Histogram) -> prompb::Histogram {
    let spans = |spans: &[Span]| -> Vec<BucketSpan> {
        let span = |s: &Span| BucketSpan {
            offset: s.offset,
            length: s.length,
        };
        spans.iter().map(span).collect()
    };
    let reset: ResetHint = match histogram.reset {
        CounterReset::Unknown => ResetHint::Unknown,
        CounterReset::Reset => ResetHint::Yes,
        CounterReset::NotReset => ResetHint::No,
        CounterReset::Gauge => ResetHint::Gauge,
    };
    let sent = prompb::Histogram {
        sum: histogram.sum,
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold,
        positive_spans: spans(&histogram.positive_spans),
        negative_spans: spans(&histogram.negative_spans),
        custom_values: histogram.custom_bounds.to_vec(),
        reset_hint: reset.into(),
        timestamp: at.0,
        ..prompb::Histogram::default()
    };
    match &histogram.counts {
        HistogramCounts::Integer(counts) => prompb::Histogram {
            count: Some(Count::CountInt(counts.count)),
            zero_count: Some(ZeroCount::ZeroCountInt(counts.zero)),
            positive_deltas: deltas(&counts.positive),
            negative_deltas: deltas(&counts.negative),
            ..sent
        },
        HistogramCounts::Float(counts) => prompb::Histogram {
            count: Some(Count::CountFloat(counts.count)),
            zero_count: Some(ZeroCount::ZeroCountFloat(counts.zero)),
            positive_counts: counts.positive.clone(),
            negative_counts: counts.negative.clone(),
            ..sent
        },
    }
}

/// Each count as the difference to the one before.
fn deltas(counts: &[u64]) -> Vec<i64> {
    let mut before = 0_u64;
    counts
        .iter()
        .map(|count| {
            count
                .wrapping_sub(std::mem::replace(&mut before, *count))
                .cast_signed()
        })
        .collect()
}
