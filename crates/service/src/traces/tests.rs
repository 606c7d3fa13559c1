//! What is configured, what is sent, and what costs nothing.

mod config;
mod docs;
mod sending;
mod spans;

use super::config::Settings;
use crate::ServiceError;

/// What the YAML means, without an environment.
fn settings(yaml: &str) -> Result<Settings, ServiceError> {
    let settings = Settings::from_yaml(yaml, "varve", &|_| None)?;
    Ok(settings.expect("a configuration"))
}

/// An OTLP configuration with these fields.
fn otlp(fields: &str) -> Settings {
    let client = match fields.contains("client_type") {
        true => "",
        false => "client_type: grpc, ",
    };
    settings(&format!(
        "{{type: OTLP, config: {{{client}insecure: true, {fields}}}}}"
    ))
    .unwrap()
}

/// A Jaeger configuration with these fields.
fn jaeger(fields: &str) -> Settings {
    settings(&format!("{{type: JAEGER, config: {{{fields}}}}}")).unwrap()
}
