//! The arguments that several components have.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use model::{TimeBound, Timestamp};
use service::{LogFormat, LogLevel};

use super::content;
use crate::values::{self, ListenAddress};

/// How much is logged, and how.
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
}

/// Levels of Thanos.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Level {
    /// A human must look.
    Error,
    /// Something is wrong and was dealt with.
    Warn,
    /// What was done.
    Info,
    /// Each step.
    Debug,
}

/// Forms of a log line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// `key=value` pairs; the journal takes them too.
    #[value(alias = "journald")]
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// Where metrics and readiness are served.
#[derive(Debug, Args)]
pub(crate) struct HttpArgs {
    /// Listen address for HTTP: /metrics, /-/healthy, /-/ready.
    #[arg(
        long = "http-address",
        global = true,
        default_value = "0.0.0.0:10902",
        value_name = "HOST:PORT"
    )]
    pub(crate) http_address: ListenAddress,
    /// Time to wait for running HTTP requests at shutdown.
    #[arg(long = "http-grace-period", global = true, default_value = "2m", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) http_grace_period: Duration,
}

/// Where the StoreAPI is served.
#[derive(Debug, Args)]
pub(crate) struct GrpcArgs {
    /// Listen address for gRPC.
    #[arg(
        long = "grpc-address",
        default_value = "0.0.0.0:10901",
        value_name = "HOST:PORT"
    )]
    pub(crate) grpc_address: ListenAddress,
    /// Time to wait for running gRPC calls at shutdown.
    #[arg(long = "grpc-grace-period", default_value = "2m", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) grpc_grace_period: Duration,
    /// Age at which a client is told to open a new connection; 0s is never.
    #[arg(long = "grpc-server-max-connection-age", default_value = "60m", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) max_connection_age: Duration,
    /// Time for which a client may read nothing before its call is ended; 0s is no limit.
    #[arg(long = "grpc-server-send-timeout", default_value = "1m", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) send_timeout: Duration,
}

/// How Prometheus is reached.
#[derive(Debug, Args)]
pub(crate) struct HttpClientArgs {
    /// YAML file that says how Prometheus is reached: TLS, credentials, proxy, timeouts.
    #[arg(
        long = "prometheus.http-client-file",
        default_value = "",
        value_name = "PATH"
    )]
    pub(crate) http_client_file: String,
    /// The same YAML, given here.
    #[arg(
        long = "prometheus.http-client",
        default_value = "",
        hide_default_value = true,
        value_name = "YAML"
    )]
    pub(crate) http_client: String,
}

/// The bucket.
#[derive(Debug, Args)]
pub(crate) struct ObjstoreArgs {
    /// YAML file that configures the bucket, as for Thanos; $(VAR) is taken from the environment.
    #[arg(
        long = "objstore.config-file",
        global = true,
        conflicts_with = "objstore_config",
        value_name = "PATH"
    )]
    pub(crate) objstore_config_file: Option<PathBuf>,
    /// The content of that file.
    #[arg(long = "objstore.config", global = true, value_name = "YAML")]
    pub(crate) objstore_config: Option<String>,
}

/// Which times count.
#[derive(Debug, Args)]
pub(crate) struct TimeArgs {
    /// Start of the time range to work on, RFC 3339 or relative to now as in -2w.
    #[arg(
        long = "min-time",
        global = true,
        default_value = "0000-01-01T00:00:00Z",
        value_parser = values::time,
        value_name = "TIME",
        allow_hyphen_values = true
    )]
    pub(crate) min_time: TimeBound,
    /// End of the time range to work on, RFC 3339 or relative to now as in -2w.
    #[arg(
        long = "max-time",
        global = true,
        default_value = "9999-12-31T23:59:59Z",
        value_parser = values::time,
        value_name = "TIME",
        allow_hyphen_values = true
    )]
    pub(crate) max_time: TimeBound,
}

impl TimeArgs {
    /// Refuses a range that ends before it begins, if it is now `now`.
    pub(crate) fn check(&self, now: Timestamp) -> anyhow::Result<()> {
        let (min, max) = (self.min_time.resolve(now), self.max_time.resolve(now));
        anyhow::ensure!(
            min <= max,
            "--min-time: expected none after --max-time, found {min} ms after {max} ms"
        );
        Ok(())
    }
}

impl GrpcArgs {
    /// When a client is asked to connect anew, if ever.
    pub(crate) fn max_connection_age(&self) -> Option<Duration> {
        (!self.max_connection_age.is_zero()).then_some(self.max_connection_age)
    }

    /// How long a client may take no data, if there is a limit.
    pub(crate) fn send_timeout(&self) -> Option<Duration> {
        (!self.send_timeout.is_zero()).then_some(self.send_timeout)
    }
}

impl HttpClientArgs {
    /// The YAML, empty where none was given. An empty flag counts as none, as with Thanos.
    pub(crate) fn yaml(&self) -> anyhow::Result<String> {
        let file = Some(Path::new(&self.http_client_file)).filter(|f| !f.as_os_str().is_empty());
        anyhow::ensure!(
            file.is_none() || self.http_client.is_empty(),
            "--prometheus.http-client-file and --prometheus.http-client: expected one of them, found both"
        );
        let yaml = content(file, Some(&self.http_client));
        Ok(yaml
            .context("--prometheus.http-client-file")?
            .unwrap_or_default())
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
        }
    }
}

impl ObjstoreArgs {
    /// The YAML, if any was given.
    pub(crate) fn yaml(&self) -> anyhow::Result<Option<String>> {
        content(
            self.objstore_config_file.as_deref(),
            self.objstore_config.as_deref(),
        )
    }
}
