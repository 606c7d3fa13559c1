//! A layer between the library and the server: it signs requests for the bucket's region once that is known, and adds
//! headers and a form of listing that the library lacks.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header::AUTHORIZATION};
use object_store::{
    ClientOptions,
    aws::{AwsAuthorizer, AwsCredentialProvider},
    client::{
        HttpClient, HttpConnector, HttpError, HttpRequest, HttpRequestBody, HttpResponse,
        HttpService,
    },
};
use parking_lot::RwLock;

use super::{
    super::{
        foreign,
        http::Connection,
        refusals::{admitted, unusable},
    },
    listing,
    region::{self, Region},
};

/// The value of the header that says how the body of a signed request is hashed.
const BODY_HASH: &str = "x-amz-content-sha256";

/// What is done to requests. Clones share what was learnt.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) credentials: AwsCredentialProvider,
    /// The service in the library's signatures.
    pub(super) region: Region,
    /// The bucket's URL.
    pub(super) bucket: String,
    /// For errors: the bucket, and the source of its credentials.
    pub(super) who: String,
    /// Whether the server's name contains the region and changes with it.
    pub(super) region_in_host: bool,
    /// Headers of created objects that the library does not send.
    pub(super) headers: HeaderMap,
    /// Whether to list as version 1 of the API does.
    pub(super) lists_v1: bool,
    pub(super) learnt: Arc<RwLock<Learnt>>,
}

/// What is known about the bucket's region.
#[derive(Clone, Debug, Default)]
pub(super) struct Learnt {
    /// The region, if it is not the assumed one.
    region: Option<String>,
    /// Whether an answer has confirmed the region.
    is_settled: bool,
}

/// Makes clients that follow the rules.
#[derive(Debug)]
pub(super) struct Connector(pub(super) Rules, pub(super) Connection);

#[derive(Debug)]
struct Service {
    inner: HttpClient,
    rules: Rules,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = self.1.connect(options)?;
        let rules = self.0.clone();
        Ok(foreign::sifted(HttpClient::new(Service { inner, rules })))
    }
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let mut request = request;
        let mut is_changed = false;
        if !self.rules.headers.is_empty() && creates_object(&request) {
            let headers = self.rules.headers.clone();
            request.headers_mut().extend(headers);
            is_changed = true;
        }
        let is_listing = self.rules.lists_v1 && listing::is_v2(request.uri());
        if is_listing {
            *request.uri_mut() = listing::as_v1(request.uri()).map_err(unusable)?;
            is_changed = true;
        }
        let response = self.send(request, is_changed).await?;
        let response = admitted(response, &self.rules.who).await?;
        if is_listing && response.status().is_success() {
            let (mut parts, body) = response.into_parts();
            let body = listing::as_v2(body.bytes().await?);
            parts.headers.remove(http::header::CONTENT_LENGTH);
            return Ok(HttpResponse::from_parts(parts, body.into()));
        }
        Ok(response)
    }
}

impl Service {
    /// Sends a request, signed anew if needed, and once more if the server names another region.
    async fn send(
        &self,
        mut request: HttpRequest,
        is_changed: bool,
    ) -> Result<HttpResponse, HttpError> {
        let rules = &self.rules;
        let Learnt { region, is_settled } = rules.learnt.read().clone();
        if is_settled || matches!(rules.region, Region::Fixed(_)) {
            if is_changed || region.is_some() {
                self.sign(&mut request, region.as_deref()).await?;
            }
            return self.inner.execute(request).await;
        }
        let mut first = request.clone();
        if is_changed || region.is_some() {
            self.sign(&mut first, region.as_deref()).await?;
        }
        let used = region.as_deref().unwrap_or(rules.region.name());
        let response = self.inner.execute(first).await?;
        let (named, response) = self.region_named(response).await?;
        let right = named.as_deref().unwrap_or(used);
        if right == used {
            return Ok(response);
        }
        tracing::info!(bucket = rules.bucket, region = right, "the bucket's region");
        rules.learnt.write().region = Some(right.to_owned());
        self.sign(&mut request, Some(right)).await?;
        self.inner.execute(request).await
    }

    /// The region that an answer names, or that GetBucketLocation names if the answer may result from a wrong region.
    /// An answer that confirms the region settles it.
    async fn region_named(
        &self,
        response: HttpResponse,
    ) -> Result<(Option<String>, HttpResponse), HttpError> {
        let status = response.status();
        let settle = || self.rules.learnt.write().is_settled = true;
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            settle();
            return Ok((None, response));
        }
        if ![301, 307, 400, 403].contains(&status.as_u16()) {
            return Ok((None, response));
        }
        let header = response.headers().get(region::HEADER);
        let header = header.and_then(|value| value.to_str().ok());
        if let Some(name) = header.filter(|name| region::is_name(name)) {
            return Ok((Some(name.to_owned()), response));
        }
        let (parts, body) = response.into_parts();
        let body = body.bytes().await?;
        let mut named = region::of_error(&String::from_utf8_lossy(&body));
        if named.is_none() {
            named = self.location().await?;
            // There is no other way to learn it.
            settle();
        }
        Ok((named, HttpResponse::from_parts(parts, body.into())))
    }

    /// The bucket's region, if the server names it.
    async fn location(&self) -> Result<Option<String>, HttpError> {
        let uri = format!("{}?location", self.rules.bucket);
        let uri: Uri = uri.parse().map_err(unusable)?;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = uri;
        self.sign(&mut request, None).await?;
        let response = self.inner.execute(request).await?;
        let status = response.status();
        let body = response.into_body().bytes().await?;
        let body = String::from_utf8_lossy(&body);
        Ok(if status.is_success() {
            region::of_location(&body)
        } else {
            region::of_error(&body)
        })
    }

    /// Signs a request for a region, or for the assumed one, and sends it to that region's server.
    async fn sign(&self, request: &mut HttpRequest, region: Option<&str>) -> Result<(), HttpError> {
        let rules = &self.rules;
        let assumed = rules.region.name();
        if let Some(region) = region.filter(|_| rules.region_in_host) {
            let (from, to) = (
                format!(".{assumed}.amazonaws."),
                format!(".{region}.amazonaws."),
            );
            let uri = request.uri().to_string().replacen(&from, &to, 1);
            *request.uri_mut() = uri.parse().map_err(unusable)?;
        }
        let hash = request.headers().get(BODY_HASH).map(HeaderValue::as_bytes);
        let hash = hash.and_then(digest);
        let credential = rules.credentials.get_credential().await.map_err(unusable)?;
        request.headers_mut().remove(AUTHORIZATION);
        AwsAuthorizer::new(&credential, "s3", region.unwrap_or(assumed))
            .try_authorize(request, hash.as_ref().map(<[u8; 32]>::as_slice))
            .map_err(unusable)
    }
}

/// Whether a request creates an object, or begins to.
fn creates_object(request: &HttpRequest) -> bool {
    let query = request.uri().query().unwrap_or_default();
    let has = |name: &str| {
        let mut names = query.split('&').map(|pair| pair.split('=').next());
        names.any(|of| of == Some(name))
    };
    match *request.method() {
        Method::PUT => !has("uploadId"),
        Method::POST => has("uploads"),
        _ => false,
    }
}

/// The bytes of a hash in hexadecimal.
fn digest(text: &[u8]) -> Option<[u8; 32]> {
    let text = std::str::from_utf8(text).ok().filter(|t| t.len() == 64)?;
    let mut bytes = [0; 32];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
