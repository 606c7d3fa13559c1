//! What Prometheus answers: `{"status": "success", "data": …}`.

use std::collections::BTreeMap;

use model::Labels;
use serde::{Deserialize, de::DeserializeOwned};

/// `data` of `/api/v1/status/config`.
#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    /// The configuration as Prometheus understood it.
    pub(crate) yaml: String,
}

/// `data` of `/api/v1/status/buildinfo`.
#[derive(Debug, Deserialize)]
pub(crate) struct BuildInfo {
    /// As in `3.9.1`.
    pub(crate) version: String,
}

/// `data` of `/api/v1/status/runtimeinfo`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RuntimeInfo {
    /// Whether the configuration was taken up the last time that it was loaded.
    pub(crate) reload_config_success: bool,
    /// The last time that it was, RFC 3339.
    pub(crate) last_config_time: String,
}

#[derive(Deserialize)]
struct Envelope<T> {
    status: String,
    data: Option<T>,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Configuration {
    global: Option<Global>,
}

#[derive(Deserialize)]
struct Global {
    external_labels: Option<BTreeMap<String, String>>,
}

/// The `data` of an answer, and its warnings; otherwise what was expected and found.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<(T, Vec<String>), String> {
    let envelope: Envelope<T> = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    match envelope.data {
        Some(data) if envelope.status == "success" => Ok((data, envelope.warnings)),
        _ => Err(format!(
            "expected status \"success\" and data, found status {:?}, error {:?}",
            envelope.status, envelope.error
        )),
    }
}

/// The external labels in a configuration.
pub(crate) fn external_labels(yaml: &str) -> Result<Labels, String> {
    let config: Configuration = serde_saphyr::from_str(yaml).map_err(|e| e.to_string())?;
    let labels = config.global.and_then(|g| g.external_labels);
    Ok(Labels::from_pairs(labels.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Prometheus 3.9.1 answered.
    const CONFIG: &str = r#"{"status":"success","data":{"yaml":"global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  external_labels:\n    cluster: eu-1\n    replica: \"0\"\n  scrape_protocols:\n  - OpenMetricsText1.0.0\nscrape_configs:\n- job_name: prometheus\n  static_configs:\n  - targets:\n    - localhost:9090\n"}}"#;

    #[test]
    fn external_labels_are_those_of_the_global_section() {
        let (config, _): (Config, _) = decode(CONFIG.as_bytes()).unwrap();
        let labels = external_labels(&config.yaml).unwrap();
        assert_eq!(labels.to_string(), r#"{cluster="eu-1", replica="0"}"#);
        for none in [
            "",
            "global:\n",
            "scrape_configs: []\n",
            "global:\n  external_labels: {}\n",
        ] {
            assert!(external_labels(none).unwrap().is_empty(), "{none}");
        }
        assert!(external_labels("global: [").is_err());
    }

    #[test]
    fn an_answer_that_is_no_success_says_what_was_found() {
        let error = decode::<BuildInfo>(br#"{"status":"error","error":"not now"}"#).unwrap_err();
        assert!(error.contains("\"not now\""), "{error}");
        assert!(decode::<BuildInfo>(b"<html>").is_err());
        assert!(decode::<BuildInfo>(br#"{"status":"success","data":{}}"#).is_err());
        let ok = decode::<BuildInfo>(br#"{"status":"success","data":{"version":"3.9.1"}}"#);
        assert_eq!(ok.unwrap().0.version, "3.9.1");
    }
}
