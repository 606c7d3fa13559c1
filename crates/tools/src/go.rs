//! Values as Go writes them.

use model::{Rfc3339, Timestamp};

/// Milliseconds as Go writes a `time.Duration`: `1h59m4.501s`, `500ms`, `-2h0m0s`.
pub(crate) fn duration(millis: i64) -> String {
    let sign = if millis < 0 { "-" } else { "" };
    let millis = millis.unsigned_abs();
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis < 1000 {
        return format!("{sign}{millis}ms");
    }
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}"),
        (0, _) => format!("{sign}{minutes}m{seconds}"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}"),
    };
    if millis > 0 {
        let fraction = format!("{millis:03}");
        text = format!("{text}.{}", fraction.trim_end_matches('0'));
    }
    format!("{text}s")
}

/// A time in whole seconds, RFC 3339, UTC.
pub(crate) fn time(time: Timestamp) -> String {
    format!("{:.0}", Rfc3339(time))
}

/// A number with a comma before each three digits: `102,975`.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_numbers_and_times_are_written_as_go_writes_them() {
        for (millis, text) in [
            (0, "0s"),
            (7, "7ms"),
            (1_000, "1s"),
            (90_010, "1m30.01s"),
            (7_144_501, "1h59m4.501s"),
            (7_200_000, "2h0m0s"),
            (-7_200_000, "-2h0m0s"),
            (300_000, "5m0s"),
        ] {
            assert_eq!(duration(millis), text);
        }
        for (value, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (102_975, "102,975"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(time(Timestamp(1_763_863_144_501)), "2025-11-23T01:59:04Z");
    }
}
