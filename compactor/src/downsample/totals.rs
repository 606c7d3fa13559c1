//! Arithmetic of native histograms, as Prometheus does it.

use std::sync::Arc;

use model::{CUSTOM_BUCKETS, CounterReset, Histogram, HistogramCounts};

use super::buckets::Buckets;

/// The numbers of a histogram, which can be added up.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Totals {
    schema: i32,
    zero_threshold: f64,
    custom_bounds: Arc<[f64]>,
    count: f64,
    zero: f64,
    sum: f64,
    positive: Buckets,
    negative: Buckets,
}

/// By how much the histograms of a counter have grown, resets taken out.
#[derive(Debug, Default)]
pub(super) struct Growth {
    total: Option<Totals>,
    last: Option<Totals>,
}

impl From<Histogram> for Totals {
    fn from(histogram: Histogram) -> Self {
        let floats = |counts: Vec<u64>| counts.into_iter().map(|n| n as f64).collect();
        let (count, zero, positive, negative) = match histogram.counts {
            HistogramCounts::Integer(counts) => (
                counts.count as f64,
                counts.zero as f64,
                floats(counts.positive),
                floats(counts.negative),
            ),
            HistogramCounts::Float(counts) => {
                (counts.count, counts.zero, counts.positive, counts.negative)
            }
        };
        Self {
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            custom_bounds: histogram.custom_bounds,
            count,
            zero,
            sum: histogram.sum,
            positive: Buckets {
                spans: histogram.positive_spans,
                counts: positive,
            },
            negative: Buckets {
                spans: histogram.negative_spans,
                counts: negative,
            },
        }
    }
}

impl Totals {
    /// The histogram of these numbers.
    pub(super) fn into_histogram(self, reset: CounterReset) -> Histogram {
        Histogram {
            reset,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            sum: self.sum,
            positive_spans: self.positive.spans,
            negative_spans: self.negative.spans,
            custom_bounds: self.custom_bounds,
            counts: HistogramCounts::Float(model::Counts {
                count: self.count,
                zero: self.zero,
                positive: self.positive.counts,
                negative: self.negative.counts,
            }),
        }
    }

    /// Adds another histogram. The buckets become as coarse, and the zero bucket as wide, as those of
    /// the one of the two where they are more so.
    pub(super) fn add(&mut self, other: &Self) {
        self.combine(other, |a, b| a + b);
    }

    /// Adds what a counter has grown by from `before` to `after`.
    fn add_growth(&mut self, before: &Self, after: &Self) {
        let mut growth = after.clone();
        growth.combine(before, |a, b| a - b);
        self.add(&growth);
    }

    fn combine(&mut self, other: &Self, op: fn(f64, f64) -> f64) {
        if self.has_scale_of(other) {
            self.combine_same_scale(other, op);
        } else {
            let mut other = other.clone();
            unify(&mut [self, &mut other]);
            self.combine_same_scale(&other, op);
        }
    }

    fn combine_same_scale(&mut self, other: &Self, op: fn(f64, f64) -> f64) {
        self.count = op(self.count, other.count);
        self.zero = op(self.zero, other.zero);
        self.sum = op(self.sum, other.sum);
        self.positive.combine(&other.positive, op);
        self.negative.combine(&other.negative, op);
    }

    fn has_scale_of(&self, other: &Self) -> bool {
        self.schema == other.schema && self.zero_threshold == other.zero_threshold
    }

    /// Whether a counter was reset since `before`: a count went down, or the buckets became finer or
    /// the zero bucket narrower, which they do no other way.
    fn is_reset_since(&self, before: &Self) -> bool {
        if self.count < before.count
            || self.schema > before.schema
            || self.zero_threshold < before.zero_threshold
        {
            return true;
        }
        if self.has_scale_of(before) {
            return self.has_less_than(before);
        }
        let mut before = before.clone();
        before.widen(self.zero_threshold);
        // There were observations on both sides of where the zero bucket is said to end.
        if before.zero_threshold > self.zero_threshold {
            return true;
        }
        before.reduce(self.schema);
        self.has_less_than(&before)
    }

    /// Whether a bucket has less than it had, both being of one scale.
    fn has_less_than(&self, before: &Self) -> bool {
        let less = |now: &Buckets, before: &Buckets| {
            if now.have_layout_of(before) {
                let mut both = now.counts.iter().zip(&before.counts);
                return both.any(|(now, before)| now < before);
            }
            let mut growth = now.clone();
            growth.combine(before, |now, before| if now < before { -1.0 } else { 0.0 });
            growth.counts.iter().any(|sign| *sign < 0.0)
        };
        self.zero < before.zero
            || less(&self.positive, &before.positive)
            || less(&self.negative, &before.negative)
    }

    /// Makes the buckets as coarse as those of `schema`, which is not above this one's.
    fn reduce(&mut self, schema: i32) {
        let steps = self.schema.saturating_sub(schema);
        if steps > 0 && self.schema != CUSTOM_BUCKETS && schema != CUSTOM_BUCKETS {
            self.positive = self.positive.coarser(steps.unsigned_abs());
            self.negative = self.negative.coarser(steps.unsigned_abs());
            self.schema = schema;
        }
    }

    /// Makes the zero bucket as wide as `threshold`, and farther to where a bucket ends that would
    /// else be cut through.
    fn widen(&mut self, mut threshold: f64) {
        if self.schema == CUSTOM_BUCKETS || self.zero_threshold >= threshold {
            return;
        }
        let schema = self.schema;
        loop {
            let is_cut = |(index, count): &(i64, f64)| {
                let (lower, upper) = (bound(*index - 1, schema), bound(*index, schema));
                *count != 0.0 && lower < threshold && upper > threshold
            };
            let mut all = self.positive.pairs().chain(self.negative.pairs());
            let Some((index, _)) = all.find(is_cut) else {
                break;
            };
            threshold = bound(index, schema);
        }
        for side in [&mut self.positive, &mut self.negative] {
            let is_zero = |(index, _): &(i64, f64)| bound(*index - 1, schema) < threshold;
            for (_, count) in side.pairs().filter(is_zero) {
                self.zero += count;
            }
            *side = Buckets::from_pairs(side.pairs().filter(|pair| !is_zero(pair)));
        }
        self.zero_threshold = threshold;
    }
}

/// Gives all of them the coarsest buckets and the widest zero bucket of any.
pub(super) fn unify(all: &mut [&mut Totals]) {
    let Some(schema) = all.iter().map(|totals| totals.schema).min() else {
        return;
    };
    for totals in &mut *all {
        totals.reduce(schema);
    }
    loop {
        let thresholds = all.iter().map(|totals| totals.zero_threshold);
        let widest = thresholds.fold(0.0, f64::max);
        for totals in &mut *all {
            totals.widen(widest);
        }
        // Until nobody has a bucket where it would end.
        if all.iter().all(|totals| totals.zero_threshold <= widest) {
            return;
        }
    }
}

/// Upper bound of a bucket of positive values.
fn bound(index: i64, schema: i32) -> f64 {
    let exponent = if schema < 0 {
        (index << schema.unsigned_abs().min(31)) as f64
    } else {
        index as f64 / (1_u64 << schema.unsigned_abs().min(62)) as f64
    };
    exponent.exp2().min(f64::MAX)
}

impl Growth {
    /// Takes in the next histogram, of which `reset` is known.
    pub(super) fn add(&mut self, next: Totals, reset: CounterReset) {
        match (&mut self.total, &self.last) {
            (Some(total), Some(last)) => {
                let is_reset = match reset {
                    CounterReset::Reset => true,
                    CounterReset::NotReset | CounterReset::Gauge => false,
                    CounterReset::Unknown => next.is_reset_since(last),
                };
                if is_reset {
                    total.add(&next);
                } else {
                    total.add_growth(last, &next);
                }
            }
            _ => self.total = Some(next.clone()),
        }
        self.last = Some(next);
    }

    /// The first histogram and all that came after it.
    pub(super) fn total(&self) -> Option<&Totals> {
        self.total.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(schema: i32, threshold: f64, zero: f64, positive: &[(i64, f64)]) -> Totals {
        let count = zero + positive.iter().map(|(_, n)| n).sum::<f64>();
        Totals {
            schema,
            zero_threshold: threshold,
            custom_bounds: Arc::default(),
            count,
            zero,
            sum: count,
            positive: Buckets::from_pairs(positive.iter().copied()),
            negative: Buckets::default(),
        }
    }

    #[test]
    fn bounds_are_powers_of_two_at_the_schemas_distance() {
        for (index, schema, expected) in [
            (0, 0, 1.0),
            (3, 0, 8.0),
            (-2, 0, 0.25),
            (4, 2, 2.0),
            (1, 1, std::f64::consts::SQRT_2),
            (1, -1, 4.0),
            (1024, 0, f64::MAX),
            (2000, 0, f64::MAX),
        ] {
            assert_eq!(bound(index, schema), expected, "{index} of {schema}");
        }
    }

    #[test]
    fn a_sum_has_the_coarser_buckets_and_the_wider_zero_bucket_of_the_two() {
        let mut a = totals(1, 0.0, 1.0, &[(-3, 2.0), (3, 4.0), (4, 8.0)]);
        // Its zero bucket ends at 0.25, in the middle of nothing that `a` has: 2^-2 to 2^-1.5 is the
        // lowest.
        let b = totals(0, 0.25, 3.0, &[(2, 1.0)]);
        a.add(&b);
        assert_eq!(a, totals(0, 0.25, 4.0, &[(-1, 2.0), (2, 13.0)]));
    }

    #[test]
    fn a_zero_bucket_grows_to_the_end_of_a_bucket_that_it_cuts_through() {
        let mut a = totals(0, 0.0, 1.0, &[(1, 2.0), (2, 4.0), (3, 8.0)]);
        // Between 2 and 4.
        a.widen(3.0);
        assert_eq!(a, totals(0, 4.0, 7.0, &[(3, 8.0)]));
    }

    #[test]
    fn a_counter_was_reset_where_a_bucket_shrank_or_the_scale_became_finer() {
        let before = totals(1, 0.001, 5.0, &[(1, 3.0), (2, 0.0), (5, 4.0)]);
        for (is_reset, now) in [
            (false, before.clone()),
            // An empty bucket may go, and another come.
            (
                false,
                totals(1, 0.001, 5.0, &[(1, 3.0), (3, 1.0), (5, 4.0)]),
            ),
            (false, totals(0, 0.001, 5.0, &[(1, 3.0), (3, 4.0)])),
            (false, totals(1, 2.0, 8.0, &[(5, 4.0)])),
            (true, totals(1, 0.001, 4.0, &[(1, 9.0), (5, 4.0)])),
            (true, totals(1, 0.001, 5.0, &[(1, 9.0), (4, 9.0)])),
            (true, totals(1, 0.001, 5.0, &[(1, 2.0), (5, 9.0)])),
            (true, totals(0, 0.001, 5.0, &[(1, 2.0), (3, 9.0)])),
            (true, totals(2, 0.001, 50.0, &[(1, 30.0), (5, 40.0)])),
            (true, totals(1, 0.0, 50.0, &[(1, 30.0), (5, 40.0)])),
            // The bucket from 4 to 5.7 cannot have been split.
            (true, totals(1, 5.0, 50.0, &[(7, 40.0)])),
            (true, totals(1, 0.001, 1.0, &[])),
        ] {
            assert_eq!(now.is_reset_since(&before), is_reset, "{now:?}");
        }
    }

    #[test]
    fn growth_starts_with_the_first_and_goes_on_after_a_reset() {
        let mut growth = Growth::default();
        for (n, reset) in [
            (2.0, CounterReset::Unknown),
            (5.0, CounterReset::NotReset),
            // Not seen as a reset but said to be one.
            (6.0, CounterReset::Reset),
            (1.0, CounterReset::Unknown),
            (1.5, CounterReset::Unknown),
        ] {
            growth.add(totals(0, 0.0, 0.0, &[(1, n)]), reset);
        }
        let grown = growth.total().unwrap();
        assert_eq!(*grown, totals(0, 0.0, 0.0, &[(1, 5.0 + 6.0 + 1.5)]));
    }
}
