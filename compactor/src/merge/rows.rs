//! Merged series on their way from a key range to an output.

use bytes::Bytes;
use model::{Aggregate, BlockStats, Ragged, Resolution, Timestamp};
use parquet_block::{Contents, SharedValue, Slices, envelope};
use tsdb::{AGGREGATES, Chunk, ChunkError, DownsampledChunk, Encoding};

/// How the chunks of a series are put down.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Layout {
    /// Raw chunks, a value for each slice.
    Raw(Slices),
    /// Downsampled chunks, a value for each aggregate of each slice.
    Aggregates(Slices),
    /// All chunks in one value.
    SingleValue,
}

/// The chunks of a series in a slice of an input.
#[derive(Debug)]
pub(crate) struct Value {
    /// The slice of the output that all of them lie in.
    pub(crate) slice: usize,
    pub(crate) summary: envelope::Summary,
    pub(crate) bytes: Bytes,
}

/// Merged series, in order.
#[derive(Debug)]
pub(crate) struct Rows {
    layout: Layout,
    /// Global ids of names and values, row after row.
    labels: Ragged<(u32, u32)>,
    /// The chunks of all rows, as the file holds them, for each column.
    values: Vec<Vec<u8>>,
    /// Where those of each row end, row after row for each column.
    ends: Vec<Vec<usize>>,
    /// Counts of what was merged.
    pub(crate) counts: BlockStats,
}

/// Why a row cannot be put down.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RowError {
    /// A chunk is not what its encoding says.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// The chunks of a row are not in order of time, or lie in no slice, or across two. Where the index says so of
    /// chunks that hold samples of other times, the merge cannot know.
    #[error("expected chunks in order of time, each within a slice, found one from {min} to {max}")]
    Misplaced {
        /// First sample.
        min: Timestamp,
        /// Last sample.
        max: Timestamp,
    },
}

/// Merged series whose values are there to stay.
#[derive(Debug)]
pub(crate) struct DoneRows {
    labels: Ragged<(u32, u32)>,
    columns: Vec<(Bytes, Vec<usize>)>,
}

impl Layout {
    /// How the chunks of a resolution are put down in Parquet.
    pub(crate) fn in_slices(resolution: Resolution, slices: Slices) -> Self {
        match Contents::of(resolution) {
            Contents::Chunks => Self::Raw(slices),
            Contents::Aggregates => Self::Aggregates(slices),
        }
    }

    /// How many values a row has.
    pub(crate) fn columns(self) -> usize {
        match self {
            Self::Raw(slices) => slices.count(),
            Self::Aggregates(slices) => slices.count() * AGGREGATES,
            Self::SingleValue => 1,
        }
    }
}

impl Rows {
    /// No rows, but room for chunks that take `bytes` in the sources, about.
    pub(crate) fn new(layout: Layout, bytes: usize) -> Self {
        let columns = layout.columns();
        let room = match layout {
            // A record is a little longer here.
            Layout::Raw(_) | Layout::SingleValue => {
                bytes.saturating_add(bytes / 8) / columns.max(1)
            }
            // Nobody knows before.
            Layout::Aggregates(_) => 0,
        };
        Self {
            layout,
            labels: Ragged::default(),
            values: (0..columns).map(|_| Vec::with_capacity(room)).collect(),
            ends: vec![Vec::new(); columns],
            counts: BlockStats::default(),
        }
    }

    /// Adds a row, unless it has no chunks; these are in order of time.
    pub(crate) fn push(&mut self, labels: &[(u32, u32)], chunks: &[Chunk]) -> Result<(), RowError> {
        if chunks.is_empty() {
            return Ok(());
        }
        self.check(chunks)?;
        match self.layout {
            Layout::Raw(slices) => self.put_slices(chunks, &slices),
            Layout::Aggregates(slices) => {
                let chunks: Result<Vec<_>, _> =
                    chunks.iter().map(DownsampledChunk::unpack).collect();
                self.put_aggregates(&chunks?, &slices);
            }
            Layout::SingleValue => {
                if let Some(values) = self.values.first_mut() {
                    envelope::encode(chunks, values);
                }
            }
        }
        self.end_row(labels);
        for chunk in chunks {
            count(&mut self.counts, chunk)?;
        }
        Ok(())
    }

    /// As [`Rows::push`], of values for slices, which are in order of time.
    pub(crate) fn push_values(&mut self, labels: &[(u32, u32)], values: &[Value]) {
        if values.is_empty() {
            return;
        }
        for value in values {
            if let Some(values) = self.values.get_mut(value.slice) {
                values.extend_from_slice(&value.bytes);
            }
        }
        self.end_row(labels);
        for Value { summary, .. } in values {
            self.counts.num_chunks += summary.chunks;
            count_samples(&mut self.counts, summary.encoding, summary.samples);
        }
    }

    /// As [`Rows::push`], of chunks that were downsampled just now.
    pub(crate) fn push_downsampled(
        &mut self,
        labels: &[(u32, u32)],
        chunks: &[DownsampledChunk],
    ) -> Result<(), RowError> {
        let Layout::Aggregates(slices) = self.layout else {
            let packed: Vec<Chunk> = chunks.iter().map(DownsampledChunk::pack).collect();
            return self.push(labels, &packed);
        };
        if chunks.is_empty() {
            return Ok(());
        }
        self.put_aggregates(chunks, &slices);
        self.end_row(labels);
        for chunk in chunks {
            let windows = chunk.column(Aggregate::Count);
            let windows = windows.map_or(Ok(0), |count| count.num_samples())?;
            self.counts.num_chunks += 1;
            self.counts.num_samples += u64::from(windows);
        }
        Ok(())
    }

    /// Refuses chunks that no reader could put in order.
    fn check(&self, chunks: &[Chunk]) -> Result<(), RowError> {
        let misplaced = |chunk: &Chunk| RowError::Misplaced {
            min: chunk.min,
            max: chunk.max,
        };
        if let Some([_, b]) = chunks.array_windows().find(|[a, b]| a.max >= b.min) {
            return Err(misplaced(b));
        }
        let fits = |chunk: &&Chunk| match &self.layout {
            Layout::Raw(slices) => slices
                .index_of(chunk.min)
                .is_some_and(|slice| slices.index_of(chunk.max) == Some(slice)),
            // An aggregate is put where it begins.
            Layout::Aggregates(slices) => slices.index_of(chunk.min).is_some(),
            Layout::SingleValue => true,
        };
        match chunks
            .iter()
            .find(|chunk| chunk.min > chunk.max || !fits(chunk))
        {
            Some(chunk) => Err(misplaced(chunk)),
            None => Ok(()),
        }
    }

    fn end_row(&mut self, labels: &[(u32, u32)]) {
        self.labels.push(labels.iter().copied());
        for (values, ends) in self.values.iter().zip(&mut self.ends) {
            ends.push(values.len());
        }
        self.counts.num_series += 1;
    }

    fn put_aggregates(&mut self, chunks: &[DownsampledChunk], slices: &Slices) {
        envelope::encode_aggregates(chunks, slices, &mut self.values);
    }

    fn put_slices(&mut self, chunks: &[Chunk], slices: &Slices) {
        let mut rest = chunks;
        for (slice, values) in self.values.iter_mut().enumerate() {
            let in_slice = rest
                .iter()
                .take_while(|c| slices.index_of(c.min) == Some(slice))
                .count();
            let (mine, others) = rest.split_at(in_slice);
            envelope::encode(mine, values);
            rest = others;
        }
        debug_assert!(rest.is_empty(), "each chunk lies in a slice: {rest:?}");
    }

    /// The same, when there will be no more.
    pub(crate) fn done(self) -> DoneRows {
        let values = self.values.into_iter().map(Bytes::from);
        DoneRows {
            labels: self.labels,
            columns: values.zip(self.ends).collect(),
        }
    }
}

impl DoneRows {
    /// Each row's labels and its values, column by column.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[(u32, u32)], Vec<SharedValue<'_>>)> {
        self.labels.iter().enumerate().map(|(row, labels)| {
            let values = self.columns.iter().map(|(buffer, ends)| {
                let end = |row: usize| ends.get(row).copied().unwrap_or_default();
                SharedValue {
                    buffer,
                    range: row.checked_sub(1).map_or(0, end)..end(row),
                }
            });
            (labels, values.collect())
        })
    }
}

/// Counts a chunk as `meta.json` does.
pub(crate) fn count(stats: &mut BlockStats, chunk: &Chunk) -> Result<(), ChunkError> {
    let samples = u64::from(chunk.num_samples()?);
    stats.num_chunks += 1;
    count_samples(stats, chunk.encoding, samples);
    Ok(())
}

fn count_samples(stats: &mut BlockStats, encoding: Encoding, samples: u64) {
    stats.num_samples += samples;
    match encoding {
        Encoding::Xor => stats.num_float_samples += samples,
        Encoding::Histogram | Encoding::FloatHistogram => stats.num_histogram_samples += samples,
        Encoding::Aggr => {}
    }
}

/// Adds counts of other series.
pub(crate) fn add(stats: &mut BlockStats, more: &BlockStats) {
    stats.num_series += more.num_series;
    stats.num_chunks += more.num_chunks;
    stats.num_samples += more.num_samples;
    stats.num_float_samples += more.num_float_samples;
    stats.num_histogram_samples += more.num_histogram_samples;
}
