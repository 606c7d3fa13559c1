//! Merges blocks of one resolution into one, and into coarser ones in the same pass, in parallel and in bounded memory.
//!
//! ```text
//! open inputs ─▶ one symbol table ─▶ cut the key space into ranges
//!                                            │ a batch of key ranges at a time, in parallel
//!                                            ▼
//!                     k-way merge of each key range, chunks arranged, downsampled
//!                                            │ in order, for each output
//!                                            ▼
//!                     row group, until it holds enough ─▶ encoded; all this while the next batch merges
//!                                            │ in order
//!                                            ▼
//!                                  0.labels.parquet, 0.chunks.parquet; or index, chunks/000001
//! ```
//! Where row groups and shards end depends on the rows alone, so the output does not depend on the number of
//! threads. Inputs are of either format, and so are outputs.

mod arrange;
mod column_sets;
mod deleted;
mod edited;
mod error;
mod health;
mod held;
mod input;
mod key;
mod key_range;
mod limits;
mod merge_plan;
mod passthrough;
mod penalty;
mod rows;
mod sink;
mod symbols;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc};

use model::{BlockStats, IndexStats, ParquetShard, Resolution, TimeRange, Timestamp};
use parquet_block::{Slices, Symbols, WriteOptions};
use rayon::prelude::*;

use self::{
    column_sets::ColumnSet,
    input::Inputs,
    key_range::KeyRange,
    limits::Limits,
    merge_plan::MergePlan,
    rows::{Layout, Rows},
    sink::{Format, ParquetSink, Sink, TsdbSink},
    symbols::SymbolTable,
};
pub(crate) use self::{
    edited::{Edited, Runs, edited},
    health::health,
    held::Held,
};
pub use self::{error::MergeError, health::Health, penalty::penalty};
use crate::{Dedup, Downsampler, OutputFormat};

/// What to merge, and into what.
#[derive(Clone, Debug)]
pub struct MergeInput {
    /// Folders of blocks, all of one resolution. Their `meta.json` tell the format, which may differ. Of equal
    /// timestamps the sample of the earlier block counts.
    pub blocks: Vec<PathBuf>,
    /// The times that the output covers, both ends included; no sample lies outside.
    pub range: TimeRange,
    /// The outputs. Each has a resolution of its own, none finer than that of the blocks.
    pub outputs: Vec<MergeTarget>,
    /// How samples that several blocks hold are deduplicated.
    pub dedup: Dedup,
    /// The format of what is made.
    pub format: OutputFormat,
    /// How to write.
    pub options: MergeOptions,
}

/// One output of a merge.
#[derive(Clone, Debug)]
pub struct MergeTarget {
    /// The resolution. If it is coarser than that of the blocks, they are merged and downsampled.
    pub resolution: Resolution,
    /// An existing folder for the output's files.
    pub dir: PathBuf,
}

/// Options of a merge: how it writes, and its limits.
#[derive(Clone, Debug)]
pub struct MergeOptions {
    /// Pages, compression and the like.
    pub write: WriteOptions,
    /// The maximum number of rows of a row group.
    pub row_group_rows: usize,
    /// After so many rows a new shard begins, at the end of a row group. A reader holds the whole footer of a shard,
    /// which grows with its row groups.
    pub shard_rows: usize,
    /// After so many bytes of chunks a new shard begins: an object store takes an object in at most ten thousand
    /// parts.
    pub shard_bytes: usize,
    /// The maximum number of label names of a shard. Each is a column.
    pub shard_columns: usize,
    /// The memory budget in bytes. Symbols are not counted.
    pub memory_budget: u64,
}

/// What a merge has written of one output; empty if no sample was left.
#[derive(Clone, Debug, Default)]
pub struct MergeOutput {
    /// The resolution.
    pub resolution: Resolution,
    /// The shards, for `meta.json`; none of a TSDB block.
    pub shards: Vec<ParquetShard>,
    /// Counts, for `meta.json`.
    pub stats: BlockStats,
    /// The longest series and chunk of a TSDB block, for `meta.json`.
    pub index_stats: IndexStats,
    /// The files in the target's folder, in the order in which they should be uploaded.
    pub files: Vec<String>,
}

impl Default for MergeOptions {
    fn default() -> Self {
        Self {
            write: WriteOptions::default(),
            row_group_rows: 128 << 10,
            shard_rows: 16 << 20,
            shard_bytes: 32 << 30,
            shard_columns: 2000,
            memory_budget: 256 << 20,
        }
    }
}

/// Merges, on the current rayon pool; `progress` is told how many input series are done. The outputs are those of
/// `input`, in its order.
///
/// # Errors
/// When an input cannot be read, which the error names, or the output cannot be written.
pub fn merge(
    input: &MergeInput,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<MergeOutput>, MergeError> {
    let inputs = Inputs::open(
        &input.blocks,
        input.format.order(),
        limits::shared_pages(input.options.memory_budget, input.blocks.len()),
    )?;
    let finer = |target: &&MergeTarget| target.resolution < inputs.resolution;
    if let Some(target) = input.outputs.iter().find(finer) {
        return Err(MergeError::Finer {
            output: target.resolution,
            inputs: inputs.resolution,
        });
    }
    let column_sets: Arc<[ColumnSet]> = match input.format {
        OutputFormat::Parquet => column_sets::cut(&inputs, input.options.shard_columns)?.into(),
        OutputFormat::Tsdb => Arc::new([]),
    };
    let symbols = Arc::clone(&inputs.symbols);
    let resolutions: Vec<Resolution> = input.outputs.iter().map(|o| o.resolution).collect();
    let outputs: Vec<(Resolution, Layout)> = resolutions
        .iter()
        .map(|resolution| (*resolution, layout(input, *resolution)))
        .collect();
    let limits = Limits::of(
        &input.options,
        &inputs.all,
        &outputs,
        rayon::current_num_threads(),
    );
    let sinks = input.outputs.iter();
    let sinks = sinks.map(|target| sink(input, target, &inputs, &limits, &column_sets, &symbols));
    let plan = MergePlan {
        inputs: &inputs,
        range: input.range,
        dedup: input.dedup,
        slices: slices(input, inputs.resolution),
        outputs,
    };
    run(&plan, sinks.collect(), &limits, &column_sets, progress)
}

/// Counts what blocks of one resolution hold, by the rules of the merge.
///
/// # Errors
/// When a block cannot be read, which the error names.
pub(crate) fn held(blocks: &[PathBuf], format: OutputFormat) -> Result<Held, MergeError> {
    held::count(&Inputs::open(blocks, format.order(), 0)?)
}

/// What has been merged of some key ranges: for each sink rows, and the column set that they belong to.
#[derive(Default)]
struct Batch {
    of_sinks: Vec<Vec<(usize, Rows)>>,
}

fn run(
    plan: &MergePlan<'_>,
    mut sinks: Vec<Sink>,
    limits: &Limits,
    column_sets: &[ColumnSet],
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<MergeOutput>, MergeError> {
    let key_ranges = key_range::cut(&plan.inputs.all, limits.range_series, column_sets)?;
    let mut before = Batch::default();
    for key_ranges in key_ranges.chunks(rayon::current_num_threads() * 2) {
        // What was merged before goes into files while the next key ranges are merged.
        let (taken, merged) = rayon::join(
            || before.give(&mut sinks),
            || Batch::merge(plan, key_ranges),
        );
        taken?;
        before = merged?;
        let done: usize = key_ranges.iter().map(KeyRange::len).sum();
        progress(u64::try_from(done).unwrap_or(u64::MAX));
    }
    before.give(&mut sinks)?;
    sinks.into_par_iter().map(Sink::finish).collect()
}

impl Batch {
    /// Merges key ranges, in parallel.
    fn merge(plan: &MergePlan<'_>, key_ranges: &[KeyRange]) -> Result<Self, MergeError> {
        let merged =
            key_ranges
                .par_iter()
                .map_init(Downsampler::default, |downsampler, key_range| {
                    let rows = merge_plan::merge(plan, key_range, downsampler)?;
                    Ok((key_range.column_set, rows))
                });
        let mut batch = Self {
            of_sinks: plan.outputs.iter().map(|_| Vec::new()).collect(),
        };
        for (column_set, rows) in merged.collect::<Result<Vec<_>, MergeError>>()? {
            for (of_sink, rows) in batch.of_sinks.iter_mut().zip(rows) {
                of_sink.push((column_set, rows));
            }
        }
        Ok(batch)
    }

    /// Gives each sink its rows.
    fn give(self, sinks: &mut [Sink]) -> Result<(), MergeError> {
        sinks
            .par_iter_mut()
            .zip(self.of_sinks)
            .try_for_each(|(sink, rows)| {
                let mut rows = rows.into_iter();
                rows.try_for_each(|(column_set, rows)| sink.take(rows, column_set))
            })
    }
}

fn sink(
    input: &MergeInput,
    target: &MergeTarget,
    inputs: &Inputs,
    limits: &Limits,
    column_sets: &Arc<[ColumnSet]>,
    symbols: &Arc<SymbolTable>,
) -> Sink {
    Sink::new(match input.format {
        OutputFormat::Parquet => Format::Parquet(Box::new(ParquetSink::new(
            target,
            &input.options,
            limits,
            slices(input, target.resolution),
            Arc::clone(column_sets),
            Arc::clone(symbols) as Arc<dyn Symbols>,
            inputs.metric_name,
        ))),
        OutputFormat::Tsdb => Format::Tsdb(Box::new(TsdbSink::new(
            target,
            input.range,
            Arc::clone(symbols),
        ))),
    })
}

/// The slices that chunks of a resolution are put into.
fn slices(input: &MergeInput, resolution: Resolution) -> Slices {
    let end = Timestamp(input.range.max.0.saturating_add(1));
    let duration = match input.format {
        OutputFormat::Parquet => Slices::duration_at(resolution, input.range),
        OutputFormat::Tsdb => i64::MAX,
    };
    Slices::new(input.range.min, end, duration)
}

fn layout(input: &MergeInput, resolution: Resolution) -> Layout {
    match input.format {
        OutputFormat::Parquet => Layout::in_slices(resolution, slices(input, resolution)),
        OutputFormat::Tsdb => Layout::SingleValue,
    }
}
