//! `hedging_config`: a read that takes longer than most is asked once more, and the first answer counts.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use http::Method;
use object_store::client::{HttpClient, HttpError, HttpRequest, HttpResponse, HttpService};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::super::values::or_default;
use crate::BucketError;

/// The answers whose durations are remembered.
const REMEMBERED: usize = 1000;
/// Fewer say nothing.
const LEAST: usize = 20;

/// The section, as Thanos's store has it beside `config`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in super::super) struct Hedging {
    #[serde(deserialize_with = "or_default")]
    enabled: bool,
    up_to: Option<usize>,
    quantile: Option<f64>,
}

#[derive(Debug)]
struct Hedged {
    inner: HttpClient,
    /// Requests for one read at most.
    up_to: usize,
    quantile: f64,
    took: Arc<Mutex<VecDeque<Duration>>>,
}

impl Hedging {
    pub(in super::super) fn is_on(&self) -> bool {
        self.enabled && self.up_to() > 1
    }

    /// Refuses a quantile that is none.
    pub(in super::super) fn check(&self) -> Result<(), BucketError> {
        let quantile = self.quantile();
        if (0.0..=1.0).contains(&quantile) {
            return Ok(());
        }
        let reason = format!("expected 0 to 1, found {quantile}");
        Err(BucketError::config("hedging_config.quantile", reason))
    }

    fn up_to(&self) -> usize {
        self.up_to.unwrap_or(3)
    }

    fn quantile(&self) -> f64 {
        self.quantile.unwrap_or(0.9)
    }
}

/// A client that hedges reads.
pub(super) fn hedged(inner: HttpClient, hedging: &Hedging) -> HttpClient {
    HttpClient::new(Hedged {
        inner,
        up_to: hedging.up_to(),
        quantile: hedging.quantile(),
        took: Arc::default(),
    })
}

impl Hedged {
    /// How long most answers took.
    fn patience(&self) -> Option<Duration> {
        let mut took: Vec<Duration> = self.took.lock().iter().copied().collect();
        if took.len() < LEAST {
            return None;
        }
        took.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a quantile of at most a thousand values"
        )]
        let rank = (self.quantile * (took.len() - 1) as f64) as usize;
        took.get(rank).copied()
    }

    /// One request, whose duration is remembered.
    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let start = Instant::now();
        let answer = self.inner.execute(request).await;
        if answer.is_ok() {
            let mut took = self.took.lock();
            if took.len() >= REMEMBERED {
                took.pop_front();
            }
            took.push_back(start.elapsed());
        }
        answer
    }
}

#[async_trait]
impl HttpService for Hedged {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let is_read = [Method::GET, Method::HEAD].contains(request.method());
        let Some(patience) = self.patience().filter(|_| is_read) else {
            return self.ask(request).await;
        };
        let mut asked = 1;
        let mut answers = FuturesUnordered::new();
        answers.push(self.ask(request.clone()));
        loop {
            let next = if asked < self.up_to {
                futures::select_biased! {
                    answer = answers.next().fuse() => answer,
                    () = Box::pin(sleep(patience)).fuse() => {
                        asked += 1;
                        answers.push(self.ask(request.clone()));
                        continue;
                    }
                }
            } else {
                answers.next().await
            };
            let failed = match &next {
                Some(Ok(answer)) => answer.status().is_server_error(),
                Some(Err(_)) => true,
                None => false,
            };
            // A failure counts only if no other answer is on its way.
            match next {
                Some(answer) if !failed || answers.is_empty() => return answer,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use object_store::client::HttpRequestBody;

    use super::*;

    /// Each answer takes 10 ms, but those of the given numbers take a minute.
    #[derive(Debug)]
    struct Server {
        asked: Arc<AtomicUsize>,
        slow: Vec<usize>,
    }

    #[async_trait]
    impl HttpService for Server {
        async fn call(&self, _request: HttpRequest) -> Result<HttpResponse, HttpError> {
            let number = self.asked.fetch_add(1, Ordering::Relaxed);
            let is_slow = self.slow.contains(&number);
            sleep(Duration::from_millis(if is_slow { 60_000 } else { 10 })).await;
            Ok(HttpResponse::new(number.to_string().into()))
        }
    }

    async fn read(client: &HttpClient, method: Method) -> (String, Duration) {
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = method;
        let start = Instant::now();
        let answer = client.execute(request).await.unwrap();
        let body = answer.into_body().bytes().await.unwrap();
        (String::from_utf8(body.to_vec()).unwrap(), start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_read_is_asked_again_and_a_write_is_not() {
        let asked = Arc::<AtomicUsize>::default();
        let server = Server {
            asked: Arc::clone(&asked),
            slow: vec![20, 21, 23, 24, 25, 26],
        };
        let hedging = Hedging {
            enabled: true,
            ..Hedging::default()
        };
        let client = hedged(HttpClient::new(server), &hedging);
        for _ in 0..20 {
            read(&client, Method::GET).await;
        }
        assert_eq!(asked.load(Ordering::Relaxed), 20);
        // The first two of three are slow.
        let (body, took) = read(&client, Method::GET).await;
        assert_eq!((body.as_str(), took), ("22", Duration::from_millis(30)));
        // All three are slow: no fourth.
        let (_, took) = read(&client, Method::GET).await;
        assert_eq!(took, Duration::from_secs(60));
        assert_eq!(asked.load(Ordering::Relaxed), 26);
        let (body, took) = read(&client, Method::PUT).await;
        assert_eq!((body.as_str(), took), ("26", Duration::from_secs(60)));
    }
}
