//! What each subcommand does with its arguments.

mod bucket;
mod compact;
mod daemon;
mod export;
mod series;
mod sidecar;
mod standalone;
mod store;

use std::process::ExitCode;

use service::Metrics;

use crate::cli::{Command, Tools};

/// Runs a subcommand to its end. A daemon exports `metrics`.
pub(crate) async fn run(command: Command, metrics: Metrics) -> anyhow::Result<ExitCode> {
    match command {
        Command::Sidecar(args) => sidecar::run(*args, metrics).await,
        Command::Compact(args) => compact::run(args, metrics).await,
        Command::Store(args) => store::run(args, metrics).await,
        Command::Standalone(args) => standalone::run(args, metrics).await,
        Command::Tools(Tools::Bucket(args)) => bucket::run(*args).await,
        Command::Tools(Tools::Export(args)) => export::run(args).await,
        Command::Tools(Tools::Series(args)) => series::run(args).await,
    }
}
