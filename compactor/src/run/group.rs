//! The tasks of a group, under its lease.

use std::{collections::BTreeSet, sync::Arc};

use futures::FutureExt as _;
use model::Timestamp;
use service::{in_span, span};

use super::Compactor;
use crate::{
    CompactError, Summary, Task, duration,
    group::GroupKey,
    lease::{Turn, Until},
    snapshot::Blocks,
};

/// What is planned for a group.
pub(super) struct Listed<'a> {
    /// When the bucket was listed.
    pub(super) at: Timestamp,
    pub(super) blocks: &'a Blocks,
    pub(super) tasks: Vec<&'a Task>,
}

impl Compactor {
    /// Does the tasks of a group that were not tried yet, if nobody else works at it; tells whether there were any.
    pub(super) async fn work_on(
        &mut self,
        group: GroupKey,
        mut listed: Listed<'_>,
        tried: &mut BTreeSet<String>,
        summary: &mut Summary,
    ) -> bool {
        listed.tasks.retain(|task| tried.insert(task.id.clone()));
        if listed.tasks.is_empty() {
            return false;
        }
        let name = group.to_string();
        let held = match self.turns.take(&name).await {
            Ok(Turn::Ours(held)) => held,
            Ok(Turn::Others(holder)) => {
                tracing::info!(group = name, %holder, "skipped, as another compactor works on it");
                summary.left_to_others.push((group, holder));
                return false;
            }
            Err(error) => {
                tracing::error!(group = name, %error, "no lease, so nothing is done");
                summary.failed.push((name, error));
                return false;
            }
        };
        let until = held.until();
        let again = held.others_had_it_after(listed.at);
        let work = self.run_group(listed, again, &until, summary).boxed();
        let span = span!("compaction_group", group = name);
        match held.during(in_span(span, work)).await {
            Ok(Ok(())) => {}
            Err(CompactError::Stopped) => tracing::info!(group = name, "stopped"),
            Ok(Err(error)) | Err(error) => {
                tracing::error!(group = name, %error, "group skipped, the run continues");
                summary.failed.push((name, error));
            }
        }
        true
    }

    /// Does the tasks of a group, which is ours `until` then; those that are still planned, if it is to be looked `again`.
    async fn run_group(
        &mut self,
        listed: Listed<'_>,
        again: bool,
        until: &Until,
        summary: &mut Summary,
    ) -> Result<(), CompactError> {
        let fresh = match again {
            true => Some(Blocks::new(&*self.looker.look().await?)),
            false => None,
        };
        let planned = fresh.as_ref().map(|blocks| self.plan(blocks).tasks);
        let is_planned = |task: &Task| {
            let mut tasks = planned.iter().flatten();
            planned.is_none() || tasks.any(|planned| planned.id == task.id)
        };
        let blocks = fresh.as_ref().unwrap_or(listed.blocks);
        for task in listed.tasks {
            if is_planned(task) {
                let task = Arc::new(task.clone());
                let span = span!(
                    "compaction_task",
                    task = task.id,
                    labels = %task.labels,
                    blocks = task.inputs.len(),
                    bytes = task.bytes_in,
                );
                let work = self.run_task(&task, blocks, until, summary).boxed();
                if let Err(error) = in_span(span, work).await {
                    summary.failed.push((task.id.clone(), error));
                }
            }
            self.metrics.todo.ended(task);
        }
        Ok(())
    }

    async fn run_task(
        &mut self,
        task: &Arc<Task>,
        blocks: &Blocks,
        until: &Until,
        summary: &mut Summary,
    ) -> Result<(), CompactError> {
        tracing::info!(task = task.id, labels = %task.labels, blocks = task.inputs.len(), bytes = task.bytes_in, "begun");
        self.metrics.by.started(task);
        let begun = self.deps.clock.now_ms();
        let outcome = match self.compaction(until).run(task, blocks).await {
            Ok(outcome) => outcome,
            Err(error) => {
                self.metrics.by.failed(task);
                tracing::error!(task = task.id, labels = %task.labels, %error, "task failed, the run continues");
                if let Some(blamed) = error.blame().blamed() {
                    self.set_aside.insert(blamed.block, error.to_string());
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
        let compaction = self.compaction(until);
        compaction.mark_inputs(task, &outcome, blocks).await
    }
}
