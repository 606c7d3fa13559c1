//! Floats: counters, gauges, and numbers that are none.

use std::collections::BTreeMap;

use model::STALE_NAN;

use super::{
    super::counter::{Counter, Unreset},
    *,
};

const STALE: f64 = f64::from_bits(STALE_NAN);

#[test]
fn windows_end_with_their_last_millisecond_and_the_last_with_the_last_sample() {
    let samples = [
        (0, 10.0),
        (60_000, 20.0),
        (299_999, 5.0),
        (300_000, 7.0),
        (700_000, 9.0),
    ];
    let made = five_minutes(&chunks_of(&samples, 2));
    let [chunk] = made.as_slice() else {
        panic!("{made:?}");
    };
    assert_eq!((chunk.min.0, chunk.max.0), (299_999, 700_000));
    let expect = |chunk, aggregate, samples: &[(i64, f64)]| {
        assert_eq!(floats(chunk, aggregate), samples, "{aggregate:?}");
    };
    expect(
        chunk,
        Aggregate::Count,
        &[(299_999, 3.0), (599_999, 1.0), (700_000, 1.0)],
    );
    expect(
        chunk,
        Aggregate::Sum,
        &[(299_999, 35.0), (599_999, 7.0), (700_000, 9.0)],
    );
    expect(
        chunk,
        Aggregate::Min,
        &[(299_999, 5.0), (599_999, 7.0), (700_000, 9.0)],
    );
    expect(
        chunk,
        Aggregate::Max,
        &[(299_999, 20.0), (599_999, 7.0), (700_000, 9.0)],
    );
    // 10 → 20, a reset to 5 → 7 → 9: grown by 10 + 5 + 2 + 2.
    let counter = [
        (0, 10.0),
        (299_999, 25.0),
        (599_999, 27.0),
        (700_000, 29.0),
        (700_000, 9.0),
    ];
    expect(chunk, Aggregate::Counter, &counter);

    let hours = one_hour(&made);
    let [hour] = hours.as_slice() else {
        panic!("{hours:?}");
    };
    assert_eq!((hour.min.0, hour.max.0), (700_000, 700_000));
    expect(hour, Aggregate::Count, &[(700_000, 5.0)]);
    expect(hour, Aggregate::Sum, &[(700_000, 51.0)]);
    expect(hour, Aggregate::Min, &[(700_000, 5.0)]);
    expect(hour, Aggregate::Max, &[(700_000, 20.0)]);
    expect(
        hour,
        Aggregate::Counter,
        &[(0, 10.0), (700_000, 29.0), (700_000, 9.0)],
    );
}

#[test]
fn stale_markers_and_nan_count_as_no_samples() {
    let samples = [
        (0, f64::NAN),
        (1, 3.0),
        (2, STALE),
        (3, 4.0),
        (4, f64::NAN),
        (5, STALE),
    ];
    let made = five_minutes(&chunks_of(&samples, 120));
    assert_eq!(all(&made, Aggregate::Count), [(3, 2.0)]);
    assert_eq!(all(&made, Aggregate::Sum), [(3, 7.0)]);
    assert_eq!(
        all(&made, Aggregate::Counter),
        [(1, 3.0), (3, 4.0), (3, 4.0)]
    );

    let none = chunks_of(&[(0, f64::NAN), (1, STALE)], 120);
    assert_eq!(five_minutes(&none), []);
}

#[test]
fn the_least_and_the_greatest_of_infinities_are_infinite() {
    // Thanos starts at the greatest finite float, and gives that.
    let samples = [(0, f64::INFINITY), (FIVE_MINUTES, f64::NEG_INFINITY)];
    let made = five_minutes(&chunks_of(&samples, 120));
    let expected = [(299_999, f64::INFINITY), (300_000, f64::NEG_INFINITY)];
    assert_eq!(all(&made, Aggregate::Min), expected);
    assert_eq!(all(&made, Aggregate::Max), expected);
    let hours = one_hour(&made);
    assert_eq!(all(&hours, Aggregate::Min), [(300_000, f64::NEG_INFINITY)]);
    assert_eq!(all(&hours, Aggregate::Max), [(300_000, f64::INFINITY)]);
}

#[test]
fn a_day_of_samples_becomes_chunks_of_less_than_140_windows_that_end_with_a_window() {
    let day: Vec<_> = (0..5760).map(|i| (i * 15_000, i as f64)).collect();
    let made = five_minutes(&chunks_of(&day, 120));
    let counts: Vec<_> = made
        .iter()
        .map(|chunk| floats(chunk, Aggregate::Count).len())
        .collect();
    // 288 windows in three chunks would be 96; of 5760 samples a third is 1920, and one more is
    // taken, which brings the rest of its window.
    assert_eq!(counts, [97, 97, 94]);
    for chunk in &made {
        assert_eq!(chunk.max.0 % FIVE_MINUTES, 285_000);
    }
}

#[test]
fn hours_are_made_of_whole_chunks_and_may_be_cut_in_two_where_these_end() {
    // Forty days in 5-minute chunks of 141 windows: 11 hours and 45 minutes.
    let samples: Vec<_> = (0..40 * 288).map(|i| (i * FIVE_MINUTES, 1.0)).collect();
    let parts: Vec<_> = samples
        .chunks(141)
        .flat_map(|part| five_minutes(&chunks_of(part, 120)))
        .collect();
    let hours = one_hour(&parts);
    // 960 windows over 140 make seven chunks; 82 parts over 7 make groups of 11.
    assert_eq!((parts.len(), hours.len()), (82, 8));
    let counts = floats(&hours[0], Aggregate::Count);
    assert_eq!(counts[0], (HOUR - 1, 12.0));
    let end = (11 * 141 - 1) * FIVE_MINUTES;
    assert_eq!(counts.last(), Some(&(end, 3.0)));
    assert_eq!(
        floats(&hours[1], Aggregate::Count)[0],
        (end / HOUR * HOUR + HOUR - 1, 9.0)
    );
}

#[test]
fn a_reset_between_two_chunks_is_seen_though_the_totals_do_not_show_it() {
    // The first chunk ends at a total of 9, a value of 4; the second begins with 3.
    let first = five_minutes(&chunks_of(&[(0, 5.0), (1, 4.0)], 120));
    let second = five_minutes(&chunks_of(
        &[(FIVE_MINUTES, 3.0), (FIVE_MINUTES + 1, 8.0)],
        120,
    ));
    let both = [first, second].concat();
    let hours = one_hour(&both);
    let end = FIVE_MINUTES + 1;
    assert_eq!(
        all(&hours, Aggregate::Counter),
        [(0, 5.0), (end, 17.0), (end, 8.0)]
    );
}

/// Samples with gaps, resets, NaN and stale markers.
fn samples() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let step = prop_oneof![
        10 => Just(15_000_i64),
        3 => 1_i64..120_000,
        1 => 1_i64..3 * HOUR,
    ];
    let value = prop_oneof![
        12 => (0_i32..1000).prop_map(f64::from),
        1 => (-1000_i32..1000).prop_map(f64::from),
        1 => Just(f64::NAN),
        1 => Just(STALE),
    ];
    let start = -2 * HOUR..2 * HOUR;
    (start, prop::collection::vec((step, value), 1..1500)).prop_map(|(start, steps)| {
        let mut time = start;
        let sample = |(step, value)| {
            time += step;
            (time, value)
        };
        steps.into_iter().map(sample).collect()
    })
}

/// Count, sum, least and greatest of each window that begins at a multiple of `width`.
fn windows(samples: &[(i64, f64)], width: i64) -> BTreeMap<i64, [f64; 4]> {
    let mut windows = BTreeMap::new();
    for (time, value) in samples.iter().filter(|(_, value)| !value.is_nan()) {
        let start = [0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY];
        let [count, sum, min, max] = windows.entry(time.div_euclid(width)).or_insert(start);
        *count += 1.0;
        *sum += value;
        *min = min.min(*value);
        *max = max.max(*value);
    }
    windows
}

/// The same of aggregates, where a window may have more than one sample.
fn joined(chunks: &[DownsampledChunk], width: i64) -> BTreeMap<i64, [f64; 4]> {
    let column = |aggregate| all(chunks, aggregate);
    let rows = column(Aggregate::Count).into_iter();
    let rows = rows.zip(column(Aggregate::Sum)).zip(column(Aggregate::Min));
    let mut windows = BTreeMap::new();
    for ((((time, count), sum), min), max) in rows.zip(column(Aggregate::Max)) {
        assert!([sum.0, min.0, max.0] == [time; 3]);
        let start = [0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY];
        let window = windows.entry(time.div_euclid(width)).or_insert(start);
        window[0] += count;
        window[1] += sum.1;
        window[2] = window[2].min(min.1);
        window[3] = window[3].max(max.1);
    }
    windows
}

/// The total that a reader of the counter ends with.
fn read_counter(chunks: &[DownsampledChunk]) -> Option<f64> {
    let mut reader = Unreset::new();
    let samples = all(chunks, Aggregate::Counter).into_iter();
    samples
        .filter_map(|(time, value)| reader.next(time, value))
        .last()
}

fn raw_counter(samples: &[(i64, f64)]) -> Option<f64> {
    let mut counter = Counter::default();
    for (_, value) in samples.iter().filter(|(_, value)| !value.is_nan()) {
        counter.add(*value);
    }
    counter.last().map(|_| counter.total())
}

proptest! {
    #[test]
    fn each_window_has_the_aggregates_of_its_samples(samples in samples()) {
        let made = five_minutes(&chunks_of(&samples, 120));
        prop_assert_eq!(joined(&made, FIVE_MINUTES), windows(&samples, FIVE_MINUTES));
        let hours = one_hour(&made);
        prop_assert_eq!(joined(&hours, HOUR), windows(&samples, HOUR));
    }

    #[test]
    fn the_counter_grows_as_the_samples_do(mut samples in samples()) {
        // What goes below zero is no counter.
        samples.iter_mut().for_each(|(_, value)| *value = value.abs());
        let made = five_minutes(&chunks_of(&samples, 120));
        prop_assert_eq!(read_counter(&made), raw_counter(&samples));
        prop_assert_eq!(read_counter(&one_hour(&made)), raw_counter(&samples));
    }

    #[test]
    fn chunks_follow_one_another_and_hold_what_they_say(samples in samples()) {
        let made = five_minutes(&chunks_of(&samples, 120));
        for made in [&made, &one_hour(&made)] {
            prop_assert!(made.is_sorted_by(|a, b| a.max < b.min));
            for chunk in made {
                let count = floats(chunk, Aggregate::Count);
                prop_assert!(count.is_sorted_by(|a, b| a.0 < b.0));
                prop_assert_eq!(count[0].0, chunk.min.0);
                prop_assert_eq!(count[count.len() - 1].0, chunk.max.0);
                let counter = floats(chunk, Aggregate::Counter);
                prop_assert!(counter[0].0 <= chunk.min.0);
                let end = &counter[counter.len() - 2..];
                prop_assert_eq!((end[0].0, end[1].0), (chunk.max.0, chunk.max.0));
            }
        }
    }

    #[test]
    fn where_raw_chunks_end_makes_no_difference(samples in samples(), per_chunk in 1_usize..200) {
        let made = five_minutes(&chunks_of(&samples, per_chunk));
        prop_assert_eq!(made, five_minutes(&chunks_of(&samples, 120)));
    }
}

#[test]
fn a_series_too_long_to_keep_is_downsampled_alike() {
    let samples: Vec<_> = (0..70_000).map(|i| (i * 1000, (i % 977) as f64)).collect();
    let made = five_minutes(&chunks_of(&samples, 120));
    assert_eq!(joined(&made, FIVE_MINUTES), windows(&samples, FIVE_MINUTES));
    assert_eq!(read_counter(&made), raw_counter(&samples));
}
