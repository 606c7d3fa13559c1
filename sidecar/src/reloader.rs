//! The reloader: writes Prometheus's configuration with the values of variables, and has Prometheus reload when that or
//! its rules change.
//!
//! ```text
//! change of a file ─┐
//! watch interval ───┼─▶ read ─▶ decide ─▶ write the output ─▶ reload
//! retry interval ───┘     └─▶ watch the folders that were read
//! ```

mod config;
mod decide;
mod links;
mod metrics;
mod process;
mod render;
mod sources;
mod trigger;
mod watch;

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use files::Durability;
use model::Timestamp;
use parking_lot::Mutex;
use service::{Clock, HttpClientError, blocking};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout_at},
};

pub use self::{
    config::{ReloadMethod, ReloaderConfig, UnsetVariables},
    render::{RenderError, Rendered, render},
};
use self::{
    decide::Outcome,
    metrics::ReloaderMetrics,
    sources::{Fingerprint, Sources},
    trigger::{Means, Trigger},
    watch::{FolderWatch, Followed, Watch},
};
use crate::{Deps, SidecarError, prometheus::Prometheus};

/// Files that change all the time are waited for this many times as long as those that are still.
const RESTLESS: u32 = 10;
/// How often to read again as new folders come to be watched.
const READS: usize = 3;

/// Watches files and has a Prometheus reload, until it is dropped; ends at once where there is nothing to watch.
/// `reloaded` is woken when Prometheus has reloaded.
///
/// # Errors
/// When at the start something cannot be read, or the output file cannot be written: Prometheus cannot start then,
/// either.
pub(crate) async fn run(
    config: &ReloaderConfig,
    prometheus: Prometheus,
    deps: &Deps,
    reloaded: Arc<Notify>,
) -> Result<(), SidecarError> {
    let metrics = ReloaderMetrics::new(&deps.metrics, &config.method);
    if !config.is_used() {
        return Ok(());
    }
    let changed = Arc::new(Notify::new());
    let trigger = match &config.method {
        ReloadMethod::Http => Means::Http(prometheus),
        ReloadMethod::Signal(process) => Means::Signal {
            process: process.clone(),
            prometheus,
            clock: Arc::clone(&deps.clock),
        },
    };
    let reloader = Reloader {
        config: Arc::new(config.clone()),
        watch: Arc::new(Mutex::new(FolderWatch::new(&metrics, Arc::clone(&changed)))),
        trigger,
        metrics,
        clock: Arc::clone(&deps.clock),
        changed,
        reloaded,
        taken: None,
    };
    reloader.run().await
}

struct Reloader<W, T> {
    config: Arc<ReloaderConfig>,
    watch: Arc<Mutex<W>>,
    trigger: T,
    metrics: ReloaderMetrics,
    clock: Arc<dyn Clock>,
    /// Woken by each change.
    changed: Arc<Notify>,
    /// Woken by each reload.
    reloaded: Arc<Notify>,
    /// What Prometheus has taken up.
    taken: Option<Fingerprint>,
}

impl<W: Watch, T: Trigger> Reloader<W, T> {
    async fn run(mut self) -> Result<(), SidecarError> {
        let mut outcome = self.apply().await?;
        if self.config.watch_interval.is_zero() {
            tracing::info!("configuration is written, nothing is watched");
            return Ok(());
        }
        loop {
            self.wait(decide::pause(&self.config, outcome)).await;
            self.metrics.applies.inc();
            outcome = match self.apply().await {
                Ok(outcome) => outcome,
                Err(error) => {
                    tracing::error!(%error, "configuration is not applied");
                    self.metrics.apply_failures.inc();
                    Outcome::Unread
                }
            };
        }
    }

    /// Waits until files have changed and are still again, or for as long as `pause`.
    async fn wait(&self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => return,
            () = self.changed.notified() => {}
        }
        let delay = self.config.delay_interval;
        let last = Instant::now() + delay * RESTLESS;
        loop {
            let until = (Instant::now() + delay).min(last);
            if timeout_at(until, self.changed.notified()).await.is_err() {
                return;
            }
        }
    }

    /// Brings Prometheus up to what the files hold.
    async fn apply(&mut self) -> Result<Outcome, SidecarError> {
        let sources = self.read().await?;
        for error in &sources.unread {
            tracing::warn!(%error, "rules are watched but for what cannot be read");
        }
        for name in sources.rendered.iter().flat_map(|r| &r.unset) {
            tracing::warn!(
                variable = name,
                "variable of the configuration is not set, it stays as it is"
            );
        }
        let fingerprint = sources.fingerprint;
        let reload = self.write(sources).await?;
        if !reload {
            return Ok(Outcome::Current);
        }
        self.metrics.reloads.inc();
        match self.trigger.reload().await {
            Ok(()) => {
                self.taken = Some(fingerprint);
                self.metrics.last_successful.set(1);
                let now = Timestamp(self.clock.now_ms());
                self.metrics.last_success.set(now.as_secs_f64());
                tracing::info!("prometheus has reloaded");
                self.reloaded.notify_one();
                Ok(Outcome::Current)
            }
            Err(error) => {
                // What it has now, it may have taken up in part.
                self.taken = None;
                self.metrics.reload_failures.inc();
                self.metrics.last_successful.set(0);
                let retry = self.config.retry_interval;
                if is_away(&error) {
                    tracing::warn!(%error, ?retry, "prometheus is not there to reload");
                } else {
                    tracing::error!(%error, ?retry, "prometheus has not reloaded");
                }
                Ok(Outcome::Behind)
            }
        }
    }

    /// Reads what is watched, and watches what was read.
    async fn read(&self) -> Result<Sources, SidecarError> {
        let (config, watch) = (Arc::clone(&self.config), Arc::clone(&self.watch));
        let read = blocking(move || {
            let mut sources = sources::read(&config)?;
            if config.watch_interval.is_zero() {
                return Ok(sources);
            }
            for _ in 1..READS {
                if follow(&watch, &sources.folders) == Followed::AsBefore {
                    break;
                }
                // What changed before a folder was watched is found by reading it again.
                sources = sources::read(&config)?;
            }
            Ok(sources)
        });
        let read = read.await;
        self.metrics.expansion_errors.set(match &read {
            Ok(sources) => sources
                .rendered
                .as_ref()
                .map_or(0, |r| count(r.unset.len())),
            Err(SidecarError::Render {
                source: RenderError::Unset(names),
                ..
            }) => count(names.len()),
            Err(_) => 0,
        });
        read
    }

    /// Writes the output file where it is to be; tells whether Prometheus is to reload.
    async fn write(&self, sources: Sources) -> Result<bool, SidecarError> {
        let (config, taken) = (Arc::clone(&self.config), self.taken);
        blocking(move || {
            let rendered = sources.rendered.as_ref().map(|r| r.bytes.as_slice());
            let output = match &config.output_file {
                Some(path) => files::read(path).map_err(SidecarError::io(path))?,
                None => None,
            };
            let step = decide::step(
                &config,
                &sources.fingerprint,
                taken.as_ref(),
                rendered,
                output.as_deref(),
            );
            if let (true, Some(path), Some(bytes)) = (step.write, &config.output_file, rendered) {
                files::replace(path, bytes, Durability::Durable).map_err(SidecarError::io(path))?;
            }
            Ok(step.reload)
        })
        .await
    }
}

/// Whether Prometheus is about to start, or to end.
const fn is_away(error: &SidecarError) -> bool {
    matches!(
        error,
        SidecarError::Client(
            HttpClientError::Request { .. }
                | HttpClientError::NoHead { .. }
                | HttpClientError::Status { status: 503, .. }
        )
    )
}

fn follow<W: Watch>(watch: &Mutex<W>, folders: &BTreeSet<PathBuf>) -> Followed {
    watch.lock().follow(folders)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
