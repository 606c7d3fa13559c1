//! Merges TSDB blocks into one Parquet block, in parallel and in bounded memory.
//!
//! ```text
//! open inputs ─▶ one symbol table ─▶ cut the key space into spans
//!                                            │ a window of spans at a time, in parallel
//!                                            ▼
//!                     k-way merge of each span, chunks arranged into slices
//!                                            │ in order
//!                                            ▼
//!                     row group, until it holds enough ─▶ encoded while the next window merges
//!                                            │ in order
//!                                            ▼
//!                                  0.labels.parquet, 0.chunks.parquet
//! ```
//! Where row groups end depends on the rows alone, so the output does not depend on the number of
//! threads.

mod arrange;
mod deleted;
mod input;
mod penalty;
mod span;
mod symbols;

use std::{
    fs::File,
    io::{self, BufWriter},
    path::{Path, PathBuf},
    sync::Arc,
};

use model::{BlockStats, ParquetShard, TimeRange, Timestamp};
use parquet_block::{
    EncodedRowGroup, RowGroupBuilder, ShardSchema, ShardWriter, Slices, Symbols, WriteOptions,
};
use rayon::prelude::*;

pub use self::penalty::penalty;
use self::{
    input::Input,
    span::{Counts, Rows},
};

/// What to merge, and into what.
#[derive(Clone, Debug)]
pub struct MergeInput {
    /// Local TSDB blocks; of equal timestamps the sample of the earlier block counts.
    pub blocks: Vec<PathBuf>,
    /// The times that the output covers, both ends included; no sample lies outside.
    pub range: TimeRange,
    /// An existing folder for the output's files.
    pub out_dir: PathBuf,
    /// How to write.
    pub options: MergeOptions,
}

/// How a merge writes, and what it may take.
#[derive(Clone, Debug)]
pub struct MergeOptions {
    /// Pages, compression and the like.
    pub write: WriteOptions,
    /// Most rows of a row group.
    pub row_group_rows: usize,
    /// Bytes of memory that the merge aims to stay within, symbols apart.
    pub memory_budget: u64,
}

/// What a merge has written; nothing, if no sample was left.
#[derive(Clone, Debug, Default)]
pub struct MergeOutput {
    /// The shards, for `meta.json`.
    pub shards: Vec<ParquetShard>,
    /// Counts, for `meta.json`.
    pub stats: BlockStats,
    /// The files in `out_dir`, in the order in which they should be uploaded.
    pub files: Vec<String>,
}

/// A merge that cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A source block cannot be read.
    #[error("block {}: {source}", dir.display())]
    Block {
        /// The block's folder.
        dir: PathBuf,
        /// What is wrong, and where.
        source: tsdb::Error,
    },
    /// A chunk of a source block does not decode.
    #[error("block {}: {source}", dir.display())]
    Chunk {
        /// The block's folder.
        dir: PathBuf,
        /// What is wrong.
        source: tsdb::ChunkError,
    },
    /// A series names a symbol that the block does not have.
    #[error("block {}: index: symbol {found}, the table has {symbols}", dir.display())]
    Symbol {
        /// The block's folder.
        dir: PathBuf,
        /// The reference in the series.
        found: u32,
        /// How many symbols there are.
        symbols: usize,
    },
    /// The series of a block are not in order, or one occurs twice.
    #[error("block {}: index: series {series} is not after the one before it", dir.display())]
    Order {
        /// The block's folder.
        dir: PathBuf,
        /// The reference of the second series.
        series: u32,
    },
    /// A block holds samples outside of the times that its `meta.json` states.
    #[error("block {}: chunk from {min} to {max} ms lies outside of {} to {} ms", dir.display(), range.min, range.max)]
    Outside {
        /// The block's folder.
        dir: PathBuf,
        /// First sample.
        min: Timestamp,
        /// Last sample.
        max: Timestamp,
        /// The times of the output.
        range: TimeRange,
    },
    /// The output cannot be written.
    #[error("writing parquet: {0}")]
    Write(#[from] parquet_block::Error),
    /// A file of the output cannot be made.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Default for MergeOptions {
    fn default() -> Self {
        Self {
            write: WriteOptions::default(),
            row_group_rows: 128 << 10,
            memory_budget: 256 << 20,
        }
    }
}

impl MergeError {
    fn block(dir: &Path, source: tsdb::Error) -> Self {
        Self::Block {
            dir: dir.to_path_buf(),
            source,
        }
    }

    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self::Io {
            path: path.to_path_buf(),
            source,
        }
    }
}

/// Merges, on the current rayon pool; `progress` is told how many input series are done.
///
/// # Errors
/// When an input cannot be read, which the error names, or the output cannot be written.
pub fn merge(
    input: &MergeInput,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<MergeOutput, MergeError> {
    let (inputs, table) = Input::open_all(&input.blocks)?;
    let end = Timestamp(input.range.max.0.saturating_add(1));
    let width = Slices::default_duration(input.range);
    let slices = Slices::new(input.range.min, end, width);
    let schema = ShardSchema::new(label_names(&inputs), slices);
    let out = Output::create(input, &schema)?;
    run(
        input,
        &inputs,
        &(Arc::new(table) as Arc<dyn Symbols>),
        &schema,
        out,
        progress,
    )
}

/// The names of labels in any of the inputs, sorted.
fn label_names(inputs: &[Input]) -> Vec<String> {
    let mut names: Vec<String> = inputs
        .iter()
        .flat_map(|i| i.block.label_names().map(str::to_owned))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn run(
    input: &MergeInput,
    inputs: &[Input],
    symbols: &Arc<dyn Symbols>,
    schema: &ShardSchema,
    mut out: Output,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<MergeOutput, MergeError> {
    let threads = rayon::current_num_threads();
    let limits = Limits::of(&input.options, inputs, threads);
    let spans = span::cut(inputs, limits.span_series)?;
    let mut counts = Counts::default();
    let mut full: Option<RowGroupBuilder> = None;
    let row_group = || RowGroupBuilder::new(schema, Arc::clone(symbols), &input.options.write);
    let mut filling = row_group();
    for window in spans.chunks(threads * 2) {
        // The last full row group is encoded while the next spans are merged.
        let (encoded, merged) = rayon::join(
            || full.take().map(RowGroupBuilder::encode).transpose(),
            || -> Result<Vec<Rows>, MergeError> {
                let merge = |span| span::merge(inputs, span, schema.slices(), input.range);
                window.par_iter().map(merge).collect()
            },
        );
        out.append(encoded?)?;
        for rows in merged? {
            counts.add(rows.counts);
            for (labels, values) in rows.iter() {
                filling.push(labels, &values)?;
                if filling.rows() >= limits.row_group_rows
                    || filling.bytes() >= limits.row_group_bytes
                {
                    let before = full.replace(std::mem::replace(&mut filling, row_group()));
                    out.append(before.map(RowGroupBuilder::encode).transpose()?)?;
                }
            }
        }
        let done: usize = window.iter().flatten().map(|refs| refs.len()).sum();
        progress(u64::try_from(done).unwrap_or(u64::MAX));
    }
    out.append(full.map(RowGroupBuilder::encode).transpose()?)?;
    if filling.rows() > 0 {
        out.append(Some(filling.encode()?))?;
    }
    out.finish(counts)
}

/// How the memory budget is spent.
struct Limits {
    /// Input series of one span.
    span_series: usize,
    row_group_rows: usize,
    row_group_bytes: usize,
}

impl Limits {
    /// An eighth of the budget for a row group (three exist at once: filling, being encoded,
    /// encoded), a sixteenth for the spans that are merged at once.
    fn of(options: &MergeOptions, inputs: &[Input], threads: usize) -> Self {
        let budget = usize::try_from(options.memory_budget).unwrap_or(usize::MAX);
        let series: usize = inputs.iter().map(|i| i.refs.len()).sum();
        let bytes: u64 = inputs.iter().map(|i| i.block.chunk_bytes()).sum();
        let per_series = usize::try_from(bytes).unwrap_or(usize::MAX) / series.max(1) + 64;
        Self {
            span_series: (budget / 16 / (threads * 2) / per_series).clamp(256, 32 << 10),
            row_group_rows: options.row_group_rows,
            row_group_bytes: budget / 8,
        }
    }
}

/// The two files of the only shard.
struct Output {
    writer: ShardWriter<BufWriter<File>, BufWriter<File>>,
    files: [String; 2],
}

impl Output {
    fn create(input: &MergeInput, schema: &ShardSchema) -> Result<Self, MergeError> {
        let files = [parquet_block::labels_file(0), parquet_block::chunks_file(0)];
        let create = |name: &String| {
            let path = input.out_dir.join(name);
            let file = File::create(&path).map_err(MergeError::io(&path))?;
            Ok::<_, MergeError>(BufWriter::with_capacity(1 << 20, file))
        };
        let [labels, chunks] = &files;
        let (labels, chunks) = (create(labels)?, create(chunks)?);
        let writer = ShardWriter::create(labels, chunks, schema)?;
        Ok(Self { writer, files })
    }

    fn append(&mut self, row_group: Option<EncodedRowGroup>) -> Result<(), MergeError> {
        match row_group {
            Some(row_group) => Ok(self.writer.append(row_group)?),
            None => Ok(()),
        }
    }

    fn finish(self, counts: Counts) -> Result<MergeOutput, MergeError> {
        // A file of no rows cannot be read by everyone, so none is left.
        if counts.series == 0 {
            return Ok(MergeOutput::default());
        }
        let shard = self.writer.finish()?;
        Ok(MergeOutput {
            shards: vec![shard],
            stats: BlockStats {
                num_samples: counts.float_samples + counts.histogram_samples,
                num_float_samples: counts.float_samples,
                num_histogram_samples: counts.histogram_samples,
                num_series: counts.series,
                num_chunks: counts.chunks,
                num_tombstones: 0,
            },
            files: self.files.to_vec(),
        })
    }
}
