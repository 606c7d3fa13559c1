//! What each subcommand does with its arguments.

mod bucket;
mod compact;
mod daemon;
mod export;
mod series;
mod sidecar;
mod standalone;
mod store;
mod web;

use std::{collections::BTreeMap, process::ExitCode};

use crate::cli::{Command, Tools};

/// Runs a subcommand to its end.
pub(crate) async fn run(
    command: Command,
    flags: BTreeMap<String, String>,
) -> anyhow::Result<ExitCode> {
    match command {
        Command::Sidecar(args) => sidecar::run(*args).await,
        Command::Compact(args) => compact::run(args, flags).await,
        Command::Store(args) => store::run(args, flags).await,
        Command::Standalone(args) => standalone::run(args).await,
        Command::Tools(Tools::Bucket(args)) => bucket::run(*args, flags).await,
        Command::Tools(Tools::Export(args)) => export::run(args).await,
        Command::Tools(Tools::Series(args)) => series::run(args).await,
    }
}
