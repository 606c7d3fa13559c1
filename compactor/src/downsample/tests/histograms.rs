//! Native histograms: counters and gauges, of integers and of fractions, with custom bounds.

use std::sync::Arc;

use model::{CUSTOM_BUCKETS, CounterReset, Counts, HistogramCounts, STALE_NAN, Span};
use tsdb::encode_histograms;

use super::*;

const START: i64 = 600_000;

/// A histogram with these counts in the buckets from 1 on.
fn histogram(reset: CounterReset, schema: i32, counts: &[u64]) -> Histogram {
    let bounds = [1.0, 2.0, 4.0];
    let custom = schema == CUSTOM_BUCKETS;
    Histogram {
        reset,
        schema,
        zero_threshold: 0.0,
        sum: counts.iter().map(|n| 2 * n).sum::<u64>() as f64,
        positive_spans: Arc::new([Span {
            offset: if custom { 0 } else { 1 },
            length: u32::try_from(counts.len()).unwrap(),
        }]),
        negative_spans: Arc::default(),
        custom_bounds: if custom {
            bounds.into()
        } else {
            Arc::default()
        },
        counts: HistogramCounts::Integer(Counts {
            count: counts.iter().sum(),
            zero: 0,
            positive: counts.to_vec(),
            negative: Vec::new(),
        }),
    }
}

/// The histogram that comes out: the same with fractional counts and what is given as its sum.
fn made(reset: CounterReset, schema: i32, counts: &[u64]) -> Histogram {
    let histogram = histogram(reset, schema, counts);
    let HistogramCounts::Integer(counts) = histogram.counts else {
        panic!();
    };
    Histogram {
        counts: HistogramCounts::Float(Counts {
            count: counts.count as f64,
            zero: 0.0,
            positive: counts.positive.iter().map(|n| *n as f64).collect(),
            negative: Vec::new(),
        }),
        ..histogram
    }
}

/// Samples every two and a half minutes: two in a window.
fn chunks(histograms: &[Histogram]) -> Vec<Chunk> {
    let samples = histograms.iter().zip(0..);
    let samples: Vec<_> = samples
        .map(|(h, i)| (Timestamp(START + i * 150_000), h.clone()))
        .collect();
    encode_histograms(&samples)
}

/// Asserts one chunk with these sums and counters, two samples in each window, and gives it.
fn expect(
    chunks: &[DownsampledChunk],
    gauge: bool,
    schema: i32,
    sums: &[&[u64]],
    counters: &[&[u64]],
) {
    let [chunk] = chunks else {
        panic!("{chunks:?}");
    };
    let last = START + (i64::try_from(sums.len()).unwrap() * 2 - 1) * 150_000;
    let times = (1..).map(|n| (START + n * FIVE_MINUTES - 1).min(last));
    let expected = |counts: &[&[u64]], reset: fn(usize) -> CounterReset| -> Vec<_> {
        let each = counts.iter().enumerate();
        times
            .clone()
            .zip(each.map(|(place, counts)| made(reset(place), schema, counts)))
            .collect()
    };
    let counts: Vec<_> = times
        .clone()
        .take(sums.len())
        .map(|time| (time, 2.0))
        .collect();
    assert_eq!(floats(chunk, Aggregate::Count), counts);
    let sums = expected(sums, |_| CounterReset::Gauge);
    assert_eq!(histograms(chunk, Aggregate::Sum), sums);
    let hint = |place| match place {
        0 => CounterReset::Unknown,
        _ => CounterReset::NotReset,
    };
    let counters = expected(counters, if gauge { |_| CounterReset::Gauge } else { hint });
    assert_eq!(histograms(chunk, Aggregate::Counter), counters);
    assert_eq!(
        (chunk.column(Aggregate::Min), chunk.column(Aggregate::Max)),
        (None, None)
    );
}

fn series(reset: CounterReset, schema: i32, counts: &[&[u64]]) -> Vec<Chunk> {
    let histograms: Vec<_> = counts.iter().map(|n| histogram(reset, schema, n)).collect();
    chunks(&histograms)
}

#[test]
fn counters_are_added_up_over_a_reset() {
    let counts: [&[u64]; 4] = [&[1, 2], &[4, 2], &[3, 1], &[3, 5]];
    let raw = series(CounterReset::Unknown, 3, &counts);
    // The reset starts a chunk.
    assert_eq!(raw.len(), 2);
    expect(
        &five_minutes(&raw),
        false,
        3,
        &[&[5, 4], &[6, 6]],
        &[&[4, 2], &[7, 7]],
    );
}

#[test]
fn gauges_go_up_and_down() {
    let counts: [&[u64]; 4] = [&[1, 2], &[4, 2], &[3, 1], &[2, 5]];
    let raw = series(CounterReset::Gauge, 3, &counts);
    expect(
        &five_minutes(&raw),
        true,
        3,
        &[&[5, 4], &[5, 6]],
        &[&[4, 2], &[2, 5]],
    );
}

#[test]
fn custom_bounds_are_kept() {
    let counts: [&[u64]; 4] = [&[1, 2, 0, 1], &[4, 2, 0, 1], &[3, 1, 0, 0], &[3, 5, 0, 0]];
    let raw = series(CounterReset::Unknown, CUSTOM_BUCKETS, &counts);
    let sums: [&[u64]; 2] = [&[5, 4, 0, 2], &[6, 6, 0, 0]];
    expect(
        &five_minutes(&raw),
        false,
        CUSTOM_BUCKETS,
        &sums,
        &[&[4, 2, 0, 1], &[7, 7, 0, 1]],
    );
}

#[test]
fn other_custom_bounds_start_another_chunk() {
    let mut other = histogram(CounterReset::Unknown, CUSTOM_BUCKETS, &[9]);
    other.custom_bounds = Arc::new([7.0]);
    let one = histogram(CounterReset::Unknown, CUSTOM_BUCKETS, &[1]);
    let made = five_minutes(&chunks(&[one, other]));
    let counts: Vec<_> = made
        .iter()
        .map(|chunk| floats(chunk, Aggregate::Count))
        .collect();
    assert_eq!(counts, [[(START, 1.0)], [(START + 150_000, 1.0)]]);
    let bounds = |chunk: &DownsampledChunk| {
        histograms(chunk, Aggregate::Sum)[0]
            .1
            .custom_bounds
            .to_vec()
    };
    assert_eq!(
        made.iter().map(bounds).collect::<Vec<_>>(),
        [vec![1.0, 2.0, 4.0], vec![7.0]]
    );
}

#[test]
fn a_lower_schema_makes_the_whole_chunk_coarser_and_is_no_reset() {
    let mut raw = series(CounterReset::Unknown, 1, &[&[1, 2], &[1, 3]]);
    // Buckets 1 and 2 of schema 1 are bucket 1 of schema 0.
    let coarse = [4, 6].map(|n| histogram(CounterReset::Unknown, 0, &[n]));
    let coarse = coarse.into_iter().zip([300_000, 450_000]);
    let coarse: Vec<_> = coarse.map(|(h, t)| (Timestamp(START + t), h)).collect();
    raw.extend(encode_histograms(&coarse));
    expect(&five_minutes(&raw), false, 0, &[&[7], &[10]], &[&[4], &[6]]);
}

#[test]
fn a_higher_schema_comes_with_a_reset() {
    let mut raw = series(CounterReset::Unknown, 0, &[&[3], &[4]]);
    let fine = [[5, 1], [6, 1]].map(|n| histogram(CounterReset::Unknown, 1, &n));
    let fine = fine.into_iter().zip([300_000, 450_000]);
    let fine: Vec<_> = fine.map(|(h, t)| (Timestamp(START + t), h)).collect();
    raw.extend(encode_histograms(&fine));
    expect(
        &five_minutes(&raw),
        false,
        0,
        &[&[7], &[13]],
        &[&[4], &[11]],
    );
}

#[test]
fn stale_markers_and_sums_that_are_nan_count_as_no_samples() {
    let mut stale = histogram(CounterReset::Unknown, 0, &[]);
    stale.sum = f64::from_bits(STALE_NAN);
    let mut odd = histogram(CounterReset::Unknown, 0, &[7]);
    odd.sum = f64::NAN;
    let good = histogram(CounterReset::Unknown, 0, &[3]);
    let made = five_minutes(&chunks(&[good.clone(), stale.clone(), odd, good, stale]));
    let counts: Vec<_> = all(&made, Aggregate::Count);
    assert_eq!(
        counts,
        [(START + FIVE_MINUTES - 1, 1.0), (START + 3 * 150_000, 1.0)]
    );
}

#[test]
fn floats_and_histograms_of_a_series_are_in_chunks_of_their_own() {
    let mut raw = chunks_of(&[(0, 1.0), (1, 2.0)], 120);
    raw.extend(series(CounterReset::Unknown, 0, &[&[3]]));
    raw.extend(chunks_of(&[(START + 1, 5.0)], 120));
    let made = five_minutes(&raw);
    let kinds: Vec<_> = made.iter().map(DownsampledChunk::is_histogram).collect();
    assert_eq!(kinds, [false, true, false]);
    let hours = one_hour(&made);
    let kinds: Vec<_> = hours.iter().map(DownsampledChunk::is_histogram).collect();
    assert_eq!(kinds, [false, true, false]);
}

#[test]
fn an_hour_has_the_sum_of_its_windows_and_the_counter_at_its_end() {
    // Two days: 576 windows with two samples each.
    let counts: Vec<[u64; 2]> = (0..1152).map(|i| [i, i + 1]).collect();
    let counts: Vec<&[u64]> = counts.iter().map(<[u64; 2]>::as_slice).collect();
    let made = five_minutes(&series(CounterReset::Unknown, 2, &counts));
    // Two samples in five minutes are thought to fill two fifths of the time, so two chunks are made.
    // One more than half of the samples brings the rest of its window.
    let sizes: Vec<_> = made
        .iter()
        .map(|chunk| floats(chunk, Aggregate::Count).len())
        .collect();
    assert_eq!(sizes, [289, 287]);

    let hours = one_hour(&made);
    assert_eq!(hours.len(), 1);
    let counts = floats(&hours[0], Aggregate::Count);
    assert_eq!(counts.iter().map(|(_, n)| n).sum::<f64>(), 1152.0);
    // The first hour has 50 minutes.
    assert_eq!(counts[..2], [(HOUR - 1, 20.0), (2 * HOUR - 1, 24.0)]);
    let sums = histograms(&hours[0], Aggregate::Sum);
    let expected = [(0..20).sum(), (1..21).sum()];
    assert_eq!(
        sums[0],
        (HOUR - 1, self::made(CounterReset::Gauge, 2, &expected))
    );
    let counters = histograms(&hours[0], Aggregate::Counter);
    assert_eq!(
        counters[1].1,
        self::made(CounterReset::NotReset, 2, &[43, 44])
    );
    assert_eq!(
        counters.last().unwrap().1,
        self::made(CounterReset::NotReset, 2, &[1151, 1152])
    );
}

/// Samples of a counter of one bucket, which resets now and then, and has gaps and stale markers.
fn counter() -> impl Strategy<Value = Vec<(Timestamp, Histogram)>> {
    let step = prop_oneof![8 => Just(30_000_i64), 2 => 1_i64..200_000, 1 => 1_i64..3 * HOUR];
    let value = prop_oneof![8 => Just(None), 1 => (0_u64..50).prop_map(Some)];
    let schema = prop::sample::select(vec![0, CUSTOM_BUCKETS]);
    (
        schema,
        prop::collection::vec((step, 0_u64..9, value, 0..40), 1..800),
    )
        .prop_map(|(schema, steps)| {
            let (mut time, mut total) = (START, 100);
            let sample = |(step, grown, restart, stale): (i64, u64, Option<u64>, i32)| {
                time += step;
                total = restart.unwrap_or(total + grown);
                let mut sample = histogram(CounterReset::Unknown, schema, &[total]);
                if stale == 0 {
                    sample.sum = f64::from_bits(STALE_NAN);
                }
                (Timestamp(time), sample)
            };
            steps.into_iter().map(sample).collect()
        })
}

fn count(histogram: &Histogram) -> f64 {
    match &histogram.counts {
        HistogramCounts::Integer(counts) => counts.count as f64,
        HistogramCounts::Float(counts) => counts.count,
    }
}

proptest! {
    #[test]
    fn counts_and_sums_add_up_and_each_counter_grows_as_its_samples_do(samples in counter()) {
        let made = five_minutes(&encode_histograms(&samples));
        let hours = one_hour(&made);
        let live: Vec<_> = samples.iter().filter(|(_, h)| !h.is_stale()).collect();
        let whole: f64 = live.iter().map(|(_, h)| count(h)).sum();
        for made in [&made, &hours] {
            let counted: f64 = all(made, Aggregate::Count).iter().map(|(_, n)| n).sum();
            prop_assert_eq!(counted, live.len() as f64);
            let sums = made.iter().flat_map(|chunk| histograms(chunk, Aggregate::Sum));
            prop_assert_eq!(sums.map(|(_, h)| count(&h)).sum::<f64>(), whole);
            prop_assert!(made.is_sorted_by(|a, b| a.max < b.min));
        }
        let mut rest = live.as_slice();
        for chunk in &made {
            let (own, later) = rest.split_at(rest.partition_point(|(t, _)| *t <= chunk.max));
            let mut expected = super::super::counter::Counter::default();
            own.iter().for_each(|(_, h)| expected.add(count(h)));
            let (time, last) = histograms(chunk, Aggregate::Counter).pop().unwrap();
            prop_assert_eq!((time, count(&last)), (chunk.max.0, expected.total()));
            rest = later;
        }
        prop_assert!(rest.is_empty());
    }
}
