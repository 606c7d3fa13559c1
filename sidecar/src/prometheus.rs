//! Prometheus's HTTP API, as far as the sidecar asks it.

mod answers;

use std::{collections::BTreeMap, time::Duration};

use model::Labels;
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use url::Url;

use crate::{PrometheusConfig, SidecarError, http_client::HttpClient};

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 20;
/// How much of an error's text is repeated.
const MAX_ERROR_TEXT: usize = 200;

/// Asks one Prometheus. Clones share connections.
#[derive(Clone, Debug)]
pub(crate) struct Prometheus {
    base: Url,
    client: HttpClient,
    timeout: Duration,
}

impl Prometheus {
    /// A client for the Prometheus that `config` names; the path of its URL is kept as a prefix.
    pub(crate) fn new(config: &PrometheusConfig) -> Result<Self, SidecarError> {
        let no_url = |reason: String| SidecarError::Url {
            url: config.url.clone(),
            reason,
        };
        let mut base = Url::parse(&config.url).map_err(|e| no_url(e.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(no_url(format!(
                "scheme {:?}, expected http or https",
                base.scheme()
            )));
        }
        let (username, password) = (base.username(), base.password().unwrap_or_default());
        let client = config.http_client.clone().with_user(username, password);
        // A URL is shown in errors, so its password is not kept in it.
        if base.set_username("").is_err() || base.set_password(None).is_err() {
            return Err(no_url("expected a host".to_owned()));
        }
        Ok(Self {
            client: HttpClient::new(client, &base)?,
            base,
            timeout: config.get_config_timeout,
        })
    }

    /// The external labels of its configuration.
    pub(crate) async fn external_labels(&self) -> Result<Labels, SidecarError> {
        let url = self.url("api/v1/status/config");
        let config: answers::Config = self.get(&url).await?;
        answers::external_labels(&config.yaml).map_err(|reason| answer(&url, reason))
    }

    /// Its flags; none where it is too old to tell.
    pub(crate) async fn flags(&self) -> Result<Option<BTreeMap<String, String>>, SidecarError> {
        match self.get(&self.url("api/v1/status/flags")).await {
            Ok(flags) => Ok(Some(flags)),
            Err(SidecarError::Status { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Its version, as in `3.9.1`.
    pub(crate) async fn version(&self) -> Result<String, SidecarError> {
        let info: answers::BuildInfo = self.get(&self.url("api/v1/status/buildinfo")).await?;
        Ok(info.version)
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}/{path}",
            self.base.path().trim_end_matches('/')
        ));
        url
    }

    /// The `data` of an answer.
    async fn get<T: DeserializeOwned>(&self, url: &Url) -> Result<T, SidecarError> {
        let body = self.body(url).await?;
        answers::decode(&body).map_err(|reason| answer(url, reason))
    }

    /// The whole of an answer that is no error.
    async fn body(&self, url: &Url) -> Result<Vec<u8>, SidecarError> {
        let timeout = Some(self.timeout);
        let mut response = self.client.send(Method::GET, url, timeout, |r| r).await?;
        let failed = |source: reqwest::Error| SidecarError::Http {
            url: url.to_string(),
            source: source.without_url(),
        };
        let status = response.status();
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(failed)? {
            if body.len() + part.len() > MAX_ANSWER {
                return Err(answer(
                    url,
                    format!("an answer of more than {MAX_ANSWER} bytes"),
                ));
            }
            body.extend_from_slice(&part);
        }
        if status != StatusCode::OK {
            let text = String::from_utf8_lossy(&body);
            return Err(SidecarError::Status {
                url: url.to_string(),
                status: status.as_u16(),
                body: text.trim().chars().take(MAX_ERROR_TEXT).collect(),
            });
        }
        Ok(body)
    }
}

fn answer(url: &Url, reason: String) -> SidecarError {
    SidecarError::Answer {
        url: url.to_string(),
        reason,
    }
}
