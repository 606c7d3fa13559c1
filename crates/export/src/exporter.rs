//! From the chunks of series to rows.

use std::sync::Arc;

use model::{Labels, STALE_NAN, TimeRange};
use series::{Samples, SeriesChunk};
use tsdb::Floats;

use crate::{
    ExportError, Files, Finished, Layout,
    counter::Counter,
    decode::{self, Value},
    rows::{Row, Rows},
};

/// Rows of a batch.
const BATCH: usize = 32 << 10;

/// Writes the samples of series, given in the order of their labels, to files.
#[derive(Debug)]
pub struct Exporter {
    /// Which samples are rows; both ends are inclusive.
    range: TimeRange,
    rows: Rows,
    files: Files,
    floats: Floats,
    /// How many series and rows were written.
    series: u64,
    samples: u64,
}

impl Exporter {
    /// Writes the samples of `range`, both ends inclusive, to `files`.
    #[must_use]
    pub fn new(layout: &Arc<Layout>, range: TimeRange, files: Files) -> Self {
        Self {
            range,
            rows: Rows::new(Arc::clone(layout)),
            files,
            floats: Floats::default(),
            series: 0,
            samples: 0,
        }
    }

    /// Writes the samples of a series. Its chunks are in the order of their first times; where chunks overlap, of samples
    /// of one time the one of the first chunk counts.
    ///
    /// # Errors
    /// [`ExportError::Chunk`] and [`ExportError::Order`] where a chunk is damaged; else a file cannot be written.
    pub fn series(
        &mut self,
        labels: &Labels,
        mut chunks: &[SeriesChunk],
    ) -> Result<(), ExportError> {
        self.rows.begin(labels);
        let before = self.samples;
        let mut counter = Counter::default();
        let mut last = i64::MIN;
        while let Some(group) = overlapping(chunks) {
            if !self.floats(labels, group, &mut last)? {
                self.merged(labels, group, &mut last, &mut counter)?;
            }
            chunks = chunks.get(group.len()..).unwrap_or_default();
        }
        self.series += u64::from(self.samples > before);
        Ok(())
    }

    /// How many series and samples were written.
    #[must_use]
    pub const fn written(&self) -> (u64, u64) {
        (self.series, self.samples)
    }

    /// The files that have been finished since this was called last.
    pub fn take_finished(&mut self) -> Vec<Finished> {
        self.files.take_finished()
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn finish(mut self) -> Result<Vec<Finished>, ExportError> {
        if self.rows.len() > 0 {
            self.flush()?;
        }
        self.files.finish()
    }

    /// Writes a chunk of floats that overlaps no other; `false` if it is none.
    fn floats(
        &mut self,
        labels: &Labels,
        group: &[SeriesChunk],
        last: &mut i64,
    ) -> Result<bool, ExportError> {
        let [
            chunk @ SeriesChunk {
                samples: Samples::Raw(encoded),
                ..
            },
        ] = group
        else {
            return Ok(false);
        };
        let range = times_of(chunk);
        self.floats.timestamps.clear();
        self.floats.values.clear();
        let decoded = decode::append_floats(encoded, &mut self.floats);
        if !decoded.map_err(|source| damaged(labels, range, source))? {
            return Ok(false);
        }
        let Floats { timestamps, values } = &mut self.floats;
        for &time in timestamps.iter() {
            check_order(labels, range, time, last)?;
        }
        if values.iter().any(|value| value.to_bits() == STALE_NAN) {
            let mut is_sample = values.iter().map(|value| value.to_bits() != STALE_NAN);
            timestamps.retain(|_| is_sample.next().unwrap_or(true));
            values.retain(|value| value.to_bits() != STALE_NAN);
        }
        let start = timestamps.partition_point(|&time| time < self.range.min.0);
        let end = timestamps.partition_point(|&time| time <= self.range.max.0);
        let times = timestamps.get(start..end).unwrap_or_default();
        self.rows
            .floats(times, values.get(start..end).unwrap_or_default());
        self.samples += times.len() as u64;
        self.flush_if_full()?;
        Ok(true)
    }

    /// Writes chunks of any kind, of which some may overlap.
    fn merged(
        &mut self,
        labels: &Labels,
        group: &[SeriesChunk],
        last: &mut i64,
        counter: &mut Counter,
    ) -> Result<(), ExportError> {
        let mut rows: Vec<Row> = Vec::new();
        for chunk in group {
            let decoded = rows_of(&chunk.samples, counter);
            let mut decoded = decoded.map_err(|source| damaged(labels, times_of(chunk), source))?;
            rows.append(&mut decoded);
        }
        rows.sort_by_key(|row| row.time);
        rows.dedup_by_key(|row| row.time);
        let range = group.first().map_or(TimeRange::ALL, times_of);
        for row in &rows {
            check_order(labels, range, row.time, last)?;
            if self.range.contains(model::Timestamp(row.time)) {
                self.rows.row(row);
                self.samples += 1;
                self.flush_if_full()?;
            }
        }
        Ok(())
    }

    fn flush_if_full(&mut self) -> Result<(), ExportError> {
        if self.rows.len() >= BATCH {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ExportError> {
        let batch = self.rows.finish();
        let batch = batch.map_err(|source| self.files.failed(source))?;
        self.files.write(&batch)
    }
}

/// The first chunks up to one that begins after all of them have ended.
fn overlapping(chunks: &[SeriesChunk]) -> Option<&[SeriesChunk]> {
    let mut end = chunks.first()?.max;
    let more = chunks.iter().skip(1).take_while(|chunk| {
        let overlaps = chunk.min <= end;
        end = end.max(chunk.max);
        overlaps
    });
    chunks.get(..1 + more.count())
}

fn times_of(chunk: &SeriesChunk) -> TimeRange {
    TimeRange {
        min: chunk.min,
        max: chunk.max,
    }
}

fn damaged(labels: &Labels, range: TimeRange, source: tsdb::ChunkError) -> ExportError {
    ExportError::Chunk {
        series: labels.clone(),
        range,
        source,
    }
}

/// Checks that a sample comes after the last one.
fn check_order(
    labels: &Labels,
    range: TimeRange,
    time: i64,
    last: &mut i64,
) -> Result<(), ExportError> {
    if time <= *last {
        return Err(ExportError::Order {
            series: labels.clone(),
            range,
            found: time,
            after: *last,
        });
    }
    *last = time;
    Ok(())
}

/// The rows of a chunk, sorted by time.
fn rows_of(samples: &Samples, counter: &mut Counter) -> Result<Vec<Row>, tsdb::ChunkError> {
    const COUNTER: usize = 4;
    let empty = |time| Row {
        time,
        value: None,
        aggregates: [const { None }; 5],
    };
    let parts = match samples {
        Samples::Raw(encoded) => {
            let samples = decode::samples(encoded)?.into_iter();
            let row = |(time, value)| Row {
                value: Some(value),
                ..empty(time)
            };
            return Ok(samples.map(row).collect());
        }
        Samples::Aggregates(parts) => parts,
    };
    let mut rows: std::collections::BTreeMap<i64, Row> = std::collections::BTreeMap::new();
    for (place, part) in parts.iter().enumerate() {
        let Some(part) = part else { continue };
        for (time, value) in decode::samples(part)? {
            let value = match value {
                Value::Float(value) if place == COUNTER => {
                    let Some(total) = counter.next(time, value) else {
                        continue;
                    };
                    Value::Float(total)
                }
                value => value,
            };
            let row = rows.entry(time).or_insert_with(|| empty(time));
            if let Some(slot) = row.aggregates.get_mut(place) {
                slot.get_or_insert(value);
            }
        }
    }
    Ok(rows.into_values().collect())
}
