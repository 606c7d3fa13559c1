//! The `varve` binary: reads the arguments and runs what they name.

mod chain;
mod cli;
mod commands;
mod heap;
mod memory;
mod print;
mod sparkline;
mod values;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;

use chain::chain;
use cli::{Cli, Command, CompactCommand};
use print::Unread;
use tikv_jemallocator::Jemalloc;

/// It returns memory to the system soon after a merge or a query has freed it; glibc's malloc keeps it in the arena of
/// each thread. How soon: `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let (cli, without_effect) = Cli::read();
    let by_hand = match &cli.command {
        Command::Tools(_) => true,
        Command::Compact(args) => matches!(args.command, Some(CompactCommand::Plan { .. })),
        _ => false,
    };
    match run(cli, &without_effect) {
        Ok(code) => code,
        Err(error) if error.is::<Unread>() => ExitCode::SUCCESS,
        Err(error) if by_hand => {
            // If stderr is closed, nobody reads it.
            let _ = writeln!(io::stderr(), "error: {}", chain(&error));
            ExitCode::FAILURE
        }
        Err(error) => {
            tracing::error!(error = chain(&error), "ending");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli, without_effect: &[String]) -> anyhow::Result<ExitCode> {
    let log = &cli.log;
    service::init_logging(log.level.into(), log.format.into(), &log.name)?;
    for said in without_effect {
        tracing::warn!("{said}");
    }
    bucket::install_crypto_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let ended = runtime.block_on(commands::run(cli.command, cli.flags));
    // Work given up at the end of a grace period does not delay the exit.
    runtime.shutdown_background();
    ended
}
