//! `thanos compact` and `varve compact` on copies of the same bucket, one after the other.
//!
//! Each case is made, run by each program in a folder of its own, and removed. Settings, all of the environment:
//!
//! | | |
//! |---|---|
//! | `CASES` | which cases, by name, or `all`; `two-days scraped` unless told; `sidecar` compares the two sidecars |
//! | `HEAD_SERIES` | series of the head of the Prometheus beside the sidecars |
//! | `SERIES` | series of a block; more than one number runs the cases with each |
//! | `THANOS`, `VARVE` | the programs |
//! | `THANOS_FLAGS`, `VARVE_FLAGS` | more flags for one of them |

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(
    clippy::print_stderr,
    reason = "what is being done is told apart from the figures"
)]

mod cases;
mod child;
mod folder;
mod report;
mod sidecar;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

use self::{
    cases::{CASES, Case, Data, Program, Run},
    child::Used,
    folder::{Contents, live},
    report::Row,
};

/// The case of the two sidecars.
const SIDECAR: &str = "sidecar";

/// What is fixed for all cases.
struct Settings {
    cases: Vec<&'static Case>,
    /// Whether sidecars are compared too.
    sidecar: bool,
    series: Vec<usize>,
    thanos: PathBuf,
    varve: PathBuf,
    /// Everything is made in here.
    work: tempfile::TempDir,
}

fn main() -> anyhow::Result<()> {
    let settings = Settings::read()?;
    if settings.sidecar {
        sidecar::compare(&settings.thanos, &settings.varve, settings.work.path())?;
    }
    if !settings.cases.is_empty() {
        print!("{}", report::HEAD);
    }
    for case in &settings.cases {
        // What was scraped is as large as it is.
        let sizes = match case.data {
            Data::Scraped => settings.series.get(..1),
            Data::TwoDays | Data::Replicas => settings.series.get(..),
        };
        for series in sizes.into_iter().flatten() {
            run_case(&settings, case, *series)
                .with_context(|| format!("{} of {series} series", case.name))?;
        }
    }
    Ok(())
}

/// Makes the case's blocks, and prints a row for each of its runs.
fn run_case(settings: &Settings, case: &Case, series: usize) -> anyhow::Result<()> {
    let dir = settings.work.path().join(case.name);
    let blocks = dir.join("blocks");
    eprintln!("{}: making blocks of {series} series", case.name);
    case.data.make(&blocks, series)?;
    let mut first: Option<Row> = None;
    for run in case.runs {
        let row = run_one(settings, case, run, &dir, &blocks)?;
        print!("{row}");
        match &first {
            Some(first) => print!("{}", row.against(first)),
            None => first = Some(row),
        }
    }
    fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))
}

/// One program on a copy of the blocks.
fn run_one(
    settings: &Settings,
    case: &Case,
    run: &Run,
    dir: &Path,
    blocks: &Path,
) -> anyhow::Result<Row> {
    let own = dir.join("run");
    let bucket = own.join("bucket");
    folder::copy(blocks, &bucket)?;
    let mut row = Row {
        case: case.name,
        run: run.name,
        series: 0,
        used: Used::default(),
        contents: Contents::default(),
        refused: None,
    };
    if let Some(flags) = case.before {
        eprintln!("{}: {} makes its input", case.name, run.name);
        let used = compact(settings, run, &own, &[flags, case.flags].concat())?;
        row.refused = used.refused;
        folder::remove_marked(&bucket)?;
    }
    let inputs = live(&bucket)?;
    let series = inputs.iter().map(|(meta, _)| meta.stats.num_series);
    row.series = series.max().unwrap_or_default();
    if row.refused.is_none() {
        // What was written before must not be written out meanwhile.
        Command::new("sync").status().context("running sync")?;
        folder::read_all(&bucket)?;
        eprintln!("{}: {}", case.name, run.name);
        let used = compact(settings, run, &own, case.flags)?;
        row.refused.clone_from(&used.refused);
        row.contents = Contents::of(&live(&bucket)?, &inputs);
        row.used = used;
    }
    fs::remove_dir_all(&own).with_context(|| format!("removing {}", own.display()))?;
    Ok(row)
}

/// Runs the compactor of `run` once on the bucket in `own`.
fn compact(settings: &Settings, run: &Run, own: &Path, flags: &[&str]) -> anyhow::Result<Used> {
    let objstore = own.join("objstore.yml");
    let bucket = serde_json::to_string(&own.join("bucket"))?;
    let yaml = format!("type: FILESYSTEM\nconfig:\n  directory: {bucket}\n");
    fs::write(&objstore, yaml).with_context(|| format!("writing {}", objstore.display()))?;
    let data = own.join("data");
    let (program, more) = match run.program {
        Program::Thanos => (&settings.thanos, "THANOS_FLAGS"),
        Program::Varve => (&settings.varve, "VARVE_FLAGS"),
    };
    let more = env::var(more).unwrap_or_default();
    let mut command = Command::new(program);
    command
        .arg("compact")
        .arg(format!("--data-dir={}", data.display()))
        .arg(format!("--objstore.config-file={}", objstore.display()))
        .args(["--consistency-delay=0s", "--http-address=127.0.0.1:0"])
        .args(flags)
        .args(run.flags)
        .args(more.split_whitespace());
    let used = child::run(&mut command, &own.join("log"))?;
    // It is no part of the next run.
    if data.try_exists()? {
        fs::remove_dir_all(&data).with_context(|| format!("removing {}", data.display()))?;
    }
    Ok(used)
}

impl Settings {
    fn read() -> anyhow::Result<Self> {
        let named = env::var("CASES").unwrap_or_default();
        let all = || CASES.iter().map(|case| case.name).chain([SIDECAR]);
        let mut named: Vec<&str> = match named.trim() {
            "" => vec!["two-days", "scraped"],
            "all" => all().collect(),
            names => names.split_whitespace().collect(),
        };
        let sidecar = named.contains(&SIDECAR);
        named.retain(|name| *name != SIDECAR);
        let case = |name: &&str| {
            let names = || all().collect::<Vec<_>>().join(", ");
            let found = CASES.iter().find(|case| case.name == *name);
            found.with_context(|| format!("CASES: expected some of {}, found {name}", names()))
        };
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
        let thanos = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/interop/bin/thanos");
        let settings = Self {
            cases: named.iter().map(case).collect::<anyhow::Result<_>>()?,
            sidecar,
            series,
            thanos: program("THANOS", Path::new(thanos))?,
            varve: program("VARVE", &beside.join("varve"))?,
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
