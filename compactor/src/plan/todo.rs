//! How much work is left, where one step makes the next possible: the work is simulated with the `meta.json` that its
//! blocks would have.

use std::{collections::BTreeSet, sync::Arc};

use model::{
    BlockId, BlockMeta, BlockStats, CompactionMeta, Downsample, Extra, ParquetMeta, Resolution,
    ThanosMeta, Timestamp,
};

use super::{Candidate, Plan, PlanOptions, SOURCE, Task, known::merged_sources, plan};
use crate::OutputFormat;

/// The most rounds of planning. Three levels of windows, downsampling and retention take fewer.
const ROUNDS: usize = 16;

/// The work that is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Todo {
    /// Merges into blocks of the same resolution.
    pub compactions: usize,
    /// Blocks that those read; one that is made on the way counts too.
    pub compaction_blocks: usize,
    /// Blocks of coarser resolutions that are made.
    pub downsample_blocks: usize,
    /// Blocks that are past their retention.
    pub deletion_blocks: usize,
}

/// Counts the work that is left.
#[must_use]
pub fn todo(blocks: &[Candidate], options: &PlanOptions) -> Todo {
    let mut todo = Todo::default();
    let mut bucket = MadeUp::new(blocks);
    for _ in 0..ROUNDS {
        let plan = plan(&bucket.blocks, options);
        for task in &plan.tasks {
            if task.merges() {
                todo.compactions += 1;
                todo.compaction_blocks += task.inputs.len();
            }
            todo.downsample_blocks += task.downsampled().count();
        }
        todo.deletion_blocks += plan.expired.len();
        if !bucket.follow(&plan) {
            break;
        }
    }
    todo
}

/// A simulated bucket.
#[derive(Debug)]
pub(super) struct MadeUp {
    pub(super) blocks: Vec<Candidate>,
    made: u128,
}

impl MadeUp {
    pub(super) fn new(blocks: &[Candidate]) -> Self {
        Self {
            blocks: blocks.to_vec(),
            made: 0,
        }
    }

    /// Does the planned work; returns whether there was any.
    pub(super) fn follow(&mut self, plan: &Plan) -> bool {
        let covered = plan.covered.iter().map(|c| c.block);
        let expired = plan.expired.iter().map(|e| e.block);
        let merged = plan.tasks.iter().filter(|t| t.merges());
        let gone: BTreeSet<BlockId> = covered
            .chain(expired)
            .chain(merged.flat_map(Task::input_ids))
            .collect();
        self.blocks.retain(|b| !gone.contains(&b.meta.ulid));
        for task in &plan.tasks {
            for resolution in &task.outputs {
                self.made += 1;
                let block = made_up(task, *resolution, self.made);
                self.blocks.push(block);
            }
        }
        !gone.is_empty() || !plan.tasks.is_empty()
    }
}

fn made_up(task: &Task, resolution: Resolution, number: u128) -> Candidate {
    let metas = || task.inputs.iter().map(|b| &b.meta);
    let samples = metas().map(|m| m.stats.num_samples);
    let labels = task.labels.to_texts();
    let meta = BlockMeta {
        // No block of a bucket is named so, as none is that young.
        ulid: BlockId::new(Timestamp::MAX, number),
        min_time: task.min_time,
        max_time: task.max_time,
        stats: BlockStats {
            num_samples: samples.fold(0, u64::saturating_add),
            ..BlockStats::default()
        },
        compaction: CompactionMeta {
            sources: merged_sources(metas()).into_vec(),
            ..CompactionMeta::default()
        },
        version: 1,
        thanos: Some(ThanosMeta {
            labels: labels.into(),
            downsample: Downsample { resolution },
            source: SOURCE.to_owned(),
            ..ThanosMeta::default()
        }),
        parquet: (task.format == OutputFormat::Parquet).then(ParquetMeta::default),
        extra: Extra::default(),
    };
    Candidate {
        meta: Arc::new(meta),
        bytes: task.bytes_in,
        deletion_mark: None,
        no_compact_mark: None,
        no_downsample_mark: None,
        served_since: None,
        unusable_marks: Vec::new(),
        damage: None,
        unread: None,
    }
}
