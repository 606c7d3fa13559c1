//! What the reloader is told.

use std::{path::PathBuf, time::Duration};

/// What is watched, and how Prometheus hears of a change. Each field is a flag of Thanos's, or an option of its
/// reloader.
#[derive(Clone, Debug)]
pub struct ReloaderConfig {
    /// `--reloader.config-file`: Prometheus's configuration, gzipped or not.
    pub config_file: Option<PathBuf>,
    /// `--reloader.config-envsubst-file`: where the configuration goes with its variables replaced.
    pub output_file: Option<PathBuf>,
    /// `--reloader.rule-dir`: folders of rules with all that is in them, or patterns of such folders (`*`, `?`, `[…]`).
    pub rule_dirs: Vec<String>,
    /// `--reloader.watch-interval`: time between two reads where nothing is seen to change. Zero: the output file is
    /// written once, nothing is watched and nothing reloaded.
    pub watch_interval: Duration,
    /// `--reloader.retry-interval`: time after which a reload that failed is tried again.
    pub retry_interval: Duration,
    /// `--reloader.delay-interval`: how long nothing may change before changes count as complete.
    pub delay_interval: Duration,
    /// `--reloader.method`.
    pub method: ReloadMethod,
    /// What becomes of variables that are not set.
    pub unset: UnsetVariables,
    /// The value of an environment variable.
    pub variable: fn(&str) -> Option<String>,
}

/// How Prometheus hears that it should reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadMethod {
    /// By `POST /-/reload`.
    Http,
    /// By SIGHUP to the process of this name.
    Signal(String),
}

/// What becomes of `$(VAR)` where `VAR` is not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnsetVariables {
    /// It is an error.
    #[default]
    Refuse,
    /// It stays as it is.
    Keep,
}

impl Default for ReloaderConfig {
    /// Thanos's defaults: nothing is watched.
    fn default() -> Self {
        Self {
            config_file: None,
            output_file: None,
            rule_dirs: Vec::new(),
            watch_interval: Duration::from_mins(3),
            retry_interval: Duration::from_secs(5),
            delay_interval: Duration::from_secs(1),
            method: ReloadMethod::Http,
            unset: UnsetVariables::Refuse,
            variable: |_| None,
        }
    }
}

impl ReloaderConfig {
    /// Whether there is something to watch.
    #[must_use]
    pub const fn is_used(&self) -> bool {
        self.config_file.is_some() || !self.rule_dirs.is_empty()
    }
}
