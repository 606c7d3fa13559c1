//! `varve tools export`: samples of a bucket's blocks as files for SQL engines and data frames.
//!
//! ```text
//! blocks ── store_gateway::Reader ──▶ series ── export::Exporter, on the CPU pool ──▶ files ── Target ──▶ folder or bucket
//! ```

mod progress;
mod source;
mod target;

use std::{process::ExitCode, sync::Arc};

use anyhow::Context as _;
use export::{Exporter, Files, Format, Layout, days};
use futures::StreamExt as _;
use model::{Counted, Resolution, TimeRange, Timestamp};
use service::{Clock as _, CpuPool, Metrics, SystemClock};
use store_gateway::{Chunks, ReadRequest, Reader};

use self::{progress::Progress, source::Source, target::Target};
use crate::{
    cli::{ExportArgs, ExportFormat, Partition, SourceResolution},
    print,
};

/// Bytes after which the next file begins.
const FILE_BYTES: u64 = 1 << 30;

/// One folder of files.
struct Part {
    /// Its name below the target; empty for the target itself.
    folder: String,
    /// Both ends are inclusive.
    range: TimeRange,
}

/// Exports.
pub(super) async fn run(args: ExportArgs) -> anyhow::Result<ExitCode> {
    let matchers = model::parse_selector(&args.selector).with_context(|| args.selector.clone())?;
    let now = Timestamp(SystemClock.now_ms());
    args.time.check(now)?;
    let scratch = tempfile::TempDir::new().context("creating a temporary folder")?;
    let data_dir = args.data_dir.as_deref().unwrap_or_else(|| scratch.path());
    let pool = CpuPool::new("cpu", 0)?;
    let mut target = Target::open(&args, data_dir, &Metrics::new()).await?;
    let Source {
        reader,
        block_matchers,
    } = Source::open(&args, data_dir, &pool).await?;
    let Some(held) = reader.range() else {
        anyhow::bail!("the source has no blocks");
    };
    let asked = ReadRequest {
        matchers,
        range: TimeRange {
            min: args.time.min_time.resolve(now).max(held.min),
            max: args.time.max_time.resolve(now).min(held.max),
        },
        block_matchers,
        resolution: resolution(args.resolution),
        chunks: Chunks::Read,
    };
    let names = reader.label_names(&asked).await?;
    let layout = Arc::new(Layout::new(
        names,
        asked.resolution,
        format(args.file_format),
    ));
    let mut written = (0, 0);
    for part in parts(args.partition, asked.range) {
        let request = ReadRequest {
            range: part.range,
            ..asked.clone()
        };
        let (series, samples) =
            export(&reader, &request, &layout, &part, &mut target, &pool).await?;
        written = (written.0 + series, written.1 + samples);
    }
    print::stderr(&summary(written.0, written.1, &target))?;
    Ok(ExitCode::SUCCESS)
}

/// Exports one folder of files; returns the numbers of series and samples.
async fn export(
    reader: &Reader,
    request: &ReadRequest,
    layout: &Arc<Layout>,
    part: &Part,
    target: &mut Target,
    pool: &CpuPool,
) -> anyhow::Result<(u64, u64)> {
    let files = Files::new(target.folder(&part.folder), Arc::clone(layout), FILE_BYTES);
    let mut exporter = Exporter::new(layout, part.range, files);
    let mut progress = Progress::start(reader, request, &part.folder).await?;
    let mut batches = std::pin::pin!(reader.series(request).await?);
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let count = batch.len() as u64;
        let wrote = pool.run(move || {
            for series in batch {
                exporter.series(&series.labels, &series.chunks)?;
            }
            anyhow::Ok(exporter)
        });
        exporter = wrote.await?;
        target.take(exporter.take_finished()).await?;
        progress.add(count, exporter.written().1);
    }
    let written = exporter.written();
    let finished = pool.run(move || exporter.finish()).await?;
    target.take(finished).await?;
    Ok(written)
}

/// The folders of an export.
fn parts(partition: Option<Partition>, range: TimeRange) -> Vec<Part> {
    match partition {
        None => vec![Part {
            folder: String::new(),
            range,
        }],
        Some(Partition::Day) => days(range)
            .map(|day| Part {
                folder: format!("date={}", day.date),
                range: day.range,
            })
            .collect(),
    }
}

fn summary(series: u64, samples: u64, target: &Target) -> String {
    let (files, bytes) = target.taken();
    format!(
        "{series} series, {}, {}, {} in {}\n",
        Counted(samples, "sample"),
        Counted(files, "file"),
        Counted(bytes, "byte"),
        target.name()
    )
}

const fn resolution(args: SourceResolution) -> Resolution {
    match args {
        SourceResolution::Raw => Resolution::Raw,
        SourceResolution::FiveMinutes => Resolution::FiveMinutes,
        SourceResolution::OneHour => Resolution::OneHour,
    }
}

const fn format(args: ExportFormat) -> Format {
    match args {
        ExportFormat::Parquet => Format::Parquet,
        ExportFormat::Arrow => Format::Arrow,
        ExportFormat::Csv => Format::Csv,
    }
}
