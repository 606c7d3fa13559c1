//! Asking store gateways which Parquet blocks they serve.

use std::{collections::BTreeSet, time::Duration};

use model::BlockId;
use reqwest::Method;
use serde::Deserialize;
use service::{HttpClient, HttpClientConfig, HttpClientError, read_answer, url_below};
use url::Url;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes: two million blocks.
const MAX_ANSWER: usize = 64 << 20;

/// A store gateway of ours, by its HTTP address.
#[derive(Clone, Debug)]
pub struct StoreClient {
    client: HttpClient,
    url: Url,
}

/// Why a store gateway does not tell what it serves.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be asked, did not answer in time, or answered with an error.
    #[error(transparent)]
    Client(#[from] HttpClientError),
    /// It answered something else.
    #[error("{url}: expected a list of blocks: {reason}")]
    Answer {
        /// What was asked.
        url: String,
        /// What was found.
        reason: String,
    },
}

/// The answer of `/api/v1/served`.
#[derive(Deserialize)]
struct Answer {
    data: Vec<BlockId>,
}

impl StoreClient {
    /// A client of the gateway whose HTTP server is at `url`, as in `http://store-0.store:10902`; a path is that of
    /// `--web.route-prefix`.
    ///
    /// # Errors
    /// When `url` is not of HTTP, or a file of `config` cannot be used.
    pub fn new(url: &str, config: &HttpClientConfig) -> Result<Self, StoreError> {
        let (base, config) = config.clone().at(url)?;
        let url = url_below(&base, "api/v1/served");
        Ok(Self {
            client: HttpClient::new(config, &url)?,
            url,
        })
    }

    /// The Parquet blocks that the gateway serves now.
    ///
    /// # Errors
    /// When it does not say.
    pub(crate) async fn served(&self) -> Result<BTreeSet<BlockId>, StoreError> {
        let url = || self.url.to_string();
        let get = self
            .client
            .send(Method::GET, &self.url, Some(TIMEOUT), |r| r);
        let answer = get.await?;
        let status = answer.status();
        let body = read_answer(answer, &self.url, MAX_ANSWER).await?;
        if !status.is_success() {
            return Err(HttpClientError::status(&self.url, status, &body).into());
        }
        let answer: Answer = serde_json::from_slice(&body).map_err(|e| StoreError::Answer {
            url: url(),
            reason: e.to_string(),
        })?;
        Ok(answer.data.into_iter().collect())
    }
}
