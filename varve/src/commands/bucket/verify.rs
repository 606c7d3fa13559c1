//! `varve tools bucket verify`.

use std::{collections::BTreeSet, path::Path, process::ExitCode};

use anyhow::Context as _;
use bucket::{BlockView, Bucket};
use compactor::{Edits, Examined, Original, Rewrite, RewriteMode};
use model::{BlockId, Resolution};
use serde_json::{Value, json};
use service::{Reload, shutdown_signal};
use tokio_util::sync::CancellationToken;
use tools::{Issue, Removal};

use super::{Tool, now, progress::Progress, tell_unread};
use crate::{
    chain::chain,
    cli::{VerifyArgs, VerifyOutput},
    print,
};

/// Looks for issues, and repairs what has them.
pub(super) async fn run(tool: &Tool, args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let backup = args.backup()?.map(|config| config.open()).transpose()?;
    let repair = match (args.repair, backup) {
        (false, _) => None,
        (true, Some(backup)) => Some(backup),
        (true, None) => anyhow::bail!(
            "--repair: expected --objstore-backup.config or its -file, as blocks are copied there before they are removed, found none"
        ),
    };
    let of_metas = [Issue::Overlaps, Issue::Duplicates];
    anyhow::ensure!(
        args.ids.is_empty() || !args.issues.iter().any(|i| of_metas.contains(i)),
        "--id: expected only with --issues=index_known_issues, as the other issues are of several blocks"
    );
    let shutdown = shutdown_signal(&Reload::new())?;
    let verification = Verification {
        shutdown,
        tool,
        args,
        bucket: tool.bucket()?,
        repair,
    };
    let mut is_complete = true;
    for issue in &args.issues {
        tracing::info!(issue = issue.name(), "verification begun");
        is_complete &= match issue {
            Issue::Index => verification.index().await?,
            Issue::Overlaps => verification.overlaps().await?,
            Issue::Duplicates => verification.duplicates().await?,
        };
    }
    tracing::info!("verify task completed");
    Ok(super::status(!is_complete))
}

struct Verification<'a> {
    /// Cancelled by a signal: no other block is removed.
    shutdown: CancellationToken,
    tool: &'a Tool,
    args: &'a VerifyArgs,
    bucket: Bucket,
    /// The bucket for what is removed, if there is something to be repaired.
    repair: Option<Bucket>,
}

impl Verification<'_> {
    /// Reads blocks; tells whether all could be found and repaired.
    async fn index(&self) -> anyhow::Result<bool> {
        let ids: BTreeSet<_> = self.args.ids.iter().copied().collect();
        let config = self.tool.config(&self.args.tmp_dir, &self.args.lease)?;
        let mut found: Vec<(BlockView, String)> = Vec::new();
        let mut good = 0_u64;
        let mut progress = Progress::new("reading");
        let mut examined = |of_block: Examined<'_>| {
            let Examined { view, done, of, .. } = of_block;
            progress.show(done, of);
            match of_block.health {
                Ok(health) if health.is_good() => good += 1,
                Ok(health) => found.push((view.clone(), health.to_string())),
                Err(error) => found.push((view.clone(), error.to_string())),
            }
        };
        let (bucket, deps) = (self.bucket.clone(), self.tool.deps()?);
        let snapshot = compactor::examine(config, bucket, deps, &ids, &mut examined).await?;
        drop(progress);
        for partial in &snapshot.partial {
            let (root, reason) = (&partial.objects.root, &partial.reason);
            let told = json!({"block": partial.objects.id, "reason": reason});
            self.tell(Issue::Index, &format!("block {root}: {reason}"), told)?;
        }
        for (view, reason) in &found {
            let told = json!({"block": view.objects.id, "reason": reason});
            let text = format!("block {}: {reason}", view.objects.root);
            self.tell(Issue::Index, &text, told)?;
        }
        tracing::info!(good, with_issue = found.len(), "blocks read");
        let mut is_complete = !tell_unread(&snapshot);
        for (view, _) in &found {
            let Some(backup) = &self.repair else {
                break;
            };
            if let Err(error) = self.remake(view, backup).await {
                let block = view.objects.id;
                tracing::error!(%block, error = chain(&error), "block not repaired");
                is_complete = false;
            }
        }
        Ok(is_complete)
    }

    async fn overlaps(&self) -> anyhow::Result<bool> {
        let snapshot = self.snapshot().await?;
        for overlap in tools::overlaps(&snapshot.blocks) {
            let told = serde_json::to_value(&overlap)?;
            self.tell(Issue::Overlaps, &overlap.to_string(), told)?;
        }
        Ok(!tell_unread(&snapshot))
    }

    async fn duplicates(&self) -> anyhow::Result<bool> {
        let snapshot = self.snapshot().await?;
        let mut seen = BTreeSet::new();
        for overlap in tools::overlaps(&snapshot.blocks) {
            for set in overlap.duplicates() {
                let Some((kept, rest)) = set.split_first() else {
                    continue;
                };
                let rest = rest.iter().filter(|view| seen.insert(view.objects.id));
                for view in rest {
                    let (block, of) = (view.objects.id, kept.objects.id);
                    let text = format!("block {}: holds what {of} does", view.objects.root);
                    let told = json!({"block": block, "duplicate_of": of});
                    self.tell(Issue::Duplicates, &text, told)?;
                    if let Some(backup) = &self.repair {
                        if kept.meta.parquet.is_some() && view.meta.parquet.is_none() {
                            tracing::info!(%block, %of, "TSDB block not removed: the compactor removes it in its time, as others may not see the Parquet block");
                            continue;
                        }
                        self.back_up(view, backup).await?;
                        self.remove(view, of).await?;
                    }
                }
            }
        }
        Ok(!tell_unread(&snapshot))
    }

    async fn snapshot(&self) -> anyhow::Result<bucket::Snapshot> {
        let timeout = std::time::Duration::MAX;
        self.tool.snapshot(self.bucket.clone(), timeout).await
    }

    /// Makes a block anew from what can be read of it, which is verified before the old one is removed.
    async fn remake(&self, view: &BlockView, backup: &Bucket) -> anyhow::Result<()> {
        let block = view.objects.id;
        anyhow::ensure!(
            view.meta.resolution() == Resolution::Raw,
            "block {block}: expected raw samples, found downsampled ones, which are not repaired; delete it, and it is made again from its sources"
        );
        self.back_up(view, backup).await?;
        let rewrite = Rewrite {
            blocks: vec![block],
            edits: Edits::default(),
            format: None,
            mode: RewriteMode::Write,
            original: Original::Replace(tools::REPAIRED),
            source: "bucket.repair",
            change_logs: None,
        };
        let config = self.tool.config(&self.args.tmp_dir, &self.args.lease)?;
        let (bucket, deps) = (self.bucket.clone(), self.tool.deps()?);
        let shutdown = self.shutdown.clone();
        let mut made = None;
        let mut done = |rewritten: compactor::Rewritten| made = rewritten.made;
        compactor::rewrite(config, bucket, deps, &rewrite, shutdown, &mut done).await?;
        let made = made.context("no sample is left, so the block stays")?;
        if self.removal() == Removal::Delete {
            // It is marked, so nobody begins to read it.
            bucket::delete_block(&self.bucket, &view.objects).await?;
        }
        tracing::info!(%block, %made, "block repaired");
        Ok(())
    }

    async fn back_up(&self, view: &BlockView, backup: &Bucket) -> anyhow::Result<()> {
        let dir: &Path = self.tool.scratch.path();
        Ok(tools::back_up(&self.bucket, backup, view, dir).await?)
    }

    /// Removes a block whose samples `other` has, under the lease of their group, if both are still there.
    async fn remove(&self, view: &BlockView, other: BlockId) -> anyhow::Result<()> {
        let removal = self.removal();
        let config = self.tool.config(&self.args.tmp_dir, &self.args.lease)?;
        let (bucket, deps) = (self.bucket.clone(), self.tool.deps()?);
        anyhow::ensure!(!self.shutdown.is_cancelled(), "stopped by a signal");
        let shutdown = self.shutdown.clone();
        let blocks = [other, view.objects.id];
        let remove = async { Ok(tools::remove(&self.bucket, view, removal, now()).await?) };
        compactor::under_lease(config, bucket, deps, blocks, shutdown, remove).await
    }

    fn removal(&self) -> Removal {
        match self.args.delete_delay.is_zero() {
            true => Removal::Delete,
            false => Removal::Mark,
        }
    }

    /// A finding, to stdout.
    fn tell(&self, issue: Issue, text: &str, mut told: Value) -> anyhow::Result<()> {
        let name = issue.name();
        if let Some(members) = told.as_object_mut() {
            members.insert("issue".to_owned(), json!(name));
        }
        match self.args.output {
            VerifyOutput::Text => print::stdout(&format!("{name}: {text}\n")),
            VerifyOutput::Json => print::stdout(&format!("{told}\n")),
        }
    }
}
