//! The signals of a daemon: SIGINT and SIGTERM cancel a token, SIGHUP reads files again.

use std::process;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{Reload, ServiceError};

/// A token that SIGINT or SIGTERM cancels. A second signal ends the process at once with status 1. SIGHUP requests
/// `reload`, and never ends the process.
///
/// Must be called within a runtime; the listening task lives as long as that.
///
/// # Errors
/// When the system refuses to deliver signals.
pub fn shutdown_signal(reload: &Reload) -> Result<CancellationToken, ServiceError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServiceError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(ServiceError::Signals)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(ServiceError::Signals)?;
    let token = CancellationToken::new();
    let (cancelled, reload) = (token.clone(), reload.clone());
    tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
                _ = hangup.recv() => {
                    match reload.request() {
                        0 => tracing::info!(signal = "SIGHUP", "caught signal, nothing to reload"),
                        _ => tracing::info!(signal = "SIGHUP", "caught signal, reading files again"),
                    }
                    continue;
                }
            };
            if cancelled.is_cancelled() {
                tracing::warn!(signal = name, "second signal, ending at once");
                process::exit(1);
            }
            tracing::info!(signal = name, "caught signal, shutting down");
            cancelled.cancel();
        }
    });
    Ok(token)
}
