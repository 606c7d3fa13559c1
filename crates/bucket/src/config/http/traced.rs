//! `trace.enable`: a line in the log for each request. The query and the headers, which may hold secrets, are left out.

use std::time::Instant;

use async_trait::async_trait;
use object_store::client::{HttpClient, HttpError, HttpRequest, HttpResponse, HttpService};

#[derive(Debug)]
struct Traced(HttpClient);

/// A client that logs each request.
pub(super) fn traced(client: HttpClient) -> HttpClient {
    HttpClient::new(Traced(client))
}

#[async_trait]
impl HttpService for Traced {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let start = Instant::now();
        let answer = self.0.execute(request).await;
        let duration = start.elapsed();
        match &answer {
            Ok(response) => {
                let status = response.status().as_u16();
                tracing::debug!(%method, path, status, ?duration, "request to the object store");
            }
            Err(error) => {
                tracing::debug!(%method, path, %error, ?duration, "request to the object store");
            }
        }
        answer
    }
}
