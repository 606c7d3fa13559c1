//! Replicas drawn as lines, and any replicas at all against the algorithm in its plainest form.

mod drawn;
mod model;
mod properties;

use ::model::{CounterReset, Counts, Histogram, HistogramCounts};
use tsdb::Floats;

use super::{
    encoder::Encoder,
    fold::{Sample, Value},
    *,
};

/// A histogram of so many observations, all of them zero, with counts of either kind.
fn histogram(count: u32, counts: Kind) -> Value {
    Value::Histogram(Box::new(Histogram {
        reset: CounterReset::Unknown,
        schema: 3,
        zero_threshold: 0.0,
        sum: 0.0,
        positive_spans: [].into(),
        negative_spans: [].into(),
        custom_bounds: [].into(),
        counts: match counts {
            Kind::Integer => HistogramCounts::Integer(Counts {
                count: u64::from(count),
                zero: u64::from(count),
                ..Counts::default()
            }),
            _ => HistogramCounts::Float(Counts {
                count: f64::from(count),
                zero: f64::from(count),
                ..Counts::default()
            }),
        },
    }))
}

/// What kind of value a sample has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Float,
    Integer,
    Fraction,
}

/// A sample's time, kind and number.
type Key = (i64, Kind, u64);

fn value(kind: Kind, number: u32) -> Value {
    match kind {
        Kind::Float => Value::Float(f64::from(number)),
        _ => histogram(number, kind),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the tests' numbers are small integers"
)]
fn key(sample: &Sample) -> Key {
    let (kind, number) = match &sample.value {
        Value::Float(value) => (Kind::Float, *value as u64),
        Value::Histogram(histogram) => match &histogram.counts {
            HistogramCounts::Integer(counts) => (Kind::Integer, counts.count),
            HistogramCounts::Float(counts) => (Kind::Fraction, counts.count as u64),
        },
    };
    (sample.time.0, kind, number)
}

/// The samples of chunks one after another.
fn decoded(chunks: &[Chunk]) -> Vec<Sample> {
    let mut samples = Vec::new();
    for chunk in chunks {
        if chunk.encoding == tsdb::Encoding::Xor {
            let mut floats = Floats::default();
            tsdb::decode_xor(&chunk.data, &mut floats).unwrap();
            let floats = floats.timestamps.into_iter().zip(floats.values);
            samples.extend(floats.map(|(time, value)| Sample {
                time: ::model::Timestamp(time),
                value: Value::Float(value),
            }));
        } else {
            let histograms = tsdb::decode_histograms(chunk.encoding, &chunk.data).unwrap();
            samples.extend(histograms.into_iter().map(|(time, histogram)| Sample {
                time,
                value: Value::Histogram(Box::new(histogram)),
            }));
        }
    }
    samples
}

fn keys(chunks: &[Chunk]) -> Vec<Key> {
    decoded(chunks).iter().map(key).collect()
}

fn encoded(samples: &[Sample]) -> Vec<Chunk> {
    Encoder::default().encode(samples.iter().cloned())
}

/// Merges, and checks what holds for any input.
fn merged(mut chunks: Vec<SourceChunk>) -> Vec<Chunk> {
    let mut out = Vec::new();
    penalty(&mut chunks, &mut out).unwrap();
    assert_eq!(chunks, []);
    assert!(out.is_sorted_by(|a, b| a.max < b.min));
    for chunk in &out {
        let times: Vec<i64> = keys(std::slice::from_ref(chunk))
            .iter()
            .map(|k| k.0)
            .collect();
        assert!(times.is_sorted_by(|a, b| a < b));
        assert_eq!(times.first(), Some(&chunk.min.0));
        assert_eq!(times.last(), Some(&chunk.max.0));
    }
    out
}
