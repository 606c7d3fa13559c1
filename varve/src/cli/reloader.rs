//! The arguments of the sidecar's reloader.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use crate::values;

/// What Prometheus loads, and how it hears of changes.
#[derive(Debug, Args)]
pub(crate) struct ReloaderArgs {
    /// Configuration file of Prometheus to watch.
    #[arg(
        long = "reloader.config-file",
        default_value = "",
        hide_default_value = true,
        value_name = "PATH"
    )]
    config_file: String,
    /// Write the configuration here, unpacked and with $(VAR) replaced from the environment.
    #[arg(
        long = "reloader.config-envsubst-file",
        default_value = "",
        hide_default_value = true,
        value_name = "PATH"
    )]
    output_file: String,
    /// Folder of rules to watch, or a pattern such as /rules/*. Repeatable.
    #[arg(long = "reloader.rule-dir", value_name = "PATH")]
    rule_dirs: Vec<String>,
    /// Time after which files are read again where no change is seen; 0s writes the configuration once.
    #[arg(long = "reloader.watch-interval", default_value = "3m", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) watch_interval: Duration,
    /// Time after which a reload that failed is tried again.
    #[arg(long = "reloader.retry-interval", default_value = "5s", value_name = "DURATION", value_parser = values::interval)]
    pub(crate) retry_interval: Duration,
    /// Time for which files must be still before Prometheus reloads.
    #[arg(long = "reloader.delay-interval", default_value = "1s", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) delay_interval: Duration,
    /// How Prometheus is reloaded.
    #[arg(long = "reloader.method", default_value = "http", value_enum)]
    pub(crate) method: Method,
    /// Name of the process that is signalled.
    #[arg(
        long = "reloader.process-name",
        default_value = "prometheus",
        value_name = "NAME"
    )]
    pub(crate) process_name: String,
    /// Leave $(VAR) as it is where VAR is not set.
    #[arg(long = "reloader.tolerate-env-var-expansion-errors")]
    pub(crate) tolerate_unset: bool,
}

/// How Prometheus is reloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// By POST /-/reload, which needs --web.enable-lifecycle.
    Http,
    /// By SIGHUP.
    Signal,
}

impl ReloaderArgs {
    /// The configuration file. An empty flag counts as none, as with Thanos.
    pub(crate) fn config_file(&self) -> Option<PathBuf> {
        given(&self.config_file).map(PathBuf::from)
    }

    /// The file that it is written to.
    pub(crate) fn output_file(&self) -> Option<PathBuf> {
        given(&self.output_file).map(PathBuf::from)
    }

    /// The folders of rules.
    pub(crate) fn rule_dirs(&self) -> Vec<String> {
        let given = self.rule_dirs.iter().filter_map(|dir| given(dir));
        given.map(str::to_owned).collect()
    }
}

fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
