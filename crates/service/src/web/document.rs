//! The YAML of the web configuration. An unknown field is an error.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Error;

use super::tls_section::TlsSection;
use crate::secret::Secret;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Document {
    pub(super) tls_server_config: Option<TlsSection>,
    pub(super) http_server_config: Option<HttpSection>,
    pub(super) basic_auth_users: Option<BTreeMap<String, Secret>>,
    pub(super) rate_limit: Option<RateSection>,
}

/// `http_server_config`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HttpSection {
    pub(super) http2: Option<bool>,
    pub(super) headers: Option<BTreeMap<String, Option<String>>>,
}

/// `rate_limit`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RateSection {
    pub(super) interval: Option<String>,
    pub(super) burst: Option<i64>,
}

/// Reads the YAML. The error has no value of the file: any may be a secret in the wrong place.
pub(super) fn parse(yaml: &str) -> Result<Document, String> {
    let options = serde_saphyr::options! { with_snippet: false };
    let parsed: Result<Option<Document>, _> = serde_saphyr::from_str_with_options(yaml, options);
    match parsed {
        Ok(document) => Ok(document.unwrap_or_default()),
        Err(error) => Err(told(&error)),
    }
}

fn told(error: &Error) -> String {
    let text = match error.without_snippet() {
        Error::SerdeUnknownField {
            field, expected, ..
        } => format!(
            "unknown field {field}, expected one of {}",
            expected.join(", ")
        ),
        Error::DuplicateMappingKey { key, .. } => {
            format!(
                "the key {} is there twice",
                key.as_deref().unwrap_or_default()
            )
        }
        Error::Unexpected { expected, .. } => format!("expected {expected}"),
        Error::SerdeInvalidType { expected, .. } | Error::SerdeInvalidValue { expected, .. } => {
            format!("expected {expected}")
        }
        Error::InvalidScalar { ty, .. } => format!("expected {ty}"),
        _ => "no valid YAML".to_owned(),
    };
    match error.location() {
        Some(at) => format!("line {}, column {}: {text}", at.line(), at.column()),
        None => text,
    }
}
