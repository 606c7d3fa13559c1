//! `rate_limit` of the web configuration: a bucket of tokens, one a request.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::document::RateSection;

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
        Some(text) => duration(text).ok_or_else(|| {
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

/// A duration as Go writes it, at most a day, or a number of nanoseconds.
fn duration(text: &str) -> Option<Duration> {
    if let Ok(nanoseconds) = text.parse::<u64>() {
        return Some(Duration::from_nanos(nanoseconds));
    }
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, after) = after.split_at(letters.unwrap_or(after.len()));
        let unit = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * unit;
        rest = after;
    }
    let day = 86_400.0;
    (seconds <= day).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        for (text, milliseconds) in [
            ("100ms", 100),
            ("1.5s", 1500),
            ("1m30s", 90_000),
            ("5000000", 5),
        ] {
            let expected = Duration::from_millis(milliseconds);
            assert_eq!(duration(text), Some(expected), "{text}");
        }
        for wrong in ["", "1", "s", "1d", "1.2.3s", "-1s", "1e9h", "99999h"] {
            let given = duration(wrong);
            assert!(
                given.is_none_or(|d| d < Duration::from_millis(1)),
                "{wrong}: {given:?}"
            );
        }
    }

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
