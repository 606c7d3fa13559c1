//! Structured logs on stderr, in logfmt or JSON.

mod line;
mod logfmt;

use std::{fmt, io, str::FromStr};

use tracing_subscriber::{
    EnvFilter, Layer as _, Registry,
    fmt::{
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use self::line::Lines;
use crate::ServiceError;

/// Libraries that log too much below this level.
const QUIET: &[&str] = &["h2", "hyper", "hyper_util", "reqwest", "rustls", "tower"];

/// The least level that is logged; `--log.level` of Thanos.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// A human must look.
    Error,
    /// May become an error.
    Warn,
    /// Events, in big steps.
    #[default]
    Info,
    /// Events, in small steps.
    Debug,
}

/// The format of a log line; `--log.format` of Thanos.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `ts=… caller=… level=info msg=… name=value`.
    #[default]
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// Sends the process's logs to stderr from now on. Each line has `name`, unless that is empty; `--debug.name` of Thanos.
///
/// # Errors
/// When it was called before.
pub fn init_logging(level: LogLevel, format: LogFormat, name: &str) -> Result<(), ServiceError> {
    let lines = Lines {
        format,
        name: name.to_owned(),
        timer: SystemTime,
    };
    let layer = tracing_subscriber::fmt::layer()
        .event_format(lines)
        .with_writer(io::stderr);
    Registry::default()
        .with(layer.with_filter(filter(level)))
        .try_init()?;
    Ok(())
}

/// The time, as in the log.
pub(crate) fn now() -> String {
    let mut time = String::new();
    // Without a time the line is still worth having.
    let _ = SystemTime.format_time(&mut Writer::new(&mut time));
    time
}

/// Everything from `level` on; the libraries that log much, from `info` on.
fn filter(level: LogLevel) -> EnvFilter {
    let mut directives = level.to_string();
    if level == LogLevel::Debug {
        for library in QUIET {
            directives.push_str(&format!(",{library}=info"));
        }
    }
    EnvFilter::new(directives)
}

impl FromStr for LogLevel {
    type Err = ServiceError;

    fn from_str(word: &str) -> Result<Self, ServiceError> {
        match word {
            "error" => Ok(Self::Error),
            "warn" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            _ => Err(ServiceError::Log {
                what: "level",
                found: word.to_owned(),
                expected: "error, warn, info or debug",
            }),
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        })
    }
}

impl FromStr for LogFormat {
    type Err = ServiceError;

    fn from_str(word: &str) -> Result<Self, ServiceError> {
        match word {
            "logfmt" => Ok(Self::Logfmt),
            "json" => Ok(Self::Json),
            _ => Err(ServiceError::Log {
                what: "format",
                found: word.to_owned(),
                expected: "logfmt or json",
            }),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Logfmt => "logfmt",
            Self::Json => "json",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_and_format_is_read_as_it_is_written() {
        for level in [
            LogLevel::Error,
            LogLevel::Warn,
            LogLevel::Info,
            LogLevel::Debug,
        ] {
            assert_eq!(level.to_string().parse::<LogLevel>().unwrap(), level);
        }
        for format in [LogFormat::Logfmt, LogFormat::Json] {
            assert_eq!(format.to_string().parse::<LogFormat>().unwrap(), format);
        }
    }

    #[test]
    fn an_unknown_word_is_named_beside_the_known_ones() {
        assert_eq!(
            "journald".parse::<LogFormat>().unwrap_err().to_string(),
            r#"log format: expected logfmt or json, found "journald""#
        );
        assert_eq!(
            "trace".parse::<LogLevel>().unwrap_err().to_string(),
            r#"log level: expected error, warn, info or debug, found "trace""#
        );
    }

    #[test]
    fn debug_does_not_open_the_gates_of_the_http_libraries() {
        let directives = filter(LogLevel::Debug).to_string();
        assert!(directives.contains("h2=info"), "{directives}");
        assert!(directives.contains("debug"), "{directives}");
        assert_eq!(filter(LogLevel::Warn).to_string(), "warn");
    }
}
