//! Times as RFC 3339 writes them and Go reads them: `2026-01-31T12:00:00.25+02:00`, the years 0 to 9999.

use std::{
    fmt,
    time::{Duration, UNIX_EPOCH},
};

use crate::{Timestamp, cursor::Cursor};

/// The last millisecond of the year 9999.
const LAST: i64 = 253_402_300_799_999;

/// A time written as RFC 3339 in UTC, with nine digits below the second if it has any, as Go writes it.
///
/// `{:.0}` writes whole seconds, `{:.3}` milliseconds. A time outside of the years 1970 to 9999 is written as the
/// number that it is: `-5 ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfc3339(pub Timestamp);

impl Timestamp {
    /// Reads RFC 3339 as Go's `time.Parse` does: with `Z` or an offset, and a fraction of any length, of which what is
    /// below a millisecond is dropped.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let (seconds, nanos) = parse_rfc3339(text)?;
        Some(Self(seconds * 1000 + i64::from(nanos) / 1_000_000))
    }
}

/// Reads RFC 3339 as Go's `time.Parse` does: with `Z` or an offset, and a fraction of any length. Gives the seconds since
/// 1970 and the nanoseconds behind them; what is below a nanosecond is dropped.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<(i64, i32)> {
    let mut cursor = Cursor::new(text);
    let year = digits(&mut cursor, 4)?;
    expect(&mut cursor, "-")?;
    let month = digits(&mut cursor, 2).filter(|month| (1..=12).contains(month))?;
    expect(&mut cursor, "-")?;
    let day = digits(&mut cursor, 2).filter(|day| (1..=days_of(year, month)).contains(day))?;
    expect(&mut cursor, "T")?;
    // Go takes an hour of one digit, too.
    let hour = cursor.take_while(|c| c.is_ascii_digit());
    let hour = (1..=2).contains(&hour.len()).then(|| hour.parse().ok())?;
    let hour: i64 = hour.filter(|hour| *hour < 24)?;
    expect(&mut cursor, ":")?;
    let minute = digits(&mut cursor, 2).filter(|minute| *minute < 60)?;
    expect(&mut cursor, ":")?;
    let second = digits(&mut cursor, 2).filter(|second| *second < 60)?;
    let nanos = match cursor.eat(".") || cursor.eat(",") {
        true => fraction(&mut cursor)?,
        false => 0,
    };
    let offset = offset(&mut cursor)?;
    if cursor.peek().is_some() {
        return None;
    }
    let minutes = (days_since_epoch(year, month, day) * 24 + hour) * 60 + minute - offset;
    Some((minutes * 60 + second, nanos))
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.0;
        if !(0..=LAST).contains(&millis) {
            return write!(f, "{millis} ms");
        }
        let time = UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs());
        match f.precision() {
            Some(0) => humantime::format_rfc3339_seconds(time).fmt(f),
            Some(_) => humantime::format_rfc3339_millis(time).fmt(f),
            None => humantime::format_rfc3339(time).fmt(f),
        }
    }
}

/// A number of exactly so many digits.
fn digits(cursor: &mut Cursor<'_>, count: usize) -> Option<i64> {
    let mut value = 0;
    for _ in 0..count {
        value = value * 10 + i64::from(cursor.bump()?.to_digit(10)?);
    }
    Some(value)
}

fn expect(cursor: &mut Cursor<'_>, token: &str) -> Option<()> {
    cursor.eat(token).then_some(())
}

/// The nanoseconds of a fraction of a second.
fn fraction(cursor: &mut Cursor<'_>) -> Option<i32> {
    let digits = cursor.take_while(|c| c.is_ascii_digit());
    let first = digits.bytes().chain(*b"00000000").take(9);
    let nanos = first.fold(0, |nanos, digit| nanos * 10 + i32::from(digit - b'0'));
    (!digits.is_empty()).then_some(nanos)
}

/// Minutes east of Greenwich.
fn offset(cursor: &mut Cursor<'_>) -> Option<i64> {
    if cursor.eat("Z") {
        return Some(0);
    }
    let sign = match cursor.bump()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let hours = digits(cursor, 2).filter(|hours| *hours <= 24)?;
    expect(cursor, ":")?;
    let minutes = digits(cursor, 2).filter(|minutes| *minutes < 60)?;
    Some(sign * (hours * 60 + minutes))
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    // A year that begins in March has its leap day last.
    let (year, month) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_and_written_as_thanos_does() {
        let at = Timestamp::parse_rfc3339("2026-08-22T10:00:00.123456789Z").map(Rfc3339);
        let at = at.unwrap();
        assert_eq!(at.to_string(), "2026-08-22T10:00:00.123000000Z");
        assert_eq!(
            format!("{at:.0} {at:.3}"),
            "2026-08-22T10:00:00Z 2026-08-22T10:00:00.123Z"
        );
        assert_eq!(Rfc3339(Timestamp(0)).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(
            format!("{:.0}", Rfc3339(Timestamp(LAST))),
            "9999-12-31T23:59:59Z"
        );
        for outside in [-5, LAST + 1, i64::MAX] {
            assert_eq!(
                Rfc3339(Timestamp(outside)).to_string(),
                format!("{outside} ms")
            );
        }
    }

    #[test]
    fn times_are_read_as_go_reads_them() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00.0019999Z", 1),
            ("1970-01-01T00:00:01,25Z", 1_250),
            ("1970-01-01T1:00:00+01:00", 0),
            ("1969-12-31T23:59:59.999Z", -1),
            ("1969-12-31T23:30:00-00:30", 0),
            ("2024-02-29T12:00:00.5+05:30", 1_709_188_200_500),
            ("2000-02-29T00:00:00Z", 951_782_400_000),
            ("2000-03-01T00:00:00Z", 951_868_800_000),
            ("0001-01-01T00:00:00Z", -62_135_596_800_000),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000),
            ("9999-12-31T23:59:59Z", 253_402_300_799_000),
        ] {
            assert_eq!(
                Timestamp::parse_rfc3339(text),
                Some(Timestamp(millis)),
                "{text}"
            );
        }
        for wrong in [
            "",
            "2024",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-01-01 00:00:00Z",
            "2024-01-01t00:00:00z",
            "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "2024-01-00T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-01-01T00:00:60Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+0100",
            "2024-01-01T00:00:00Z ",
            "12024-01-01T00:00:00Z",
            "-024-01-01T00:00:00Z",
        ] {
            assert_eq!(Timestamp::parse_rfc3339(wrong), None, "{wrong}");
        }
    }
}
