//! The rewrite of one block, from the bucket to the bucket.

use std::{path::Path, sync::Arc};

use bucket::{BlockView, Mark};
use model::{BlockId, BlockMeta, FileMeta, ParquetMeta, Rfc3339, Timestamp};
use serde_json::{Value, json};

use super::{Compaction, fetch, remove_dir, unpanicked};
use crate::{
    Candidate, CompactError, Health, Original, OutputFormat, Rewrite, RewriteMode, Rewritten, Task,
    merge::{Edited, Runs, edited, health},
    rewrite::{ChangeLog, Edits},
    snapshot::Blocks,
    verify::{self, Claim},
};

impl Compaction<'_> {
    /// Rewrites a block. In a dry run nothing is written into the bucket.
    ///
    /// # Errors
    /// When anything fails; then nothing is committed. An error after the commit leaves the old block without a mark.
    pub(crate) async fn rewrite(
        &self,
        view: &BlockView,
        rewrite: &Rewrite,
        blocks: &Blocks,
    ) -> Result<Rewritten, CompactError> {
        let candidate = blocks.candidate(view);
        let format = rewrite.format.unwrap_or(match view.meta.parquet {
            Some(_) => OutputFormat::Parquet,
            None => OutputFormat::Tsdb,
        });
        let budget = self.config.merge.memory_budget;
        let task = Arc::new(Task::of_one(candidate, format, budget));
        let dir = self.config.work_dir().join(&task.id);
        self.make_room(&task, &dir).await?;
        let done = self.rewrite_in(view, rewrite, &task, blocks, &dir).await;
        let removed = remove_dir(dir).await;
        let done = done.map_err(|source| CompactError::Rewriting {
            block: view.objects.id,
            source: Box::new(source),
        })?;
        removed?;
        Ok(done)
    }

    /// Fetches a block and reads it.
    ///
    /// # Errors
    /// When it cannot be fetched or read.
    pub(crate) async fn examine(
        &self,
        view: &BlockView,
        blocks: &Blocks,
    ) -> Result<Health, CompactError> {
        let candidate = blocks.candidate(view);
        let budget = self.config.merge.memory_budget;
        let task = Task::of_one(candidate, OutputFormat::default(), budget);
        let dir = self
            .config
            .work_dir()
            .join(format!("examine-{}", view.objects.id));
        self.make_room(&task, &dir).await?;
        let read = async {
            fetch::inputs(&task, blocks, self.bucket, &dir, self.config).await?;
            let block = dir.join(view.objects.id.to_string());
            let work = move || health(&block).map_err(CompactError::from);
            unpanicked(self.deps.pool.run(work)).await
        };
        let examined = read.await;
        remove_dir(dir).await?;
        examined
    }

    async fn rewrite_in(
        &self,
        view: &BlockView,
        rewrite: &Rewrite,
        task: &Arc<Task>,
        blocks: &Blocks,
        dir: &Path,
    ) -> Result<Rewritten, CompactError> {
        let block = view.objects.id;
        fetch::inputs(task, blocks, self.bucket, dir, self.config).await?;
        let mut done = Rewritten {
            block,
            ..Rewritten::default()
        };
        let mut inputs = task.inputs.clone();
        if !rewrite.edits.is_empty() {
            let edited = self.edit(block, rewrite, dir, &mut done).await?;
            let run = |meta: BlockMeta| Candidate::of_run(Arc::new(meta));
            inputs = edited.runs.into_iter().map(run).collect();
        }
        if rewrite.mode == RewriteMode::Dry {
            return Ok(done);
        }
        let task = Arc::new(Task {
            inputs,
            ..Task::clone(task)
        });
        let claims = match task.inputs.is_empty() {
            true => Vec::new(),
            false => self.make(&task, dir).await?,
        };
        for claim in &claims {
            verify::complete(claim, dir, &self.deps.pool).await?;
        }
        if let Err(error) = self.upload(&claims).await {
            self.take_back(&claims).await;
            return Err(error);
        }
        for claim in &claims {
            let now = Timestamp(self.deps.clock.now_ms());
            let meta = meta(&view.meta, rewrite, claim, now)?;
            self.commit_as(claim, &meta, now).await?;
            done.made = Some(claim.block);
        }
        let details = match rewrite.original {
            Original::Keep => None,
            Original::MarkForDeletion => Some("block rewritten"),
            Original::Replace(details) => (!claims.is_empty()).then_some(details),
        };
        if let Some(details) = details {
            self.mark(block, Mark::Deletion, details, blocks).await?;
        }
        Ok(done)
    }

    async fn edit(
        &self,
        block: BlockId,
        rewrite: &Rewrite,
        dir: &Path,
        done: &mut Rewritten,
    ) -> Result<Edited, CompactError> {
        let runs = match rewrite.mode {
            RewriteMode::Dry => Runs::Nowhere,
            RewriteMode::Write => Runs::Below(dir.to_owned()),
        };
        let logs = rewrite.change_logs.as_ref();
        let path = logs.map(|logs| logs.join(format!("{block}.change.log")));
        let (source, edits) = (dir.join(block.to_string()), rewrite.edits.clone());
        let budget = self.config.merge.memory_budget;
        let work = move || {
            let at = path.clone().unwrap_or_default();
            let mut log = ChangeLog::create(path.as_deref()).map_err(CompactError::io(&at))?;
            let edited = edited(&source, &edits, runs, budget, &mut log)?;
            let log = log.finish().map_err(CompactError::io(&at))?;
            Ok((edited, log))
        };
        let (edited, log) = unpanicked(self.deps.pool.run(work)).await?;
        *done = Rewritten {
            series_deleted: edited.series_deleted,
            series_relabelled: edited.series_relabelled,
            samples: edited.samples,
            samples_deleted: edited.samples_deleted,
            change_log: log,
            ..done.clone()
        };
        Ok(edited)
    }
}

/// The `meta.json` of the new block: the old one's, but for what changed. If samples or labels did, the new block is its
/// only source, as with Thanos, and the rewrite is noted.
fn meta(
    old: &BlockMeta,
    rewrite: &Rewrite,
    claim: &Claim,
    now: Timestamp,
) -> Result<BlockMeta, CompactError> {
    let edits = &rewrite.edits;
    let mut meta = old.clone();
    let mut thanos = meta.thanos.take().unwrap_or_default();
    if !edits.is_empty() {
        let sources = std::mem::replace(&mut meta.compaction.sources, vec![claim.block]);
        let rewrites = thanos.extra.entry("rewrites").or_insert_with(|| json!([]));
        if rewrites.is_null() {
            *rewrites = json!([]);
        }
        let noted = noted(edits, &sources).map_err(|error| CompactError::Block {
            block: old.ulid,
            reason: error.to_string(),
        })?;
        match rewrites.as_array_mut() {
            Some(rewrites) => rewrites.push(noted),
            None => {
                return Err(CompactError::Block {
                    block: old.ulid,
                    reason: "meta.json: rewrites: expected a list, found another value".to_owned(),
                });
            }
        }
    }
    let mut files = claim.files.clone();
    files.push(FileMeta {
        rel_path: BlockMeta::FILE.to_owned(),
        ..FileMeta::default()
    });
    files.sort_by(|a, b| a.rel_path.cmp(&b.rel_path));
    let segments = files
        .iter()
        .filter_map(|f| f.rel_path.strip_prefix("chunks/"));
    thanos.segment_files = segments.map(str::to_owned).collect();
    thanos.files = files;
    thanos.version = 1;
    thanos.index_stats = claim.output.index_stats;
    thanos.upload_time = Rfc3339(now).to_string();
    rewrite.source.clone_into(&mut thanos.source);
    Ok(BlockMeta {
        ulid: claim.block,
        stats: claim.output.stats,
        thanos: Some(thanos),
        parquet: (claim.task.format == OutputFormat::Parquet).then(|| ParquetMeta {
            version: 1,
            shards: claim.output.shards.clone(),
        }),
        ..meta
    })
}

fn noted(edits: &Edits, sources: &[BlockId]) -> serde_json::Result<Value> {
    let mut noted = serde_json::Map::new();
    noted.insert("sources".to_owned(), serde_json::to_value(sources)?);
    if !edits.deletions().is_empty() {
        let applied = serde_json::to_value(edits.deletions())?;
        noted.insert("deletions_applied".to_owned(), applied);
    }
    if !edits.rules().is_empty() {
        let applied = serde_json::to_value(edits.rules())?;
        noted.insert("relabels_applied".to_owned(), applied);
    }
    Ok(Value::Object(noted))
}
