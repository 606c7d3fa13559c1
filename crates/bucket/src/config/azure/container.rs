//! `storage_create_container`: the container is created when a request finds it missing, and the request is sent once
//! more.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderValue, Method, StatusCode, header::CONTENT_LENGTH};
use object_store::{
    azure::{AzureAuthorizer, AzureCredentialProvider},
    client::{HttpClient, HttpError, HttpRequest, HttpRequestBody, HttpResponse, HttpService},
};
use parking_lot::Mutex;

use super::super::refusals::unusable;

/// The header with the code of an error, in answers to all kinds of requests.
const CODE: &str = "x-ms-error-code";

/// The container to create.
#[derive(Clone, Debug)]
pub(super) struct Container {
    /// Of the request that creates it.
    pub(super) url: String,
    pub(super) account: String,
    pub(super) credentials: AzureCredentialProvider,
    /// Whether it was created.
    pub(super) was_created: Arc<Mutex<bool>>,
}

#[derive(Debug)]
struct Created {
    inner: HttpClient,
    container: Container,
}

/// A client that creates the container.
pub(super) fn created(inner: HttpClient, container: Container) -> HttpClient {
    HttpClient::new(Created { inner, container })
}

#[async_trait]
impl HttpService for Created {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let response = self.inner.execute(request.clone()).await?;
        let code = response.headers().get(CODE).map(HeaderValue::as_bytes);
        let is_missing = code == Some(b"ContainerNotFound");
        if response.status() != StatusCode::NOT_FOUND || !is_missing {
            return Ok(response);
        }
        let made = self.create().await?;
        let code = made.headers().get(CODE).map(HeaderValue::as_bytes);
        if made.status().is_success() || code == Some(b"ContainerAlreadyExists") {
            return self.inner.execute(request).await;
        }
        Ok(made)
    }
}

impl Created {
    async fn create(&self) -> Result<HttpResponse, HttpError> {
        let container = &self.container;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = Method::PUT;
        *request.uri_mut() = container.url.parse().map_err(unusable)?;
        let none = HeaderValue::from_static("0");
        request.headers_mut().insert(CONTENT_LENGTH, none);
        let credential = container.credentials.get_credential();
        let credential = credential.await.map_err(unusable)?;
        AzureAuthorizer::new(&credential, &container.account)
            .try_authorize(&mut request)
            .map_err(unusable)?;
        let response = self.inner.execute(request).await?;
        let mut is_created = container.was_created.lock();
        if response.status().is_success() && !*is_created {
            *is_created = true;
            // The URL itself, without what authorizes the request.
            tracing::info!(url = container.url, "created the container");
        }
        Ok(response)
    }
}
