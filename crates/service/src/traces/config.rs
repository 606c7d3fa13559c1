//! The YAML of `--tracing.config`, and what it means.
//!
//! ```yaml
//! type: OTLP      # or JAEGER
//! config: {…}
//! ```
//! The two fields are strict, as in Thanos. Below `config` what is not known is a warning: Thanos ignores it.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;

use super::{fields, jaeger, otlp, sampling::Sampling};
use crate::{GrpcClientTls, ServiceError, YamlFields};

/// Spans that wait to be sent, as in OpenTelemetry's SDKs.
pub(super) const QUEUE: usize = 2048;

/// The longest that a span waits.
pub(super) const FLUSH_INTERVAL: Duration = Duration::from_secs(5);

/// Where spans go, which ones, and how.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) target: Target,
    /// None: no TLS.
    pub(super) tls: Option<GrpcClientTls>,
    pub(super) compression: Compression,
    /// Of an attempt.
    pub(super) timeout: Duration,
    /// Of a connection.
    pub(super) connect_timeout: Duration,
    pub(super) retry: Retry,
    /// Of each request. The values are sensitive, so that they are not shown.
    pub(super) headers: HeaderMap,
    pub(super) sampling: Sampling,
    /// The attributes of the process, its name first.
    pub(super) resource: Vec<(String, String)>,
    pub(super) queue: usize,
    pub(super) flush_interval: Duration,
    /// For the log.
    pub(super) notices: Vec<String>,
}

/// The collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// `HOST:PORT`.
    Grpc(String),
    /// `HOST:PORT`, and the path.
    Http(String, String),
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
}

/// How a request that failed is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Retry {
    /// The first pause. Each is half as long again as the one before.
    pub(super) first: Duration,
    /// The longest pause.
    pub(super) longest: Duration,
    /// When to give up.
    pub(super) all: Duration,
}

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    config: Option<Value>,
}

impl Settings {
    /// Reads the YAML; none if it is empty. `process` is the name of a service without one.
    pub(super) fn from_yaml(
        yaml: &str,
        process: &str,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, ServiceError> {
        if yaml.trim().is_empty() {
            return Ok(None);
        }
        let wrong = |found: &str| ServiceError::file("tracing config", found);
        let options = serde_saphyr::options! { with_snippet: false };
        // The parser's own text may show a secret.
        let parsed: Result<Document, _> = serde_saphyr::from_str_with_options(yaml, options);
        let document = parsed.map_err(|_| {
            wrong("expected YAML with the fields type and config, found something else")
        })?;
        let kind = document.kind.unwrap_or_default().to_uppercase();
        let config = document.config.unwrap_or(Value::Null);
        let values = YamlFields::new("tracing config: config.", Some(&config))?;
        let Some(table) = fields::TABLES.into_iter().find(|table| table.kind == kind) else {
            let refused = fields::REFUSED.iter().find(|(name, _)| *name == kind);
            let found = match refused {
                Some((_, instead)) => format!("{kind} is not supported: {instead}"),
                None => format!("expected OTLP or JAEGER, found {kind:?}"),
            };
            return Err(ServiceError::file("tracing config: type", found));
        };
        let mut settings = match table.kind {
            "OTLP" => otlp::settings(values)?,
            _ => jaeger::settings(values, variable)?,
        };
        settings.notices.splice(0..0, table.warnings(&config));
        settings.resource = resource(settings.resource, process, variable);
        Ok(Some(settings))
    }
}

impl Target {
    /// For the log.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Grpc(address) => address.clone(),
            Self::Http(address, path) => format!("{address}{path}"),
        }
    }
}

/// The attributes of the process: those of the file, then those of OpenTelemetry's variables, as in Go's SDK.
fn resource(
    mut given: Vec<(String, String)>,
    process: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Vec<(String, String)> {
    let lists = variable("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let of_list = lists.split(',').filter_map(|pair| pair.split_once('='));
    let of_list = of_list.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
    let name = variable("OTEL_SERVICE_NAME").filter(|name| !name.is_empty());
    let name = name.map(|name| ("service.name".to_owned(), name));
    let last = ("service.name".to_owned(), process.to_owned());
    for (name, value) in name.into_iter().chain(of_list).chain([last]) {
        if !given.iter().any(|(other, _)| *other == name) {
            given.push((name, value));
        }
    }
    given
}

/// A header whose value is not shown.
pub(super) fn header(
    values: YamlFields<'_>,
    name: &str,
    value: &str,
) -> Result<(HeaderName, HeaderValue), ServiceError> {
    let place = format!("headers.{name}");
    let parsed = HeaderName::try_from(name);
    let parsed = parsed.map_err(|_| values.wrong(&place, "it is no name of a header"))?;
    let value = HeaderValue::try_from(value);
    let mut value = value.map_err(|_| values.wrong(&place, "the value is not that of a header"))?;
    value.set_sensitive(true);
    Ok((parsed, value))
}
