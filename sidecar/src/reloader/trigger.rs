//! Having Prometheus reload, and knowing that it has.

use std::{sync::Arc, time::Duration};

use service::{Clock, blocking};
use tokio::time::{Instant, sleep, timeout};

use super::process;
use crate::{
    SidecarError,
    prometheus::{ConfigStatus, Prometheus},
};

/// How long one reload may take: Prometheus reads all rules and starts all scrapes anew.
const PATIENCE: Duration = Duration::from_mins(3);
/// Pause between two questions whether it has.
const POLL: Duration = Duration::from_secs(1);
/// How long to wait for a configuration after one that was refused, before the files are read again.
const DOUBT: Duration = Duration::from_secs(10);

/// Has Prometheus reload.
pub(super) trait Trigger: Sync {
    /// Returns when it has taken up the configuration.
    ///
    /// # Errors
    /// When it is not reached, or does not take it up.
    fn reload(&self) -> impl Future<Output = Result<(), SidecarError>> + Send;
}

/// A way to a Prometheus.
#[derive(Debug)]
pub(super) enum Means {
    /// By its API.
    Http(Prometheus),
    /// By SIGHUP; its API tells what came of it.
    Signal {
        /// The name of its process.
        process: String,
        /// Its API.
        prometheus: Prometheus,
        /// The time, which Prometheus shares.
        clock: Arc<dyn Clock>,
    },
}

impl Trigger for Means {
    async fn reload(&self) -> Result<(), SidecarError> {
        let reload = async {
            match self {
                Self::Http(prometheus) => prometheus.reload().await,
                Self::Signal {
                    process,
                    prometheus,
                    clock,
                } => signalled(process, prometheus, clock.as_ref()).await,
            }
        };
        let late = |_| SidecarError::Reload {
            reason: format!("not ended after {PATIENCE:?}"),
        };
        timeout(PATIENCE, reload).await.map_err(late)?
    }
}

async fn signalled(
    name: &str,
    prometheus: &Prometheus,
    clock: &dyn Clock,
) -> Result<(), SidecarError> {
    let before = prometheus.config_status().await?;
    // Prometheus tells the time in whole seconds: the next reload must be seen to be another one.
    if clock.now_ms().div_euclid(1000) <= before.last.0.div_euclid(1000) {
        sleep(POLL).await;
    }
    let name = name.to_owned();
    blocking(move || process::hang_up(&name)).await?;
    let doubtful = Instant::now() + DOUBT;
    loop {
        match verdict(before, prometheus.config_status().await?) {
            Some(Verdict::TakenUp) => return Ok(()),
            Some(Verdict::Refused) => {
                return Err(SidecarError::Reload {
                    reason: "the configuration is refused".to_owned(),
                });
            }
            None if !before.successful && Instant::now() >= doubtful => {
                return Err(SidecarError::Reload {
                    reason: "the configuration was refused before, and is not taken up yet"
                        .to_owned(),
                });
            }
            None => sleep(POLL).await,
        }
    }
}

/// What came of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    TakenUp,
    Refused,
}

/// What came of a reload, by what Prometheus said before and says now; none where that cannot be told: a second
/// refusal looks as if nothing had happened yet.
fn verdict(before: ConfigStatus, now: ConfigStatus) -> Option<Verdict> {
    if now.successful && now.last > before.last {
        return Some(Verdict::TakenUp);
    }
    (before.successful && !now.successful).then_some(Verdict::Refused)
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::*;

    #[test]
    fn a_reload_is_known_by_a_later_success_or_by_the_first_failure() {
        let status = |successful, last| ConfigStatus {
            successful,
            last: Timestamp(last),
        };
        let (good, later) = (status(true, 1000), status(true, 2000));
        let bad = status(false, 1000);
        for (before, now, expected) in [
            (good, good, None),
            (good, later, Some(Verdict::TakenUp)),
            (good, bad, Some(Verdict::Refused)),
            (bad, bad, None),
            (bad, later, Some(Verdict::TakenUp)),
            // Started anew, and not done yet.
            (later, good, None),
        ] {
            assert_eq!(verdict(before, now), expected, "{before:?} {now:?}");
        }
    }
}
