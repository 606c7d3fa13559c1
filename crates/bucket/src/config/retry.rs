//! What is tried again, how often and how long.

use std::time::Duration;

use object_store::{BackoffConfig, RetryConfig};

/// How often and how long an operation is retried after a transient error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts after the first.
    pub attempts: usize,
    /// Time after which no attempt is made any more.
    pub timeout: Duration,
    /// The first pause; later ones are longer.
    pub pause: Duration,
    /// The longest pause; by default 150 times the first.
    pub longest_pause: Option<Duration>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 10,
            timeout: Duration::from_secs(180),
            pause: Duration::from_millis(100),
            longest_pause: None,
        }
    }
}

impl From<Retry> for RetryConfig {
    fn from(retry: Retry) -> Self {
        let longest = retry.longest_pause.unwrap_or(retry.pause * 150);
        let backoff = BackoffConfig {
            init_backoff: retry.pause,
            max_backoff: longest.max(retry.pause).max(Duration::from_millis(1)),
            base: 2.0,
        };
        Self {
            backoff,
            max_retries: retry.attempts,
            retry_timeout: retry.timeout,
        }
    }
}
