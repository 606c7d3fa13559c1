//! The merge of one key range: chunks read, arranged and downsampled, row by row.

use model::{Resolution, TimeRange};
use parquet_block::Slices;
use tsdb::{Chunk, ChunkError, DownsampledChunk, Encoding, Floats, decode_histograms, decode_xor};

use super::{
    MergeError,
    arrange::{ArrangeError, arrange_aggregates, arrange_raw},
    input::{InputCursor, Inputs, SourceChunk},
    key::Key,
    key_range::KeyRange,
    passthrough::Passthrough,
    rows::{Layout, RowError, Rows},
};
use crate::{Dedup, DownsampleError, Downsampler};

/// What is made of each key range.
#[derive(Debug)]
pub(crate) struct MergePlan<'a> {
    pub(crate) inputs: &'a Inputs,
    /// The times that all samples lie in.
    pub(crate) range: TimeRange,
    pub(crate) dedup: Dedup,
    /// What raw chunks are cut by.
    pub(crate) slices: Slices,
    /// What is wanted.
    pub(crate) outputs: Vec<(Resolution, Layout)>,
}

/// Merges the series of one key range, for each of the outputs; series that lost all samples are left out.
///
/// # Errors
/// When an input cannot be read; the error names the block and, of a chunk, the place.
pub(crate) fn merge(
    plan: &MergePlan<'_>,
    key_range: &KeyRange,
    downsampler: &mut Downsampler,
) -> Result<Vec<Rows>, MergeError> {
    let inputs = &plan.inputs.all;
    let mut cursors = Vec::with_capacity(key_range.series().len());
    let mut bytes = 0_usize;
    for (input, series) in inputs.iter().zip(key_range.series()) {
        cursors.push(input.cursor(series.clone())?);
        bytes = bytes.saturating_add(input.share(series.len()));
    }
    let outputs = plan.outputs.iter();
    let mut out: Vec<Rows> = outputs
        .map(|(_, layout)| Rows::new(*layout, bytes))
        .collect();
    let (mut key, mut source_chunks, mut chunks) = (Key::default(), Vec::new(), Vec::new());
    let mut passthrough = Passthrough::of(&plan.outputs, plan.range);
    while let Some(least) = cursors.iter().filter_map(InputCursor::key).min() {
        key.copy(least);
        let is_here = |cursor: &InputCursor<'_>| cursor.key() == Some(&key);
        let values = match &mut passthrough {
            Some(passthrough) => passthrough.read(cursors.iter_mut().filter(|s| is_here(s)))?,
            None => None,
        };
        if let (Some(values), [rows]) = (values, out.as_mut_slice()) {
            rows.push_values(&key.labels, values);
        } else {
            read(plan, &mut cursors, &key, &mut source_chunks)?;
            let made = plan
                .arrange(&mut source_chunks, &mut chunks)
                .and_then(|()| plan.make(&key, &mut chunks, downsampler, &mut out));
            if let Err(fault) = made {
                source_chunks.clear();
                read(plan, &mut cursors, &key, &mut source_chunks)?;
                return Err(plan.blamed(fault, &key, &source_chunks));
            }
            // Before more is read, as memory that nobody holds is used again.
            chunks.clear();
        }
        for cursor in cursors.iter_mut().filter(|s| is_here(s)) {
            cursor.advance()?;
        }
    }
    Ok(out)
}

/// Reads the chunks of the series with this key from those of `cursors` that stand at it.
fn read(
    plan: &MergePlan<'_>,
    cursors: &mut [InputCursor<'_>],
    key: &Key,
    out: &mut Vec<SourceChunk>,
) -> Result<(), MergeError> {
    for (source, cursor) in cursors.iter_mut().enumerate() {
        if cursor.key() == Some(key) {
            let block = plan.inputs.block_of(source);
            cursor.chunks(plan.range, |chunk| out.push((block, chunk)))?;
        }
    }
    Ok(())
}

/// What is wrong with a row.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Arrange(ArrangeError),
    #[error(transparent)]
    Rows(RowError),
    #[error(transparent)]
    Downsample(DownsampleError),
}

impl MergePlan<'_> {
    /// The error for a row, with the block that is to blame where one can be told: that with a chunk that does not
    /// decode, or the only one.
    fn blamed(&self, fault: Fault, key: &Key, of_row: &[SourceChunk]) -> MergeError {
        let id = |block: usize| self.inputs.id(block);
        let damaged = of_row
            .iter()
            .find_map(|(block, chunk)| Some((*block, decode(chunk).err()?)));
        let mut blocks: Vec<usize> = of_row.iter().map(|(block, _)| *block).collect();
        blocks.sort_unstable();
        blocks.dedup();
        match (fault, damaged, blocks.as_slice()) {
            (Fault::Arrange(ArrangeError::Overlap([(a, times), (b, other_times)])), _, _) => {
                MergeError::Overlap {
                    block: id(a),
                    times,
                    other: id(b),
                    other_times,
                }
            }
            (_, Some((block, source)), _) => MergeError::chunk(id(block))(source),
            (
                Fault::Arrange(ArrangeError::Chunk(source)) | Fault::Rows(RowError::Chunk(source)),
                None,
                [only],
            ) => MergeError::chunk(id(*only))(source),
            (Fault::Downsample(source), None, [only]) => MergeError::Downsample {
                block: id(*only),
                source,
            },
            (fault, None, blocks) => MergeError::Series {
                series: self.inputs.text(key),
                blocks: blocks.iter().map(|block| id(*block)).collect(),
                reason: fault.to_string(),
            },
        }
    }

    fn arrange(&self, chunks: &mut Vec<SourceChunk>, out: &mut Vec<Chunk>) -> Result<(), Fault> {
        match self.inputs.resolution {
            Resolution::Raw => arrange_raw(chunks, self.dedup, &self.slices, out),
            Resolution::FiveMinutes | Resolution::OneHour => arrange_aggregates(chunks, out),
        }
        .map_err(Fault::Arrange)
    }

    /// Puts a row into each of the outputs.
    fn make(
        &self,
        key: &Key,
        chunks: &mut Vec<Chunk>,
        downsampler: &mut Downsampler,
        out: &mut [Rows],
    ) -> Result<(), Fault> {
        let inputs = self.inputs.resolution;
        if inputs != Resolution::Raw && chunks.iter().any(|c| c.encoding != Encoding::Aggr) {
            *chunks = aggregated(chunks, inputs, downsampler).map_err(Fault::Downsample)?;
        }
        let mut five_minutes: Option<Vec<DownsampledChunk>> = None;
        for ((resolution, _), rows) in self.outputs.iter().zip(out) {
            if *resolution == inputs {
                rows.push(&key.labels, chunks).map_err(Fault::Rows)?;
                continue;
            }
            let finer = match &mut five_minutes {
                Some(finer) => finer,
                none => none.insert(
                    match inputs {
                        Resolution::Raw => downsampler.five_minutes(chunks),
                        _ => downsampler.unpack(chunks),
                    }
                    .map_err(Fault::Downsample)?,
                ),
            };
            match resolution {
                Resolution::OneHour => {
                    let hours = downsampler.one_hour(finer).map_err(Fault::Downsample)?;
                    rows.push_downsampled(&key.labels, &hours)
                }
                _ => rows.push_downsampled(&key.labels, finer),
            }
            .map_err(Fault::Rows)?;
        }
        Ok(())
    }
}

/// The chunks of a downsampled block, of which Thanos has left some raw in some blocks, all as aggregates.
fn aggregated(
    chunks: &[Chunk],
    resolution: Resolution,
    downsampler: &mut Downsampler,
) -> Result<Vec<Chunk>, DownsampleError> {
    let mut out = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        if chunk.encoding == Encoding::Aggr {
            out.push(chunk.clone());
            continue;
        }
        let mut made = downsampler.five_minutes(std::slice::from_ref(chunk))?;
        if resolution == Resolution::OneHour {
            made = downsampler.one_hour(&made)?;
        }
        out.extend(made.iter().map(DownsampledChunk::pack));
    }
    Ok(out)
}

/// Decodes a chunk to see whether that can be done.
fn decode(chunk: &Chunk) -> Result<(), ChunkError> {
    let decode = |encoding: Encoding, data: &bytes::Bytes| match encoding {
        Encoding::Xor => decode_xor(data, &mut Floats::default()),
        _ => decode_histograms(encoding, data).map(drop),
    };
    if chunk.encoding != Encoding::Aggr {
        return decode(chunk.encoding, &chunk.data);
    }
    let aggregates = DownsampledChunk::unpack(chunk)?.aggregates;
    let mut aggregates = aggregates.iter().flatten();
    aggregates.try_for_each(|aggregate| decode(aggregate.encoding, &aggregate.data))
}
