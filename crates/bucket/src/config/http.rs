//! `http_config`: the connection to the store's server.

use std::{fs, time::Duration};

use object_store::{Certificate, ClientOptions};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::BucketError;

/// The section, as Thanos has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HttpConfig {
    #[serde(deserialize_with = "duration")]
    idle_conn_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    response_header_timeout: Duration,
    insecure_skip_verify: bool,
    #[serde(deserialize_with = "duration")]
    tls_handshake_timeout: Duration,
    max_idle_conns_per_host: usize,
    tls_config: Option<TlsConfig>,
    // The rest has no effect: there is no such limit here, and no body is delayed or compressed.
    #[serde(rename = "expect_continue_timeout", deserialize_with = "duration")]
    _expect_continue_timeout: Duration,
    #[serde(rename = "max_idle_conns")]
    _max_idle_conns: u64,
    #[serde(rename = "max_conns_per_host")]
    _max_conns_per_host: u64,
    #[serde(rename = "disable_compression")]
    _disable_compression: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TlsConfig {
    ca_file: String,
    cert_file: String,
    key_file: String,
    server_name: String,
    insecure_skip_verify: bool,
}

impl Default for HttpConfig {
    /// Thanos's defaults.
    fn default() -> Self {
        Self {
            idle_conn_timeout: Duration::from_secs(90),
            response_header_timeout: Duration::from_secs(120),
            insecure_skip_verify: false,
            tls_handshake_timeout: Duration::from_secs(10),
            max_idle_conns_per_host: 100,
            tls_config: None,
            _expect_continue_timeout: Duration::from_secs(1),
            _max_idle_conns: 100,
            _max_conns_per_host: 0,
            _disable_compression: false,
        }
    }
}

impl HttpConfig {
    /// Refuses what is not supported.
    pub(super) fn check(&self) -> Result<(), BucketError> {
        let Some(tls) = &self.tls_config else {
            return Ok(());
        };
        for (field, value) in [
            ("cert_file", &tls.cert_file),
            ("key_file", &tls.key_file),
            ("server_name", &tls.server_name),
        ] {
            if !value.is_empty() {
                let place = format!("config.http_config.tls_config.{field}");
                return Err(BucketError::config(place, "not supported"));
            }
        }
        Ok(())
    }

    pub(super) fn options(&self) -> Result<ClientOptions, BucketError> {
        let tls = self.tls_config.clone().unwrap_or_default();
        let mut options = ClientOptions::new()
            // A whole request may take long; the limit is on the wait for the next bytes.
            .with_timeout_disabled()
            .with_allow_invalid_certificates(self.insecure_skip_verify || tls.insecure_skip_verify)
            .with_pool_max_idle_per_host(self.max_idle_conns_per_host);
        // As in Go, 0 is no limit.
        for (limit, with) in [
            (
                self.response_header_timeout,
                ClientOptions::with_read_timeout as fn(_, _) -> _,
            ),
            (
                self.tls_handshake_timeout,
                ClientOptions::with_connect_timeout,
            ),
            (
                self.idle_conn_timeout,
                ClientOptions::with_pool_idle_timeout,
            ),
        ] {
            if !limit.is_zero() {
                options = with(options, limit);
            }
        }
        if tls.ca_file.is_empty() {
            return Ok(options);
        }
        let unusable = |error: &dyn std::fmt::Display| {
            let place = "config.http_config.tls_config.ca_file";
            BucketError::config(place, format!("{}: {error}", tls.ca_file))
        };
        let pem = fs::read(&tls.ca_file).map_err(|error| unusable(&error))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(&error))?;
        if certificates.is_empty() {
            return Err(unusable(&"expected certificates, found none"));
        }
        // They replace the system's certificates, as in Go.
        options = options.with_no_system_certificates(true);
        for certificate in certificates {
            options = options.with_root_certificate(certificate);
        }
        Ok(options)
    }
}

/// A duration as in `1m30s`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|error| {
        D::Error::custom(format!(
            "expected a duration as in 1m30s, found {text:?}: {error}"
        ))
    })
}
