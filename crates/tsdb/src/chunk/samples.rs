//! Samples to test with.

use std::collections::BTreeMap;

use model::{
    CUSTOM_BUCKETS, CounterReset, Counts, Histogram, HistogramCounts, STALE_NAN, Span, Timestamp,
};
use proptest::prelude::*;

/// Times that ascend, in steps of every size that XOR chunks tell apart.
pub(super) fn times(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<i64>> {
    let step = prop_oneof![
        6 => Just(15_000_i64),
        2 => 1..40_000_i64,
        1 => 1..2_000_000_i64,
        1 => 1..(1_i64 << 40),
    ];
    let start = prop_oneof![Just(1_700_006_400_000_i64), -5_000_000..5_000_000_i64];
    (start, prop::collection::vec(step, len)).prop_map(|(start, steps)| {
        let next = |time: &mut i64, step: i64| {
            *time += step;
            Some(*time)
        };
        steps.into_iter().scan(start, next).collect()
    })
}

/// Floats of every kind, NaNs and stale markers among them.
pub(super) fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => Just(1.0),
        4 => (0..1_000_000_u32).prop_map(f64::from),
        4 => 0.0..1.0_f64,
        1 => any::<u64>().prop_map(f64::from_bits),
        1 => Just(f64::from_bits(STALE_NAN)),
        1 => prop::sample::select(vec![0.0, -0.0, f64::NAN, f64::INFINITY, 5e-324, f64::MIN]),
    ]
}

/// What changes from one histogram to the next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Observations in buckets at these indices; a negative number of a gauge takes some away.
    Observe(Vec<(i8, i16)>),
    /// Back to nothing.
    Reset,
    /// Another schema, and back to nothing.
    Schema(u8),
    /// The spans have these empty buckets too.
    Pad(Vec<i8>),
    /// The mark of the end.
    Stale,
}

fn step() -> impl Strategy<Value = Step> {
    let buckets = prop::collection::vec((-12..12_i8, -300..3_000_i16), 0..6);
    prop_oneof![
        12 => buckets.prop_map(Step::Observe),
        1 => Just(Step::Reset),
        1 => (0..6_u8).prop_map(Step::Schema),
        2 => prop::collection::vec(-14..14_i8, 0..5).prop_map(Step::Pad),
        1 => Just(Step::Stale),
    ]
}

/// Histograms as a program might expose them: observations come in, now and then it restarts.
pub(super) fn histograms(
    len: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<(Timestamp, Histogram)>> {
    let kind = (any::<bool>(), any::<bool>(), any::<bool>());
    (times(len), kind).prop_flat_map(|(times, (gauge, float, custom))| {
        let steps = prop::collection::vec(step(), times.len());
        steps.prop_map(move |steps| {
            let mut program = Program::new(gauge, float, custom);
            let histograms = steps.iter().map(|step| program.next(step));
            let times = times.iter().map(|time| Timestamp(*time));
            times.zip(histograms).collect()
        })
    })
}

struct Program {
    gauge: bool,
    float: bool,
    schema: i32,
    bounds: Vec<f64>,
    buckets: BTreeMap<i8, u64>,
    pad: Vec<i8>,
}

impl Program {
    fn new(gauge: bool, float: bool, custom: bool) -> Self {
        Self {
            gauge,
            float,
            schema: if custom { CUSTOM_BUCKETS } else { 3 },
            bounds: vec![0.5, 1.0 / 3.0, 33_554.43, 33_554.431, -1.0],
            buckets: BTreeMap::new(),
            pad: Vec::new(),
        }
    }

    fn next(&mut self, step: &Step) -> Histogram {
        let custom = self.schema == CUSTOM_BUCKETS;
        match step {
            Step::Observe(buckets) => {
                for (index, n) in buckets {
                    let index = if custom { index.abs() } else { *index };
                    let count = self.buckets.entry(index).or_default();
                    let n = if self.gauge {
                        i64::from(*n)
                    } else {
                        i64::from(n.abs())
                    };
                    *count = count.saturating_add_signed(n);
                }
            }
            Step::Reset => {
                self.buckets.clear();
            }
            Step::Schema(schema) => {
                self.buckets.clear();
                if custom {
                    self.bounds.push(f64::from(*schema) * 10.0);
                } else {
                    self.schema = i32::from(*schema) - 4;
                }
            }
            Step::Pad(pad) => {
                let index = |i: &i8| if custom { i.abs() } else { *i };
                self.pad = pad.iter().map(index).collect();
            }
            Step::Stale => return self.histogram(f64::from_bits(STALE_NAN)),
        }
        let sum = self.buckets.iter().map(|(i, n)| f64::from(*i) * *n as f64);
        self.histogram(sum.sum())
    }

    fn histogram(&self, sum: f64) -> Histogram {
        let mut buckets = self.buckets.clone();
        buckets.remove(&0);
        for index in &self.pad {
            buckets.entry(*index).or_default();
        }
        let zero = self.buckets.get(&0).copied().unwrap_or_default();
        let side = |sign: i8| -> Vec<(i32, u64)> {
            let mut side: Vec<_> = buckets
                .iter()
                .filter(|(index, _)| **index * sign > 0)
                .map(|(index, n)| (i32::from(*index * sign), *n))
                .collect();
            side.sort_unstable();
            side
        };
        let (positive, negative) = (side(1), side(-1));
        let numbers = |side: &[(i32, u64)]| side.iter().map(|(_, n)| *n).collect::<Vec<_>>();
        let counts = Counts {
            count: self.buckets.values().sum(),
            zero,
            positive: numbers(&positive),
            negative: numbers(&negative),
        };
        let float = |n: u64| n as f64 * 0.25;
        let floats = |numbers: &[u64]| numbers.iter().map(|n| float(*n)).collect();
        Histogram {
            reset: if self.gauge {
                CounterReset::Gauge
            } else {
                CounterReset::Unknown
            },
            schema: self.schema,
            zero_threshold: if self.schema == 1 {
                0.001
            } else {
                0.5_f64.powi(128)
            },
            sum,
            positive_spans: spans(&positive).into(),
            negative_spans: spans(&negative).into(),
            custom_bounds: if self.schema == CUSTOM_BUCKETS {
                self.bounds.clone().into()
            } else {
                [].into()
            },
            counts: if self.float {
                HistogramCounts::Float(Counts {
                    count: float(counts.count),
                    zero: float(counts.zero),
                    positive: floats(&counts.positive),
                    negative: floats(&counts.negative),
                })
            } else {
                HistogramCounts::Integer(counts)
            },
        }
    }
}

/// A span for each bucket, but for those right behind another.
fn spans(side: &[(i32, u64)]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut end = 0;
    for (index, _) in side {
        match spans.last_mut() {
            Some(last) if *index == end => last.length += 1,
            _ => spans.push(Span {
                offset: *index - end,
                length: 1,
            }),
        }
        end = *index + 1;
    }
    spans
}

/// What counts of a histogram, as text: not how its buckets are laid out, not what is known of resets.
pub(super) fn meaning(histogram: &Histogram) -> String {
    if histogram.is_stale() {
        return "stale".to_owned();
    }
    let (kind, count, zero) = match &histogram.counts {
        HistogramCounts::Integer(c) => ("integer", c.count as f64, c.zero as f64),
        HistogramCounts::Float(c) => ("float", c.count, c.zero),
    };
    let gauge = histogram.reset == CounterReset::Gauge;
    format!(
        "{kind} gauge:{gauge} {} {:?} {:?} {:?} {count} {zero} {:?}",
        histogram.schema,
        histogram.zero_threshold,
        histogram.sum,
        histogram.custom_bounds,
        buckets(histogram),
    )
}

/// The counts of buckets that are not empty; those of negative values as `(-1, index)`.
pub(super) fn buckets(histogram: &Histogram) -> BTreeMap<(i8, i64), f64> {
    let (positive, negative): (Vec<f64>, Vec<f64>) = match &histogram.counts {
        HistogramCounts::Integer(c) => (
            c.positive.iter().map(|n| *n as f64).collect(),
            c.negative.iter().map(|n| *n as f64).collect(),
        ),
        HistogramCounts::Float(c) => (c.positive.clone(), c.negative.clone()),
    };
    let mut buckets = BTreeMap::new();
    for (sign, spans, counts) in [
        (1, &histogram.positive_spans, positive),
        (-1, &histogram.negative_spans, negative),
    ] {
        let mut counts = counts.into_iter();
        let mut index = 0_i64;
        for span in spans.iter() {
            index += i64::from(span.offset);
            for _ in 0..span.length {
                let count = counts.next().expect("as many counts as the spans say");
                if count != 0.0 {
                    buckets.insert((sign, index), count);
                }
                index += 1;
            }
        }
        assert_eq!(counts.next(), None);
    }
    buckets
}

pub(super) fn hex(data: &[u8]) -> String {
    data.iter().map(|byte| format!("{byte:02x}")).collect()
}
