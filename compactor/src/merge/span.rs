//! The key space cut into spans of about equal work, and the merge of one span.

use std::ops::Range;

use model::{Resolution, TimeRange};
use parquet_block::Slices;
use rayon::prelude::*;
use tsdb::{Chunk, ChunkError, DownsampledChunk, Encoding, Floats, decode_histograms, decode_xor};

use super::{
    MergeError,
    arrange::{ArrangeError, arrange_aggregates, arrange_raw},
    input::{Input, Inputs, SAMPLE_STEP, Sourced, Stretch},
    key::Key,
    rows::{Layout, RowError, Rows},
    shards::Part,
    whole::WholeValues,
};
use crate::{Dedup, DownsampleError, Downsampler};

/// For each input, the stretch of its series that lies in the span.
#[derive(Debug)]
pub(crate) struct Span {
    series: Vec<Range<usize>>,
    /// The part that all of it belongs to.
    pub(crate) part: usize,
}

/// What is made of a span.
#[derive(Debug)]
pub(crate) struct Recipe<'a> {
    pub(crate) inputs: &'a Inputs,
    /// The times that all samples lie in.
    pub(crate) range: TimeRange,
    pub(crate) dedup: Dedup,
    /// What raw chunks are cut by.
    pub(crate) slices: Slices,
    /// What is wanted.
    pub(crate) outputs: Vec<(Resolution, Layout)>,
}

impl Span {
    /// The series of each input.
    pub(crate) fn series(&self) -> &[Range<usize>] {
        &self.series
    }

    /// How many input series there are.
    pub(crate) fn len(&self) -> usize {
        self.series.iter().map(Range::len).sum()
    }
}

/// Cuts the key space so that a span holds about `series` series, all inputs counted, and none crosses from one part
/// to the next.
///
/// # Errors
/// When an index cannot be read.
pub(crate) fn cut(
    inputs: &[Input],
    series: usize,
    parts: &[Part],
) -> Result<Vec<Span>, MergeError> {
    let samples = inputs.par_iter().map(Input::sample);
    let samples: Vec<Vec<Key>> = samples.collect::<Result<_, _>>()?;
    let mut sorted: Vec<&Key> = samples.iter().flatten().collect();
    sorted.sort_unstable();
    let step = (series / SAMPLE_STEP).max(1);
    let cuts = sorted.into_iter().step_by(step).skip(1);
    let mut cuts: Vec<Key> = cuts.cloned().collect();
    cuts.extend(parts.iter().filter_map(|part| part.start.clone()));
    cuts.sort_unstable();
    cuts.dedup();

    let positions = inputs
        .par_iter()
        .zip(&samples)
        .map(|(input, samples)| input.positions(&cuts, samples));
    let positions: Vec<Vec<usize>> = positions.collect::<Result<_, _>>()?;
    let mut starts = vec![0; inputs.len()];
    let mut spans = Vec::with_capacity(cuts.len() + 1);
    let mut part = 0;
    for cut in 0..=cuts.len() {
        let mut series = Vec::with_capacity(inputs.len());
        for ((input, positions), start) in inputs.iter().zip(&positions).zip(&mut starts) {
            let end = positions.get(cut).copied().unwrap_or(input.len());
            series.push(*start..end);
            *start = end;
        }
        let span = Span { series, part };
        if span.len() > 0 {
            spans.push(span);
        }
        let next = parts.get(part + 1).and_then(|part| part.start.as_ref());
        if next.is_some() && next == cuts.get(cut) {
            part += 1;
        }
    }
    Ok(spans)
}

/// Merges the series of one span, for each of the outputs; series that lost all samples are left out.
///
/// # Errors
/// When an input cannot be read; the error names the block and, of a chunk, the place.
pub(crate) fn merge(
    recipe: &Recipe<'_>,
    span: &Span,
    downsampler: &mut Downsampler,
) -> Result<Vec<Rows>, MergeError> {
    let inputs = &recipe.inputs.all;
    let mut stretches = Vec::with_capacity(span.series.len());
    let mut bytes = 0_usize;
    for (input, series) in inputs.iter().zip(&span.series) {
        stretches.push(input.stretch(series.clone())?);
        bytes = bytes.saturating_add(input.share(series.len()));
    }
    let outputs = recipe.outputs.iter();
    let mut out: Vec<Rows> = outputs
        .map(|(_, layout)| Rows::new(*layout, bytes))
        .collect();
    let (mut key, mut sourced, mut chunks) = (Key::default(), Vec::new(), Vec::new());
    let mut whole = WholeValues::of(recipe);
    while let Some(least) = stretches.iter().filter_map(Stretch::key).min() {
        key.copy(least);
        let is_here = |stretch: &Stretch<'_>| stretch.key() == Some(&key);
        let values = match &mut whole {
            Some(whole) => whole.read(stretches.iter_mut().filter(|s| is_here(s)))?,
            None => None,
        };
        if let (Some(values), [rows]) = (values, out.as_mut_slice()) {
            rows.push_values(&key.labels, values);
        } else {
            read(recipe, &mut stretches, &key, &mut sourced)?;
            let made = recipe
                .arrange(&mut sourced, &mut chunks)
                .and_then(|()| recipe.make(&key, &mut chunks, downsampler, &mut out));
            if let Err(fault) = made {
                sourced.clear();
                read(recipe, &mut stretches, &key, &mut sourced)?;
                return Err(recipe.blamed(fault, &key, &sourced));
            }
            // Before more is read, as memory that nobody holds is used again.
            chunks.clear();
        }
        for stretch in stretches.iter_mut().filter(|s| is_here(s)) {
            stretch.advance()?;
        }
    }
    Ok(out)
}

/// Reads the chunks of the series with this key from those of `stretches` that stand at it.
fn read(
    recipe: &Recipe<'_>,
    stretches: &mut [Stretch<'_>],
    key: &Key,
    out: &mut Vec<Sourced>,
) -> Result<(), MergeError> {
    for (source, stretch) in stretches.iter_mut().enumerate() {
        if stretch.key() == Some(key) {
            let block = recipe.inputs.block_of(source);
            stretch.chunks(recipe.range, |chunk| out.push((block, chunk)))?;
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

impl Recipe<'_> {
    /// The error for a row, with the block that is to blame where one can be told: that with a chunk that does not
    /// decode, or the only one.
    fn blamed(&self, fault: Fault, key: &Key, of_row: &[Sourced]) -> MergeError {
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

    fn arrange(&self, chunks: &mut Vec<Sourced>, out: &mut Vec<Chunk>) -> Result<(), Fault> {
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
