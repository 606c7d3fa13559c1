//! `varve tools bucket rewrite`.

use std::process::ExitCode;

use anyhow::Context as _;
use compactor::{CompactError, Edits, Original, OutputFormat, Rewrite, RewriteMode, Rewritten};
use serde_json::json;
use service::{Reload, shutdown_signal};

use super::{Tool, report};
use crate::{
    cli::{Report, RewriteArgs},
    print,
};

/// Rewrites blocks; without `--no-dry-run`, prints what would change.
pub(super) async fn run(tool: &Tool, args: &RewriteArgs) -> anyhow::Result<ExitCode> {
    let (deletions, relabeling) = (args.content.deletions()?, args.content.relabeling()?);
    let edits = Edits::from_yaml(&deletions, &relabeling)?;
    anyhow::ensure!(
        !edits.is_empty() || args.output.is_some(),
        "nothing to rewrite: expected --rewrite.to-delete-config, --rewrite.to-relabel-config or --output, found none"
    );
    let mode = match args.no_dry_run {
        true => RewriteMode::Write,
        false => RewriteMode::Dry,
    };
    let is_logged = mode == RewriteMode::Dry || !args.no_change_log;
    let rewrite = Rewrite {
        blocks: args.ids.clone(),
        edits,
        format: args.output.map(OutputFormat::from),
        mode,
        original: match args.delete_blocks {
            true => Original::MarkForDeletion,
            false => Original::Keep,
        },
        source: "bucket.rewrite",
        change_logs: is_logged.then(|| args.tmp_dir.clone()),
    };
    let config = tool.config(&args.tmp_dir, &args.lease)?;
    let (bucket, deps) = (tool.bucket()?, tool.deps()?);
    let shutdown = shutdown_signal(&Reload::new())?;
    let mut all: Vec<Rewritten> = Vec::new();
    let mut done = |rewritten: Rewritten| {
        tell(&rewritten, mode);
        all.push(rewritten);
    };
    let ended = compactor::rewrite(config, bucket, deps, &rewrite, shutdown, &mut done).await;
    if mode == RewriteMode::Dry && args.report == Report::Log {
        all.iter().try_for_each(show)?;
    }
    report(
        args.report,
        &json!({"dry_run": mode == RewriteMode::Dry, "blocks": all}),
    )?;
    match ended {
        Err(CompactError::Stopped) => Ok(ExitCode::FAILURE),
        ended => {
            ended?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// To the log.
fn tell(rewritten: &Rewritten, mode: RewriteMode) {
    let Rewritten {
        block,
        made,
        series_deleted,
        series_relabelled,
        samples,
        samples_deleted,
        change_log,
    } = rewritten;
    let made = made.map(|made| made.to_string());
    let log = change_log.as_ref().map(|path| path.display().to_string());
    let text = match mode {
        RewriteMode::Dry => "dry run finished; nothing was written",
        RewriteMode::Write => "block rewritten",
    };
    tracing::info!(
        %block, made, series_deleted, series_relabelled, samples, samples_deleted,
        change_log = log, "{text}"
    );
}

/// The changes of a block, to stdout.
fn show(rewritten: &Rewritten) -> anyhow::Result<()> {
    let Some(path) = &rewritten.change_log else {
        return Ok(());
    };
    let text = std::fs::read(path).with_context(|| path.display().to_string())?;
    print::stdout(&String::from_utf8_lossy(&text))
}
