//! Histograms as promtool and Thanos print them, and as we read them, made comparable.

use model::{Histogram, HistogramCounts};

/// Count, sum and the counts of buckets that are not empty, from the lowest to the highest.
pub(crate) fn in_short(histogram: &Histogram) -> String {
    let (count, buckets) = match &histogram.counts {
        HistogramCounts::Integer(c) => {
            let float = |n: &u64| *n as f64;
            let negative = c.negative.iter().rev().map(float);
            let positive = c.positive.iter().map(float);
            let buckets = negative.chain([c.zero as f64]).chain(positive).collect();
            (c.count as f64, buckets)
        }
        HistogramCounts::Float(c) => {
            let negative = c.negative.iter().rev().copied();
            let buckets: Vec<f64> = negative
                .chain([c.zero])
                .chain(c.positive.iter().copied())
                .collect();
            (c.count, buckets)
        }
    };
    let full: Vec<_> = buckets.into_iter().filter(|n| *n != 0.0).collect();
    format!("{count:?} {:?} {full:?}", histogram.sum)
}

/// The same of `30, sum:55.2, [-4,-2):3, [-0.001,0.001]:4}`.
pub(crate) fn short_of_dump(text: &str) -> String {
    let number = |text: &str| -> f64 { text.trim_end_matches('}').parse().unwrap() };
    let mut parts = text.split(", ");
    let count = number(parts.next().unwrap());
    let sum = number(parts.next().unwrap().strip_prefix("sum:").unwrap());
    let buckets: Vec<f64> = parts
        .map(|p| number(p.rsplit_once(':').unwrap().1))
        .collect();
    format!("{count:?} {sum:?} {buckets:?}")
}
