//! A client of Prometheus or of one of our daemons: Thanos's HTTP client YAML, and the client that it means.
//!
//! ```yaml
//! basic_auth: {username: …, password: …, password_file: …}
//! bearer_token: …            # or bearer_token_file
//! proxy_url: http://proxy:3128
//! tls_config: {ca_file: …, cert_file: …, key_file: …, server_name: …, insecure_skip_verify: false}
//! transport_config: {…}      # times in nanoseconds, or as in 1m30s
//! ```
//! Files are read again for each request, so a token or a certificate that was replaced is used from then on.

mod address;
mod config;
mod error;
mod resolver;

use std::{fs, path::Path, sync::Arc, time::Duration};

pub(crate) use self::error::chain;
use parking_lot::Mutex;
use reqwest::{
    Certificate, Client, ClientBuilder, Identity, Method, Proxy, RequestBuilder, Response,
    header::{HOST, HeaderMap},
};
use tracing::{Instrument as _, Span, field::Empty};
use url::{Host, Url};

use self::resolver::Renamed;
pub use self::{
    address::{url_below, without_password},
    config::HttpClientConfig,
    error::HttpClientError,
};
use crate::{add_context, blocking, fail_span, install_crypto_provider};

/// Sends requests to one server. Clones share connections.
#[derive(Clone, Debug)]
pub struct HttpClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: HttpClientConfig,
    /// The name in the server's certificate, if it differs from the host.
    host: Option<String>,
    /// The client built last, and the files that it was built from.
    built: Mutex<Option<(Files, Client)>>,
}

/// The contents of the files of `tls_config`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Files {
    ca: Option<Vec<u8>>,
    /// The certificate and the key.
    identity: Option<Vec<u8>>,
}

/// The credentials of requests.
enum Credentials {
    Nobody,
    Basic { username: String, password: String },
    Bearer(String),
}

impl HttpClient {
    /// A client for the server at `base`; the files of the configuration must exist.
    ///
    /// # Errors
    /// When a file cannot be read, or its contents cannot be used.
    pub fn new(config: HttpClientConfig, base: &Url) -> Result<Self, HttpClientError> {
        let host = match config.server_name() {
            "" => None,
            name => {
                if !matches!(Host::parse(name), Ok(Host::Domain(_))) {
                    return Err(config::unusable(
                        "tls_config.server_name",
                        format!("expected a DNS name, found {name:?}"),
                    ));
                }
                base.host_str().map(str::to_owned)
            }
        };
        let client = Self(Arc::new(Inner {
            config,
            host,
            built: Mutex::default(),
        }));
        client.0.client()?;
        Ok(client)
    }

    /// Sends one request that `fill` completes, and waits for the head of its answer. `timeout` is for the whole
    /// answer.
    ///
    /// # Errors
    /// When a file of the configuration cannot be read, or the server is not reached.
    pub async fn send(
        &self,
        method: Method,
        url: &Url,
        timeout: Option<Duration>,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, HttpClientError> {
        let span = span(&method, url);
        let send = self.send_alone(method, url, timeout, fill);
        let sent = send.instrument(span.clone()).await;
        match &sent {
            Ok(head) => {
                span.record("http.response.status_code", head.status().as_u16());
            }
            Err(error) => fail_span(&span, error),
        }
        sent
    }

    /// As [`Self::send`], within the current span, whose context the server gets.
    async fn send_alone(
        &self,
        method: Method,
        url: &Url,
        timeout: Option<Duration>,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, HttpClientError> {
        let inner = Arc::clone(&self.0);
        let reads_files = inner.config.reads_files();
        let current =
            move || Ok::<_, HttpClientError>((inner.client()?, inner.config.credentials()?));
        let (client, credentials) = match reads_files {
            true => blocking(current).await?,
            false => current()?,
        };
        let failed = |source| HttpClientError::request(url, source);
        let (target, host) = self.0.target(url);
        let mut context = HeaderMap::new();
        add_context(&mut context);
        let mut request = fill(client.request(method, target)).headers(context);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        request = match credentials {
            Credentials::Nobody => request,
            Credentials::Basic { username, password } => {
                request.basic_auth(username, Some(password))
            }
            Credentials::Bearer(token) => request.bearer_auth(token),
        };
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        let head = request.send();
        match self.0.config.response_header_timeout() {
            None => head.await.map_err(failed),
            Some(most) => match tokio::time::timeout(most, head).await {
                Ok(head) => head.map_err(failed),
                Err(_) => Err(HttpClientError::NoHead {
                    url: url.to_string(),
                    waited: most,
                }),
            },
        }
    }
}

/// The whole of an answer from `url`, of `most` bytes at most.
///
/// # Errors
/// When it is longer, or breaks off.
pub async fn read_answer(
    mut answer: Response,
    url: &Url,
    most: usize,
) -> Result<Vec<u8>, HttpClientError> {
    let failed = |source| HttpClientError::request(url, source);
    let mut bytes = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(failed)? {
        if bytes.len() + part.len() > most {
            let url = url.to_string();
            return Err(HttpClientError::TooLong { url, most });
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

/// The span of a request that is made for something that has one.
fn span(method: &Method, url: &Url) -> Span {
    if Span::current().is_disabled() {
        return Span::none();
    }
    crate::span!(
        "request",
        otel.name = format!("{} HTTP[client]", url.path()),
        otel.kind = "client",
        http.request.method = method.as_str(),
        http.response.status_code = Empty,
        server.address = url.host_str(),
    )
}

impl Inner {
    /// The client for the current contents of the files.
    fn client(&self) -> Result<Client, HttpClientError> {
        let files = self.config.files()?;
        let mut built = self.built.lock();
        if let Some((of, client)) = &*built
            && *of == files
        {
            return Ok(client.clone());
        }
        let client = self.build(&files)?;
        *built = Some((files, client.clone()));
        Ok(client)
    }

    fn build(&self, files: &Files) -> Result<Client, HttpClientError> {
        install_crypto_provider();
        let mut builder = self
            .config
            .transport(Client::builder())
            .user_agent(concat!("varve/", env!("CARGO_PKG_VERSION")));
        builder = self.proxy(builder)?;
        if self.config.skips_verification() {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        if let Some(pem) = &files.ca {
            let place = "tls_config.ca_file";
            let certificates =
                Certificate::from_pem_bundle(pem).map_err(|e| config::unusable(place, e))?;
            if certificates.is_empty() {
                return Err(config::unusable(place, "expected certificates, found none"));
            }
            // They replace the system's certificates, as in Go.
            builder = builder.tls_certs_only(certificates);
        }
        if let Some(pem) = &files.identity {
            let identity = Identity::from_pem(pem)
                .map_err(|e| config::unusable("tls_config.cert_file and key_file", e))?;
            builder = builder.identity(identity);
        }
        if let Some(host) = &self.host {
            builder = builder.dns_resolver(Arc::new(Renamed {
                name: self.config.server_name().to_owned(),
                host: host.clone(),
            }));
        }
        builder
            .build()
            .map_err(|e| config::unusable("tls_config", chain(&e)))
    }

    fn proxy(&self, builder: ClientBuilder) -> Result<ClientBuilder, HttpClientError> {
        let proxy = self.config.proxy_url();
        if proxy.is_empty() {
            // As Thanos's client, this one ignores the proxy of the environment.
            return Ok(builder.no_proxy());
        }
        let proxy =
            Proxy::all(proxy).map_err(|e| config::unusable("proxy_url", e.without_url()))?;
        Ok(builder.proxy(proxy))
    }

    /// The URL of the request, and the host for its head if that is another.
    fn target(&self, url: &Url) -> (Url, Option<String>) {
        let mut target = url.clone();
        let Some(host) = &self.host else {
            return (target, None);
        };
        // TLS checks the host of the URL against the certificate; the resolver leads back to the server.
        if target.set_host(Some(self.config.server_name())).is_err() {
            return (url.clone(), None);
        }
        let host = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.clone(),
        };
        (target, Some(host))
    }
}

fn read(place: &str, path: &str) -> Result<Vec<u8>, HttpClientError> {
    fs::read(Path::new(path)).map_err(|e| config::unusable(place, format!("{path}: {e}")))
}

#[cfg(test)]
mod tests;
