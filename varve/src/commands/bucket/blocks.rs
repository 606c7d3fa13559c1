//! Tools that list, mark and upload blocks.

use std::{num::NonZeroUsize, process::ExitCode, sync::Arc};

use model::{BlockMeta, Labels, TimeRange};
use serde_json::json;
use service::{CpuPool, Probe, SystemClock};
use sidecar::LabelSource;
use tools::{Deleted, MarkChange, Marked, Selection};

use super::{Tool, now, report, status, tell_unread};
use crate::{
    cli::{InspectArgs, InspectOutput, LsArgs, LsOutput, MarkArgs, UploadBlocksArgs},
    commands::{daemon, sidecar::levels},
    print,
};

/// Prints the blocks, each on a line of its own.
pub(super) async fn ls(tool: &Tool, args: &LsArgs) -> anyhow::Result<ExitCode> {
    daemon::check_times(&args.time)?;
    let selection = Selection {
        filter: args.selector.filter()?,
        times: TimeRange {
            min: args.time.min_time.resolve(now()),
            max: args.time.max_time.resolve(now()),
        },
        deleted: match args.exclude_delete {
            true => Deleted::LeftOut,
            false => Deleted::Listed,
        },
    };
    let snapshot = tool.snapshot(tool.bucket()?, args.timeout).await?;
    let blocks = tools::select(&snapshot, &selection);
    let mut out = String::new();
    for view in &blocks {
        match args.output {
            LsOutput::Name => out += &format!("{}\n", view.objects.id),
            LsOutput::Wide => out += &format!("{}\n", tools::wide(&view.meta)),
            LsOutput::Json => out += &String::from_utf8_lossy(&view.meta.encode()),
        }
    }
    print::stdout(&out)?;
    tracing::info!(objects = blocks.len(), "ls done");
    Ok(status(tell_unread(&snapshot)))
}

/// Prints the table of the blocks.
pub(super) async fn inspect(tool: &Tool, args: &InspectArgs) -> anyhow::Result<ExitCode> {
    let wanted = daemon::labels(&args.selector)?;
    let snapshot = tool.snapshot(tool.bucket()?, args.timeout).await?;
    let metas = snapshot.blocks.iter().map(|view| &*view.meta);
    let metas = metas.filter(|meta| has_labels(meta, &wanted));
    let table = tools::inspect(metas, &args.sort_by);
    let text = match args.output {
        InspectOutput::Table => table.text(),
        InspectOutput::Csv => String::from_utf8(table.separated(b',')?)?,
        InspectOutput::Tsv => String::from_utf8(table.separated(b'\t')?)?,
        InspectOutput::Json => format!("{}\n", serde_json::to_string(&table)?),
    };
    print::stdout(&text)?;
    Ok(status(tell_unread(&snapshot)))
}

/// Whether a block has all of these external labels.
fn has_labels(meta: &BlockMeta, wanted: &Labels) -> bool {
    let labels = meta.external_labels();
    wanted.iter().all(|(n, v)| labels.get(n) == Some(v))
}

/// Writes or removes marks, block by block.
pub(super) async fn mark(tool: &Tool, args: &MarkArgs) -> anyhow::Result<ExitCode> {
    let bucket = tool.bucket()?;
    let change = match args.remove {
        true => MarkChange::Remove,
        false => {
            anyhow::ensure!(
                !args.details.is_empty(),
                "--details: expected the reason in words, found none"
            );
            MarkChange::Put(args.details.clone())
        }
    };
    let marker = args.marker.file();
    let (mut done, mut before) = (Vec::new(), Vec::new());
    for id in &args.ids {
        match tools::mark(&bucket, *id, args.marker, &change, now()).await? {
            Marked::Done => {
                let (block, removed) = (id, args.remove);
                tracing::info!(%block, marker, removed, "mark changed");
                done.push(id);
            }
            Marked::Before => {
                let text = match args.remove {
                    true => "mark not removed, as there is none",
                    false => "mark not written, as there is one",
                };
                tracing::warn!(block = %id, marker, "{text}");
                before.push(id);
            }
        }
    }
    let told =
        json!({"marker": marker, "removed": args.remove, "changed": done, "unchanged": before});
    report(args.output, &told)?;
    Ok(ExitCode::SUCCESS)
}

/// Uploads the blocks of a folder, as the sidecar does.
pub(super) async fn upload(tool: &Tool, args: &UploadBlocksArgs) -> anyhow::Result<ExitCode> {
    let labels = daemon::labels(&args.labels)?;
    anyhow::ensure!(
        args.path.is_dir(),
        "--path {}: expected a folder of blocks, found none",
        args.path.display()
    );
    let metrics = &tool.metrics;
    let Some(bucket) = daemon::open_bucket(&tool.args.objstore, metrics)? else {
        anyhow::bail!("no bucket: --objstore.config-file or --objstore.config says where it is");
    };
    let one = NonZeroUsize::MIN;
    let config = sidecar::Config {
        levels: levels(args.upload_compacted),
        upload_concurrency: NonZeroUsize::new(args.upload_concurrency).unwrap_or(one),
        source: "bucket.upload",
        ..sidecar::Config::new(LabelSource::Fixed(labels), &args.path)
    };
    let deps = sidecar::Deps {
        clock: Arc::new(SystemClock),
        pool: CpuPool::for_requests(0),
        metrics: metrics.clone(),
        probe: Probe::new("bucket", metrics),
    };
    let pass = sidecar::run_once(&config, &bucket, &deps).await?;
    tracing::info!(
        uploaded = pass.uploaded.len(),
        present = pass.present.len(),
        skipped = pass.skipped.len(),
        failed = pass.failed.len(),
        "blocks of the folder uploaded"
    );
    let failed = pass.failed.iter();
    let failed: Vec<_> = failed
        .map(|(block, error)| json!({"block": block, "error": error.to_string()}))
        .collect();
    let told = json!({
        "uploaded": pass.uploaded,
        "present": pass.present,
        "skipped": pass.skipped,
        "failed": failed,
    });
    report(args.output, &told)?;
    Ok(status(!pass.failed.is_empty()))
}
