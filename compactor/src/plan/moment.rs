//! Times as people read them.

use std::{
    fmt,
    time::{Duration, UNIX_EPOCH},
};

use model::Timestamp;

/// A time that is written as RFC 3339 in UTC.
pub(crate) struct Moment(pub(crate) Timestamp);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.0;
        // Four-digit years from 1970 on; what else a meta.json may say is shown as the number it is.
        if !(0..=253_402_300_799_999).contains(&millis) {
            return write!(f, "{millis} ms");
        }
        let since = Duration::from_millis(millis.unsigned_abs());
        humantime::format_rfc3339(UNIX_EPOCH + since).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_and_written_as_thanos_does() {
        let at = Timestamp::parse_rfc3339("2026-08-22T10:00:00.123456789Z").unwrap();
        assert_eq!(Moment(at).to_string(), "2026-08-22T10:00:00.123000000Z");
        assert_eq!(Moment(Timestamp(-5)).to_string(), "-5 ms");
    }
}
