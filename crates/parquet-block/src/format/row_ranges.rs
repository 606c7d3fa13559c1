//! Sets of rows of a row group, as ranges.

use std::{fmt, ops::Range};

/// Rows of one row group: ranges in ascending order that neither overlap nor touch, none empty.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct RowRanges {
    ranges: Vec<Range<u32>>,
}

impl RowRanges {
    /// No rows.
    #[must_use]
    pub const fn none() -> Self {
        Self { ranges: Vec::new() }
    }

    /// The first `rows` rows.
    #[must_use]
    pub fn all(rows: u32) -> Self {
        Self::from(0..rows)
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranges.iter().map(ExactSizeIterator::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Range<u32>> + DoubleEndedIterator {
        self.ranges.iter().cloned()
    }

    /// The rows, ascending.
    pub fn rows(&self) -> impl Iterator<Item = u32> {
        self.ranges.iter().flat_map(Clone::clone)
    }

    /// The range from the first row to the last, if there are any.
    #[must_use]
    pub fn span(&self) -> Option<Range<u32>> {
        Some(self.ranges.first()?.start..self.ranges.last()?.end)
    }

    /// Whether `row` is among them.
    #[must_use]
    pub fn contains(&self, row: u32) -> bool {
        self.overlaps(&(row..row.saturating_add(1)))
    }

    /// Whether a row of `range` is among them.
    #[must_use]
    pub fn overlaps(&self, range: &Range<u32>) -> bool {
        let after = self.ranges.partition_point(|r| r.end <= range.start);
        !range.is_empty() && self.ranges.get(after).is_some_and(|r| r.start < range.end)
    }

    /// Adds rows, none of which may lie before the last range's start.
    pub(crate) fn push(&mut self, range: Range<u32>) {
        if range.is_empty() {
            return;
        }
        match self.ranges.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => self.ranges.push(range),
        }
    }

    /// The rows in both.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let mut common = Self::none();
        let (mut left, mut right) = (
            self.ranges.iter().peekable(),
            other.ranges.iter().peekable(),
        );
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            common.push(a.start.max(b.start)..a.end.min(b.end));
            if a.end < b.end {
                left.next();
            } else {
                right.next();
            }
        }
        common
    }

    /// The rows of `range` that are among these.
    #[must_use]
    pub fn within(&self, range: Range<u32>) -> Self {
        let from = self.ranges.partition_point(|r| r.end <= range.start);
        let mut common = Self::none();
        for r in self.ranges.iter().skip(from) {
            if r.start >= range.end {
                break;
            }
            common.push(r.start.max(range.start)..r.end.min(range.end));
        }
        common
    }

    /// The rows in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut both = Self::none();
        let (mut left, mut right) = (
            self.ranges.iter().peekable(),
            other.ranges.iter().peekable(),
        );
        loop {
            let next = match (left.peek(), right.peek()) {
                (Some(a), Some(b)) if a.start <= b.start => left.next(),
                (Some(_), None) => left.next(),
                _ => right.next(),
            };
            match next {
                Some(range) => both.push(range.clone()),
                None => return both,
            }
        }
    }

    /// The rows of the first `rows` that are not among these.
    #[must_use]
    pub fn complement(&self, rows: u32) -> Self {
        let mut rest = Self::none();
        let mut from = 0;
        for range in &self.ranges {
            rest.push(from..range.start.min(rows));
            from = range.end;
        }
        rest.push(from..rows);
        rest
    }

    /// The first `n` rows, and the others.
    #[must_use]
    pub fn split_at(&self, n: usize) -> (Self, Self) {
        let (mut head, mut tail) = (Self::none(), Self::none());
        let mut left = n;
        for range in &self.ranges {
            let taken = left.min(range.len());
            left -= taken;
            let cut = range.start + u32::try_from(taken).unwrap_or(u32::MAX);
            head.push(range.start..cut);
            tail.push(cut..range.end);
        }
        (head, tail)
    }
}

impl From<Range<u32>> for RowRanges {
    fn from(range: Range<u32>) -> Self {
        let mut rows = Self::none();
        rows.push(range);
        rows
    }
}

/// Ranges in any order, which may overlap.
impl FromIterator<Range<u32>> for RowRanges {
    fn from_iter<I: IntoIterator<Item = Range<u32>>>(ranges: I) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().collect();
        ranges.sort_unstable_by_key(|r| r.start);
        let mut rows = Self::none();
        for range in ranges {
            rows.push(range);
        }
        rows
    }
}

impl fmt::Debug for RowRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ranges.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const ROWS: u32 = 64;

    fn any_ranges() -> impl Strategy<Value = RowRanges> {
        prop::collection::vec((0..ROWS, 0..12u32), 0..8).prop_map(|pairs| {
            pairs
                .into_iter()
                .map(|(start, len)| start..(start + len).min(ROWS))
                .collect()
        })
    }

    fn set(rows: &RowRanges) -> BTreeSet<u32> {
        rows.rows().collect()
    }

    fn assert_canonical(rows: &RowRanges) {
        let ranges: Vec<_> = rows.iter().collect();
        assert!(ranges.iter().all(|r| r.start < r.end), "{rows:?}");
        assert!(ranges.windows(2).all(|w| w[0].end < w[1].start), "{rows:?}");
    }

    proptest! {
        #[test]
        fn the_algebra_is_that_of_sets(a in any_ranges(), b in any_ranges(), row in 0..ROWS, n in 0..70usize) {
            let (x, y) = (set(&a), set(&b));
            let all: BTreeSet<u32> = (0..ROWS).collect();
            let (head, tail) = a.split_at(n);
            for (ours, theirs) in [
                (a.intersect(&b), &x & &y),
                (a.union(&b), &x | &y),
                (a.complement(ROWS), &all - &x),
                (a.within(row..row + 9), x.range(row..row + 9).copied().collect()),
                (head, x.iter().take(n).copied().collect()),
                (tail, x.iter().skip(n).copied().collect()),
            ] {
                assert_canonical(&ours);
                prop_assert_eq!(set(&ours), theirs);
            }
            prop_assert_eq!(a.len(), x.len());
            prop_assert_eq!(a.is_empty(), x.is_empty());
            prop_assert_eq!(a.contains(row), x.contains(&row));
            prop_assert_eq!(a.overlaps(&(row..row + 5)), x.range(row..row + 5).next().is_some());
            let span = x.first().zip(x.last()).map(|(first, last)| *first..last + 1);
            prop_assert_eq!(a.span(), span);
        }
    }

    #[test]
    fn ranges_that_touch_become_one() {
        let rows: RowRanges = [5..7, 0..3, 3..5].into_iter().collect();
        assert_eq!(rows, RowRanges::all(7));
    }
}
