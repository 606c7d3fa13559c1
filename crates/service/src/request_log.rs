//! Which requests are logged: Thanos's YAML of `--request.logging-config`.
//!
//! ```yaml
//! options: {level: INFO, decision: {log_start: false, log_end: true}}   # of both protocols
//! http:
//!   options: {…}                          # in place of those above
//!   config: [{path: /metrics, port: 10902}]
//! grpc:
//!   options: {…}
//!   config: [{service: thanos.Store, method: Series}]
//! ```
//! Without a `config`, all requests are logged. An unknown field is an error.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::{LogLevel, ServiceError};

/// Which requests are logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLog {
    pub(crate) http: RequestRule,
    pub(crate) grpc: RequestRule,
}

/// Which requests of a protocol are logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestRule {
    /// The least level that is logged.
    level: LogLevel,
    decision: Decision,
    /// The names of the requests that are logged; of all if there are none.
    only: BTreeSet<String>,
}

/// What is logged of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing.
    Nothing,
    /// Its end.
    End,
    /// Its start and its end.
    StartAndEnd,
}

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    http: Option<Section<HttpRequest>>,
    grpc: Option<Section<GrpcRequest>>,
    options: Option<Options>,
}

/// A protocol.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Section<T> {
    options: Option<Options>,
    config: Option<Vec<T>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    level: Option<String>,
    decision: Option<Starts>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Starts {
    log_start: Option<bool>,
    log_end: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HttpRequest {
    path: Option<String>,
    port: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct GrpcRequest {
    service: Option<String>,
    method: Option<String>,
}

impl RequestLog {
    /// Reads the YAML; an empty one logs nothing.
    ///
    /// # Errors
    /// When it is no such YAML, a level is unknown, or the start of a request is to be logged without its end.
    pub fn from_yaml(yaml: &str) -> Result<Self, ServiceError> {
        let invalid = |found: String| ServiceError::file("request logging", found);
        let options = serde_saphyr::options! { with_snippet: false };
        let document: Option<Document> = serde_saphyr::from_str_with_options(yaml, options)
            .map_err(|error| invalid(error.without_snippet().to_string()))?;
        let document = document.unwrap_or_default();
        let all = document.options.unwrap_or_default();
        let (http, grpc) = (
            document.http.unwrap_or_default(),
            document.grpc.unwrap_or_default(),
        );
        let paths = http.config.unwrap_or_default().into_iter();
        let paths = paths.map(|one| {
            let (path, port) = (one.path.unwrap_or_default(), one.port.unwrap_or_default());
            format!("{path}:{port}")
        });
        let methods = grpc.config.unwrap_or_default().into_iter();
        let methods = methods.map(|one| {
            let (service, method) = (
                one.service.unwrap_or_default(),
                one.method.unwrap_or_default(),
            );
            format!("/{service}/{method}")
        });
        let rule = |name: &str, own: Option<Options>, only: BTreeSet<String>| {
            let rule = RequestRule::new(&all, own.as_ref(), only);
            rule.map_err(|found| invalid(format!("{name}: {found}")))
        };
        Ok(Self {
            http: rule("http", http.options, paths.collect())?,
            grpc: rule("grpc", grpc.options, methods.collect())?,
        })
    }
}

impl RequestRule {
    fn new(all: &Options, own: Option<&Options>, only: BTreeSet<String>) -> Result<Self, String> {
        // Options of a protocol count as a whole.
        let given = [own, Some(all)].into_iter().flatten();
        let (mut level, mut decision) = (LogLevel::Error, Decision::Nothing);
        let mut found = false;
        for options in given {
            if let Some((its_level, its_decision)) = options.read()?
                && !found
            {
                (level, decision, found) = (its_level, its_decision, true);
            }
        }
        Ok(Self {
            level,
            decision,
            only,
        })
    }

    /// What is logged of the request of this name: `path:port`, or `/service/method`.
    pub(crate) fn decide(&self, name: &str) -> Decision {
        match self.only.is_empty() || self.only.contains(name) {
            true => self.decision,
            false => Decision::Nothing,
        }
    }

    /// Whether a line of this level is logged.
    pub(crate) fn allows(&self, level: LogLevel) -> bool {
        level <= self.level
    }
}

impl Options {
    /// The level and the decision; nothing if none is given.
    fn read(&self) -> Result<Option<(LogLevel, Decision)>, String> {
        let starts = self.decision.clone().unwrap_or_default();
        let decision = match (
            starts.log_start.unwrap_or(false),
            starts.log_end.unwrap_or(false),
        ) {
            (false, false) => Decision::Nothing,
            (false, true) => Decision::End,
            (true, true) => Decision::StartAndEnd,
            (true, false) => {
                return Err("log_start: expected log_end with it".to_owned());
            }
        };
        let level = match self.level.as_deref().unwrap_or_default() {
            "DEBUG" => LogLevel::Debug,
            "INFO" => LogLevel::Info,
            "WARNING" => LogLevel::Warn,
            "ERROR" => LogLevel::Error,
            "" if decision == Decision::Nothing => return Ok(None),
            found => {
                return Err(format!(
                    "level: expected DEBUG, INFO, WARNING or ERROR, found {found:?}"
                ));
            }
        };
        Ok(Some((level, decision)))
    }
}

impl<T> Default for Section<T> {
    fn default() -> Self {
        Self {
            options: None,
            config: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> RequestLog {
        RequestLog::from_yaml(yaml).unwrap()
    }

    fn refused(yaml: &str) -> String {
        RequestLog::from_yaml(yaml).unwrap_err().to_string()
    }

    #[test]
    fn nothing_is_logged_unless_asked_for() {
        let none = read("");
        assert_eq!(none.http.decide("/metrics:10902"), Decision::Nothing);
        assert_eq!(none.grpc.decide("/thanos.Store/Series"), Decision::Nothing);
    }

    #[test]
    fn options_of_a_protocol_come_before_those_of_all() {
        let log = read(
            "options: {level: INFO, decision: {log_end: true}}\n\
             http: {options: {level: DEBUG, decision: {log_start: true, log_end: true}}}\n",
        );
        assert_eq!(log.http.decide("/x:1"), Decision::StartAndEnd);
        assert_eq!(log.grpc.decide("/x/Y"), Decision::End);
        assert!(log.http.allows(LogLevel::Debug));
        assert!(!log.grpc.allows(LogLevel::Debug));
        assert!(log.grpc.allows(LogLevel::Error));
    }

    #[test]
    fn only_the_named_requests_are_logged_where_any_is_named() {
        let log = read(
            "options: {level: DEBUG, decision: {log_end: true}}\n\
             http: {config: [{path: /metrics, port: 10902}]}\n\
             grpc: {config: [{service: thanos.Store, method: Series}]}\n",
        );
        assert_eq!(log.http.decide("/metrics:10902"), Decision::End);
        assert_eq!(log.http.decide("/metrics:80"), Decision::Nothing);
        assert_eq!(log.grpc.decide("/thanos.Store/Series"), Decision::End);
        assert_eq!(
            log.grpc.decide("/thanos.Store/LabelNames"),
            Decision::Nothing
        );
    }

    #[test]
    fn a_mistake_is_named() {
        for (yaml, expected) in [
            (
                "options: {level: INFO, decision: {log_start: true}}",
                "request logging: http: log_start: expected log_end with it",
            ),
            (
                "http: {options: {decision: {log_end: true}}}",
                r#"request logging: http: level: expected DEBUG, INFO, WARNING or ERROR, found """#,
            ),
            (
                "grpc: {options: {level: info}}",
                r#"request logging: grpc: level: expected DEBUG, INFO, WARNING or ERROR, found "info""#,
            ),
        ] {
            assert_eq!(refused(yaml), expected);
        }
        let unknown = refused("htpp: {}");
        assert!(unknown.contains("htpp"), "{unknown}");
    }
}
