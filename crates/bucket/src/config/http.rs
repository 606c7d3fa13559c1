//! `http_config`, and the connection to the store's server that follows it.
//!
//! ```text
//! a store's client ── foreign ── … ── lengths ── hedged ── limited ── traced ──▶ reqwest
//! ```

mod hedged;
mod limited;
mod tls;
mod traced;

use std::{fs, sync::Arc, time::Duration};

use object_store::{
    Certificate, ClientOptions,
    client::{HttpClient, HttpConnector, ReqwestConnector},
};
use serde::{Deserialize, de::IgnoredAny};

pub(super) use self::hedged::Hedging;
use self::{limited::Limits, tls::Tls};
use super::{
    lengths,
    values::{duration, or_default},
};
use crate::BucketError;

/// The section, as Thanos has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HttpConfig {
    #[serde(deserialize_with = "duration")]
    idle_conn_timeout: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    response_header_timeout: Option<Duration>,
    #[serde(deserialize_with = "or_default")]
    insecure_skip_verify: bool,
    #[serde(deserialize_with = "duration")]
    tls_handshake_timeout: Option<Duration>,
    max_idle_conns_per_host: Option<usize>,
    max_conns_per_host: Option<usize>,
    tls_config: Option<Tls>,
    #[serde(rename = "expect_continue_timeout")]
    _expect_continue_timeout: Option<IgnoredAny>,
    #[serde(rename = "max_idle_conns")]
    _max_idle_conns: Option<IgnoredAny>,
    #[serde(rename = "disable_compression")]
    _disable_compression: Option<IgnoredAny>,
}

/// Makes the clients of a store.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    http: HttpConfig,
    limits: Option<Arc<Limits>>,
    hedging: Option<Hedging>,
    /// Whether requests are logged.
    is_traced: bool,
}

impl HttpConfig {
    /// Refuses what is contradictory.
    pub(super) fn check(&self) -> Result<(), BucketError> {
        self.tls_config.as_ref().map_or(Ok(()), Tls::check)
    }

    /// Limits the wait for the next bytes further.
    pub(super) fn wait_at_most(&mut self, limit: Duration) {
        if !limit.is_zero() {
            let before = self.response_header_timeout().filter(|t| !t.is_zero());
            self.response_header_timeout = Some(before.map_or(limit, |before| before.min(limit)));
        }
    }

    // Thanos's defaults. As in Go, 0 is no limit.
    fn idle_conn_timeout(&self) -> Option<Duration> {
        self.idle_conn_timeout.or(Some(Duration::from_secs(90)))
    }

    fn response_header_timeout(&self) -> Option<Duration> {
        let default = Duration::from_secs(120);
        self.response_header_timeout.or(Some(default))
    }

    fn tls_handshake_timeout(&self) -> Option<Duration> {
        self.tls_handshake_timeout.or(Some(Duration::from_secs(10)))
    }

    fn skips_verify(&self) -> bool {
        let tls = self.tls_config.as_ref();
        self.insecure_skip_verify || tls.is_some_and(|tls| tls.insecure_skip_verify)
    }

    fn max_idle_conns_per_host(&self) -> usize {
        self.max_idle_conns_per_host.unwrap_or(100)
    }
}

impl Connection {
    pub(super) fn new(http: HttpConfig, hedging: Option<Hedging>) -> Self {
        let limit = http.max_conns_per_host.filter(|limit| *limit > 0);
        Self {
            limits: limit.map(|limit| Arc::new(Limits::new(limit))),
            http,
            hedging: hedging.filter(Hedging::is_on),
            is_traced: false,
        }
    }

    /// The same, with requests logged.
    pub(super) fn traced(self, is_traced: bool) -> Self {
        Self { is_traced, ..self }
    }

    /// The library's options.
    ///
    /// # Errors
    /// [`BucketError::Config`] when a certificate cannot be used.
    pub(super) fn options(&self) -> Result<ClientOptions, BucketError> {
        let http = &self.http;
        let mut options = ClientOptions::new()
            // A whole request may take long; the limit is on the wait for the next bytes.
            .with_timeout_disabled()
            .with_allow_invalid_certificates(http.skips_verify())
            .with_pool_max_idle_per_host(http.max_idle_conns_per_host());
        for (limit, with) in [
            (
                http.response_header_timeout(),
                ClientOptions::with_read_timeout as fn(_, _) -> _,
            ),
            (
                http.tls_handshake_timeout(),
                ClientOptions::with_connect_timeout,
            ),
            (
                http.idle_conn_timeout(),
                ClientOptions::with_pool_idle_timeout,
            ),
        ] {
            if let Some(limit) = limit.filter(|limit| !limit.is_zero()) {
                options = with(options, limit);
            }
        }
        let Some(tls) = &http.tls_config else {
            return Ok(options);
        };
        if tls.is_special() {
            // Tells now whether the files can be used.
            tls.config(http.skips_verify())?;
        }
        if tls.ca_file.is_empty() {
            return Ok(options);
        }
        let pem = fs::read(&tls.ca_file).map_err(|error| tls.unusable_ca(&error))?;
        let certificates = Certificate::from_pem_bundle(&pem);
        let certificates = certificates.map_err(|error| tls.unusable_ca(&error))?;
        if certificates.is_empty() {
            return Err(tls.unusable_ca(&"expected certificates, found none"));
        }
        // They replace the system's certificates, as in Go.
        options = options.with_no_system_certificates(true);
        for certificate in certificates {
            options = options.with_root_certificate(certificate);
        }
        Ok(options)
    }

    /// A client with a TLS that the library's options cannot express.
    fn special(&self, tls: &Tls) -> object_store::Result<HttpClient> {
        let http = &self.http;
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| {
            let store = "HTTP client";
            object_store::Error::Generic { store, source }
        };
        let config = tls.config(http.skips_verify());
        let config = config.map_err(|error| failed(Box::new(error)))?;
        let mut builder = reqwest::ClientBuilder::new()
            .http1_only()
            .tls_backend_preconfigured(config)
            .pool_max_idle_per_host(http.max_idle_conns_per_host())
            .pool_idle_timeout(http.idle_conn_timeout().filter(|t| !t.is_zero()));
        if let Some(limit) = http.response_header_timeout().filter(|t| !t.is_zero()) {
            builder = builder.read_timeout(limit);
        }
        if let Some(limit) = http.tls_handshake_timeout().filter(|t| !t.is_zero()) {
            builder = builder.connect_timeout(limit);
        }
        let client = builder.build().map_err(|error| failed(Box::new(error)))?;
        Ok(HttpClient::new(client))
    }
}

impl HttpConnector for Connection {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let tls = self.http.tls_config.as_ref();
        let mut client = match tls.filter(|tls| tls.is_special()) {
            Some(tls) => self.special(tls)?,
            None => ReqwestConnector::default().connect(options)?,
        };
        if self.is_traced {
            client = traced::traced(client);
        }
        if let Some(limits) = &self.limits {
            client = limited::limited(client, Arc::clone(limits));
        }
        if let Some(hedging) = &self.hedging {
            client = hedged::hedged(client, hedging);
        }
        Ok(lengths::stated(client))
    }
}
