//! What a histogram says, however its buckets are laid out.

use std::collections::BTreeMap;

use model::{Histogram, HistogramCounts, Span};

/// Equal for histograms that say the same, NaNs included. What is known of resets is left out: a
/// chunk that is written anew knows less of what was before it.
#[derive(Debug, PartialEq, Eq)]
pub struct Meaning {
    schema: i32,
    zero_threshold: u64,
    sum: u64,
    bounds: Vec<u64>,
    integer: bool,
    count: u64,
    zero: u64,
    positive: BTreeMap<i64, u64>,
    negative: BTreeMap<i64, u64>,
}

/// What a histogram says.
#[must_use]
pub fn meaning(histogram: &Histogram) -> Meaning {
    let (integer, count, zero, positive, negative) = match &histogram.counts {
        HistogramCounts::Integer(c) => (
            true,
            c.count,
            c.zero,
            c.positive.clone(),
            c.negative.clone(),
        ),
        HistogramCounts::Float(c) => (
            false,
            c.count.to_bits(),
            c.zero.to_bits(),
            c.positive.iter().map(|n| n.to_bits()).collect(),
            c.negative.iter().map(|n| n.to_bits()).collect(),
        ),
    };
    Meaning {
        schema: histogram.schema,
        // Of the zeros, one has no place in a chunk.
        zero_threshold: (histogram.zero_threshold + 0.0).to_bits(),
        sum: histogram.sum.to_bits(),
        bounds: histogram
            .custom_bounds
            .iter()
            .map(|b| (b + 0.0).to_bits())
            .collect(),
        integer,
        count,
        zero,
        positive: buckets(&histogram.positive_spans, &positive),
        negative: buckets(&histogram.negative_spans, &negative),
    }
}

fn buckets(spans: &[Span], counts: &[u64]) -> BTreeMap<i64, u64> {
    let total: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    assert_eq!(total, counts.len() as u64, "{spans:?}");
    let mut end = 0;
    let indices = spans.iter().flat_map(|span| {
        let start = end + i64::from(span.offset);
        end = start + i64::from(span.length);
        start..end
    });
    let counted = indices.zip(counts).filter(|(_, count)| **count != 0);
    counted.map(|(index, count)| (index, *count)).collect()
}
