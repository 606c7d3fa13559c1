//! `rate_limit` of the web configuration: a bucket of tokens, one a request.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::document::RateSection;
use crate::go_duration;

/// A bucket of tokens.
#[derive(Debug)]
pub(super) struct Limiter {
    /// The time in which a token is added.
    interval: Duration,
    /// The tokens of a full bucket.
    burst: u32,
    /// The time at which the bucket is full again, if no more tokens are taken.
    full: Mutex<Option<Instant>>,
}

/// The limiter of `rate_limit`, unless the interval is 0.
pub(super) fn parse(section: RateSection) -> Result<Option<Limiter>, String> {
    let interval = match section.interval.as_deref().map(str::trim) {
        None | Some("") => Duration::ZERO,
        Some(text) => go_duration::parse(text).ok_or_else(|| {
            format!("rate_limit: interval: expected a duration such as 100ms, found {text:?}")
        })?,
    };
    if interval.is_zero() {
        return Ok(None);
    }
    let burst = u32::try_from(section.burst.unwrap_or_default());
    match burst {
        Ok(burst) if burst > 0 => Ok(Some(Limiter {
            interval,
            burst,
            full: Mutex::new(None),
        })),
        _ => Err(
            "rate_limit: burst: expected a number from 1, as with less no request is allowed"
                .to_owned(),
        ),
    }
}

impl Limiter {
    /// Takes a token; returns whether there was one.
    pub(super) fn allows(&self, now: Instant) -> bool {
        let mut full = self.full.lock();
        let next = full.map_or(now, |full| full.max(now)) + self.interval;
        let allowed = next.duration_since(now) <= self.interval.saturating_mul(self.burst);
        if allowed {
            *full = Some(next);
        }
        allowed
    }

    pub(super) fn has_settings_of(&self, other: &Self) -> bool {
        (self.interval, self.burst) == (other.interval, other.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_one_request_an_interval() {
        let section = RateSection {
            interval: Some("1s".to_owned()),
            burst: Some(2),
        };
        let limiter = parse(section).unwrap().unwrap();
        let start = Instant::now();
        let at = |seconds: f64| limiter.allows(start + Duration::from_secs_f64(seconds));
        assert_eq!(
            [at(0.0), at(0.0), at(0.0), at(0.5)],
            [true, true, false, false]
        );
        assert_eq!([at(1.0), at(1.0)], [true, false]);
        // After a pause the bucket is full, and not more than that.
        assert_eq!([at(9.0), at(9.0), at(9.0)], [true, true, false]);
    }

    #[test]
    fn a_limit_that_allows_nothing_is_refused_and_an_interval_of_0_is_no_limit() {
        let section = |interval: &str, burst| RateSection {
            interval: Some(interval.to_owned()),
            burst,
        };
        assert!(parse(section("1s", None)).is_err());
        assert!(parse(section("1s", Some(-1))).is_err());
        assert!(parse(section("soon", Some(1))).is_err());
        assert!(parse(section("0s", None)).unwrap().is_none());
        assert!(parse(RateSection::default()).unwrap().is_none());
    }
}
