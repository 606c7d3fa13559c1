//! The arguments of logs and traces.

use std::path::PathBuf;

use clap::{
    Args, ValueEnum,
    builder::{OsStringValueParser, TypedValueParser as _},
};
use service::{LogFormat, LogLevel, Traces};

use super::{expanded, variable};

/// The log.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Log messages of this level and above.
    #[arg(long = "log.level", global = true, default_value = "info", value_enum)]
    pub(crate) level: Level,
    /// Format of a log line.
    #[arg(
        long = "log.format",
        global = true,
        default_value = "logfmt",
        value_enum
    )]
    pub(crate) format: Format,
    /// Name in each line of the log.
    #[arg(
        long = "debug.name",
        global = true,
        default_value = "",
        hide_default_value = true,
        value_name = "NAME"
    )]
    pub(crate) name: String,
}

/// The traces.
#[derive(Debug, Args)]
pub(crate) struct TracingArgs {
    /// YAML file that says where spans of traces are sent, as for Thanos; $(VAR) is taken from the environment.
    // An empty path is none, as for Thanos.
    #[arg(
        long = "tracing.config-file",
        global = true,
        conflicts_with = "tracing_config",
        value_name = "PATH",
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    tracing_config_file: Option<PathBuf>,
    /// The content of that file.
    #[arg(
        long = "tracing.config",
        global = true,
        value_name = "YAML",
        allow_hyphen_values = true
    )]
    tracing_config: Option<String>,
}

/// Levels of Thanos.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Level {
    /// A human must look.
    Error,
    /// Something is wrong and was handled.
    Warn,
    /// What was done.
    Info,
    /// Every step.
    Debug,
}

/// Formats of a log line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// `key=value` pairs.
    Logfmt,
    /// One JSON object a line.
    Json,
    /// Entries of systemd's journal.
    Journald,
}

impl TracingArgs {
    /// Where spans are sent, if that is configured.
    ///
    /// # Errors
    /// When the file cannot be read, or its type or one of its values cannot be used.
    pub(crate) fn traces(&self) -> anyhow::Result<Option<Traces>> {
        let file = self.tracing_config_file.as_deref();
        let yaml = expanded(file, self.tracing_config.as_deref())?;
        let yaml = yaml.unwrap_or_default();
        Ok(Traces::from_yaml(&yaml, "varve", variable)?)
    }
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warn => Self::Warn,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
        }
    }
}

impl From<Format> for LogFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Logfmt => Self::Logfmt,
            Format::Json => Self::Json,
            Format::Journald => Self::Journald,
        }
    }
}
