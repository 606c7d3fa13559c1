//! Windows: spans of time at multiples of their length, to which blocks grow.

use std::{collections::BTreeMap, fmt};

use model::{Rfc3339, Timestamp};
use serde::Serialize;

use super::Run;

/// A span of time; its end is **excluded**.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Window {
    /// First millisecond, included.
    pub start: Timestamp,
    /// End in milliseconds, excluded.
    pub end: Timestamp,
}

impl Window {
    /// The window of `length` milliseconds in which `at` lies.
    pub(super) fn around(at: Timestamp, length: i64) -> Self {
        let length = length.max(1);
        let start = at.0.div_euclid(length).saturating_mul(length);
        Self {
            start: Timestamp(start),
            end: Timestamp(start.saturating_add(length)),
        }
    }

    /// Whether no more blocks will come: the blocks fill it, or one that is not the newest begins after it.
    fn is_complete(self, runs: &[Run<'_>], high: Timestamp) -> bool {
        let covered = runs.iter().fold(self.start, |end, run| {
            if run.min <= end {
                end.max(run.max)
            } else {
                end
            }
        });
        self.end <= high || self.end <= covered
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", Rfc3339(self.start), Rfc3339(self.end))
    }
}

/// Runs in each complete window of `length`, and the runs that are in none.
pub(super) type Sorted<'a> = (Vec<(Window, Vec<Run<'a>>)>, Vec<Run<'a>>);

/// Sorts runs, which are in the order of time, into complete windows of `length`.
pub(super) fn complete(runs: Vec<Run<'_>>, length: i64, high: Timestamp) -> Sorted<'_> {
    let mut windows: BTreeMap<Window, Vec<Run<'_>>> = BTreeMap::new();
    let mut rest = Vec::new();
    for run in runs {
        match run.window(length) {
            Some(window) => windows.entry(window).or_default().push(run),
            None => rest.push(run),
        }
    }
    let (complete, open): (Vec<_>, Vec<_>) = windows
        .into_iter()
        .partition(|(window, runs)| window.is_complete(runs, high));
    rest.extend(open.into_iter().flat_map(|(_, runs)| runs));
    rest.sort_by_key(|run| run.min);
    (complete, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_aligned_before_1970_too() {
        let window = |at| Window::around(Timestamp(at), 8);
        let from = |start| Window {
            start: Timestamp(start),
            end: Timestamp(start + 8),
        };
        assert_eq!(window(0), from(0));
        assert_eq!(window(7), from(0));
        assert_eq!(window(8), from(8));
        assert_eq!(window(-1), from(-8));
        assert_eq!(window(-8), from(-8));
    }

    #[test]
    fn the_earliest_and_latest_times_have_a_window() {
        for at in [i64::MIN, i64::MAX] {
            let window = Window::around(Timestamp(at), super::super::WINDOWS[2]);
            assert!(window.start <= window.end);
        }
    }
}
