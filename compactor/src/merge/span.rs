//! The key space cut into spans of about equal work, and the merge of one span.

use model::TimeRange;
use parquet_block::{Slices, envelope};
use tsdb::{Chunk, ChunkError, Encoding, SeriesRef};

use super::{
    MergeError,
    arrange::arrange,
    input::{Input, Key, Stretch},
};

/// Of how many series one key is taken into the sample that spans are cut by.
const SAMPLE_STEP: usize = 256;

/// For each input, the stretch of its series that lies in the span.
pub(crate) type Span<'a> = Vec<&'a [SeriesRef]>;

/// Merged series, in order.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Global ids of names and values, row after row.
    labels: Vec<(u32, u32)>,
    /// Where each row's labels end.
    label_ends: Vec<usize>,
    /// The chunks of each row and slice, as the file holds them.
    payload: Vec<u8>,
    /// Where each row's and slice's chunks end.
    payload_ends: Vec<usize>,
    slices: usize,
    /// Counts of what was merged.
    pub(crate) counts: Counts,
}

/// What a merge has put out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) series: u64,
    pub(crate) chunks: u64,
    pub(crate) float_samples: u64,
    pub(crate) histogram_samples: u64,
}

/// Cuts the key space so that a span holds about `series` series, all inputs counted.
///
/// # Errors
/// When an index cannot be read.
pub(crate) fn cut(inputs: &[Input], series: usize) -> Result<Vec<Span<'_>>, MergeError> {
    let mut samples: Vec<Key> = Vec::new();
    for input in inputs {
        samples.extend(input.sample(SAMPLE_STEP)?);
    }
    samples.sort_unstable();
    let step = (series / SAMPLE_STEP).max(1);
    let mut cuts: Vec<Key> = samples.into_iter().step_by(step).skip(1).collect();
    cuts.dedup();

    let mut starts = vec![0; inputs.len()];
    let mut spans = Vec::with_capacity(cuts.len() + 1);
    for key in cuts.iter().map(Some).chain([None]) {
        let mut span = Vec::with_capacity(inputs.len());
        for (input, start) in inputs.iter().zip(&mut starts) {
            let end = match key {
                Some(key) => input.lower_bound(key)?,
                None => input.refs.len(),
            };
            span.push(input.refs.get(*start..end).unwrap_or_default());
            *start = end;
        }
        if span.iter().any(|refs| !refs.is_empty()) {
            spans.push(span);
        }
    }
    Ok(spans)
}

/// Merges the series of one span; series that lost all samples to tombstones are left out.
///
/// # Errors
/// When an input cannot be read; the error names the block and, of a chunk, the place.
pub(crate) fn merge(
    inputs: &[Input],
    span: &Span<'_>,
    slices: &Slices,
    range: TimeRange,
) -> Result<Rows, MergeError> {
    let mut stretches = Vec::with_capacity(span.len());
    for (input, refs) in inputs.iter().zip(span) {
        stretches.push(input.stretch(refs)?);
    }
    let mut rows = Rows {
        slices: slices.count(),
        ..Rows::default()
    };
    let (mut key, mut sourced, mut chunks) = (Key::default(), Vec::new(), Vec::new());
    while let Some(least) = stretches.iter().filter_map(Stretch::key).min() {
        key.name = least.name;
        key.labels.clone_from(&least.labels);
        for (source, stretch) in stretches.iter_mut().enumerate() {
            if stretch.key() == Some(&key) {
                stretch.chunks(range, |chunk| sourced.push((source, chunk)))?;
                stretch.advance()?;
            }
        }
        let source = sourced.first().map(|(source, _)| *source);
        arrange(&mut sourced, slices, &mut chunks)
            .and_then(|()| rows.push(&key, &chunks, slices))
            .map_err(|error| damaged(inputs, source, error))?;
        chunks.clear();
    }
    Ok(rows)
}

/// A chunk of a row does not decode; the block of the row's first chunk is named.
fn damaged(inputs: &[Input], source: Option<usize>, error: ChunkError) -> MergeError {
    MergeError::Chunk {
        dir: source
            .and_then(|i| inputs.get(i))
            .map(|input| input.dir().to_path_buf())
            .unwrap_or_default(),
        source: error,
    }
}

impl Rows {
    /// Adds a row, unless it has no chunks.
    fn push(&mut self, key: &Key, chunks: &[Chunk], slices: &Slices) -> Result<(), ChunkError> {
        if chunks.is_empty() {
            return Ok(());
        }
        let mut rest = chunks;
        for slice in 0..self.slices {
            let in_slice = rest
                .iter()
                .take_while(|c| slices.index_of(c.min) == Some(slice))
                .count();
            let (mine, others) = rest.split_at(in_slice);
            envelope::encode(mine, &mut self.payload);
            self.payload_ends.push(self.payload.len());
            rest = others;
        }
        debug_assert!(rest.is_empty(), "each chunk lies in a slice: {rest:?}");
        self.labels.extend_from_slice(&key.labels);
        self.label_ends.push(self.labels.len());
        self.counts.series += 1;
        for chunk in chunks {
            self.counts.chunks += 1;
            let samples = u64::from(chunk.num_samples()?);
            match chunk.encoding {
                Encoding::Xor => self.counts.float_samples += samples,
                _ => self.counts.histogram_samples += samples,
            }
        }
        Ok(())
    }

    /// Each row's labels and its chunks, slice by slice.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[(u32, u32)], Vec<&[u8]>)> {
        let (mut label_start, mut start) = (0, 0);
        let slices = self.payload_ends.chunks(self.slices.max(1));
        self.label_ends.iter().zip(slices).map(move |(end, ends)| {
            let labels = self.labels.get(label_start..*end).unwrap_or_default();
            label_start = *end;
            let values = ends.iter().map(|end| {
                let value = self.payload.get(start..*end).unwrap_or_default();
                start = *end;
                value
            });
            (labels, values.collect())
        })
    }
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.series += other.series;
        self.chunks += other.chunks;
        self.float_samples += other.float_samples;
        self.histogram_samples += other.histogram_samples;
    }
}
