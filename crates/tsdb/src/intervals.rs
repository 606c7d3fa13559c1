//! Sets of time intervals, as deletions leave them.

use model::{TimeRange, Timestamp};

/// Time ranges that neither overlap nor touch, ascending. Both ends of each are included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intervals(Vec<TimeRange>);

/// How much of a time range lies within some [`Intervals`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// No millisecond.
    None,
    /// Some milliseconds.
    Part,
    /// Every millisecond.
    All,
}

impl Intervals {
    /// Adds a range and merges it with those it overlaps or touches. A range that ends before it
    /// starts adds nothing.
    pub fn add(&mut self, range: TimeRange) {
        if range.min > range.max {
            return;
        }
        let (before, after) = (before(range.min), after(range.max));
        let start = self.0.partition_point(|r| r.max < before);
        let end = self.0.partition_point(|r| r.min <= after).max(start);
        let touched = self.0.get(start..end).unwrap_or_default();
        let min = touched.first().map_or(range.min, |r| r.min.min(range.min));
        let max = touched.last().map_or(range.max, |r| r.max.max(range.max));
        self.0.splice(start..end, [TimeRange { min, max }]);
    }

    /// The ranges.
    #[must_use]
    pub fn ranges(&self) -> &[TimeRange] {
        &self.0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `t` lies in one of the ranges.
    #[must_use]
    pub fn contains(&self, t: Timestamp) -> bool {
        let at = self.0.partition_point(|range| range.max < t);
        self.0.get(at).is_some_and(|range| range.min <= t)
    }

    /// How much of `range` lies within.
    #[must_use]
    pub fn coverage(&self, range: TimeRange) -> Coverage {
        let at = self.0.partition_point(|r| r.max < range.min);
        match self.0.get(at) {
            Some(r) if r.covers(range) => Coverage::All,
            Some(r) if r.overlaps(range) => Coverage::Part,
            _ => Coverage::None,
        }
    }
}

/// Ranges in any order. Sorted first, so that many take no more time than sorting them.
impl FromIterator<TimeRange> for Intervals {
    fn from_iter<I: IntoIterator<Item = TimeRange>>(ranges: I) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().filter(|r| r.min <= r.max).collect();
        ranges.sort_unstable_by_key(|range| range.min);
        let mut merged: Vec<TimeRange> = Vec::new();
        for range in ranges {
            match merged.last_mut() {
                Some(last) if range.min <= after(last.max) => last.max = last.max.max(range.max),
                _ => merged.push(range),
            }
        }
        Self(merged)
    }
}

fn before(t: Timestamp) -> Timestamp {
    Timestamp(t.0.saturating_sub(1))
}

fn after(t: Timestamp) -> Timestamp {
    Timestamp(t.0.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn intervals_hold_what_a_set_of_milliseconds_holds(
            ranges in prop::collection::vec((0..60_i64, 0..8_i64), 0..12),
            asked in (0..60_i64, 0..8_i64),
        ) {
            let ranges = ranges.into_iter().map(|(min, len)| TimeRange::new(min, min + len));
            let set: BTreeSet<i64> = ranges.clone().flat_map(|r| r.min.0..=r.max.0).collect();
            let mut intervals = Intervals::default();
            ranges.clone().for_each(|range| intervals.add(range));
            prop_assert_eq!(&ranges.collect::<Intervals>(), &intervals);
            for t in -1..70 {
                prop_assert_eq!(intervals.contains(Timestamp(t)), set.contains(&t));
            }
            let apart = |w: &[TimeRange]| w[0].max.0 + 1 < w[1].min.0;
            prop_assert!(intervals.ranges().windows(2).all(apart));

            let asked = TimeRange::new(asked.0, asked.0 + asked.1);
            let inside = (asked.min.0..=asked.max.0).filter(|t| set.contains(t)).count();
            let whole = (asked.min.0..=asked.max.0).count();
            let expected = match inside {
                0 => Coverage::None,
                n if n == whole => Coverage::All,
                _ => Coverage::Part,
            };
            prop_assert_eq!(intervals.coverage(asked), expected);
        }
    }

    #[test]
    fn the_ends_of_time_are_in_reach() {
        let ranges = [(10, i64::MAX), (i64::MIN, 9), (7, 6)];
        let ranges = ranges.map(|(min, max)| TimeRange::new(min, max));
        let mut intervals = Intervals::default();
        ranges.into_iter().for_each(|range| intervals.add(range));
        assert_eq!(intervals.ranges(), [TimeRange::ALL]);
        assert_eq!(ranges.into_iter().collect::<Intervals>(), intervals);
    }
}
