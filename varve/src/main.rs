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
    thread,
};

use anyhow::Context as _;

use chain::chain;
use cli::{Cli, Command, CompactCommand};
use print::Unread;
use service::{Metrics, Traces};
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
    let traces = cli.tracing.traces();
    let configured = traces.as_ref().ok().and_then(Option::as_ref);
    let (level, format) = (log.level.into(), log.format.into());
    if let Err(error) = service::init_logging(level, format, &log.name, configured) {
        // There is no log that could have it.
        let _ = writeln!(io::stderr(), "error: {error}");
        return Ok(ExitCode::FAILURE);
    }
    for said in without_effect {
        tracing::warn!("{said}");
    }
    let traces = traces.context("--tracing.config")?;
    for said in traces.iter().flat_map(Traces::notices) {
        tracing::warn!("{said}");
    }
    service::install_crypto_provider();
    // One more than may begin requests at once, so that connections are always served.
    let threads = thread::available_parallelism().map_or(1, usize::from) + 1;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let metrics = Metrics::new();
    let command = commands::run(cli.command, cli.flags, metrics.clone());
    let ended = match traces {
        None => runtime.block_on(command),
        Some(traces) => {
            traces.register(&metrics);
            runtime.block_on(traces.beside(command))
        }
    };
    // Work given up at the end of a grace period does not delay the exit.
    runtime.shutdown_background();
    ended
}
