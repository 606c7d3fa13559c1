//! `max_conns_per_host`: as each connection carries one request, a limit of requests until the end of their answers.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use async_trait::async_trait;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::client::{
    HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is left for each host.
#[derive(Debug)]
pub(super) struct Limits {
    limit: usize,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

#[derive(Debug)]
struct Limited {
    inner: HttpClient,
    limits: Arc<Limits>,
}

/// The body of an answer, which holds its connection.
struct Held {
    body: HttpResponseBody,
    _connection: OwnedSemaphorePermit,
}

impl Limits {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.min(Semaphore::MAX_PERMITS),
            hosts: Mutex::default(),
        }
    }

    fn of(&self, host: &str) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock();
        let free = hosts.entry(host.to_owned());
        Arc::clone(free.or_insert_with(|| Arc::new(Semaphore::new(self.limit))))
    }
}

/// A client whose requests wait for a free connection.
pub(super) fn limited(inner: HttpClient, limits: Arc<Limits>) -> HttpClient {
    HttpClient::new(Limited { inner, limits })
}

#[async_trait]
impl HttpService for Limited {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let host = request.uri().authority().map_or("", |host| host.as_str());
        let free = self.limits.of(host).acquire_owned().await;
        let connection = free.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let (parts, body) = self.inner.execute(request).await?.into_parts();
        let body = Held {
            body,
            _connection: connection,
        };
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)))
    }
}

impl Body for Held {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, stream::FuturesUnordered};
    use object_store::client::HttpRequestBody;

    use super::*;

    /// Answers at once, and counts the bodies that are not dropped.
    #[derive(Debug)]
    struct Server;

    #[async_trait]
    impl HttpService for Server {
        async fn call(&self, _request: HttpRequest) -> Result<HttpResponse, HttpError> {
            Ok(HttpResponse::new("body".to_owned().into()))
        }
    }

    #[tokio::test]
    async fn a_request_waits_until_the_answer_before_it_is_read() {
        let client = limited(HttpClient::new(Server), Arc::new(Limits::new(2)));
        let asked = |host: &str| {
            let mut request = HttpRequest::new(HttpRequestBody::empty());
            *request.uri_mut() = format!("http://{host}/a").parse().unwrap();
            client.execute(request)
        };
        let first = asked("one:1").await.unwrap();
        let _second = asked("one:1").await.unwrap();
        let mut waiting: FuturesUnordered<_> = [asked("one:1")].into_iter().collect();
        assert!(futures::poll!(waiting.next()).is_pending());
        asked("other:1").await.unwrap();
        assert_eq!(first.into_body().bytes().await.unwrap(), "body");
        assert!(waiting.next().await.unwrap().is_ok());
    }
}
