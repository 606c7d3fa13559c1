//! Prometheus's own metrics, as far as the sidecar reads them.

use model::Timestamp;

const LOWEST: &str = "prometheus_tsdb_lowest_timestamp_seconds";

/// The time of the first sample that Prometheus holds; [`Timestamp::MIN`] where it cannot say yet.
pub(super) fn lowest_timestamp(text: &str) -> Result<Timestamp, String> {
    let line = text.lines().find_map(|line| line.strip_prefix(LOWEST));
    let rest = line.ok_or_else(|| format!("expected the metric {LOWEST}, found none"))?;
    // Labels may stand between, and a time behind.
    let rest = rest.rsplit_once('}').map_or(rest, |(_, value)| value);
    let value = rest.split_whitespace().next().unwrap_or_default();
    let seconds: f64 = value
        .parse()
        .map_err(|_| format!("{LOWEST}: expected a number, found {value:?}"))?;
    let milliseconds = seconds * 1000.0;
    if milliseconds.is_nan() {
        return Err(format!("{LOWEST}: expected a number, found {value:?}"));
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "the greatest time, as Prometheus writes it before there is a sample"
    )]
    let none = i64::MAX as f64;
    if milliseconds >= none {
        return Ok(Timestamp::MIN);
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a whole number below the greatest"
    )]
    Ok(Timestamp(milliseconds as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_time_is_read_from_the_text() {
        let of = |line: &str| {
            lowest_timestamp(&format!(
                "# HELP {LOWEST} Lowest timestamp value stored in the database.\n# TYPE {LOWEST} gauge\n{line}\nup 1\n"
            ))
        };
        let line = |value: &str| of(&format!("{LOWEST} {value}"));
        assert_eq!(line("1.7e+09"), Ok(Timestamp(1_700_000_000_000)));
        assert_eq!(line("1.787392800123e+09"), Ok(Timestamp(1_787_392_800_123)));
        assert_eq!(
            of(&format!("{LOWEST}{{a=\"}}\"}} 5 17")),
            Ok(Timestamp(5000))
        );
        // Nothing was scraped yet.
        assert_eq!(line("9.223372036854776e+15"), Ok(Timestamp::MIN));
        assert!(line("NaN").is_err());
        assert!(line("soon").unwrap_err().contains("\"soon\""));
        let error = of("").unwrap_err();
        assert!(error.starts_with("expected the metric"), "{error}");
    }
}
