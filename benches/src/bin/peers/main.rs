//! Thanos and Varve at the same work, one after the other: `compact` on copies of the same bucket, `store` over what
//! each has made of it, and `sidecar` beside one Prometheus.
//!
//! Each case is made, run by each program in a folder of its own, and removed. Settings, all of the environment:
//!
//! | | |
//! |---|---|
//! | `CASES` | which cases, by name, or `all`; `two-days scraped` unless told |
//! | `HEAD_SERIES` | series of that Prometheus; 200000 unless told |
//! | `SERIES` | series of a block; more than one number runs the cases with each |
//! | `THANOS`, `VARVE` | the programs; two of Varve compare one with another |
//! | `VERSITYGW` | the S3 server |
//! | `THANOS_FLAGS`, `VARVE_FLAGS` | more flags for one of them |
//! | `QUESTIONS` | of a store: only those whose names begin with one of these, separated by `;` |
//! | `KEEP` | a folder for what stores are asked about, which is kept for the next time |

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
mod sidecar;
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

/// What is asked for.
struct Chosen {
    compaction: Vec<&'static Case>,
    stores: Vec<&'static stores::Case>,
    /// Whether the sidecars are compared.
    sidecar: bool,
}

fn main() -> anyhow::Result<()> {
    // Without one there is no client for HTTP, even where nothing is encrypted.
    let provider = rustls::crypto::ring::default_provider();
    provider.install_default().ok();
    let settings = Settings::read()?;
    let Chosen {
        compaction,
        stores,
        sidecar,
    } = chosen()?;
    if !compaction.is_empty() {
        compaction::run(&settings, &compaction)?;
    }
    if !stores.is_empty() {
        stores::run(&settings, &stores)?;
    }
    if sidecar {
        sidecar::run(&settings)?;
    }
    Ok(())
}

/// The cases that are named.
fn chosen() -> anyhow::Result<Chosen> {
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
    Ok(Chosen {
        compaction: CASES.iter().filter(|case| is_named(case.name)).collect(),
        stores: STORES.iter().filter(|case| is_named(case.name)).collect(),
        sidecar: is_named(sidecar::NAME),
    })
}

/// The names of all cases.
fn names() -> impl Iterator<Item = &'static str> {
    let compaction = CASES.iter().map(|case| case.name);
    let stores = STORES.iter().map(|case| case.name);
    compaction.chain(stores).chain([sidecar::NAME])
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
