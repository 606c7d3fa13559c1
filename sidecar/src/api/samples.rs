//! Remote read of samples instead of chunks: whole answers, from servers that cannot stream.

use std::sync::Arc;

use model::{
    AggregateSet, CounterReset, Counts, Histogram, HistogramCounts, Labels, Span, Timestamp,
};
use prost::Message as _;
use proto::prompb::{
    self, BucketSpan, ReadResponse, TimeSeries,
    histogram::{Count, ResetHint, ZeroCount},
};
use series::{Coding, Encoded, Samples, SeriesChunk};
use tsdb::{encode_histograms, encode_xor};

use super::{order::Chunks, read::own_labels};

/// Samples of a chunk, as in Prometheus.
const SAMPLES_PER_CHUNK: usize = 120;

/// The decompressed size of a whole answer in bytes. An error says what was found.
pub(super) fn decompressed_length(body: &[u8]) -> Result<usize, String> {
    snap::raw::decompress_len(body).map_err(|error| error.to_string())
}

/// The series of a whole answer, without their labels that are `external`. An error says what was found.
///
/// Series without samples are left out.
pub(super) fn series(body: &[u8], external: &Labels) -> Result<Vec<(Labels, Chunks)>, String> {
    let mut decoder = snap::raw::Decoder::new();
    let bytes = decoder.decompress_vec(body).map_err(|e| e.to_string())?;
    let answer = ReadResponse::decode(bytes.as_slice()).map_err(|e| e.to_string())?;
    let [result] = answer.results.as_slice() else {
        let found = answer.results.len();
        return Err(format!("expected the answer to one query, found {found}"));
    };
    let mut series = Vec::with_capacity(result.timeseries.len());
    for one in &result.timeseries {
        let labels = own_labels(&one.labels, external);
        let chunks = chunks(one).map_err(|error| format!("{labels}: {error}"))?;
        if !chunks.is_empty() {
            series.push((labels, chunks));
        }
    }
    Ok(series)
}

fn chunks(series: &TimeSeries) -> Result<Chunks, String> {
    let mut chunks = Chunks::new();
    for samples in series.samples.chunks(SAMPLES_PER_CHUNK) {
        let times: Vec<i64> = samples.iter().map(|s| s.timestamp).collect();
        let values: Vec<f64> = samples.iter().map(|s| s.value).collect();
        if let (Some(min), Some(max)) = (times.first(), times.last()) {
            chunks.push(SeriesChunk {
                min: Timestamp(*min),
                max: Timestamp(*max),
                samples: Samples::Raw(Encoded {
                    coding: Coding::Xor,
                    data: encode_xor(&times, &values),
                }),
            });
        }
    }
    let histograms = series.histograms.iter().map(|wire| {
        let histogram = histogram(wire);
        let at = wire.timestamp;
        histogram
            .map(|histogram| (Timestamp(at), histogram))
            .map_err(|error| format!("histogram at {at}: {error}"))
    });
    let histograms = histograms.collect::<Result<Vec<_>, String>>()?;
    for chunk in encode_histograms(&histograms) {
        let chunk = SeriesChunk::new(chunk, AggregateSet::ALL);
        chunks.extend(chunk.map_err(|error| error.to_string())?);
    }
    chunks.sort_by_key(|chunk| (chunk.min, chunk.max));
    Ok(chunks)
}

fn histogram(wire: &prompb::Histogram) -> Result<Histogram, String> {
    let positive_spans = spans(&wire.positive_spans);
    let negative_spans = spans(&wire.negative_spans);
    let (positive, negative) = (bucket_count(&positive_spans), bucket_count(&negative_spans));
    let counts = match (&wire.count, &wire.zero_count) {
        (Some(Count::CountInt(count)), zero) => HistogramCounts::Integer(Counts {
            count: *count,
            zero: match zero {
                Some(ZeroCount::ZeroCountInt(zero)) => *zero,
                None => 0,
                Some(ZeroCount::ZeroCountFloat(_)) => {
                    return Err("expected an integer as the zero count".to_owned());
                }
            },
            positive: absolute(&wire.positive_deltas, positive)?,
            negative: absolute(&wire.negative_deltas, negative)?,
        }),
        (Some(Count::CountFloat(count)), zero) => HistogramCounts::Float(Counts {
            count: *count,
            zero: match zero {
                Some(ZeroCount::ZeroCountFloat(zero)) => *zero,
                None => 0.0,
                Some(ZeroCount::ZeroCountInt(_)) => {
                    return Err("expected a float as the zero count".to_owned());
                }
            },
            positive: counted(&wire.positive_counts, positive)?.to_vec(),
            negative: counted(&wire.negative_counts, negative)?.to_vec(),
        }),
        (None, _) => return Err("expected a count, found none".to_owned()),
    };
    Ok(Histogram {
        reset: match wire.reset_hint() {
            ResetHint::Unknown => CounterReset::Unknown,
            ResetHint::Yes => CounterReset::Reset,
            ResetHint::No => CounterReset::NotReset,
            ResetHint::Gauge => CounterReset::Gauge,
        },
        schema: wire.schema,
        zero_threshold: wire.zero_threshold,
        sum: wire.sum,
        positive_spans,
        negative_spans,
        custom_bounds: wire.custom_values.as_slice().into(),
        counts,
    })
}

fn spans(wire: &[BucketSpan]) -> Arc<[Span]> {
    let span = |span: &BucketSpan| Span {
        offset: span.offset,
        length: span.length,
    };
    wire.iter().map(span).collect()
}

/// The number of buckets.
fn bucket_count(spans: &[Span]) -> u64 {
    spans.iter().map(|span| u64::from(span.length)).sum()
}

fn counted<T>(counts: &[T], expected: u64) -> Result<&[T], String> {
    match counts.len() as u64 == expected {
        true => Ok(counts),
        false => Err(format!(
            "expected {expected} buckets by the spans, found {}",
            counts.len()
        )),
    }
}

/// Counts that are given as differences to the one before.
fn absolute(deltas: &[i64], expected: u64) -> Result<Vec<u64>, String> {
    let mut count = 0_i64;
    let counts = counted(deltas, expected)?.iter().map(|delta| {
        count = count.checked_add(*delta)?;
        u64::try_from(count).ok()
    });
    let counts: Option<Vec<u64>> = counts.collect();
    counts.ok_or_else(|| "expected counts of 0 and more in the buckets".to_owned())
}

#[cfg(test)]
mod tests {
    use proto::prompb::{QueryResult, Sample};
    use tsdb::{Encoding, Floats, decode_histograms, decode_xor};

    use super::*;

    fn raw(chunk: &SeriesChunk) -> &Encoded {
        match &chunk.samples {
            Samples::Raw(raw) => raw,
            Samples::Aggregates(_) => panic!("{chunk:?}"),
        }
    }

    fn body(series: Vec<TimeSeries>) -> Vec<u8> {
        let answer = ReadResponse {
            results: vec![QueryResult { timeseries: series }],
        };
        let mut encoder = snap::raw::Encoder::new();
        encoder.compress_vec(&answer.encode_to_vec()).unwrap()
    }

    fn label(name: &'static str, value: &'static str) -> prompb::Label {
        prompb::Label {
            name: name.into(),
            value: value.into(),
        }
    }

    #[test]
    fn samples_become_chunks_of_120() {
        let samples = (0..121).map(|i| Sample {
            value: f64::from(i),
            timestamp: i64::from(i) * 1000,
        });
        let up = TimeSeries {
            labels: vec![label("__name__", "up"), label("cluster", "eu-1")],
            samples: samples.collect(),
            ..TimeSeries::default()
        };
        let external = Labels::from_pairs([("cluster", "eu-1")]);
        let found = series(&body(vec![up, TimeSeries::default()]), &external).unwrap();
        let [(labels, chunks)] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(labels.to_string(), r#"{__name__="up"}"#);
        let times: Vec<_> = chunks.iter().map(|c| (c.min.0, c.max.0)).collect();
        assert_eq!(times, [(0, 119_000), (120_000, 120_000)]);
        let mut floats = Floats::default();
        decode_xor(&raw(&chunks[0]).data, &mut floats).unwrap();
        assert_eq!(floats.values[119], 119.0);
    }

    #[test]
    fn histograms_are_kept() {
        let wire = prompb::Histogram {
            count: Some(Count::CountInt(6)),
            zero_count: Some(ZeroCount::ZeroCountInt(1)),
            sum: 7.5,
            schema: 1,
            positive_spans: vec![BucketSpan {
                offset: 2,
                length: 2,
            }],
            positive_deltas: vec![3, -1],
            timestamp: 5,
            ..prompb::Histogram::default()
        };
        let one = TimeSeries {
            histograms: vec![wire.clone()],
            ..TimeSeries::default()
        };
        let found = series(&body(vec![one]), &Labels::default()).unwrap();
        let chunk = raw(&found[0].1[0]);
        assert_eq!(chunk.coding, Coding::Histogram);
        let decoded = decode_histograms(Encoding::Histogram, &chunk.data).unwrap();
        let HistogramCounts::Integer(counts) = &decoded[0].1.counts else {
            panic!("{decoded:?}");
        };
        assert_eq!((counts.count, counts.zero), (6, 1));
        assert_eq!(counts.positive, [3, 2]);

        let short = prompb::Histogram {
            positive_deltas: vec![3],
            ..wire.clone()
        };
        let error = histogram(&short).unwrap_err();
        assert_eq!(error, "expected 2 buckets by the spans, found 1");
        let negative = prompb::Histogram {
            positive_deltas: vec![3, -4],
            ..wire
        };
        assert!(histogram(&negative).is_err());
    }

    #[test]
    fn an_invalid_answer_is_an_error_that_says_what_was_found() {
        for body in [&b"\xff\xff\xff\xff\xff"[..], b"", b"\x05text"] {
            assert!(series(body, &Labels::default()).is_err());
        }
        let none = ReadResponse::default().encode_to_vec();
        let none = snap::raw::Encoder::new().compress_vec(&none).unwrap();
        let error = series(&none, &Labels::default()).unwrap_err();
        assert_eq!(error, "expected the answer to one query, found 0");
    }
}
