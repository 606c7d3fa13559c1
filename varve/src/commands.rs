//! What each subcommand does with its arguments.

mod bucket;
mod compact;
mod daemon;
mod export;
mod rules_check;
mod series;
mod sidecar;
mod standalone;
mod store;
mod web;

use std::{collections::BTreeMap, process::ExitCode};

use service::Metrics;

use crate::cli::{Command, Tools};

/// Runs a subcommand to its end. A daemon exports `metrics`; its API tells `flags`.
pub(crate) async fn run(
    command: Command,
    flags: BTreeMap<String, String>,
    metrics: Metrics,
) -> anyhow::Result<ExitCode> {
    match command {
        Command::Sidecar(args) => sidecar::run(*args, metrics).await,
        Command::Compact(args) => compact::run(args, flags, metrics).await,
        Command::Store(args) => store::run(args, flags, metrics).await,
        Command::Standalone(args) => standalone::run(args, metrics).await,
        Command::Tools(Tools::Bucket(args)) => bucket::run(*args, flags).await,
        Command::Tools(Tools::Export(args)) => export::run(args).await,
        Command::Tools(Tools::RulesCheck(args)) => rules_check::run(&args),
        Command::Tools(Tools::Series(args)) => series::run(args).await,
    }
}
