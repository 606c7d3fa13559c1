//! One-hour aggregates of the five-minute aggregates of floats.

use model::{Aggregate, Resolution, Timestamp};
use tsdb::{AggregateChunk, Chunk, DownsampledChunk, Encoding, Floats, decode_xor};

use super::{
    DownsampleError,
    chunk::encode,
    columns::{greater, lesser},
    counter::{Counter, Unreset},
    floats::{forward, samples},
    window::{Windows, chunk_count},
};

/// Downsamples aggregates of floats; its memory is used again.
#[derive(Debug, Default)]
pub(super) struct FloatHours {
    chunk: Floats,
    out: Floats,
}

/// From what value on, and how, the samples of a window become one.
#[derive(Clone, Copy)]
pub(super) struct Fold {
    pub(super) start: f64,
    pub(super) step: fn(f64, f64) -> f64,
}

impl Fold {
    pub(super) const SUM: Self = Self {
        start: 0.0,
        step: |sum, value| sum + value,
    };
    const MIN: Self = Self {
        start: f64::INFINITY,
        step: lesser,
    };
    const MAX: Self = Self {
        start: f64::NEG_INFINITY,
        step: greater,
    };
}

/// Groups of chunks that become one each. A chunk is never split, since only at its ends are the
/// values of its counter known.
pub(super) fn groups(
    chunks: &[DownsampledChunk],
) -> Result<impl Iterator<Item = &[DownsampledChunk]>, DownsampleError> {
    let mut samples = 0;
    for chunk in chunks {
        if let Some(count) = chunk.column(Aggregate::Count) {
            let count: Result<u16, _> = Chunk::num_samples(&count);
            samples += usize::from(count.map_err(DownsampleError::of_downsampled(chunk))?);
        }
    }
    let span = match (chunks.first(), chunks.last()) {
        (Some(first), Some(last)) => last.max.0.saturating_sub(first.min.0),
        _ => 0,
    };
    let (from, to) = (
        Resolution::FiveMinutes.millis(),
        Resolution::OneHour.millis(),
    );
    let size = chunks.len() / chunk_count(span, from, to, samples);
    Ok(chunks.chunks(size.max(1)))
}

impl FloatHours {
    /// Appends to `out` what becomes of these chunks, which are of floats and in order of time.
    pub(super) fn downsample(
        &mut self,
        chunks: &[DownsampledChunk],
        out: &mut Vec<DownsampledChunk>,
    ) -> Result<(), DownsampleError> {
        for group in groups(chunks)? {
            out.extend(self.join(group)?);
        }
        Ok(())
    }

    fn join(
        &mut self,
        group: &[DownsampledChunk],
    ) -> Result<Option<DownsampledChunk>, DownsampleError> {
        let (mut min, mut max) = (i64::MAX, i64::MIN);
        let mut include = |times: &[i64]| {
            min = min.min(times.first().copied().unwrap_or(i64::MAX));
            max = max.max(times.last().copied().unwrap_or(i64::MIN));
        };
        let mut folded = |aggregate, fold| {
            let times = self.fold(group, aggregate, fold)?;
            include(&times.timestamps);
            encode(&times.timestamps, &times.values)
        };
        let count = folded(Aggregate::Count, Fold::SUM)?;
        let sum = folded(Aggregate::Sum, Fold::SUM)?;
        let least = folded(Aggregate::Min, Fold::MIN)?;
        let greatest = folded(Aggregate::Max, Fold::MAX)?;
        let counter = self.counter(group)?;
        // The first sample is no window's.
        include(counter.timestamps.get(1..).unwrap_or_default());
        let counter = encode(&counter.timestamps, &counter.values)?;
        let aggregates = [count, sum, least, greatest, counter];
        let (min, max) = (Timestamp(min), Timestamp(max));
        Ok(aggregates
            .iter()
            .any(Option::is_some)
            .then_some(DownsampledChunk {
                min,
                max,
                aggregates,
            }))
    }

    /// One aggregate but the counter.
    pub(super) fn fold(
        &mut self,
        group: &[DownsampledChunk],
        aggregate: Aggregate,
        fold: Fold,
    ) -> Result<&Floats, DownsampleError> {
        clear(&mut self.out);
        let mut windows = Windows::new(Resolution::OneHour.millis());
        let mut value = fold.start;
        let mut last = i64::MIN;
        for chunk in group {
            if !read(chunk, aggregate, &mut self.chunk)? {
                continue;
            }
            for (time, next) in forward(&self.chunk, &mut last) {
                if let Some(end) = windows.enter(time) {
                    push(&mut self.out, end, value);
                    value = fold.start;
                }
                value = (fold.step)(value, next);
            }
        }
        if let Some(end) = windows.close() {
            push(&mut self.out, end, value);
        }
        Ok(&self.out)
    }

    fn counter(&mut self, group: &[DownsampledChunk]) -> Result<&Floats, DownsampleError> {
        clear(&mut self.out);
        let mut windows = Windows::new(Resolution::OneHour.millis());
        let (mut reader, mut counter) = (Unreset::new(), Counter::default());
        for chunk in group {
            if !read(chunk, Aggregate::Counter, &mut self.chunk)? {
                continue;
            }
            for (time, value) in samples(&self.chunk) {
                let Some(total) = reader.next(time, value) else {
                    continue;
                };
                match windows.enter(time) {
                    Some(end) => push(&mut self.out, end, counter.total()),
                    None if self.out.timestamps.is_empty() => push(&mut self.out, time, total),
                    None => {}
                }
                counter.add(total);
            }
        }
        if let (Some(end), Some(last)) = (windows.close(), reader.last()) {
            push(&mut self.out, end, counter.total());
            push(&mut self.out, end, last);
        }
        Ok(&self.out)
    }
}

/// Reads one aggregate of floats; says whether there is one.
fn read(
    chunk: &DownsampledChunk,
    aggregate: Aggregate,
    into: &mut Floats,
) -> Result<bool, DownsampleError> {
    let Some(AggregateChunk { encoding, data }) = chunk.get(aggregate) else {
        return Ok(false);
    };
    let read = match encoding {
        Encoding::Xor => decode_xor(data, into),
        found => Err(tsdb::ChunkError::Kind {
            expected: "an aggregate of floats",
            found: *found,
        }),
    };
    read.map_err(DownsampleError::of_downsampled(chunk))?;
    Ok(true)
}

fn clear(floats: &mut Floats) {
    floats.timestamps.clear();
    floats.values.clear();
}

fn push(floats: &mut Floats, time: i64, value: f64) {
    floats.timestamps.push(time);
    floats.values.push(value);
}
