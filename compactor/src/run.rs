//! The loop: look at the bucket, clean, plan, merge, and again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bucket::{Bucket, MetaFetcher, SyncMetrics};
use model::{BlockId, Timestamp};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    CompactError, Config, Deps, Outcome, Plan, PlanOptions, Repeat, Task, Unusable, clean::Cleaner,
    compaction::Compaction, duration, metrics::CompactMetrics, plan, snapshot::Blocks, todo,
};

/// What was done.
#[derive(Debug, Default)]
pub struct Summary {
    /// Tasks that were done, with the blocks that each made.
    pub merged: Vec<(String, Outcome)>,
    /// Blocks that were marked because another block holds their samples, sources of merges apart.
    pub covered: Vec<BlockId>,
    /// Blocks that were marked because they are older than blocks of their resolution are kept.
    pub expired: Vec<BlockId>,
    /// Blocks that turned out to be damaged and were marked so that no later run takes them; each is in `failed` too.
    pub no_compact: Vec<BlockId>,
    /// Blocks that were deleted.
    pub deleted: Vec<BlockId>,
    /// What could not be done: a task or a block, with the reason. The rest went on.
    pub failed: Vec<(String, CompactError)>,
}

/// Merges what there is to merge; again and again, if so configured, until `shutdown`.
///
/// With [`Repeat::Every`] nothing ends it but `shutdown`: an error waits for the next turn.
///
/// # Errors
/// When the settings do not go together or the bucket cannot be listed. What concerns one task or block is in the
/// summary.
pub async fn run(
    config: Config,
    bucket: Bucket,
    deps: Deps,
    shutdown: CancellationToken,
) -> Result<Summary, CompactError> {
    let mut compactor = Compactor::new(config, bucket, deps)?;
    compactor.deps.probe.healthy();
    let probe = compactor.deps.probe.clone();
    let work = compactor.work();
    let ended = shutdown.run_until_cancelled(work).await;
    ended.unwrap_or_else(|| {
        probe.not_ready("shutting down");
        Ok(Summary::default())
    })
}

/// What would be done now, and why each other block is left.
///
/// # Errors
/// When the bucket cannot be listed.
pub async fn plan_now(config: Config, bucket: Bucket, deps: Deps) -> Result<Plan, CompactError> {
    let mut compactor = Compactor::new(config, bucket, deps)?;
    let snapshot = compactor.fetcher.fetch().await?;
    let mut plan = compactor.plan(&Blocks::new(&snapshot));
    plan.unusable = snapshot.partial.iter().map(Unusable::from).collect();
    Ok(plan)
}

/// Does one task of those that are planned now.
///
/// # Errors
/// When no such task is planned, or it cannot be done.
pub async fn run_task(
    config: Config,
    bucket: Bucket,
    deps: Deps,
    id: &str,
) -> Result<Outcome, CompactError> {
    let mut compactor = Compactor::new(config, bucket, deps)?;
    let snapshot = compactor.fetcher.fetch().await?;
    let blocks = Blocks::new(&snapshot);
    let plan = compactor.plan(&blocks);
    let Some(task) = plan.tasks.into_iter().find(|t| t.id == id) else {
        return Err(CompactError::NoTask { id: id.to_owned() });
    };
    let compaction = compactor.compaction();
    let outcome = compaction.run(&Arc::new(task.clone()), &blocks).await?;
    compaction.mark_inputs(&task, &outcome, &blocks).await?;
    Ok(outcome)
}

/// A compactor with what it has learnt.
#[derive(Debug)]
struct Compactor {
    config: Config,
    bucket: Bucket,
    deps: Deps,
    metrics: CompactMetrics,
    fetcher: MetaFetcher,
    /// Blocks that turned out to be damaged in this iteration, with what is wrong.
    set_aside: BTreeMap<BlockId, String>,
}

impl Compactor {
    fn new(config: Config, bucket: Bucket, deps: Deps) -> Result<Self, CompactError> {
        config.check()?;
        let fetcher = MetaFetcher::new(
            bucket.clone(),
            Some(config.data_dir.join("meta-syncer")),
            config.meta_fetch_concurrency,
            deps.metrics
                .register_once("block syncs", SyncMetrics::register),
        );
        let metrics = CompactMetrics::new(&deps.metrics);
        metrics.set_delete_delay(config.delete_delay);
        Ok(Self {
            config,
            bucket,
            deps,
            metrics,
            fetcher,
            set_aside: BTreeMap::new(),
        })
    }

    async fn work(&mut self) -> Result<Summary, CompactError> {
        loop {
            let done = self.iterate().await;
            let Repeat::Every(pause) = self.config.repeat else {
                return done;
            };
            match done {
                Ok(summary) if summary.failed.is_empty() => {}
                Ok(_) => {
                    self.metrics.retries.inc();
                }
                Err(error) => {
                    tracing::error!(%error, "iteration failed, the next one tries again");
                    self.metrics.retries.inc();
                }
            }
            sleep(pause).await;
        }
    }

    /// Does all there is to do now.
    async fn iterate(&mut self) -> Result<Summary, CompactError> {
        let mut summary = Summary::default();
        // What was marked is known by its mark; the rest may go better now.
        self.set_aside.clear();
        let mut tried: BTreeSet<String> = BTreeSet::new();
        loop {
            let snapshot = self.fetcher.fetch().await?;
            self.deps.probe.ready();
            let blocks = Blocks::new(&snapshot);
            let cleaner = self.cleaner();
            cleaner.delete_marked(&blocks, &mut summary).await;
            cleaner.delete_partial(&snapshot, &mut summary).await;
            self.metrics.cleanup_loops.inc();
            let plan = self.plan(&blocks);
            self.count_todo(&blocks).await;
            cleaner.clean_work_dir(&plan, &mut summary).await;
            cleaner.mark_covered(&plan, &blocks, &mut summary).await;
            cleaner.mark_expired(&plan, &blocks, &mut summary).await;
            let mut progress = false;
            for task in plan.tasks {
                let id = task.id.clone();
                if !tried.insert(id.clone()) {
                    continue;
                }
                progress = true;
                let task = Arc::new(task);
                if let Err(error) = self.run_task(&task, &blocks, &mut summary).await {
                    summary.failed.push((id, error));
                }
                self.metrics.todo.ended(&task);
            }
            // What was merged, or set aside, may let something else be merged.
            if !progress {
                break;
            }
        }
        if summary.failed.is_empty() {
            self.metrics.iterations.inc();
        }
        Ok(summary)
    }

    async fn run_task(
        &mut self,
        task: &Arc<Task>,
        blocks: &Blocks,
        summary: &mut Summary,
    ) -> Result<(), CompactError> {
        tracing::info!(task = task.id, labels = %task.labels, blocks = task.inputs.len(), bytes = task.bytes_in, "begun");
        self.metrics.by.started(task);
        let begun = self.deps.clock.now_ms();
        let outcome = match self.compaction().run(task, blocks).await {
            Ok(outcome) => outcome,
            Err(error) => {
                self.metrics.by.failed(task);
                tracing::error!(task = task.id, labels = %task.labels, %error, "task failed, others go on");
                if let Some(block) = error.damaged_block() {
                    self.set_aside.insert(block, error.to_string());
                }
                if let CompactError::Marked { block, .. } = error {
                    summary.no_compact.push(block);
                }
                return Err(error);
            }
        };
        let took = self.deps.clock.now_ms().saturating_sub(begun);
        self.metrics.by.completed(task, duration(took));
        tracing::info!(task = task.id, ?outcome, "done");
        summary.merged.push((task.id.clone(), outcome.clone()));
        self.compaction().mark_inputs(task, &outcome, blocks).await
    }

    /// Plays through what is to be done until nothing is left.
    async fn count_todo(&self, blocks: &Blocks) {
        let candidates = blocks.candidates(&self.set_aside);
        let options = self.options();
        let count = move || todo(&candidates, &options);
        self.metrics.todo.set(self.deps.pool.run(count).await);
    }

    fn options(&self) -> PlanOptions {
        let now = Timestamp(self.deps.clock.now_ms());
        self.config.plan_options(now)
    }

    fn plan(&self, blocks: &Blocks) -> Plan {
        plan(&blocks.candidates(&self.set_aside), &self.options())
    }

    fn cleaner(&self) -> Cleaner<'_> {
        Cleaner {
            compaction: self.compaction(),
        }
    }

    fn compaction(&self) -> Compaction<'_> {
        Compaction {
            config: &self.config,
            bucket: &self.bucket,
            deps: &self.deps,
            metrics: &self.metrics,
        }
    }
}
