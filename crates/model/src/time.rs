//! Time as Prometheus stores it: milliseconds since the Unix epoch.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// A time range in milliseconds with **both ends inclusive**, as in queries.
///
/// A block's own `[minTime, maxTime)` excludes its end: [`crate::BlockMeta::time_range`] converts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// First millisecond.
    pub min: Timestamp,
    /// Last millisecond.
    pub max: Timestamp,
}

/// A point in time, fixed or relative to the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeBound {
    /// This time.
    At(Timestamp),
    /// The present plus so many milliseconds; negative for the past.
    FromNow(i64),
}

impl Timestamp {
    /// The earliest time.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest time.
    pub const MAX: Self = Self(i64::MAX);

    /// From whole unix **seconds**, as in marks and files; clamped to the earliest and latest time.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Whole unix **seconds**, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Unix seconds with their fraction, as metrics have them.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact for the next 285,000 years"
    )]
    pub const fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl TimeRange {
    /// All of time.
    pub const ALL: Self = Self {
        min: Timestamp::MIN,
        max: Timestamp::MAX,
    };

    /// `min` to `max` milliseconds, both inclusive.
    #[must_use]
    pub const fn new(min: i64, max: i64) -> Self {
        Self {
            min: Timestamp(min),
            max: Timestamp(max),
        }
    }

    /// Whether the two share a millisecond.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.min <= other.max && other.min <= self.max
    }

    /// Whether all of `other` lies within.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.min <= other.min && other.max <= self.max
    }

    /// Whether `t` lies within.
    #[must_use]
    pub fn contains(self, t: Timestamp) -> bool {
        self.min <= t && t <= self.max
    }
}

impl TimeBound {
    /// The point in time when the clock shows `now`.
    #[must_use]
    pub const fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::FromNow(millis) => Timestamp(now.0.saturating_add(millis)),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_down_and_never_overflow() {
        assert_eq!(Timestamp::from_seconds(-2), Timestamp(-2000));
        assert_eq!(Timestamp::from_seconds(i64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp(-1).seconds(), -1);
        assert_eq!(Timestamp(1999).seconds(), 1);
        assert_eq!(Timestamp(1500).as_secs_f64().to_string(), "1.5");
    }
}
