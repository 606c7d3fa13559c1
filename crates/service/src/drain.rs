//! Ends a server gracefully, within a grace period.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::ServiceError;

/// Drives `serve`, which ends gracefully on `shutdown`, and drops it `grace` later.
///
/// # Errors
/// When the grace period is over.
pub(crate) async fn drain<T>(
    server: &'static str,
    serve: impl Future<Output = T>,
    grace: Duration,
    shutdown: &CancellationToken,
) -> Result<T, ServiceError> {
    let grace_over = async {
        shutdown.cancelled().await;
        sleep(grace).await;
    };
    tokio::select! {
        biased;
        ended = serve => Ok(ended),
        () = grace_over => Err(ServiceError::Drain { server, grace }),
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn a_server_that_does_not_end_is_given_up_and_named() {
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        let ended = drain("grpc", pending::<()>(), Duration::ZERO, &shutdown).await;
        assert_eq!(
            ended.unwrap_err().to_string(),
            "grpc server: connections still open after the grace period of 0ns"
        );
    }

    #[tokio::test]
    async fn a_server_that_ends_in_time_gives_its_result() {
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        let ended = drain("grpc", ready(7), Duration::ZERO, &shutdown).await;
        assert_eq!(ended.unwrap(), 7);
    }
}
