//! The loop: look at the bucket, clean, plan, merge, and again.

mod examine;
mod group;
mod hidden;
mod look;
mod parts;
mod rewrite;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
};

use bucket::{Bucket, PartialBlock, Snapshot, SyncMetrics};
use futures::{FutureExt as _, future::BoxFuture};
use model::{BlockId, BlockMeta, Timestamp};
use page::Failure;
use service::{Metrics, in_span, span};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub use self::{
    examine::{Examined, examine},
    parts::{clean_now, downsample_all, retain_now},
    rewrite::{rewrite, under_lease},
};
use self::{group::Listed, look::Looker};
use crate::{
    CompactError, Config, Deps, Outcome, OutputFormat, Plan, PlanOptions, Repeat, Served, Summary,
    Task, Unusable,
    clean::Cleaner,
    compaction::Compaction,
    lease::{Held, Turn, Turns, Until},
    metrics::CompactMetrics,
    plan,
    snapshot::Blocks,
    todo,
};

/// For what needs no lease: what it does is the same whoever does it, and however often.
static EVER: Until = Until::ever();

/// Merges what there is to merge; again and again, if so configured, until `shutdown`.
///
/// With [`Repeat::Every`] nothing ends it but `shutdown`: an error waits for the next turn.
///
/// # Errors
/// When the settings do not go together or the bucket cannot be listed. What concerns one task or block is in the
/// summary.
pub fn run(
    config: Config,
    bucket: Bucket,
    deps: Deps,
    shutdown: CancellationToken,
) -> BoxFuture<'static, Result<Summary, CompactError>> {
    Box::pin(async move {
        let mut compactor = Compactor::new(config, bucket, deps, shutdown)?;
        let stopped = compactor.turns.stopped();
        let Deps { probe, metrics, .. } = compactor.deps.clone();
        let watch = compactor.watch(&metrics);
        let work = async {
            compactor.turns.check().await?;
            compactor.deps.probe.healthy();
            compactor.work().await
        };
        tokio::select! {
            ended = work => ended,
            _ = stopped => {
                probe.not_ready("shutting down");
                Ok(Summary::default())
            }
            never = watch => match never {},
        }
    })
}

/// What would be done now, and why each other block is left.
///
/// # Errors
/// When the bucket cannot be listed.
pub fn plan_now(
    config: Config,
    bucket: Bucket,
    deps: Deps,
) -> BoxFuture<'static, Result<Plan, CompactError>> {
    Box::pin(async move {
        let mut compactor = Compactor::new(config, bucket, deps, CancellationToken::new())?;
        compactor.ask_stores().await;
        let snapshot = compactor.looker.look().await?;
        let mut plan = compactor.plan(&Blocks::new(&snapshot));
        plan.unusable = snapshot.partial.iter().map(Unusable::from).collect();
        plan.unread = snapshot.unread.iter().map(Unusable::from).collect();
        Ok(plan)
    })
}

/// Does one task of those that are planned now, unless `shutdown` comes first.
///
/// # Errors
/// When no such task is planned, another compactor works at its group, or it cannot be done; [`CompactError::Stopped`].
pub fn run_task(
    config: Config,
    bucket: Bucket,
    deps: Deps,
    id: &str,
    shutdown: CancellationToken,
) -> BoxFuture<'_, Result<Outcome, CompactError>> {
    Box::pin(async move {
        let mut compactor = Compactor::new(config, bucket, deps, shutdown)?;
        let stopped = compactor.turns.stopped();
        tokio::select! {
            done = compactor.run_one(id) => done,
            _ = stopped => Err(CompactError::Stopped),
        }
    })
}

/// A compactor with what it has learnt.
#[derive(Debug)]
struct Compactor {
    config: Config,
    bucket: Bucket,
    deps: Deps,
    metrics: CompactMetrics,
    looker: Looker,
    turns: Turns,
    /// Blocks that turned out to be damaged in this iteration, with what is wrong.
    set_aside: BTreeMap<BlockId, String>,
    /// Whether it was told who does not see Parquet blocks.
    told_hidden: bool,
    /// What store gateways serve, if TSDB blocks wait for that; nothing until they are asked.
    served: Option<Arc<Served>>,
    work: Work,
}

/// What is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    All,
    /// Blocks are downsampled, each by itself.
    Downsampling,
}

/// Adds the blocks that were not read to what failed.
fn tell_unread(snapshot: &Snapshot, summary: &mut Summary) {
    for unread in &snapshot.unread {
        let (root, reason) = (unread.objects.root.to_string(), unread.reason.clone());
        let error = CompactError::Unread { reason };
        tracing::error!(%error, "not read, so its group is skipped");
        summary.failed.push((root, error));
    }
}

impl Compactor {
    fn new(
        config: Config,
        bucket: Bucket,
        deps: Deps,
        shutdown: CancellationToken,
    ) -> Result<Self, CompactError> {
        config.check()?;
        Ok(Self::unchecked(config, bucket, deps, shutdown))
    }

    fn unchecked(config: Config, bucket: Bucket, deps: Deps, shutdown: CancellationToken) -> Self {
        let looker = Looker::new(&config, bucket.clone(), &deps);
        let metrics = CompactMetrics::new(&deps.metrics);
        metrics.set_delete_delay(config.delete_delay);
        let served = config.served(BTreeSet::new(), false);
        Self {
            turns: Turns::new(config.leases(&bucket), Arc::clone(&deps.clock), shutdown),
            config,
            bucket,
            deps,
            metrics,
            looker,
            set_aside: BTreeMap::new(),
            told_hidden: false,
            served,
            work: Work::All,
        }
    }

    /// Looks at the bucket for the page, as long as this runs.
    fn watch(&self, metrics: &Metrics) -> impl Future<Output = Infallible> + use<> {
        let (looker, watching) = (self.looker.clone(), self.config.watching);
        let is_daemon = matches!(self.config.repeat, Repeat::Every(_));
        let watching = watching.filter(|_| is_daemon && self.deps.board.is_shown());
        let metrics = metrics.clone();
        async move {
            let Some(watching) = watching else {
                return std::future::pending().await;
            };
            let register = SyncMetrics::register_page;
            let metrics = metrics.register_once("block syncs of the page", register);
            looker.watch(watching, metrics).await
        }
    }

    /// Does the task of this id.
    async fn run_one(&mut self, id: &str) -> Result<Outcome, CompactError> {
        self.turns.check().await?;
        let (_, task) = self.find(id).await?;
        let name = task.group.to_string();
        let held = self.hold(name).await?;
        let until = held.until();
        let work = async {
            // Another may have done it before the lease was ours.
            let (blocks, task) = self.find(id).await?;
            let (task, compaction) = (Arc::new(task), self.compaction(&until));
            let outcome = compaction.run(&task, &blocks).await?;
            compaction.mark_inputs(&task, &outcome, &blocks).await?;
            Ok(outcome)
        };
        let span = span!("compaction_task", task = id);
        held.during(in_span(span, work.boxed())).await?
    }

    /// The lease of the group `name`.
    async fn hold(&self, name: String) -> Result<Held, CompactError> {
        match self.turns.take(&name).await? {
            Turn::Ours(held) => Ok(held),
            Turn::Others(holder) => Err(CompactError::HeldByOther { name, holder }),
        }
    }

    /// The task, if it is planned now.
    async fn find(&mut self, id: &str) -> Result<(Blocks, Task), CompactError> {
        let blocks = Blocks::new(&*self.looker.look().await?);
        let task = self.plan(&blocks).tasks.into_iter().find(|t| t.id == id);
        let task = task.ok_or_else(|| match blocks.unread().first() {
            Some(unread) => CompactError::Unread {
                reason: unread.reason.clone(),
            },
            None => CompactError::NoTask { id: id.to_owned() },
        })?;
        Ok((blocks, task))
    }

    /// Keeps what a gateway needs to start as one object. It is a cache, so nothing depends on it.
    async fn write_catalog(&self, snapshot: &Snapshot) {
        if !self.config.shard.is_first() {
            return;
        }
        match bucket::write_catalog(&self.bucket, snapshot).await {
            Ok(true) => tracing::debug!("catalog written"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "catalog not written"),
        }
    }

    async fn work(&mut self) -> Result<Summary, CompactError> {
        loop {
            let done = in_span(span!("compaction_iteration"), Box::pin(self.iterate())).await;
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
            self.ask_stores().await;
            let at = self.now();
            let snapshot = self.looker.look().await?;
            self.deps.probe.ready();
            self.tell_hidden(&snapshot);
            let blocks = Blocks::new(&snapshot);
            let cleaner = self.cleaner();
            cleaner.delete_marked(&blocks, &mut summary).await;
            cleaner.delete_partial(&snapshot, &mut summary).await;
            self.metrics.cleanup_loops.inc();
            let mut plan = self.plan(&blocks);
            plan.unusable = snapshot.partial.iter().map(Unusable::from).collect();
            plan.unread = snapshot.unread.iter().map(Unusable::from).collect();
            let plan = Arc::new(plan);
            self.deps.board.planned(|| plan.shown(at));
            self.metrics.planned(&plan);
            self.count_todo(&blocks).await;
            // What waits for a block that was not read is done later, with what there is of it.
            if snapshot.unread.is_empty() {
                cleaner.clean_work_dir(&plan, &mut summary).await;
            }
            cleaner.mark_served(&plan, &blocks, &mut summary).await;
            cleaner.mark_covered(&plan, &blocks, &mut summary).await;
            cleaner.mark_expired(&plan, &blocks, &mut summary).await;
            cleaner.mark_wrong_times(&plan, &blocks, &mut summary).await;
            let mut progress = false;
            for (group, tasks) in plan.by_group() {
                let listed = Listed {
                    at,
                    blocks: &blocks,
                    tasks,
                };
                progress |= self.work_on(group, listed, &mut tried, &mut summary).await;
                self.show_failures(&summary);
            }
            // What was merged, or set aside, may let something else be merged.
            if !progress {
                self.tell_unusable(&snapshot, &mut summary);
                self.write_catalog(&snapshot).await;
                tell_unread(&snapshot, &mut summary);
                break;
            }
        }
        self.show_failures(&summary);
        self.deps.board.run_ended();
        self.metrics.iterated(&summary);
        if summary.failed.is_empty() {
            self.metrics.iterations.inc();
        }
        Ok(summary)
    }

    /// Warns once if Thanos's components may read the bucket, as they do not see what is about to be written.
    fn tell_hidden(&mut self, snapshot: &Snapshot) {
        if self.told_hidden || self.config.output != OutputFormat::Parquet {
            return;
        }
        self.told_hidden = true;
        let metas = snapshot.blocks.iter().map(|view| &*view.meta);
        let blocks = hidden::made_since_parquet(metas);
        if blocks > 0 {
            tracing::warn!(
                blocks,
                delete_delay = ?self.config.delete_delay,
                kept_until_served = !self.config.stores.is_empty(),
                "the bucket has TSDB blocks that a compactor made since the last Parquet block: Thanos's own store gateways, compactor and tools do not see the Parquet blocks that replace them, and miss their samples once the TSDB blocks are deleted; serve the bucket by varve store before that, which --compact.keep-until-served waits for, or use --compact.output=tsdb"
            );
        }
    }

    /// Asks the store gateways for which TSDB blocks wait. Of one that does not answer, nothing is taken for served.
    async fn ask_stores(&mut self) {
        let (mut blocks, mut is_complete) = (BTreeSet::new(), true);
        for store in &self.config.stores {
            match store.served().await {
                Ok(served) => blocks.extend(served),
                Err(error) => {
                    is_complete = false;
                    self.metrics.store_failures.inc();
                    tracing::warn!(%error, "store gateway does not tell what it serves; TSDB blocks whose Parquet block it may serve are kept");
                }
            }
        }
        self.served = self.config.served(blocks, is_complete);
    }

    /// Tells which blocks have a `meta.json` that cannot be used. As nothing tells whose they are, the first shard does.
    fn tell_unusable(&self, snapshot: &Snapshot, summary: &mut Summary) {
        if !self.config.shard.is_first() {
            return;
        }
        for PartialBlock { objects, reason } in &snapshot.partial {
            if objects.files.contains(BlockMeta::FILE) {
                let (block, reason) = (objects.id, reason.clone());
                let error = CompactError::Block { block, reason };
                summary.failed.push((objects.root.to_string(), error));
            }
        }
    }

    /// Shows what could not be done so far.
    fn show_failures(&self, summary: &Summary) {
        let at = self.now();
        let failure = |(what, error): &(String, CompactError)| Failure {
            what: what.clone(),
            error: error.to_string(),
            at,
        };
        let failures = || summary.failed.iter().map(failure).collect();
        self.deps.board.failed(failures);
    }

    /// Plays through what is to be done until nothing is left.
    async fn count_todo(&self, blocks: &Blocks) {
        let candidates = blocks.candidates(&self.set_aside);
        let options = self.options(blocks);
        let count = move || todo(&candidates, &options);
        self.metrics.todo.set(self.deps.pool.run(count).await);
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.deps.clock.now_ms())
    }

    fn options(&self, blocks: &Blocks) -> PlanOptions {
        PlanOptions {
            served: self.served.clone(),
            unread: blocks.unknown().map(str::to_owned),
            ..self.config.plan_options(self.now())
        }
    }

    fn plan(&self, blocks: &Blocks) -> Plan {
        let mut plan = plan(&blocks.candidates(&self.set_aside), &self.options(blocks));
        if self.work == Work::Downsampling {
            let tasks = plan.tasks.iter();
            plan.tasks = tasks.filter_map(Task::only_downsampling).collect();
        }
        plan
    }

    fn cleaner(&self) -> Cleaner<'_> {
        Cleaner {
            compaction: self.compaction(&EVER),
        }
    }

    fn compaction<'a>(&'a self, until: &'a Until) -> Compaction<'a> {
        Compaction {
            until,
            config: &self.config,
            bucket: &self.bucket,
            deps: &self.deps,
            metrics: &self.metrics,
        }
    }
}
