//! Decides which ranges are fetched together.

use std::ops::Range;

use bytes::Bytes;

/// The most bytes that are joined.
const MAX_RUN: u64 = 16 << 20;

/// Ranges that one request fetches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// From the first start to the last end.
    pub(super) range: Range<u64>,
    /// The indices of its ranges.
    pub(super) members: Range<usize>,
}

/// Joins ranges, in ascending order of their starts, with at most `gap` bytes between them.
pub(super) fn runs(ranges: &[Range<u64>], gap: u64) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (i, range) in ranges.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if joins(&run.range, range, gap) => {
                run.range.end = run.range.end.max(range.end);
                run.members.end = i + 1;
            }
            _ => runs.push(Run {
                range: range.clone(),
                members: i..i + 1,
            }),
        }
    }
    runs
}

/// How many of the first ranges can be fetched together within `max` bytes; at least one.
pub(crate) fn leading<'a>(
    ranges: impl IntoIterator<Item = &'a Range<u64>>,
    gap: u64,
    max: u64,
) -> usize {
    let mut run = 0..0;
    let (mut total, mut count) = (0u64, 0);
    for range in ranges {
        if count > 0 && joins(&run, range, gap) {
            total = total.saturating_add(range.end.saturating_sub(run.end));
            run.end = run.end.max(range.end);
        } else {
            total = total.saturating_add(size(range));
            run = range.clone();
        }
        if count > 0 && total > max {
            break;
        }
        count += 1;
    }
    count
}

/// The length of a range.
pub(crate) fn size(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

fn joins(run: &Range<u64>, next: &Range<u64>, gap: u64) -> bool {
    next.start >= run.start
        && next.start <= run.end.saturating_add(gap)
        && run.end.max(next.end) - run.start <= MAX_RUN
}

impl Run {
    /// The bytes of the members among `ranges`, from those of the run.
    pub(super) fn of_run(&self, bytes: &Bytes, ranges: &[Range<u64>]) -> Vec<Bytes> {
        self.cut(bytes, ranges.get(self.members.clone()).unwrap_or_default())
    }

    /// The bytes of the members among `ranges`, from those of the whole object.
    pub(super) fn of_whole(&self, bytes: &Bytes, ranges: &[Range<u64>]) -> Vec<Bytes> {
        let whole = Self {
            range: 0..bytes.len() as u64,
            members: self.members.clone(),
        };
        whole.of_run(bytes, ranges)
    }

    /// The bytes of the members, from those of the run.
    pub(super) fn cut(&self, bytes: &Bytes, members: &[Range<u64>]) -> Vec<Bytes> {
        let place = |at: u64| {
            let place = usize::try_from(at.saturating_sub(self.range.start));
            place.unwrap_or(usize::MAX).min(bytes.len())
        };
        let wanted: u64 = members.iter().map(size).sum();
        // A slice keeps the whole run in memory.
        let sparse = wanted < size(&self.range) / 2;
        let cut = |range: &Range<u64>| {
            let slice = bytes.slice(place(range.start)..place(range.end.max(range.start)));
            if sparse {
                Bytes::copy_from_slice(&slice)
            } else {
                slice
            }
        };
        members.iter().map(cut).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(ranges: &[Range<u64>], gap: u64) -> Vec<(Range<u64>, Range<usize>)> {
        let runs = runs(ranges, gap).into_iter();
        runs.map(|run| (run.range, run.members)).collect()
    }

    #[test]
    fn neighbours_are_joined_up_to_the_gap_and_the_longest_run() {
        let ranges = [0..10, 14..20, 25..30];
        assert_eq!(drawn(&ranges, 4), [(0..20, 0..2), (25..30, 2..3)]);
        assert_eq!(drawn(&ranges, 5), vec![(0..30, 0..3)]);
        assert_eq!(drawn(&[0..10, 2..5, 8..12], 0), vec![(0..12, 0..3)]);
        let far = [0..MAX_RUN, MAX_RUN..MAX_RUN + 1];
        assert_eq!(drawn(&far, 9).len(), 2);
        assert!(drawn(&[], 9).is_empty());
    }

    #[test]
    fn members_are_cut_out_of_their_run() {
        let ranges = [2..4, 3..6, 9..9, 9..11];
        let run = runs(&ranges, 5).remove(0);
        let bytes = Bytes::from_static(b"cdefghijk");
        assert_eq!(run.cut(&bytes, &ranges), ["cd", "def", "", "jk"]);
    }

    #[test]
    fn a_sparse_run_is_not_kept_in_memory() {
        let ranges = [0..1, 99..100];
        let run = runs(&ranges, 100).remove(0);
        let bytes = Bytes::from(vec![7; 100]);
        let cut = run.cut(&bytes, &ranges);
        assert!(cut.iter().all(|part| part == &[7][..]));
        assert!(bytes.is_unique());
    }

    #[test]
    fn as_many_ranges_lead_as_fit_but_at_least_one() {
        let ranges = [0..10, 12..20, 50..60];
        assert_eq!(leading(&ranges, 5, 20), 2);
        assert_eq!(leading(&ranges, 0, 27), 2);
        assert_eq!(leading(&ranges, 0, 28), 3);
        assert_eq!(leading(&ranges, 0, 3), 1);
        assert_eq!(leading(&[], 0, 3), 0);
        assert_eq!(leading(&[20..30, 0..10], 100, 10), 1);
    }
}
