//! A block with its changes, as sorted runs: TSDB blocks that the merge reads.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use model::{BlockId, BlockMeta, Labels, SeriesOrder, TimeRange};
use tsdb::{BlockWriter, Chunk, Encoding, Intervals};

use super::{
    MergeError,
    deleted::{divides, without},
    input::{Inputs, read_meta},
    limits,
};
use crate::{
    CompactError,
    rewrite::{ChangeLog, Edits, Fate},
};

/// The share of the memory budget that a run may take.
const SHARE: u64 = 4;
/// Bytes that are held of a chunk or a series beside its contents, about.
const HELD: usize = 96;

/// What an edit has found and made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edited {
    /// The `meta.json` of each run, which is in the folder of its name.
    pub(crate) runs: Vec<BlockMeta>,
    /// Series of which samples were deleted.
    pub(crate) series_deleted: u64,
    /// Series with other labels.
    pub(crate) series_relabelled: u64,
    /// Samples that the block has, tombstones apart.
    pub(crate) samples: u64,
    /// Those that were deleted.
    pub(crate) samples_deleted: u64,
}

/// Where runs go.
#[derive(Clone, Debug)]
pub(crate) enum Runs {
    /// Into folders below this one.
    Below(PathBuf),
    /// Nowhere: the changes are only found out.
    Nowhere,
}

/// Edits the block in the folder `block`.
///
/// # Errors
/// When the block cannot be read, or a run or the log cannot be written.
pub(crate) fn edited(
    block: &Path,
    edits: &Edits,
    runs: Runs,
    memory_budget: u64,
    log: &mut ChangeLog,
) -> Result<Edited, CompactError> {
    let meta = read_meta(block)?;
    let pages = limits::shared_pages(memory_budget, 1);
    let inputs = Inputs::open(&[block.to_owned()], SeriesOrder::ByLabels, pages)?;
    let mut writer = RunWriter {
        budget: usize::try_from(memory_budget / SHARE).unwrap_or(usize::MAX),
        runs,
        meta,
        series: Vec::new(),
        bytes: 0,
        edited: Edited::default(),
    };
    let range = writer.meta.time_range();
    let path = log.path();
    let in_log = |source| CompactError::Io {
        path: path.clone(),
        source,
    };
    for input in &inputs.all {
        let mut cursor = input.cursor(0..input.len())?;
        while let Some(key) = cursor.key() {
            let text = |id| inputs.symbols.get(id);
            let labels = key.labels.iter().map(|(n, v)| (text(*n), text(*v)));
            let labels = Labels::from_sorted(labels);
            let mut chunks = Vec::new();
            cursor.chunks(range, |chunk| chunks.push(chunk))?;
            let samples = writer.count(&chunks)?;
            writer.edited.samples += samples;
            let (kept, deleted) = match edits.fate(&labels) {
                Fate::Deleted => (None, span(&chunks)),
                Fate::Kept(new, deleted) => (Some(new), deleted),
            };
            if let Some(new) = &kept
                && *new != labels
            {
                writer.edited.series_relabelled += 1;
                log.relabelled(&labels, new).map_err(in_log)?;
            }
            let gone = intersection(&chunks, &deleted);
            if !gone.is_empty() {
                chunks = writer.without(chunks, &deleted)?;
                let left = writer.count(&chunks)?;
                writer.edited.samples_deleted += samples - left;
                writer.edited.series_deleted += 1;
                log.deleted(kept.as_ref().unwrap_or(&labels), &gone)
                    .map_err(in_log)?;
            }
            if let Some(new) = kept.filter(|_| !chunks.is_empty()) {
                writer.push(new, chunks)?;
            }
            cursor.advance()?;
        }
    }
    writer.finish()
}

/// The times from the first sample to the last.
fn span(chunks: &[Chunk]) -> Intervals {
    let min = chunks.iter().map(|chunk| chunk.min).min();
    let max = chunks.iter().map(|chunk| chunk.max).max();
    let span = min.zip(max).map(|(min, max)| TimeRange { min, max });
    span.into_iter().collect()
}

/// The times of `chunks` that are deleted.
fn intersection(chunks: &[Chunk], deleted: &Intervals) -> Intervals {
    let mut out = Intervals::default();
    for chunk in chunks {
        for range in deleted.ranges() {
            let (min, max) = (chunk.min.max(range.min), chunk.max.min(range.max));
            if min <= max {
                out.add(TimeRange { min, max });
            }
        }
    }
    out
}

struct RunWriter {
    runs: Runs,
    /// That of the block.
    meta: BlockMeta,
    /// Bytes of a run.
    budget: usize,
    series: Vec<(Labels, Vec<Chunk>)>,
    bytes: usize,
    edited: Edited,
}

impl RunWriter {
    fn count(&self, chunks: &[Chunk]) -> Result<u64, MergeError> {
        let mut samples = 0;
        for chunk in chunks {
            let of_chunk = chunk.num_samples();
            samples += u64::from(of_chunk.map_err(MergeError::chunk(self.meta.ulid))?);
        }
        Ok(samples)
    }

    /// What is left of chunks. An aggregate cannot be divided.
    fn without(&self, chunks: Vec<Chunk>, deleted: &Intervals) -> Result<Vec<Chunk>, MergeError> {
        let block = self.meta.ulid;
        let mut left = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            if chunk.encoding == Encoding::Aggr && divides(deleted, &chunk) {
                let (min, max) = (chunk.min, chunk.max);
                let times = TimeRange { min, max };
                return Err(MergeError::Divided { block, times });
            }
            left.extend(without(&chunk, deleted).map_err(MergeError::chunk(block))?);
        }
        Ok(left)
    }

    fn push(&mut self, labels: Labels, chunks: Vec<Chunk>) -> Result<(), MergeError> {
        if matches!(self.runs, Runs::Nowhere) {
            return Ok(());
        }
        let held = chunks.iter().map(|chunk| chunk.data.len() + HELD);
        self.bytes += labels.heap_size() + HELD + held.sum::<usize>();
        // The bytes are a part of a page otherwise, which stays as long as they do.
        let owned = |chunk: Chunk| Chunk {
            data: bytes::Bytes::copy_from_slice(&chunk.data),
            ..chunk
        };
        self.series
            .push((labels, chunks.into_iter().map(owned).collect()));
        match self.bytes >= self.budget {
            true => self.flush(),
            false => Ok(()),
        }
    }

    /// Writes what is held. Chunks of one series that overlap go into runs of their own: what they become is for the
    /// merge to decide.
    fn flush(&mut self) -> Result<(), MergeError> {
        let mut series = std::mem::take(&mut self.series);
        self.bytes = 0;
        series.sort_by(|(a, _), (b, _)| SeriesOrder::ByLabels.compare(a, b));
        let mut merged: Vec<(Labels, Vec<Chunk>)> = Vec::with_capacity(series.len());
        for (labels, chunks) in series {
            match merged.last_mut() {
                Some((last, of_last)) if *last == labels => of_last.extend(chunks),
                _ => merged.push((labels, chunks)),
            }
        }
        while !merged.is_empty() {
            let mut rest = Vec::new();
            for (labels, chunks) in &mut merged {
                let later = split_overlaps(chunks);
                if !later.is_empty() {
                    rest.push((labels.clone(), later));
                }
            }
            self.write(&merged)?;
            merged = rest;
        }
        Ok(())
    }

    fn write(&mut self, series: &[(Labels, Vec<Chunk>)]) -> Result<(), MergeError> {
        let Runs::Below(dir) = &self.runs else {
            return Ok(());
        };
        let number = self.edited.runs.len() as u128;
        let run = BlockId::new(self.meta.min_time, number);
        let pairs = series.iter().flat_map(|(labels, _)| labels.iter());
        let symbols: BTreeSet<&[u8]> = pairs.flat_map(|(n, v)| [n, v]).collect();
        let mut writer = BlockWriter::create(&dir.join(run.to_string()), symbols)?;
        for (labels, chunks) in series {
            writer.add_series(labels, chunks)?;
        }
        let meta = writer.finish(BlockMeta {
            ulid: run,
            stats: model::BlockStats::default(),
            parquet: None,
            ..self.meta.clone()
        })?;
        self.edited.runs.push(meta);
        Ok(())
    }

    fn finish(mut self) -> Result<Edited, CompactError> {
        self.flush()?;
        let Edited {
            samples,
            samples_deleted,
            runs,
            ..
        } = &self.edited;
        let stats = &self.meta.stats;
        let block = self.meta.ulid;
        if stats.num_tombstones == 0 && *samples < stats.num_samples {
            let (stated, found) = (stats.num_samples, samples);
            return Err(CompactError::Block {
                block,
                reason: format!("expected {stated} samples as meta.json states, found {found}"),
            });
        }
        let written: u64 = runs.iter().map(|run| run.stats.num_samples).sum();
        if matches!(self.runs, Runs::Below(_)) && written + samples_deleted != *samples {
            return Err(CompactError::Output {
                what: "kept and deleted samples",
                expected: samples.to_string(),
                found: format!("{written} and {samples_deleted}"),
            });
        }
        Ok(self.edited)
    }
}

/// Sorts chunks by time and takes out those that overlap an earlier one.
fn split_overlaps(chunks: &mut Vec<Chunk>) -> Vec<Chunk> {
    chunks.sort_by_key(|chunk| chunk.min);
    let mut end = None;
    let (mut first, mut later) = (Vec::with_capacity(chunks.len()), Vec::new());
    for chunk in chunks.drain(..) {
        match end {
            Some(end) if chunk.min <= end => later.push(chunk),
            _ => {
                end = Some(chunk.max);
                first.push(chunk);
            }
        }
    }
    *chunks = first;
    later
}
