//! Merged series on their way from a span to an output.

use model::{BlockStats, Resolution};
use parquet_block::{Slices, envelope};
use tsdb::{Chunk, ChunkError, Encoding};

/// How the chunks of a series are put down.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Layout {
    /// Raw chunks, a value for each slice.
    Raw(Slices),
    /// All chunks in one value.
    Whole,
}

/// Merged series, in order.
#[derive(Debug)]
pub(crate) struct Rows {
    layout: Layout,
    /// Global ids of names and values, row after row.
    labels: Vec<(u32, u32)>,
    /// Where each row's labels end.
    label_ends: Vec<usize>,
    /// The chunks of each row and column, as the file holds them.
    payload: Vec<u8>,
    /// Where each row's and column's chunks end.
    payload_ends: Vec<usize>,
    /// Counts of what was merged.
    pub(crate) counts: BlockStats,
}

impl Layout {
    /// How many values a row has.
    fn columns(self) -> usize {
        match self {
            Self::Raw(slices) => slices.count(),
            Self::Whole => 1,
        }
    }
}

impl Rows {
    /// No rows.
    pub(crate) fn new(layout: Layout) -> Self {
        Self {
            layout,
            labels: Vec::new(),
            label_ends: Vec::new(),
            payload: Vec::new(),
            payload_ends: Vec::new(),
            counts: BlockStats::default(),
        }
    }

    /// Adds a row, unless it has no chunks; these are in order of time.
    pub(crate) fn push(
        &mut self,
        labels: &[(u32, u32)],
        chunks: &[Chunk],
    ) -> Result<(), ChunkError> {
        if chunks.is_empty() {
            return Ok(());
        }
        match self.layout {
            Layout::Raw(slices) => self.put_slices(chunks, &slices),
            Layout::Whole => {
                envelope::encode(chunks, &mut self.payload);
                self.payload_ends.push(self.payload.len());
            }
        }
        self.labels.extend_from_slice(labels);
        self.label_ends.push(self.labels.len());
        self.counts.num_series += 1;
        for chunk in chunks {
            count(&mut self.counts, chunk)?;
        }
        Ok(())
    }

    fn put_slices(&mut self, chunks: &[Chunk], slices: &Slices) {
        let mut rest = chunks;
        for slice in 0..slices.count() {
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
    }

    /// Each row's labels and its values, column by column.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[(u32, u32)], Vec<&[u8]>)> {
        let (mut label_start, mut start) = (0, 0);
        let columns = self.payload_ends.chunks(self.layout.columns().max(1));
        self.label_ends.iter().zip(columns).map(move |(end, ends)| {
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

/// Counts a chunk as `meta.json` does.
pub(crate) fn count(stats: &mut BlockStats, chunk: &Chunk) -> Result<(), ChunkError> {
    let samples = u64::from(chunk.num_samples()?);
    stats.num_chunks += 1;
    stats.num_samples += samples;
    match chunk.encoding {
        Encoding::Xor => stats.num_float_samples += samples,
        Encoding::Histogram | Encoding::FloatHistogram => stats.num_histogram_samples += samples,
        Encoding::Aggr => {}
    }
    Ok(())
}

/// Adds counts of other series.
pub(crate) fn add(stats: &mut BlockStats, more: &BlockStats) {
    stats.num_series += more.num_series;
    stats.num_chunks += more.num_chunks;
    stats.num_samples += more.num_samples;
    stats.num_float_samples += more.num_float_samples;
    stats.num_histogram_samples += more.num_histogram_samples;
}

/// How the chunks of a resolution are put down in Parquet.
pub(crate) fn parquet_layout(resolution: Resolution, slices: Slices) -> Layout {
    match resolution {
        Resolution::Raw => Layout::Raw(slices),
        Resolution::FiveMinutes | Resolution::OneHour => Layout::Raw(slices),
    }
}
