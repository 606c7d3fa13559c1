//! One task, from the bucket to the bucket.
//!
//! ```text
//! download sources → merge → count → upload → read back → meta.json → deletion marks of the sources
//!                                                             └ from here on the block is there
//! ```
//! A task may make several blocks, one for each resolution. The coarsest gets its `meta.json` first, and that in the
//! sources' own resolution last: until then the sources are there, and what is missing can be made of them.
//!
//! A crash before `meta.json` leaves files that no reader takes for a block, and the task is done again; a crash after
//! it leaves sources that the planner finds covered, and only the marks are made up for.

mod damage;
mod exclude;
mod fetch;
mod rewrite;

use std::{
    collections::BTreeSet,
    fs,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::Arc,
};

use bucket::{Bucket, Mark, PARQUET_ROOT};
use futures::FutureExt as _;
use model::{BlockId, BlockMeta, ParquetMeta, Resolution, Timestamp};
use page::{Phase, RunningTask};
use service::{blocking, in_span, span};

use crate::{
    CompactError, Config, CoveredBy, Deps, MergeInput, MergeOutput, MergeTarget, OutputFormat,
    Task, disk,
    lease::Until,
    merge,
    metrics::CompactMetrics,
    plan::Made,
    progress::Progress,
    snapshot::Blocks,
    verify::{self, Claim},
};

/// The folder of a task's outputs.
const OUT: &str = "out";

/// What tasks need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compaction<'a> {
    pub(crate) config: &'a Config,
    pub(crate) bucket: &'a Bucket,
    pub(crate) deps: &'a Deps,
    pub(crate) metrics: &'a CompactMetrics,
    /// Until when the group is leased.
    pub(crate) until: &'a Until,
}

/// The result of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// These blocks hold the samples of the inputs, the finest resolution first.
    Merged(Vec<BlockId>),
    /// The inputs hold no sample, or tombstones delete all. For a task that only downsamples: none can be downsampled.
    Empty,
}

impl Compaction<'_> {
    /// Does a task up to the commit; the sources are not marked for deletion. A damaged one is marked as not to be
    /// compacted.
    ///
    /// # Errors
    /// When anything fails; then nothing is committed.
    pub(crate) async fn run(
        &self,
        task: &Arc<Task>,
        blocks: &Blocks,
    ) -> Result<Outcome, CompactError> {
        let now = Timestamp(self.deps.clock.now_ms());
        let running = || RunningTask::new(task.planned(), now);
        let _running = self.deps.board.started(running);
        let dir = self.config.work_dir().join(&task.id);
        self.make_room(task, &dir).await?;
        let mut fetched_again: BTreeSet<BlockId> = BTreeSet::new();
        let done = loop {
            let error = match self.run_in(task, blocks, &dir).await {
                Ok(outcome) => break Ok(outcome),
                Err(error) => self.explain(error, task, &dir).await,
            };
            match self.judge(error, blocks, &dir).await {
                CompactError::CopyDiffers { block, key, source } if fetched_again.insert(block) => {
                    tracing::warn!(task = task.id, %block, key, error = %source, "local copy differs from the bucket, fetching it again");
                    self.metrics.blocks_fetched_again.inc();
                    if let Err(error) = remove_dir(dir.join(block.to_string())).await {
                        break Err(error);
                    }
                }
                error => break Err(error),
            }
        };
        if !matches!(&done, Err(error) if error.keeps_downloads()) {
            remove_dir(dir).await?;
        }
        done
    }

    async fn run_in(
        &self,
        task: &Arc<Task>,
        blocks: &Blocks,
        dir: &Path,
    ) -> Result<Outcome, CompactError> {
        let board = &self.deps.board;
        board.phase(&task.id, Phase::Fetching);
        let fetch = fetch::inputs(task, blocks, self.bucket, dir, self.config);
        in_span(span!("compaction_block_download"), fetch).await?;
        let mut claims = self.make(task, dir).await?;
        if claims.is_empty() {
            return Ok(Outcome::Empty);
        }
        board.phase(&task.id, Phase::Uploading);
        let upload = self.upload(&claims);
        if let Err(error) = in_span(span!("compaction_block_upload"), upload).await {
            self.take_back(&claims).await;
            return Err(error);
        }
        board.phase(&task.id, Phase::Committing);
        claims.sort_by_key(|claim| claim.output.resolution);
        for claim in claims.iter().rev() {
            self.commit(claim).await?;
        }
        let made = claims.iter().map(|claim| claim.block);
        Ok(Outcome::Merged(made.collect()))
    }

    /// Makes the outputs of the sources below `dir`, and verifies that they hold what the sources do. If there are
    /// none, the sources hold no sample, or none that can be downsampled.
    async fn make(&self, task: &Arc<Task>, dir: &Path) -> Result<Vec<Claim>, CompactError> {
        let targets: Vec<MergeTarget> = task.outputs.iter().map(|r| target(dir, *r)).collect();
        clear_outputs(dir, &targets).await?;
        let inputs = task.input_ids().map(|id| dir.join(id.to_string()));
        let merge = self.merge(task, inputs.collect(), targets.clone());
        let outputs = in_span(span!("compaction"), merge).await?;
        self.deps.board.phase(&task.id, Phase::Verifying);
        let mut claims = Vec::with_capacity(outputs.len());
        for (output, target) in outputs.into_iter().zip(targets) {
            if output.stats.num_series > 0 {
                claims.push(self.claim(task, output, target).await?);
            }
        }
        let pool = &self.deps.pool;
        if claims.is_empty() && task.merges() {
            unpanicked(verify::nothing_held(task, dir, pool)).await?;
        } else {
            let verify = unpanicked(verify::local(&claims, dir, pool));
            in_span(span!("compaction_verify_index"), verify).await?;
        }
        Ok(claims)
    }

    /// The metadata that an output must have, under a new id.
    async fn claim(
        &self,
        task: &Arc<Task>,
        output: MergeOutput,
        target: MergeTarget,
    ) -> Result<Claim, CompactError> {
        let block = self.new_id()?;
        let (dir, names) = (target.dir.clone(), output.files.clone());
        Ok(Claim {
            block,
            task: Arc::clone(task),
            files: blocking(move || verify::sized(&dir, &names)).await?,
            output: Arc::new(output),
            dir: target.dir,
            root: match task.format {
                OutputFormat::Parquet => format!("{PARQUET_ROOT}/{block}"),
                OutputFormat::Tsdb => block.to_string(),
            },
        })
    }

    /// Deletes the files of a failed upload. Best effort: what stays is cleaned once it is old.
    async fn take_back(&self, claims: &[Claim]) {
        for claim in claims {
            for file in &claim.files {
                let key = format!("{}/{}", claim.root, file.rel_path);
                if let Err(error) = self.bucket.delete(&key).await {
                    tracing::debug!(key, %error, "file of a failed upload not deleted");
                }
            }
        }
    }

    /// Checks the disk space, without the files of another attempt.
    async fn make_room(&self, task: &Task, dir: &Path) -> Result<(), CompactError> {
        clear_outputs(dir, &[]).await?;
        let (dir, needed) = (dir.to_owned(), task.disk_bytes);
        blocking(move || {
            fs::create_dir_all(&dir).map_err(CompactError::io(&dir))?;
            disk::check(&dir, needed)
        })
        .await
    }

    async fn merge(
        &self,
        task: &Task,
        blocks: Vec<PathBuf>,
        outputs: Vec<MergeTarget>,
    ) -> Result<Vec<MergeOutput>, CompactError> {
        let input = MergeInput {
            blocks,
            range: task.range(),
            outputs,
            dedup: task.dedup,
            format: task.format,
            options: self.config.merge.clone(),
        };
        let series_merged = self.metrics.series_merged.clone();
        let Deps { clock, board, .. } = self.deps;
        let progress = Progress::start(self.config.progress, task, clock, board);
        let progress = move |series: u64| {
            series_merged.inc_by(series);
            progress.add(series);
        };
        let merge = move || merge(&input, &progress).map_err(CompactError::from);
        unpanicked(self.deps.pool.run(merge)).await
    }

    async fn upload(&self, claims: &[Claim]) -> Result<(), CompactError> {
        for claim in claims {
            let mut uploaded = Vec::with_capacity(claim.files.len());
            for file in &claim.files {
                let key = format!("{}/{}", claim.root, file.rel_path);
                let path = claim.dir.join(&file.rel_path);
                // From here on the file may be the object: it is read and removed, and not written to.
                uploaded.push(self.bucket.upload_linked(&key, &path).await?);
            }
            verify::uploaded(claim, &uploaded, self.bucket, &self.deps.pool).await?;
        }
        Ok(())
    }

    async fn commit(&self, claim: &Claim) -> Result<(), CompactError> {
        let shards = claim.output.shards.clone();
        let now = Timestamp(self.deps.clock.now_ms());
        let meta = claim.task.meta(Made {
            ulid: claim.block,
            resolution: claim.output.resolution,
            stats: claim.output.stats,
            index_stats: claim.output.index_stats,
            parquet: (claim.task.format == OutputFormat::Parquet)
                .then_some(ParquetMeta { version: 1, shards }),
            files: claim.files.clone(),
            now,
        });
        self.commit_as(claim, &meta, now).await
    }

    /// Commits an output under this `meta.json`.
    async fn commit_as(
        &self,
        claim: &Claim,
        meta: &BlockMeta,
        now: Timestamp,
    ) -> Result<(), CompactError> {
        let Some(_leave) = self.until.leave(now).await else {
            let name = claim.task.group.to_string();
            return Err(CompactError::LeaseLost { name });
        };
        let key = format!("{}/{}", claim.root, BlockMeta::FILE);
        self.bucket.put(&key, meta.encode().into()).await?;
        Ok(())
    }

    /// Marks the inputs of a committed task, if its outputs replace them.
    ///
    /// # Errors
    /// At the first mark that cannot be made; the planner will find the other blocks covered.
    pub(crate) async fn mark_inputs(
        &self,
        task: &Task,
        outcome: &Outcome,
        blocks: &Blocks,
    ) -> Result<(), CompactError> {
        if !task.merges() {
            return match outcome {
                Outcome::Merged(_) => Ok(()),
                Outcome::Empty => self.mark_no_downsample(task, blocks).await,
            };
        }
        let is_replaced = matches!(outcome, Outcome::Merged(_));
        let may_wait = is_replaced && task.format == OutputFormat::Parquet;
        let waits = may_wait && !self.config.stores.is_empty();
        for input in &task.inputs {
            let id = input.meta.ulid;
            if waits && input.meta.parquet.is_none() {
                // The next plan finds it covered, and marks it in its time.
                continue;
            }
            let details = match (outcome, task.format) {
                (Outcome::Merged(into), format) => match (into.first(), format) {
                    (Some(into), OutputFormat::Parquet) => CoveredBy::Parquet(*into).to_string(),
                    (Some(into), OutputFormat::Tsdb) => CoveredBy::Block(*into).to_string(),
                    (None, _) => continue,
                },
                (Outcome::Empty, _) if input.meta.stats.num_samples == 0 => {
                    "empty block".to_owned()
                }
                // Verified: all samples were read.
                (Outcome::Empty, _) => "all samples deleted by tombstones".to_owned(),
            };
            self.mark(id, Mark::Deletion, &details, blocks).await?;
        }
        Ok(())
    }

    /// Marks the inputs of a task without anything to downsample, so that it is not tried again and retention does not
    /// wait for it.
    async fn mark_no_downsample(&self, task: &Task, blocks: &Blocks) -> Result<(), CompactError> {
        let mark = Mark::NoDownsample("no-samples");
        let details = "expected samples that are neither stale nor NaN, found none";
        for id in task.input_ids() {
            self.mark(id, mark, details, blocks).await?;
        }
        Ok(())
    }

    /// Marks a block, if it exists.
    ///
    /// # Errors
    /// When the mark cannot be written.
    pub(crate) async fn mark(
        &self,
        block: BlockId,
        mark: Mark<'_>,
        details: &str,
        blocks: &Blocks,
    ) -> Result<(), CompactError> {
        let Some(view) = blocks.get(block) else {
            return Ok(());
        };
        let now = Timestamp(self.deps.clock.now_ms());
        let root = &view.objects.root;
        bucket::mark_block(self.bucket, root, block, mark, details, now).await?;
        self.metrics.marked(mark);
        // A deletion mark has only details.
        let reason = Some(mark.reason()).filter(|reason| !reason.is_empty());
        tracing::info!(%block, mark = mark.file(), reason, details, "marked");
        Ok(())
    }

    fn new_id(&self) -> Result<BlockId, CompactError> {
        let mut entropy = [0; 16];
        getrandom::fill(&mut entropy)?;
        let now = Timestamp(self.deps.clock.now_ms());
        Ok(BlockId::new(now, u128::from_be_bytes(entropy)))
    }
}

/// Creates empty folders for the outputs.
async fn clear_outputs(dir: &Path, targets: &[MergeTarget]) -> Result<(), CompactError> {
    let (out, targets) = (dir.join(OUT), targets.to_vec());
    blocking(move || {
        files::remove_folder(&out).map_err(CompactError::io(&out))?;
        for target in &targets {
            fs::create_dir_all(&target.dir).map_err(CompactError::io(&target.dir))?;
        }
        Ok(())
    })
    .await
}

/// Waits for work. A panic in it is an error of its task: one block causes it, and the others must not wait for it.
async fn unpanicked<T>(
    work: impl Future<Output = Result<T, CompactError>> + Send,
) -> Result<T, CompactError> {
    let caught = AssertUnwindSafe(work).catch_unwind().await;
    caught.unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        let reason = text.unwrap_or("without a message").to_owned();
        Err(CompactError::Panicked { reason })
    })
}

/// The folder of an output.
fn target(dir: &Path, resolution: Resolution) -> MergeTarget {
    MergeTarget {
        resolution,
        dir: dir.join(OUT).join(resolution.millis().to_string()),
    }
}

async fn remove_dir(dir: PathBuf) -> Result<(), CompactError> {
    blocking(move || files::remove_folder(&dir).map_err(CompactError::io(&dir))).await
}
