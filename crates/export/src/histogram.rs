//! The buckets of a native histogram, as Prometheus's query API shows them.
//!
//! Source: Prometheus, `model/histogram/generic.go` (bounds, which ends are inclusive) and its JSON encoder (buckets
//! without observations are left out, `boundaries` is 0 to 3).

use model::{CUSTOM_BUCKETS, Counts, Histogram, HistogramCounts, Span};

/// A native histogram as it is exported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets {
    /// Number of observations.
    pub count: f64,
    /// Sum of the observations.
    pub sum: f64,
    /// The buckets that have observations, in ascending order.
    pub buckets: Vec<Bucket>,
}

/// One bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Which ends are inclusive: 0 the upper, 1 the lower, 2 none, 3 both.
    pub boundaries: i8,
    /// The lower bound.
    pub lower: f64,
    /// The upper bound.
    pub upper: f64,
    /// Number of observations in this bucket alone.
    pub count: f64,
}

impl Buckets {
    /// The buckets of `histogram`.
    #[must_use]
    pub fn of(histogram: &Histogram) -> Self {
        match &histogram.counts {
            HistogramCounts::Integer(counts) => Self::with(histogram, &floats(counts)),
            HistogramCounts::Float(counts) => Self::with(histogram, counts),
        }
    }

    fn with(histogram: &Histogram, counts: &Counts<f64>) -> Self {
        let bounds = Bounds(histogram);
        let zero = histogram.zero_threshold;
        let mut buckets = Vec::new();
        let negative = indices(&histogram.negative_spans).zip(&counts.negative);
        for (index, &count) in negative {
            let (near, far) = (bounds.upper(index - 1), bounds.upper(index));
            buckets.push(Bucket::new(
                -far,
                (-near).min(-zero),
                count,
                bounds.ends(index, -far, -near),
            ));
        }
        buckets.reverse();
        buckets.push(Bucket::new(-zero, zero, counts.zero, (true, true)));
        for (index, &count) in indices(&histogram.positive_spans).zip(&counts.positive) {
            let (lower, upper) = (bounds.upper(index - 1), bounds.upper(index));
            let ends = bounds.ends(index, lower, upper);
            let lower = if bounds.is_custom() {
                lower
            } else {
                lower.max(zero)
            };
            buckets.push(Bucket::new(lower, upper, count, ends));
        }
        buckets.retain(|bucket| bucket.count != 0.0);
        Self {
            count: counts.count,
            sum: histogram.sum,
            buckets,
        }
    }

    /// The JSON of Prometheus's query API: numbers are strings, but for `boundaries`.
    pub(crate) fn json(&self) -> String {
        let bucket = |b: &Bucket| {
            format!(
                r#"[{},"{}","{}","{}"]"#,
                b.boundaries,
                float(b.lower),
                float(b.upper),
                float(b.count)
            )
        };
        let buckets: Vec<_> = self.buckets.iter().map(bucket).collect();
        format!(
            r#"{{"count":"{}","sum":"{}","buckets":[{}]}}"#,
            float(self.count),
            float(self.sum),
            buckets.join(",")
        )
    }
}

impl Bucket {
    fn new(lower: f64, upper: f64, count: f64, inclusive: (bool, bool)) -> Self {
        let boundaries = match inclusive {
            (false, true) => 0,
            (true, false) => 1,
            (false, false) => 2,
            (true, true) => 3,
        };
        Self {
            boundaries,
            lower,
            upper,
            count,
        }
    }
}

/// The bounds of a histogram's buckets.
struct Bounds<'a>(&'a Histogram);

impl Bounds<'_> {
    fn is_custom(&self) -> bool {
        self.0.schema == CUSTOM_BUCKETS
    }

    /// The upper bound of the bucket with this index on the positive side.
    fn upper(&self, index: i64) -> f64 {
        if self.is_custom() {
            let Ok(at) = usize::try_from(index) else {
                return f64::NEG_INFINITY;
            };
            return self
                .0
                .custom_bounds
                .get(at)
                .copied()
                .unwrap_or(f64::INFINITY);
        }
        exponential(index, self.0.schema)
    }

    fn ends(&self, index: i64, lower: f64, upper: f64) -> (bool, bool) {
        if self.is_custom() {
            (index == 0, true)
        } else {
            (lower < 0.0, upper > 0.0)
        }
    }
}

/// `2^(index / 2^schema)`. The greatest float stands for the bound after which there are only infinities.
#[expect(clippy::cast_precision_loss, reason = "indices are below 2^32")]
fn exponential(index: i64, schema: i32) -> f64 {
    let exponent = index as f64 * f64::exp2(-f64::from(schema));
    if exponent == 1024.0 {
        return f64::MAX;
    }
    // In two steps, so that the whole part is exact.
    let whole = exponent.floor();
    f64::exp2(exponent - whole) * f64::exp2(whole)
}

/// The index of each bucket of the spans.
fn indices(spans: &[Span]) -> impl Iterator<Item = i64> {
    spans
        .iter()
        .scan(0_i64, |next, span| {
            let first = *next + i64::from(span.offset);
            *next = first + i64::from(span.length);
            Some(first..*next)
        })
        .flatten()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "as in the query API, where counts are floats"
)]
fn floats(counts: &Counts<u64>) -> Counts<f64> {
    let all = |counts: &[u64]| counts.iter().map(|&count| count as f64).collect();
    Counts {
        count: counts.count as f64,
        zero: counts.zero as f64,
        positive: all(&counts.positive),
        negative: all(&counts.negative),
    }
}

/// A float as Prometheus writes it.
pub(crate) fn float(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let size = value.abs();
    // Rust writes a number in full, whatever its size.
    if value != 0.0 && !value.is_nan() && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent
            .strip_prefix('-')
            .map_or(('+', exponent), |exponent| ('-', exponent));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::CounterReset;

    use super::*;

    fn histogram(
        schema: i32,
        counts: Counts<u64>,
        negative: &[Span],
        positive: &[Span],
    ) -> Histogram {
        Histogram {
            reset: CounterReset::Unknown,
            schema,
            zero_threshold: if schema == CUSTOM_BUCKETS { 0.0 } else { 0.001 },
            sum: 18.5,
            positive_spans: Arc::from(positive),
            negative_spans: Arc::from(negative),
            custom_bounds: Arc::from([1.0, 2.5].as_slice()),
            counts: HistogramCounts::Integer(counts),
        }
    }

    fn span(offset: i32, length: u32) -> Span {
        Span { offset, length }
    }

    #[test]
    fn buckets_are_those_of_prometheus_s_query_api() {
        let counts = Counts {
            count: 12,
            zero: 2,
            positive: vec![1, 0, 3],
            negative: vec![4, 2],
        };
        let all = histogram(0, counts, &[span(0, 2)], &[span(0, 2), span(1, 1)]);
        assert_eq!(
            Buckets::of(&all).json(),
            r#"{"count":"12","sum":"18.5","buckets":[[1,"-2","-1","2"],[1,"-1","-0.5","4"],[3,"-0.001","0.001","2"],[0,"0.5","1","1"],[0,"4","8","3"]]}"#
        );
    }

    #[test]
    fn custom_buckets_have_the_bounds_that_are_given() {
        let counts = Counts {
            count: 6,
            positive: vec![1, 2, 3],
            ..Counts::default()
        };
        let custom = histogram(CUSTOM_BUCKETS, counts, &[], &[span(0, 3)]);
        assert_eq!(
            Buckets::of(&custom).json(),
            r#"{"count":"6","sum":"18.5","buckets":[[3,"-Inf","1","1"],[0,"1","2.5","2"],[0,"2.5","+Inf","3"]]}"#
        );
    }

    #[test]
    fn bounds_are_powers_of_two_to_the_schema() {
        for (index, schema, bound) in [
            (0, 0, 1.0),
            (3, 0, 8.0),
            (1, 1, std::f64::consts::SQRT_2),
            (-1, 1, std::f64::consts::FRAC_1_SQRT_2),
            (1, -1, 4.0),
            (1024, 0, f64::MAX),
            (1025, 0, f64::INFINITY),
        ] {
            let found = exponential(index, schema);
            let near = found == bound || (found / bound - 1.0).abs() < 1e-15;
            assert!(near, "{index} {schema}: {found}, expected {bound}");
        }
    }

    #[test]
    fn numbers_are_written_as_prometheus_writes_them() {
        for (value, text) in [
            (0.0, "0"),
            (1.5, "1.5"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e-7, "1.5e-07"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(float(value), text);
        }
    }
}
