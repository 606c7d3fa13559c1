//! OTLP over HTTP, in protobuf.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use reqwest::{
    Client, Response,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};

use super::{
    config::{Compression, Settings},
    export::{Again, Failure, Taken},
};
use crate::{Clock as _, GrpcClientTls, GrpcEncoding, SystemClock, blocking, http_client::chain};

/// The longest answer that is read.
const ANSWER: usize = 64 << 10;

/// Sends requests.
pub(super) struct Http {
    url: String,
    tls: Option<GrpcClientTls>,
    compression: Compression,
    headers: HeaderMap,
    timeout: Duration,
    connect_timeout: Duration,
    /// Made anew after a failure, so that certificates are read again.
    client: Option<Client>,
    /// The collector's host, where the name in its certificate is another.
    renamed: Option<Arc<Renamed>>,
}

/// Resolves any name to this host. TLS compares the certificate with the name in the URL.
#[derive(Debug)]
struct Renamed(String);

impl Http {
    /// For the collector at `HOST:PORT`.
    pub(super) fn new(address: &str, path: &str, settings: &Settings) -> Self {
        let scheme = match settings.tls {
            Some(_) => "https",
            None => "http",
        };
        let mut headers = settings.headers.clone();
        let protobuf = HeaderValue::from_static("application/x-protobuf");
        headers.insert(header::CONTENT_TYPE, protobuf);
        if settings.compression == Compression::Gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let name = settings
            .tls
            .as_ref()
            .and_then(|tls| tls.server_name.clone());
        let authority = address.parse::<http::uri::Authority>().ok();
        let (host, renamed) = match (authority, name) {
            (Some(authority), Some(name)) => {
                if let Ok(host) = HeaderValue::try_from(address) {
                    headers.insert(header::HOST, host);
                }
                let port = authority.port_u16().unwrap_or(443);
                let real = authority.host().trim_matches(['[', ']']).to_owned();
                (format!("{name}:{port}"), Some(Arc::new(Renamed(real))))
            }
            _ => (address.to_owned(), None),
        };
        Self {
            renamed,
            url: format!("{scheme}://{host}{path}"),
            tls: settings.tls.clone(),
            compression: settings.compression,
            headers,
            timeout: settings.timeout,
            connect_timeout: settings.connect_timeout,
            client: None,
        }
    }

    pub(super) async fn send(
        &mut self,
        request: &ExportTraceServiceRequest,
    ) -> Result<Taken, Failure> {
        let client = match &self.client {
            Some(client) => client.clone(),
            None => self.connected().await?,
        };
        let sent = self.attempt(&client, request).await;
        self.client = sent.is_ok().then_some(client);
        sent
    }

    async fn attempt(
        &self,
        client: &Client,
        request: &ExportTraceServiceRequest,
    ) -> Result<Taken, Failure> {
        let body = request.encode_to_vec();
        let body = match self.compression {
            Compression::None => body,
            Compression::Gzip => {
                let encoded = GrpcEncoding::Gzip.encode(&body);
                encoded.map_err(|error| Failure {
                    reason: error.to_string(),
                    again: Again::No,
                })?
            }
        };
        let request = client
            .post(&self.url)
            .headers(self.headers.clone())
            .timeout(self.timeout)
            .body(body);
        let failed = |error: reqwest::Error| Failure {
            reason: chain(&error.without_url()),
            again: Again::Yes,
        };
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        if !status.is_success() {
            return Err(refused(status, answer.headers(), SystemClock.now_ms()));
        }
        let body = body_of(answer).await.map_err(failed)?;
        // It was taken, whatever the answer says of a part of it.
        let answer = ExportTraceServiceResponse::decode(body).unwrap_or_default();
        let part = answer.partial_success;
        Ok(Taken::rejecting(part.map(|part| part.rejected_spans)))
    }

    async fn connected(&self) -> Result<Client, Failure> {
        let failed = |reason: String| Failure {
            reason,
            again: Again::Yes,
        };
        // Without one the client could not be made. Another may have done it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("varve/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(self.connect_timeout);
        if let Some(tls) = self.tls.clone() {
            let config = blocking(move || tls.config(&[b"h2", b"http/1.1"])).await;
            let config = config.map_err(|error| failed(error.to_string()))?;
            builder = builder.tls_backend_preconfigured(config);
        }
        if let Some(renamed) = &self.renamed {
            builder = builder.dns_resolver(Arc::clone(renamed));
        }
        builder.build().map_err(|error| failed(chain(&error)))
    }
}

/// The answer, up to a length.
async fn body_of(mut answer: Response) -> Result<Bytes, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await? {
        body.extend_from_slice(&part);
        if body.len() > ANSWER {
            break;
        }
    }
    Ok(body.into())
}

/// What a status means, `now` milliseconds after 1970.
fn refused(status: StatusCode, headers: &HeaderMap, now: i64) -> Failure {
    let after = headers.get(header::RETRY_AFTER);
    let after = after.and_then(|value| retry_after(value.to_str().ok()?.trim(), now));
    let again = match status.as_u16() {
        429 | 502 | 503 | 504 => after.map_or(Again::Yes, Again::After),
        _ => Again::No,
    };
    Failure {
        reason: format!("the collector answered {status}"),
        again,
    }
}

/// The time of a `Retry-After` header, which is in seconds or a date. A date that is over means none.
fn retry_after(text: &str, now: i64) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let now = Duration::from_millis(now.max(0).unsigned_abs());
    let date = date.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(date.saturating_sub(now))
}

impl Resolve for Renamed {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.0.clone();
        Box::pin(async move {
            // Port 0 leaves that of the URL.
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_says_by_retry_after_when_to_try_again() {
        // Half a second after 10:00:00.
        let now = 1_700_042_400_500;
        let after = |ms| Again::After(Duration::from_millis(ms));
        for (status, value, expected) in [
            (503, Some("7"), after(7000)),
            (429, Some("Wed, 15 Nov 2023 10:00:07 GMT"), after(6500)),
            (429, Some("Wed, 15 Nov 2023 09:59:00 GMT"), after(0)),
            (503, Some("soon"), Again::Yes),
            (503, None, Again::Yes),
            (400, Some("7"), Again::No),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let headers = value.map(|value| (header::RETRY_AFTER, HeaderValue::from_static(value)));
            let headers: HeaderMap = headers.into_iter().collect();
            assert_eq!(refused(status, &headers, now).again, expected, "{value:?}");
        }
    }
}
