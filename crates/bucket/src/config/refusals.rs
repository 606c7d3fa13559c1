//! Answers that refuse the credentials: the library's error does not show them for every kind of request.

use async_trait::async_trait;
use http::StatusCode;
use object_store::client::{
    HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};

use crate::error::Refused;

#[derive(Debug)]
struct Admitted {
    inner: HttpClient,
    who: String,
}

/// A client whose refused requests are errors that name `who`: the bucket, and the source of its credentials.
pub(super) fn named(inner: HttpClient, who: String) -> HttpClient {
    HttpClient::new(Admitted { inner, who })
}

#[async_trait]
impl HttpService for Admitted {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        admitted(self.inner.execute(request).await?, &self.who).await
    }
}

/// The answer, unless the server refused the credentials.
pub(super) async fn admitted(response: HttpResponse, who: &str) -> Result<HttpResponse, HttpError> {
    let status = response.status();
    if ![StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status) {
        return Ok(response);
    }
    let body = response.into_body().bytes().await?;
    Err(unusable(Refused {
        who: who.to_owned(),
        status,
        says: String::from_utf8_lossy(&body).trim().to_owned(),
    }))
}

/// An error that no retry mends.
pub(super) fn unusable(error: impl std::error::Error + Send + Sync + 'static) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, error)
}
