//! The YAML.

use std::{fmt, time::Duration};

use reqwest::ClientBuilder;
use serde::{Deserialize, Deserializer, de};
use serde_saphyr::Error;

use super::{Credentials, Files, read};
use crate::{HttpClientError, secret::Secret};

/// How a server is reached (`--prometheus.http-client`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpClientConfig {
    basic_auth: Option<BasicAuth>,
    bearer_token: Secret,
    bearer_token_file: String,
    /// It may have a password.
    proxy_url: Secret,
    tls_config: Option<TlsConfig>,
    transport_config: Option<TransportConfig>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BasicAuth {
    username: String,
    password: Secret,
    password_file: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TlsConfig {
    ca_file: String,
    cert_file: String,
    key_file: String,
    server_name: String,
    insecure_skip_verify: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TransportConfig {
    max_idle_conns_per_host: usize,
    #[serde(deserialize_with = "duration")]
    idle_conn_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    response_header_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    tls_handshake_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    dialer_timeout: Duration,
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

impl Default for TransportConfig {
    /// Thanos's defaults.
    fn default() -> Self {
        Self {
            max_idle_conns_per_host: 2,
            idle_conn_timeout: Duration::from_secs(90),
            response_header_timeout: Duration::ZERO,
            tls_handshake_timeout: Duration::from_secs(10),
            dialer_timeout: Duration::from_secs(5),
            _expect_continue_timeout: Duration::from_secs(10),
            _max_idle_conns: 100,
            _max_conns_per_host: 0,
            _disable_compression: false,
        }
    }
}

impl HttpClientConfig {
    /// Reads the YAML. An empty text means the defaults.
    ///
    /// # Errors
    /// [`HttpClientError::Config`] for an unknown field, and for fields that exclude each other.
    pub fn from_yaml(yaml: &str) -> Result<Self, HttpClientError> {
        // The lines around an error may hold secrets, so only its position is given.
        let options = serde_saphyr::options! { with_snippet: false };
        let config: Option<Self> = serde_saphyr::from_str_with_options(yaml, options)
            .map_err(|error| unusable("yaml", without_values(&error)))?;
        let config = config.unwrap_or_default();
        config.check()?;
        Ok(config)
    }

    /// Refuses contradictions, as Prometheus's own client does.
    fn check(&self) -> Result<(), HttpClientError> {
        let bearers = [&self.bearer_token.0, &self.bearer_token_file];
        let bearers = bearers.iter().filter(|b| !b.is_empty()).count();
        if bearers + usize::from(self.basic().is_some()) > 1 {
            return Err(unusable(
                "basic_auth, bearer_token and bearer_token_file",
                "expected one of them, found several",
            ));
        }
        if let Some(basic) = self.basic()
            && !basic.password.0.is_empty()
            && !basic.password_file.is_empty()
        {
            return Err(unusable(
                "basic_auth.password and password_file",
                "expected one of them, found both",
            ));
        }
        let tls = self.tls_config.iter();
        for (field, given, other) in tls.flat_map(|tls| {
            [
                ("cert_file", &tls.cert_file, &tls.key_file),
                ("key_file", &tls.key_file, &tls.cert_file),
            ]
        }) {
            if !given.is_empty() && other.is_empty() {
                let reason = format!("expected cert_file and key_file, found {field} alone");
                return Err(unusable("tls_config", reason));
            }
        }
        if !self.server_name().is_empty() && !self.proxy_url.0.is_empty() {
            return Err(unusable(
                "tls_config.server_name",
                "not supported together with proxy_url",
            ));
        }
        Ok(())
    }

    fn basic(&self) -> Option<&BasicAuth> {
        let given = |b: &&BasicAuth| **b != BasicAuth::default();
        self.basic_auth.as_ref().filter(given)
    }

    /// The same with a user that the URL names, if no credentials are given.
    pub(super) fn with_user(mut self, username: &str, password: &str) -> Self {
        let somebody = !self.bearer_token.0.is_empty() || !self.bearer_token_file.is_empty();
        if !somebody && self.basic().is_none() && !(username.is_empty() && password.is_empty()) {
            self.basic_auth = Some(BasicAuth {
                username: username.to_owned(),
                password: Secret(password.to_owned()),
                password_file: String::new(),
            });
        }
        self
    }

    pub(super) fn server_name(&self) -> &str {
        self.tls_config.as_ref().map_or("", |tls| &tls.server_name)
    }

    pub(super) fn skips_verification(&self) -> bool {
        let tls = self.tls_config.as_ref();
        tls.is_some_and(|tls| tls.insecure_skip_verify)
    }

    pub(super) fn proxy_url(&self) -> &str {
        &self.proxy_url.0
    }

    /// The longest time until the head of an answer.
    pub(super) fn response_header_timeout(&self) -> Option<Duration> {
        let transport = self.transport_config.as_ref()?;
        let most = transport.response_header_timeout;
        (!most.is_zero()).then_some(most)
    }

    /// Applies `transport_config`. As in Go, 0 is no limit.
    pub(super) fn transport(&self, mut builder: ClientBuilder) -> ClientBuilder {
        let transport = self.transport_config.clone().unwrap_or_default();
        let (dial, handshake) = (transport.dialer_timeout, transport.tls_handshake_timeout);
        if !dial.is_zero() && !handshake.is_zero() {
            builder = builder.connect_timeout(dial.saturating_add(handshake));
        }
        let idle = Some(transport.idle_conn_timeout).filter(|t| !t.is_zero());
        builder
            .pool_idle_timeout(idle)
            .pool_max_idle_per_host(transport.max_idle_conns_per_host)
    }

    /// The current contents of the files of `tls_config`.
    pub(super) fn files(&self) -> Result<Files, HttpClientError> {
        let Some(tls) = &self.tls_config else {
            return Ok(Files::default());
        };
        let ca = match tls.ca_file.as_str() {
            "" => None,
            path => Some(read("tls_config.ca_file", path)?),
        };
        let identity = match tls.cert_file.as_str() {
            "" => None,
            path => {
                let mut pem = read("tls_config.cert_file", path)?;
                pem.push(b'\n');
                pem.append(&mut read("tls_config.key_file", &tls.key_file)?);
                Some(pem)
            }
        };
        Ok(Files { ca, identity })
    }

    /// Whether there are files, which are read for each request.
    pub(super) fn reads_files(&self) -> bool {
        let tls = self.tls_config.iter();
        let tls = tls.flat_map(|tls| [&tls.ca_file, &tls.cert_file, &tls.key_file]);
        let basic = self.basic_auth.iter().map(|basic| &basic.password_file);
        let mut all = tls.chain(basic).chain([&self.bearer_token_file]);
        all.any(|path| !path.is_empty())
    }

    /// The credentials, by the current contents of the files.
    pub(super) fn credentials(&self) -> Result<Credentials, HttpClientError> {
        let from = |place: &str, path: &str| {
            let bytes = read(place, path)?;
            let text = String::from_utf8(bytes)
                .map_err(|_| unusable(place, format!("{path}: expected text")))?;
            Ok::<_, HttpClientError>(text.trim().to_owned())
        };
        if let Some(basic) = self.basic() {
            let password = match basic.password_file.as_str() {
                "" => basic.password.0.clone(),
                path => from("basic_auth.password_file", path)?,
            };
            return Ok(Credentials::Basic {
                username: basic.username.clone(),
                password,
            });
        }
        if !self.bearer_token.0.is_empty() {
            return Ok(Credentials::Bearer(self.bearer_token.0.clone()));
        }
        match self.bearer_token_file.as_str() {
            "" => Ok(Credentials::Nobody),
            path => Ok(Credentials::Bearer(from("bearer_token_file", path)?)),
        }
    }
}

/// The error without values of the file: any may be a secret in the wrong place.
fn without_values(error: &Error) -> String {
    let expected = match error.without_snippet() {
        Error::SerdeInvalidType { expected, .. } | Error::SerdeInvalidValue { expected, .. } => {
            expected.clone()
        }
        Error::NonFiniteFloat { .. } => "a number".to_owned(),
        _ => return error.to_string(),
    };
    match error.location() {
        Some(at) => format!(
            "line {}, column {}: expected {expected}",
            at.line(),
            at.column()
        ),
        None => format!("expected {expected}"),
    }
}

/// The faulty field, and why it cannot be used.
pub(super) fn unusable(place: impl Into<String>, reason: impl fmt::Display) -> HttpClientError {
    HttpClientError::Config {
        place: place.into(),
        reason: reason.to_string(),
    }
}

/// Nanoseconds as in Thanos, or a text as in `1m30s`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    struct Visitor;
    impl de::Visitor<'_> for Visitor {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("nanoseconds, or a duration as in 1m30s")
        }

        fn visit_u64<E: de::Error>(self, nanoseconds: u64) -> Result<Duration, E> {
            Ok(Duration::from_nanos(nanoseconds))
        }

        fn visit_i64<E: de::Error>(self, nanoseconds: i64) -> Result<Duration, E> {
            // As in Go, a negative value is no limit.
            Ok(Duration::from_nanos(
                u64::try_from(nanoseconds).unwrap_or(0),
            ))
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
            if let Ok(nanoseconds) = text.parse() {
                return self.visit_i64(nanoseconds);
            }
            humantime::parse_duration(text)
                .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }
    deserializer.deserialize_any(Visitor)
}
