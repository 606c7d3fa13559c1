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

use crate::cli::{Command, Tools};

/// Runs a subcommand to its end.
pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Sidecar(args) => sidecar::run(*args).await,
        Command::Compact(args) => compact::run(args).await,
        Command::Store(args) => store::run(args).await,
        Command::Standalone(args) => standalone::run(args).await,
        Command::Tools(Tools::Bucket(args)) => bucket::run(*args).await,
        Command::Tools(Tools::Export(args)) => export::run(args).await,
        Command::Tools(Tools::Series(args)) => series::run(args).await,
    }
}
