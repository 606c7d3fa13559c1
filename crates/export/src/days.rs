//! The days of a time range, for a partition each.

use model::{Rfc3339, TimeRange, Timestamp};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// One day, UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// As in `2026-11-29`.
    pub date: String,
    /// The part of the range within it, both ends inclusive, in ms.
    pub range: TimeRange,
}

/// The days that `range` touches, in order. Both ends of the range are inclusive. Times before 1970 are in the day 1970-01-01.
pub fn days(range: TimeRange) -> impl Iterator<Item = Day> {
    let (min, max) = (range.min.0, range.max.0);
    let first = min.div_euclid(DAY_MS).max(0);
    let last = if max < min {
        first - 1
    } else {
        max.div_euclid(DAY_MS).max(0)
    };
    (first..=last).map(move |day| {
        let start = day.saturating_mul(DAY_MS);
        Day {
            date: date(start),
            range: TimeRange {
                min: Timestamp(if day == first { min } else { start }),
                max: Timestamp(max.min(start.saturating_add(DAY_MS - 1))),
            },
        }
    })
}

fn date(start: i64) -> String {
    let text = format!("{:.0}", Rfc3339(Timestamp(start)));
    text.split('T').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_day_of_a_range_is_one_partition_and_none_overlap() {
        let range = TimeRange::new(DAY_MS - 10, 3 * DAY_MS);
        let found: Vec<_> = days(range)
            .map(|day| (day.date, day.range.min.0, day.range.max.0))
            .collect();
        let day = |date: &str, min, max| (date.to_owned(), min, max);
        assert_eq!(
            found,
            [
                day("1970-01-01", DAY_MS - 10, DAY_MS - 1),
                day("1970-01-02", DAY_MS, 2 * DAY_MS - 1),
                day("1970-01-03", 2 * DAY_MS, 3 * DAY_MS - 1),
                day("1970-01-04", 3 * DAY_MS, 3 * DAY_MS),
            ]
        );
    }

    #[test]
    fn an_empty_range_has_no_days() {
        assert_eq!(days(TimeRange::new(5, 4)).count(), 0);
    }
}
