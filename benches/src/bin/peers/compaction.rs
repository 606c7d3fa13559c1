//! `thanos compact` and `varve compact` on copies of the same bucket, one after the other.

use std::{env, fs, path::Path, process::Command};

use anyhow::Context;

use crate::{
    Settings,
    cases::{Case, Data, Program, Run},
    child::{self, Used},
    folder::{self, Contents, live},
    report::{self, Row},
};

/// Runs the cases with each number of series, and prints a table.
pub(crate) fn run(settings: &Settings, cases: &[&'static Case]) -> anyhow::Result<()> {
    print!("{}", report::HEAD);
    for case in cases {
        // What was scraped is as large as it is.
        let sizes = match case.data {
            Data::Scraped => settings.series.get(..1),
            Data::TwoDays | Data::Replicas => settings.series.get(..),
        };
        for series in sizes.into_iter().flatten() {
            run_case(settings, case, *series)
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
pub(crate) fn compact(
    settings: &Settings,
    run: &Run,
    own: &Path,
    flags: &[&str],
) -> anyhow::Result<Used> {
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
