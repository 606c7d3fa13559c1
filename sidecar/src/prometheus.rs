//! Prometheus's HTTP API, as far as the sidecar asks it.

mod answers;
mod frames;
mod metrics_text;
mod read_thread;
mod told;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use model::{Labels, Timestamp};
use reqwest::{
    Method, RequestBuilder, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use serde::de::DeserializeOwned;
use service::{HttpClient, HttpClientError, read_answer, url_below};
use url::Url;

pub use self::frames::{FrameDecoder, FrameError, FrameFault};
use self::read_thread::ReadThread;
pub(crate) use self::read_thread::{Part, ReadAnswer};
pub(crate) use self::told::{
    ActiveTarget, Alert, AlertingRule, Count, Exemplar, Meta, Rule, RuleGroup, Rules,
    SeriesExemplars, Targets, Texts, Time, TsdbStatus,
};
use crate::{PrometheusConfig, SidecarError};

/// The longest answer of the API that is read, in bytes.
const MAX_ANSWER: usize = 256 << 20;

/// Asks one Prometheus. Clones share connections.
#[derive(Clone, Debug)]
pub(crate) struct Prometheus {
    base: Url,
    client: HttpClient,
    /// For remote reads, on their thread.
    read_client: HttpClient,
    read_thread: ReadThread,
    timeout: Duration,
}

impl Prometheus {
    /// A client for the Prometheus that `config` names; the path of its URL is kept as a prefix.
    pub(crate) fn new(config: &PrometheusConfig) -> Result<Self, SidecarError> {
        let (base, client) = config.http_client.clone().at(&config.url)?;
        let read_thread = ReadThread::start().map_err(SidecarError::ReadThread)?;
        Ok(Self {
            read_client: HttpClient::new(client.clone(), &base)?,
            client: HttpClient::new(client, &base)?,
            read_thread,
            base,
            timeout: config.get_config_timeout,
        })
    }

    /// The external labels of its configuration.
    pub(crate) async fn external_labels(&self) -> Result<Labels, SidecarError> {
        let body = self.quick("api/v1/status/config", &[]).await?;
        let config: answers::Config = body.data()?.0;
        answers::external_labels(&config.yaml).map_err(|reason| body.unusable(reason))
    }

    /// Its flags; none where it is too old to tell.
    pub(crate) async fn flags(&self) -> Result<Option<BTreeMap<String, String>>, SidecarError> {
        match self.quick("api/v1/status/flags", &[]).await {
            Ok(body) => Ok(Some(body.data()?.0)),
            Err(SidecarError::Client(HttpClientError::Status { status: 404, .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Its version, as in `3.9.1`.
    pub(crate) async fn version(&self) -> Result<String, SidecarError> {
        let body = self.quick("api/v1/status/buildinfo", &[]).await?;
        Ok(body.data::<answers::BuildInfo>()?.0.version)
    }

    /// The time of the first sample that it holds; [`Timestamp::MIN`] where it cannot say yet.
    pub(crate) async fn lowest_timestamp(&self) -> Result<Timestamp, SidecarError> {
        let body = self.quick("metrics", &[]).await?;
        let text = String::from_utf8_lossy(&body.bytes);
        metrics_text::lowest_timestamp(&text).map_err(|reason| body.unusable(reason))
    }

    /// The names of all labels that its own series have, external ones apart.
    pub(crate) async fn own_names(&self) -> Result<BTreeSet<String>, SidecarError> {
        let body = self.quick("api/v1/labels", &[]).await?;
        Ok(body.data()?.0)
    }

    /// Has it reload its configuration and its rules, for as long as it takes.
    ///
    /// # Errors
    /// When it is not reached, or refuses: it does unless it runs with `--web.enable-lifecycle`.
    pub(crate) async fn reload(&self) -> Result<(), SidecarError> {
        let url = self.url("-/reload", &[]);
        let response = self.client.send(Method::POST, &url, None, |r| r).await?;
        let body = read_body(response, &url).await?;
        match body.status {
            StatusCode::OK => Ok(()),
            _ => Err(body.unexpected()),
        }
    }

    /// What came of the last time that it loaded its configuration.
    pub(crate) async fn config_status(&self) -> Result<ConfigStatus, SidecarError> {
        let body = self.quick("api/v1/status/runtimeinfo", &[]).await?;
        let info: answers::RuntimeInfo = body.data()?.0;
        let last = Timestamp::parse_rfc3339(&info.last_config_time);
        let last = last.ok_or_else(|| {
            let found = &info.last_config_time;
            body.unusable(format!(
                "lastConfigTime: expected RFC 3339, found {found:?}"
            ))
        })?;
        Ok(ConfigStatus {
            successful: info.reload_config_success,
            last,
        })
    }

    /// Asks its API, for as long as it takes.
    ///
    /// # Errors
    /// When it is not reached or answers with an error.
    pub(crate) async fn ask(
        &self,
        path: &str,
        pairs: &[(&str, String)],
    ) -> Result<Body, SidecarError> {
        self.body(self.url(path, pairs), None).await
    }

    /// Starts a remote read of `request`, an encoded and compressed `ReadRequest`.
    ///
    /// # Errors
    /// When it is not reached or answers with an error.
    pub(crate) async fn read(&self, request: Vec<u8>) -> Result<ReadAnswer, SidecarError> {
        let url = self.url("api/v1/read", &[]);
        let fill = |builder: RequestBuilder| {
            builder
                .header(CONTENT_ENCODING, "snappy")
                .header(CONTENT_TYPE, "application/x-protobuf")
                .header("X-Prometheus-Remote-Read-Version", "0.1.0")
                .body(request)
        };
        let (client, place) = (self.read_client.clone(), url.to_string());
        let ask = async move {
            let response = client.send(Method::POST, &url, None, fill).await?;
            if response.status().is_success() {
                return Ok(response);
            }
            let body = read_body(response, &url).await?;
            Err(body.unexpected())
        };
        let span = service::span!("query_prometheus");
        self.read_thread.read(place, ask, span).await
    }

    /// Where a remote read goes, for errors.
    pub(crate) fn read_url(&self) -> String {
        self.url("api/v1/read", &[]).to_string()
    }

    /// Asks its API, for as long as one heartbeat may take.
    async fn quick(&self, path: &str, pairs: &[(&str, String)]) -> Result<Body, SidecarError> {
        self.body(self.url(path, pairs), Some(self.timeout)).await
    }

    fn url(&self, path: &str, pairs: &[(&str, String)]) -> Url {
        let mut url = url_below(&self.base, path);
        if !pairs.is_empty() {
            url.query_pairs_mut().extend_pairs(pairs);
        }
        url
    }

    /// The whole of an answer that is no error.
    async fn body(&self, url: Url, timeout: Option<Duration>) -> Result<Body, SidecarError> {
        let response = self.client.send(Method::GET, &url, timeout, |r| r).await?;
        let body = read_body(response, &url).await?;
        match body.status.is_success() {
            true => Ok(body),
            false => Err(body.unexpected()),
        }
    }
}

/// What came of the last time that Prometheus loaded its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConfigStatus {
    /// Whether it took it up.
    pub(crate) successful: bool,
    /// The last time that it did, in whole seconds.
    pub(crate) last: Timestamp,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Body {
    url: Url,
    status: StatusCode,
    bytes: Vec<u8>,
}

impl Body {
    /// The `data` of an answer of the API, and its warnings.
    ///
    /// # Errors
    /// When it is none, or no success.
    pub(crate) fn data<T: DeserializeOwned>(&self) -> Result<(T, Vec<String>), SidecarError> {
        answers::decode(&self.bytes).map_err(|reason| self.unusable(reason))
    }

    /// What is wrong with the answer.
    pub(crate) fn unusable(&self, reason: impl Into<String>) -> SidecarError {
        SidecarError::Answer {
            url: self.url.to_string(),
            reason: reason.into(),
        }
    }

    fn unexpected(&self) -> SidecarError {
        HttpClientError::status(&self.url, self.status, &self.bytes).into()
    }
}

async fn read_body(response: Response, url: &Url) -> Result<Body, SidecarError> {
    let status = response.status();
    Ok(Body {
        url: url.clone(),
        status,
        bytes: read_answer(response, url, MAX_ANSWER).await?,
    })
}
