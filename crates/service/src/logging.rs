//! Structured logs on stderr, in logfmt or JSON, or as entries of systemd's journal.

mod journal;
mod line;
mod logfmt;

use std::{fmt, io, path::Path, str::FromStr};

use tracing::{Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt as _, FilterFn, LevelFilter, filter_fn},
    fmt::{
        MakeWriter,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    layer::{Filter, SubscriberExt as _},
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use self::{journal::Journal, line::Lines};
use crate::{ServiceError, Traces, traces::is_sent};

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
    /// Entries of systemd's journal, not on stderr.
    Journald,
}

/// Sends the process's logs to stderr from now on, and its spans to `traces`. Each line has `name`, unless that is empty;
/// `--debug.name` of Thanos.
///
/// # Errors
/// When it was called before, or there is no journal to log to.
pub fn init_logging(
    level: LogLevel,
    format: LogFormat,
    name: &str,
    traces: Option<&Traces>,
) -> Result<(), ServiceError> {
    subscriber(level, format, name, io::stderr, traces)?.try_init()?;
    Ok(())
}

/// What events and spans go to.
pub(crate) fn subscriber<W>(
    level: LogLevel,
    format: LogFormat,
    name: &str,
    writer: W,
    traces: Option<&Traces>,
) -> Result<impl Subscriber + Send + Sync + use<W>, ServiceError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let subscriber = Registry::default()
        .with(wanted(level, traces))
        .with(layer(level, format, name, writer)?)
        .with(traces.map(Traces::layer));
    Ok(subscriber)
}

/// All that anyone wants: events, and spans that are sent. A span that no layer wants would be made all the same, as a
/// layer's own filter speaks for that layer alone.
fn wanted(
    level: LogLevel,
    traces: Option<&Traces>,
) -> FilterFn<impl Fn(&Metadata<'_>) -> bool + use<>> {
    let most = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let are_sent = traces.is_some();
    let most = if are_sent {
        most.max(LevelFilter::INFO)
    } else {
        most
    };
    filter_fn(move |of| *of.level() <= most && (of.is_event() || (are_sent && is_sent(of))))
        .with_max_level_hint(most)
}

/// What writes the events from `level` on.
fn layer<S, W>(
    level: LogLevel,
    format: LogFormat,
    name: &str,
    writer: W,
) -> Result<Box<dyn Layer<S> + Send + Sync>, ServiceError>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = Lines {
        format,
        name: name.to_owned(),
        timer: SystemTime,
    };
    if format == LogFormat::Journald {
        let journal = Journal::open(Path::new(journal::SOCKET), lines);
        let journal = journal.map_err(ServiceError::Journal)?;
        return Ok(journal.with_filter(filter(level)).boxed());
    }
    let lines = tracing_subscriber::fmt::layer()
        .event_format(lines)
        .with_writer(writer)
        .with_filter(filter(level));
    Ok(lines.boxed())
}

/// The time, as in the log.
pub(crate) fn now() -> String {
    let mut time = String::new();
    // Without a time the line is still worth having.
    let _ = SystemTime.format_time(&mut Writer::new(&mut time));
    time
}

/// Every event from `level` on; of the libraries that log much, from `info` on. Spans are not for the log.
fn filter<S: Subscriber>(level: LogLevel) -> impl Filter<S> {
    let events: fn(&Metadata<'_>) -> bool = |of| of.is_event();
    // Its hint is that of the levels.
    let events = filter_fn(events).with_max_level_hint(LevelFilter::TRACE);
    levels(level).and(events)
}

fn levels(level: LogLevel) -> EnvFilter {
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
            "journald" => Ok(Self::Journald),
            _ => Err(ServiceError::Log {
                what: "format",
                found: word.to_owned(),
                expected: "logfmt, json or journald",
            }),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Logfmt => "logfmt",
            Self::Json => "json",
            Self::Journald => "journald",
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
        for format in [LogFormat::Logfmt, LogFormat::Json, LogFormat::Journald] {
            assert_eq!(format.to_string().parse::<LogFormat>().unwrap(), format);
        }
    }

    #[test]
    fn an_unknown_word_is_named_beside_the_known_ones() {
        assert_eq!(
            "text".parse::<LogFormat>().unwrap_err().to_string(),
            r#"log format: expected logfmt, json or journald, found "text""#
        );
        assert_eq!(
            "trace".parse::<LogLevel>().unwrap_err().to_string(),
            r#"log level: expected error, warn, info or debug, found "trace""#
        );
    }

    #[test]
    fn debug_does_not_open_the_gates_of_the_http_libraries() {
        let directives = levels(LogLevel::Debug).to_string();
        assert!(directives.contains("h2=info"), "{directives}");
        assert!(directives.contains("debug"), "{directives}");
        assert_eq!(levels(LogLevel::Warn).to_string(), "warn");
    }
}
