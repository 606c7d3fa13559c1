//! Thanos and Varve at the same work, one after the other: `compact` on copies of the same bucket, and `store` over
//! what each has made of it.
//!
//! Each case is made, run by each program in a folder of its own, and removed. Settings, all of the environment:
//!
//! | | |
//! |---|---|
//! | `CASES` | which cases, by name, or `all`; `two-days scraped` unless told |
//! | `SERIES` | series of a block; more than one number runs the cases with each |
//! | `THANOS`, `VARVE` | the programs; two of Varve compare one with another |
//! | `VERSITYGW` | the S3 server |
//! | `THANOS_FLAGS`, `VARVE_FLAGS` | more flags for one of them |

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(
    clippy::print_stderr,
    reason = "what is being done is told apart from the figures"
)]

mod cases;
mod child;
mod client;
mod compaction;
mod folder;
mod questions;
mod report;
mod server;
mod stores;

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::Context;

use self::{
    cases::{CASES, Case},
    stores::STORES,
};

/// What is fixed for all cases.
struct Settings {
    series: Vec<usize>,
    thanos: PathBuf,
    varve: PathBuf,
    versitygw: PathBuf,
    /// Everything is made in here.
    work: tempfile::TempDir,
}

fn main() -> anyhow::Result<()> {
    let settings = Settings::read()?;
    let (compaction, stores) = chosen()?;
    if !compaction.is_empty() {
        compaction::run(&settings, &compaction)?;
    }
    if !stores.is_empty() {
        stores::run(&settings, &stores)?;
    }
    Ok(())
}

/// The cases that are named.
fn chosen() -> anyhow::Result<(Vec<&'static Case>, Vec<&'static stores::Case>)> {
    let named = env::var("CASES").unwrap_or_default();
    let named: Vec<&str> = match named.trim() {
        "" => vec!["two-days", "scraped"],
        "all" => names().collect(),
        names => names.split_whitespace().collect(),
    };
    if let Some(unknown) = named.iter().find(|name| !names().any(|n| n == **name)) {
        let all = names().collect::<Vec<_>>().join(", ");
        anyhow::bail!("CASES: expected some of {all}, found {unknown}");
    }
    let is_named = |name: &str| named.contains(&name);
    Ok((
        CASES.iter().filter(|case| is_named(case.name)).collect(),
        STORES.iter().filter(|case| is_named(case.name)).collect(),
    ))
}

/// The names of all cases.
fn names() -> impl Iterator<Item = &'static str> {
    let compaction = CASES.iter().map(|case| case.name);
    compaction.chain(STORES.iter().map(|case| case.name))
}

impl Settings {
    fn read() -> anyhow::Result<Self> {
        let series = env::var("SERIES").unwrap_or_default();
        let mut series = series
            .split_whitespace()
            .map(|n| n.parse().with_context(|| format!("SERIES: {n}")))
            .collect::<anyhow::Result<Vec<usize>>>()?;
        if series.is_empty() {
            series.push(100_000);
        }
        let beside = env::current_exe()?;
        let beside = beside.parent().context("a folder of this program")?;
        let peers = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/interop/bin");
        let peers = Path::new(peers);
        let settings = Self {
            series,
            thanos: program("THANOS", &peers.join("thanos"))?,
            varve: program("VARVE", &beside.join("varve"))?,
            versitygw: program("VERSITYGW", &peers.join("versitygw"))?,
            work: tempfile::Builder::new()
                .prefix("peers-")
                .tempdir_in(beside)?,
        };
        Ok(settings)
    }
}

/// The program that a variable names, or `default`.
fn program(variable: &str, default: &Path) -> anyhow::Result<PathBuf> {
    let path = env::var_os(variable).map_or_else(|| default.to_owned(), PathBuf::from);
    path.canonicalize()
        .with_context(|| format!("{variable}: {}", path.display()))
}
