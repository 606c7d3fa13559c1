//! What can go wrong with a request.

use std::{error::Error, time::Duration};

use reqwest::StatusCode;

/// Why a request cannot be made, or gets no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpClientError {
    /// The configuration cannot be used.
    #[error("http client: {place}: {reason}")]
    Config {
        /// The field.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The address of the server is no URL.
    #[error("url {url:?}: {reason}")]
    Url {
        /// As it was given, without a password.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server was not reached or did not answer in time.
    #[error("{url}: {}", chain(source))]
    Request {
        /// What was asked.
        url: String,
        /// What the client says.
        source: reqwest::Error,
    },
    /// The server took the request and did not begin to answer.
    #[error("{url}: no answer after {waited:?}")]
    NoHead {
        /// What was asked.
        url: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The server answered with an error.
    #[error("{url}: status {status}: {body}")]
    Status {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The start of the answer.
        body: String,
    },
    /// The answer is longer than any that makes sense.
    #[error("{url}: expected an answer of {most} bytes at most, found more")]
    TooLong {
        /// What was asked.
        url: String,
        /// What is read, in bytes.
        most: usize,
    },
}

/// How much of an unexpected answer an error tells, in characters.
const MAX_TEXT: usize = 200;

impl HttpClientError {
    /// A request to `url` failed.
    #[must_use]
    pub fn request(url: impl ToString, source: reqwest::Error) -> Self {
        Self::Request {
            url: url.to_string(),
            // It may have a password.
            source: source.without_url(),
        }
    }

    /// The server answered with this status, which is none of success.
    #[must_use]
    pub fn status(url: impl ToString, status: StatusCode, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        Self::Status {
            url: url.to_string(),
            status: status.as_u16(),
            body: text.trim().chars().take(MAX_TEXT).collect(),
        }
    }
}

/// An error with those that caused it.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    text
}
