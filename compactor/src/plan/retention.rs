//! Retention: which blocks are older than the retention of their resolution.
//!
//! ```text
//! raw   ████████████████████                retention of raw ──▶│ now     a block is over once its end is
//!        over ──▶ mark       not over                            │         older than that
//! 5 m   ████████                                                 │
//!        holds these sources: what lies right of it is not in 5 m yet, so its raw samples are held
//! ```
//! Thanos's rule, but for one thing: it deletes raw samples that were never downsampled, although what they would
//! become is to be kept for longer.

use std::{fmt, time::Duration};

use model::{BlockId, Resolution, Timestamp};
use serde::{Serialize, Serializer};

use super::{Coarser, Known, skipped};
use crate::{group::GroupKey, millis};

/// How long blocks of each resolution are kept; `None` is for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Raw samples.
    pub raw: Option<Duration>,
    /// Aggregates of 5 minutes.
    pub five_minutes: Option<Duration>,
    /// Aggregates of 1 hour.
    pub one_hour: Option<Duration>,
}

/// Whether blocks are to be downsampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Downsampling {
    /// Yes.
    #[default]
    On,
    /// No.
    Off,
}

/// A retention that would delete samples before they are old enough to be downsampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "retention of {} samples: expected 0d or at least {least}, the length at which blocks are downsampled, found {found}",
    resolution.name()
)]
pub struct RetentionError {
    /// The resolution.
    pub resolution: Resolution,
    /// The least that it can be.
    pub least: GoDuration,
    /// What was asked for.
    pub found: GoDuration,
}

/// A block that is older than the retention of its resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Expired {
    /// The block.
    pub block: BlockId,
    /// Its group.
    pub group: GroupKey,
    /// How long blocks of its resolution are kept.
    pub retention: GoDuration,
}

/// A duration that is written as Go writes it: `720h0m0s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoDuration(pub Duration);

/// What becomes of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is kept.
    Keep,
    /// It is to be marked for deletion.
    Mark(Expired),
    /// It is kept until it is downsampled, and then marked for deletion.
    Hold(Expired),
}

impl Retention {
    /// How long blocks of this resolution are kept.
    #[must_use]
    pub const fn of(&self, resolution: Resolution) -> Option<Duration> {
        match resolution {
            Resolution::Raw => self.raw,
            Resolution::FiveMinutes => self.five_minutes,
            Resolution::OneHour => self.one_hour,
        }
    }

    /// Thanos's check at the start: what is downsampled must be kept until it is long enough to be.
    ///
    /// # Errors
    /// When the retention is shorter.
    pub fn check(&self, downsampling: Downsampling) -> Result<(), RetentionError> {
        if downsampling == Downsampling::Off {
            return Ok(());
        }
        for resolution in [Resolution::Raw, Resolution::FiveMinutes] {
            let Some(least) = resolution.downsampled_from().map(GoDuration) else {
                continue;
            };
            let found = self.of(resolution);
            if let Some(found) = found.filter(|f| *f < least.0) {
                return Err(RetentionError {
                    resolution,
                    least,
                    found: GoDuration(found),
                });
            }
        }
        Ok(())
    }

    /// What becomes of a block, if nothing but its age counts.
    pub(super) fn verdict(&self, block: &Known<'_>, coarser: Coarser<'_>) -> Verdict {
        let Some(retention) = self.of(block.group.resolution) else {
            return Verdict::Keep;
        };
        let options = coarser.options;
        // It is not known what a mark forbids that cannot be read.
        if !block.unusable_marks.is_empty()
            || !is_past(block.max(), retention, options.now)
            || skipped::too_fresh(block, options).is_some()
        {
            return Verdict::Keep;
        }
        let expired = Expired {
            block: block.id(),
            group: block.group,
            retention: GoDuration(retention),
        };
        match coarser.is_awaited(block) {
            true => Verdict::Hold(expired),
            false => Verdict::Mark(expired),
        }
    }
}

/// Whether a block that ends there is past its retention: Thanos's rule, which counts the end in whole seconds.
pub(super) fn is_past(end: Timestamp, retention: Duration, now: Timestamp) -> bool {
    let end = Timestamp::from_seconds(end.seconds());
    now.0 > end.0.saturating_add(millis(retention))
}

/// As the details of Thanos's deletion mark.
impl fmt::Display for Expired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block exceeding retention of {}", self.retention)
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        match (hours, minutes) {
            (0, 0) => {}
            (0, _) => write!(f, "{minutes}m")?,
            _ => write!(f, "{hours}h{minutes}m")?,
        }
        write!(f, "{}s", seconds % 60)
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    const HOUR: Duration = Duration::from_hours(1);
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn a_retention_lasts_until_blocks_are_long_enough_to_be_downsampled() {
        let raw = |raw| Retention {
            raw: Some(raw),
            ..Retention::default()
        };
        let five = |five_minutes| Retention {
            five_minutes: Some(five_minutes),
            ..Retention::default()
        };
        let second = Duration::from_secs(1);
        for (retention, ok) in [
            (Retention::default(), true),
            (raw(40 * HOUR), true),
            (raw(40 * HOUR - second), false),
            (five(10 * DAY), true),
            (five(10 * DAY - second), false),
        ] {
            assert_eq!(
                retention.check(Downsampling::On).is_ok(),
                ok,
                "{retention:?}"
            );
            assert_eq!(retention.check(Downsampling::Off), Ok(()), "{retention:?}");
        }
        let one_hour = Retention {
            one_hour: Some(second),
            ..Retention::default()
        };
        assert_eq!(one_hour.check(Downsampling::On), Ok(()));
        let error = raw(30 * HOUR).check(Downsampling::On).unwrap_err();
        assert_eq!(
            error.to_string(),
            "retention of raw samples: expected 0d or at least 40h0m0s, the length at which blocks are downsampled, found 30h0m0s"
        );
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        let text = |seconds| GoDuration(Duration::from_secs(seconds)).to_string();
        assert_eq!(text(0), "0s");
        assert_eq!(text(59), "59s");
        assert_eq!(text(90), "1m30s");
        assert_eq!(text(7 * 86_400), "168h0m0s");
        assert_eq!(text(3_661), "1h1m1s");
    }
}
