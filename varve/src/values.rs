//! The values of flags, in the spellings that Thanos accepts.

use std::{fmt, io, str::FromStr, time::Duration};

use model::{METRIC_NAME, TimeBound, Timestamp};
use sidecar::HashFunc;
use tokio::net::TcpListener;

/// Milliseconds in each unit of a Prometheus duration, the longest first.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// An invalid value of a flag.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ValueError {
    /// Not a duration.
    #[error("expected a duration such as 30s, 1h30m or 2d, found {0:?}")]
    Duration(String),
    /// Not a size.
    #[error("expected a size such as 512KB, 250MB or 2GB, found {0:?}")]
    Bytes(String),
    /// Not a time.
    #[error("expected a time such as 2026-01-31T00:00:00Z or a duration such as -2w, found {0:?}")]
    Time(String),
    /// Not an address.
    #[error("expected an address such as 0.0.0.0:10902 or :10902, found {0:?}")]
    Address(String),
    /// Not a shard.
    #[error(
        "expected a shard such as 0/4, or 4 with JOB_COMPLETION_INDEX in the environment, found {0:?}"
    )]
    Shard(String),
    /// Not a label.
    #[error("expected a label such as cluster=\"eu-1\", found {0:?}")]
    Label(String),
    /// A label that only series have.
    #[error("expected a label other than __name__, found {0:?}")]
    MetricName(String),
    /// Not a hash.
    #[error("expected SHA256 or nothing, found {0:?}")]
    HashFunc(String),
    /// Not an interval.
    #[error("expected a duration above 0 such as 30s or 5m, found {0:?}")]
    NoInterval(String),
}

/// A duration as Prometheus writes it (`1h30m`, `2d`, `0s`), or with a fraction as Go does (`1.5s`).
pub(crate) fn duration(text: &str) -> Result<Duration, ValueError> {
    let wrong = || ValueError::Duration(text.to_owned());
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut millis = 0_f64;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_end);
        let (_, scale) = UNITS.iter().find(|(u, _)| *u == unit).ok_or_else(wrong)?;
        let number: f64 = number.parse().map_err(|_| wrong())?;
        millis += number * Duration::from_millis(*scale).as_secs_f64() * 1000.0;
        rest = next;
    }
    if text.is_empty() {
        return Err(wrong());
    }
    Duration::try_from_secs_f64(millis / 1000.0).map_err(|_| wrong())
}

/// A duration above 0, such as an interval between two rounds.
pub(crate) fn interval(text: &str) -> Result<Duration, ValueError> {
    let interval = duration(text)?;
    let some = (!interval.is_zero()).then_some(interval);
    some.ok_or_else(|| ValueError::NoInterval(text.to_owned()))
}

/// The one of `all` that has this name.
pub(crate) fn named<T: Copy, const N: usize>(
    text: &str,
    all: [T; N],
    name: impl Fn(T) -> &'static str,
) -> Result<T, String> {
    let found = all.into_iter().find(|one| name(*one) == text);
    found.ok_or_else(|| {
        let names = all.map(name).join(", ");
        format!("expected one of {names}, found {text:?}")
    })
}

/// The name of a hash, or of none.
pub(crate) fn hash_func(text: &str) -> Result<HashFunc, ValueError> {
    match text {
        "" => Ok(HashFunc::Nothing),
        "SHA256" => Ok(HashFunc::Sha256),
        _ => Err(ValueError::HashFunc(text.to_owned())),
    }
}

/// A size in bytes; units are powers of 1024, as in Thanos: `64KB`, `1.5GB`, `2GiB`, `1GB512MB`, `100`.
pub(crate) fn bytes(text: &str) -> Result<u64, ValueError> {
    let wrong = || ValueError::Bytes(text.to_owned());
    let mut rest = text;
    let mut total = 0_u64;
    loop {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (whole, tail) = rest.split_at(digits);
        let (fraction, tail) = match tail.strip_prefix('.') {
            Some(tail) => tail.split_at(
                tail.find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(tail.len()),
            ),
            None => ("", tail),
        };
        let (unit, next) = tail.split_at(
            tail.find(|c: char| c.is_ascii_digit())
                .unwrap_or(tail.len()),
        );
        let unit = 1_u128 << shift(unit).ok_or_else(wrong)?;
        // All digits as one number, then the point: 1.5 is 15 tenths.
        let number: u128 = format!("{whole}{fraction}").parse().map_err(|_| wrong())?;
        let places = u32::try_from(fraction.len()).map_err(|_| wrong())?;
        let divisor = 10_u128.checked_pow(places).ok_or_else(wrong)?;
        let size = number.checked_mul(unit).ok_or_else(wrong)? / divisor;
        let size = u64::try_from(size).map_err(|_| wrong())?;
        total = total.checked_add(size).ok_or_else(wrong)?;
        if next.is_empty() {
            return Ok(total);
        }
        rest = next;
    }
}

/// The power of two that a unit is.
fn shift(unit: &str) -> Option<u32> {
    Some(match unit {
        "" | "B" => 0,
        "KB" | "KiB" => 10,
        "MB" | "MiB" => 20,
        "GB" | "GiB" => 30,
        "TB" | "TiB" => 40,
        "PB" | "PiB" => 50,
        "EB" | "EiB" => 60,
        _ => return None,
    })
}

/// A point in time: absolute, or a distance from now (`-2w` lies in the past, `1h` ahead).
pub(crate) fn time(text: &str) -> Result<TimeBound, ValueError> {
    // Years that Thanos uses for "ever", outside of what a system clock can tell.
    match text {
        "0000-01-01T00:00:00Z" => return Ok(TimeBound::At(Timestamp::MIN)),
        "9999-12-31T23:59:59Z" => return Ok(TimeBound::At(Timestamp::MAX)),
        _ => {}
    }
    let wrong = || ValueError::Time(text.to_owned());
    if let Some(time) = Timestamp::parse_rfc3339(text) {
        return Ok(TimeBound::At(time));
    }
    let (sign, distance) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let distance = duration(distance).map_err(|_| wrong())?;
    let millis = i64::try_from(distance.as_millis()).map_err(|_| wrong())?;
    Ok(TimeBound::FromNow(sign * millis))
}

/// Where to listen: `host:port`, or `:port` for all addresses of the machine, as in Go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListenAddress {
    /// A name or an address, an IPv6 one without its brackets; empty for all.
    host: String,
    port: u16,
}

impl ListenAddress {
    /// Listens there.
    pub(crate) async fn bind(&self) -> io::Result<TcpListener> {
        if !self.host.is_empty() {
            return TcpListener::bind((self.host.as_str(), self.port)).await;
        }
        // This one accepts IPv4 too; a machine may lack IPv6.
        match TcpListener::bind(("::", self.port)).await {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                TcpListener::bind(("0.0.0.0", self.port)).await
            }
            bound => bound,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let wrong = || ValueError::Address(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or_else(wrong)?,
            None if host.contains(':') => return Err(wrong()),
            None => host,
        };
        Ok(Self {
            host: host.to_owned(),
            port: port.parse().map_err(|_| wrong())?,
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// A label as `name="value"`, as Thanos's receiver and ruler take them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LabelFlag {
    /// The label's name.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: String,
}

impl FromStr for LabelFlag {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let wrong = || ValueError::Label(text.to_owned());
        let (name, value) = text.split_once('=').ok_or_else(wrong)?;
        let value = model::unquoted(value).ok_or_else(wrong)?;
        let is_plain = |c: char| c == '_' || c.is_ascii_alphanumeric();
        let is_name = name.starts_with(|c: char| !c.is_ascii_digit()) && name.chars().all(is_plain);
        if !is_name || value.is_empty() {
            return Err(wrong());
        }
        // As an external label it would replace the name of every metric.
        if name == METRIC_NAME {
            return Err(ValueError::MetricName(text.to_owned()));
        }
        let name = name.to_owned();
        Ok(Self { name, value })
    }
}

impl fmt::Display for LabelFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={:?}", self.name, self.value)
    }
}

/// A share of the work: `index/count`, or only the count if the environment has the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShardFlag {
    /// The index, from 0.
    pub(crate) index: Option<u32>,
    /// The number of shards.
    pub(crate) count: u32,
}

impl FromStr for ShardFlag {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let number = |text: &str| text.parse::<u32>().ok();
        let (index, count) = match text.split_once('/') {
            Some((index, count)) => (number(index).map(Some), number(count)),
            None => (Some(None), number(text)),
        };
        match (index, count) {
            (Some(index), Some(count)) if count > index.unwrap_or(0) => Ok(Self { index, count }),
            _ => Err(ValueError::Shard(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_prometheus_own_and_go_s() {
        let millis = |text| duration(text).map(|d| d.as_millis());
        assert_eq!(millis("30s"), Ok(30_000));
        assert_eq!(millis("1h30m"), Ok(5_400_000));
        assert_eq!(millis("2d"), Ok(172_800_000));
        assert_eq!(millis("1w"), Ok(604_800_000));
        assert_eq!(millis("1y"), Ok(31_536_000_000));
        assert_eq!(millis("1.5s"), Ok(1_500));
        assert_eq!(millis("250ms"), Ok(250));
        assert_eq!(millis("0"), Ok(0));
        assert_eq!(millis("0d"), Ok(0));
        for wrong in ["", "5", "d", "1x", "1h-", "1..s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_interval_is_more_than_nothing() {
        assert_eq!(interval("1ms"), Ok(Duration::from_millis(1)));
        for zero in ["0", "0s", "0d", "0.0s"] {
            assert_eq!(interval(zero), Err(ValueError::NoInterval(zero.to_owned())));
        }
    }

    #[test]
    fn sizes_count_in_powers_of_1024() {
        assert_eq!(bytes("250MB"), Ok(250 << 20));
        assert_eq!(bytes("2GiB"), Ok(2 << 30));
        assert_eq!(bytes("100"), Ok(100));
        assert_eq!(bytes("1.5GB"), Ok(3 << 29));
        assert_eq!(bytes("1GB512MB"), Ok(3 << 29));
        assert_eq!(bytes("15EB"), Ok(15 << 60));
        for wrong in ["", "MB", "1..5GB", "1XB", "99999999999TB", "16EB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_is_absolute_or_a_distance_from_now() {
        let now = Timestamp(1_000_000);
        let at = |text: &str| time(text).map(|bound| bound.resolve(now).0);
        assert_eq!(at("-10m"), Ok(400_000));
        assert_eq!(at("10m"), Ok(1_600_000));
        assert_eq!(at("1970-01-01T00:00:02Z"), Ok(2_000));
        assert_eq!(at("0000-01-01T00:00:00Z"), Ok(i64::MIN));
        assert_eq!(at("9999-12-31T23:59:59Z"), Ok(i64::MAX));
        assert_eq!(at("1970-01-01T02:00:02.5+02:00"), Ok(2_500));
        assert_eq!(at("1969-12-31T23:59:59Z"), Ok(-1_000));
        assert_eq!(at("0001-01-01T00:00:00Z"), Ok(-62_135_596_800_000));
        assert_eq!(at("9999-12-31T23:59:58Z"), Ok(253_402_300_798_000));
        assert_eq!(at("-1d12h"), Ok(1_000_000 - 36 * 3_600_000));
        for wrong in ["", "-", "yesterday", "2024-02-30T00:00:00Z", "--1h"] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_may_leave_out_its_host() {
        for text in ["0.0.0.0:10902", ":10902", "localhost:0", "[::1]:80"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "10902",
            "localhost",
            "::1:80",
            "[::1:80",
            "localhost:http",
            "a:70000",
        ] {
            assert!(wrong.parse::<ListenAddress>().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn an_address_without_a_host_is_all_of_the_machine_s() {
        let all = ":0".parse::<ListenAddress>().unwrap().bind().await.unwrap();
        assert!(all.local_addr().unwrap().ip().is_unspecified());
        let local = "127.0.0.1:0"
            .parse::<ListenAddress>()
            .unwrap()
            .bind()
            .await
            .unwrap();
        assert!(local.local_addr().unwrap().ip().is_loopback());
    }

    #[test]
    fn a_shard_is_an_index_and_a_count_or_a_count() {
        let shard = |index, count| Ok(ShardFlag { index, count });
        assert_eq!("3/4".parse(), shard(Some(3), 4));
        assert_eq!("4".parse(), shard(None, 4));
        for wrong in ["", "4/4", "0", "/4", "1/", "-1/4", "1/4/5"] {
            assert!(wrong.parse::<ShardFlag>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_label_needs_a_name_and_a_quoted_value() {
        let label: LabelFlag = r#"cluster="eu-1""#.parse().unwrap();
        assert_eq!(
            (label.name.as_str(), label.value.as_str()),
            ("cluster", "eu-1")
        );
        for (text, value) in [
            (r#"a="\"b\" \\ \n""#, "\"b\" \\ \n"),
            (r#"a="\u00e9=\x41""#, "é=A"),
            (r"a=`\d`", r"\d"),
        ] {
            assert_eq!(text.parse::<LabelFlag>().unwrap().value, value, "{text}");
        }
        for wrong in [
            "cluster",
            "cluster=eu",
            "=\"eu\"",
            "cluster=\"\"",
            r#"__name__="x""#,
            r#"1a="x""#,
            r#"a b="x""#,
            r#" a="x""#,
            r#"é="x""#,
            r#"a="x" "#,
            r#"a="x"y""#,
            r#"a="\q""#,
            r#"a="\xff""#,
            "a='x'",
        ] {
            assert!(wrong.parse::<LabelFlag>().is_err(), "{wrong}");
        }
    }
}
