//! Downsampling: one sample in five minutes, or an hour, in place of what was scraped.
//!
//! A pure function of one series' chunks. Of each window it keeps the count, the sum, the least, the
//! greatest, and the value of the counter with its resets taken out; of native histograms the count,
//! the sum and the counter. Windows, the times of their samples, and where chunks end are Thanos's:
//!
//! ```text
//! samples      · · ·  ·  · | ·  ·  ·   · |      · ·  |            · : a sample, | : end of a window
//! batch        [                       ] [        ]               ends with a window
//! count, …                 c             c        c               last ms of the window, or the
//!                                                                 batch's last sample if earlier
//! counter      f           c             c        c l             f: the first value as it was,
//!                                                                 l: the last, at the time of the
//!                                                                 sample before
//! ```
//! The first and last values let a reader of two counters tell whether there was a reset between
//! them. Counters of histograms have neither, as in Thanos.

mod buckets;
mod chunk;
mod columns;
mod counter;
mod error;
mod float_hours;
mod floats;
mod histogram_chunk;
mod histogram_hours;
mod histograms;
mod scale;
#[cfg(test)]
mod tests;
mod totals;
mod window;

use tsdb::{Chunk, DownsampledChunk, Encoding};

pub use self::error::DownsampleError;
use self::{float_hours::FloatHours, floats::RawFloats};

/// Downsamples series, one after the other, in memory that is used again.
///
/// It holds one decoded chunk and one downsampled chunk at a time, and up to 1 MiB of floats so that they
/// are decoded only once.
#[derive(Debug, Default)]
pub struct Downsampler {
    floats: RawFloats,
    hours: FloatHours,
}

impl Downsampler {
    /// The five-minute aggregates of a series' raw chunks, which are in order of time and do not
    /// overlap.
    ///
    /// Stale markers, floats that are NaN and histograms whose sum is NaN do not count.
    ///
    /// # Errors
    /// When chunks overlap, one is damaged, or one is not of raw samples.
    pub fn five_minutes(
        &mut self,
        chunks: &[Chunk],
    ) -> Result<Vec<DownsampledChunk>, DownsampleError> {
        check_order(chunks.iter().map(|chunk| (chunk.min, chunk.max)))?;
        let mut out = Vec::new();
        let is_float = |chunk: &Chunk| chunk.encoding == Encoding::Xor;
        for run in chunks.chunk_by(|a, b| is_float(a) == is_float(b)) {
            if run.first().is_some_and(is_float) {
                self.floats.downsample(run, &mut out)?;
            } else {
                histograms::downsample(run, &mut out)?;
            }
        }
        Ok(out)
    }

    /// The one-hour aggregates of a series' five-minute ones, which are in order of time and do not
    /// overlap.
    ///
    /// # Errors
    /// When chunks overlap or one is damaged.
    pub fn one_hour(
        &mut self,
        chunks: &[DownsampledChunk],
    ) -> Result<Vec<DownsampledChunk>, DownsampleError> {
        check_order(chunks.iter().map(|chunk| (chunk.min, chunk.max)))?;
        let mut out = Vec::new();
        for run in chunks.chunk_by(|a, b| a.is_histogram() == b.is_histogram()) {
            if run.first().is_some_and(DownsampledChunk::is_histogram) {
                histogram_hours::downsample(run, &mut self.hours, &mut out)?;
            } else {
                self.hours.downsample(run, &mut out)?;
            }
        }
        Ok(out)
    }

    /// The aggregates that the chunks of a five-minute block hold. A raw chunk, which Thanos has
    /// left in some, is downsampled; one without samples is left out.
    ///
    /// # Errors
    /// When chunks overlap or one is damaged.
    pub fn unpack(&mut self, chunks: &[Chunk]) -> Result<Vec<DownsampledChunk>, DownsampleError> {
        check_order(chunks.iter().map(|chunk| (chunk.min, chunk.max)))?;
        let mut out = Vec::with_capacity(chunks.len());
        let is_packed = |chunk: &Chunk| chunk.encoding == Encoding::Aggr;
        for chunk in chunks {
            if is_packed(chunk) {
                out.push(DownsampledChunk::unpack(chunk).map_err(DownsampleError::of(chunk))?);
            } else {
                out.extend(self.five_minutes(std::slice::from_ref(chunk))?);
            }
        }
        Ok(out)
    }
}

/// Checks `min` and `max` of chunks, of which each has to end before the next begins.
fn check_order(
    mut ranges: impl Iterator<Item = (model::Timestamp, model::Timestamp)>,
) -> Result<(), DownsampleError> {
    let Some((_, mut end)) = ranges.next() else {
        return Ok(());
    };
    for (min, max) in ranges {
        if min <= end {
            return Err(DownsampleError::Overlap { end, next: min });
        }
        end = max;
    }
    Ok(())
}
