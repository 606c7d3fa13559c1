//! The arguments of several components.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use model::{TimeBound, Timestamp};
use service::{GrpcClientTls, GrpcTlsOptions, RequestLog, Verification};

use super::{content, parsed};
use crate::values::{self, ListenAddress};

/// The HTTP server of metrics and readiness.
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
    /// YAML file that configures TLS, users and headers of HTTP, as Prometheus's web configuration. It is read again
    /// when it changes.
    #[arg(
        long = "http.config",
        global = true,
        default_value = "",
        hide_default_value = true,
        value_name = "PATH"
    )]
    pub(crate) http_config: String,
    /// YAML file that says which HTTP requests and gRPC calls are logged, as for Thanos.
    #[arg(
        long = "request.logging-config-file",
        global = true,
        conflicts_with = "request_log",
        value_name = "PATH"
    )]
    pub(crate) request_log_file: Option<PathBuf>,
    /// The content of that file.
    #[arg(
        long = "request.logging-config",
        global = true,
        id = "request_log",
        value_name = "YAML"
    )]
    pub(crate) request_log: Option<String>,
    /// Serve profiles of the process at /debug/pprof/profile and /debug/pprof/heap.
    #[arg(long = "debug.pprof", global = true)]
    pub(crate) pprof: bool,
}

/// The gRPC server of the StoreAPI.
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
    #[command(flatten)]
    pub(crate) tls: GrpcTlsArgs,
}

/// TLS of the gRPC server. An empty flag counts as unset, as in Thanos.
#[derive(Debug, Args)]
pub(crate) struct GrpcTlsArgs {
    /// Certificate for gRPC, PEM; without it there is no TLS. The files are read again when they change.
    #[arg(long = "grpc-server-tls-cert", default_value = "", value_name = "PATH")]
    pub(crate) cert: String,
    /// Private key of the certificate, PEM.
    #[arg(long = "grpc-server-tls-key", default_value = "", value_name = "PATH")]
    pub(crate) key: String,
    /// Certificate authorities of clients, PEM; with them, each client needs a certificate.
    #[arg(
        long = "grpc-server-tls-client-ca",
        default_value = "",
        value_name = "PATH"
    )]
    pub(crate) client_ca: String,
    /// Minimum version of TLS: 1.2 or 1.3.
    #[arg(
        long = "grpc-server-tls-min-version",
        default_value = "1.3",
        value_name = "VERSION"
    )]
    pub(crate) min_version: String,
    /// Cipher suite of TLS 1.2, by Go's name. Repeatable; without it, all that are supported.
    #[arg(long = "grpc-server-tls-ciphers", value_name = "NAME")]
    pub(crate) ciphers: Vec<String>,
    /// Curve, by Go's name. Repeatable; without it, all that are supported.
    #[arg(long = "grpc-server-tls-curves", value_name = "NAME")]
    pub(crate) curves: Vec<String>,
}

/// TLS of a gRPC client, under the names of Thanos Query's flags.
#[derive(Debug, Args)]
pub(crate) struct GrpcClientTlsArgs {
    /// Connect by TLS.
    #[arg(long = "grpc-client-tls-secure")]
    pub(crate) secure: bool,
    /// Accept any certificate of the server.
    #[arg(long = "grpc-client-tls-skip-verify", requires = "secure")]
    pub(crate) skip_verify: bool,
    /// Certificate of the client, PEM.
    #[arg(
        long = "grpc-client-tls-cert",
        requires_all = ["secure", "key"],
        value_name = "PATH"
    )]
    pub(crate) cert: Option<PathBuf>,
    /// Private key of that certificate, PEM.
    #[arg(long = "grpc-client-tls-key", requires_all = ["secure", "cert"], value_name = "PATH")]
    pub(crate) key: Option<PathBuf>,
    /// Certificate authorities of the server, PEM. Default: those of the system.
    #[arg(
        long = "grpc-client-tls-ca",
        requires = "secure",
        conflicts_with = "skip_verify",
        value_name = "PATH"
    )]
    pub(crate) ca: Option<PathBuf>,
    /// Name in the server's certificate. Default: that of the endpoint.
    #[arg(
        long = "grpc-client-server-name",
        requires = "secure",
        value_name = "NAME"
    )]
    pub(crate) server_name: Option<String>,
}

/// The HTTP client for Prometheus.
#[derive(Debug, Args)]
pub(crate) struct HttpClientArgs {
    /// YAML file that configures the HTTP client for Prometheus: TLS, credentials, proxy, timeouts.
    #[arg(
        long = "prometheus.http-client-file",
        default_value = "",
        value_name = "PATH"
    )]
    pub(crate) http_client_file: String,
    /// The content of that file.
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

/// The time range to work on.
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
    /// Refuses a range that ends before it begins; `now` is the time.
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
    /// The age at which a client is told to connect anew, if any.
    pub(crate) fn max_connection_age(&self) -> Option<Duration> {
        (!self.max_connection_age.is_zero()).then_some(self.max_connection_age)
    }

    /// How long a client may take no data, if there is a limit.
    pub(crate) fn send_timeout(&self) -> Option<Duration> {
        (!self.send_timeout.is_zero()).then_some(self.send_timeout)
    }
}

impl GrpcTlsArgs {
    /// What the flags mean; nothing without a certificate.
    pub(crate) fn options(&self) -> anyhow::Result<Option<GrpcTlsOptions>> {
        let file = |path: &str| Some(PathBuf::from(path)).filter(|p| !p.as_os_str().is_empty());
        let client_ca_file = file(&self.client_ca);
        let (cert_file, key_file) = match (file(&self.cert), file(&self.key)) {
            (Some(cert_file), Some(key_file)) => (cert_file, key_file),
            (None, None) => {
                anyhow::ensure!(
                    client_ca_file.is_none(),
                    "--grpc-server-tls-client-ca: expected --grpc-server-tls-cert and --grpc-server-tls-key with it"
                );
                if !(self.ciphers.is_empty() && self.curves.is_empty()) {
                    tracing::warn!(
                        "--grpc-server-tls-ciphers and -curves have no effect: gRPC is served without TLS"
                    );
                }
                return Ok(None);
            }
            _ => anyhow::bail!(
                "--grpc-server-tls-cert and --grpc-server-tls-key: expected both or neither, found one"
            ),
        };
        let min_version = self.min_version.parse().map_err(anyhow::Error::msg);
        Ok(Some(GrpcTlsOptions {
            cert_file,
            key_file,
            client_ca_file,
            min_version: min_version.context("--grpc-server-tls-min-version")?,
            cipher_suites: self.ciphers.clone(),
            curves: self.curves.clone(),
        }))
    }
}

impl GrpcClientTlsArgs {
    /// What the flags mean, if TLS is wanted.
    pub(crate) fn options(&self) -> Option<GrpcClientTls> {
        self.secure.then(|| GrpcClientTls {
            identity: self.cert.clone().zip(self.key.clone()),
            ca_file: self.ca.clone(),
            server_name: self.server_name.clone(),
            verification: match self.skip_verify {
                true => Verification::Off,
                false => Verification::On,
            },
        })
    }
}

impl HttpArgs {
    /// Which requests are logged, if that is configured.
    pub(crate) fn request_log(&self) -> anyhow::Result<Option<RequestLog>> {
        let (file, inline) = (&self.request_log_file, &self.request_log);
        parsed(file.as_deref(), inline.as_deref(), RequestLog::from_yaml)
    }
}

impl HttpClientArgs {
    /// The YAML, empty if it is not set. An empty flag counts as unset, as in Thanos.
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

impl ObjstoreArgs {
    /// The YAML, if any was given.
    pub(crate) fn yaml(&self) -> anyhow::Result<Option<String>> {
        content(
            self.objstore_config_file.as_deref(),
            self.objstore_config.as_deref(),
        )
    }
}
