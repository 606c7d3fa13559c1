//! Durations as Go writes them.

use std::time::Duration;

/// A duration as Go writes it, at most a day, or a number of nanoseconds.
pub(crate) fn parse(text: &str) -> Option<Duration> {
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
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for wrong in ["", "1", "s", "1d", "1.2.3s", "-1s", "1e9h", "99999h"] {
            let given = parse(wrong);
            assert!(
                given.is_none_or(|d| d < Duration::from_millis(1)),
                "{wrong}: {given:?}"
            );
        }
    }
}
