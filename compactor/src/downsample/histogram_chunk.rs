//! Encodes the aggregates of histograms.

use model::{CounterReset, Histogram, Timestamp};
use tsdb::{AggregateChunk, Chunk, DownsampledChunk, Floats, encode_long_histograms};

use super::{
    DownsampleError,
    chunk::encode,
    totals::{Totals, unify},
};

/// Histograms with their times.
pub(super) type Series = Vec<(i64, Totals)>;

/// What is to become a downsampled chunk.
#[derive(Debug, Default)]
pub(super) struct HistogramChunk {
    pub(super) count: Floats,
    pub(super) sum: Series,
    pub(super) counter: Series,
}

impl HistogramChunk {
    /// Appends the chunk to `out`. It is one, unless the counter goes down though it is no gauge,
    /// which damaged chunks alone have: then each part of the counter is a chunk.
    pub(super) fn encode(
        self,
        is_gauge: bool,
        out: &mut Vec<DownsampledChunk>,
    ) -> Result<(), DownsampleError> {
        let counter_kind = if is_gauge {
            CounterReset::Gauge
        } else {
            CounterReset::Unknown
        };
        let counters = encode_long_histograms(&histograms(self.counter, counter_kind));
        // A sum is of one window, and may be less than the one before.
        let mut sums = histograms(self.sum, CounterReset::Gauge);
        let Floats { timestamps, values } = self.count;
        let mut start = 0;
        for part in 0..counters.len().max(1) {
            let next = counters.get(part + 1).map_or(i64::MAX, |next| next.min.0);
            let end = timestamps.partition_point(|time| *time < next);
            let later = sums.split_off(sums.partition_point(|(time, _)| time.0 < next));
            let part_sums = encode_long_histograms(&std::mem::replace(&mut sums, later));
            let times = timestamps.get(start..end).unwrap_or_default();
            let count = encode(times, values.get(start..end).unwrap_or_default())?;
            start = end;

            let counter = counters.get(part);
            let sum = part_sums.first();
            let ranges = || counter.into_iter().chain(sum);
            let (Some(min), Some(max)) = (
                ranges().map(|chunk| chunk.min).min(),
                ranges().map(|chunk| chunk.max).max(),
            ) else {
                continue;
            };
            let aggregate = |chunk: &Chunk| AggregateChunk {
                encoding: chunk.encoding,
                data: chunk.data.clone(),
            };
            out.push(DownsampledChunk {
                min,
                max,
                aggregates: [
                    count,
                    sum.map(aggregate),
                    None,
                    None,
                    counter.map(aggregate),
                ],
            });
        }
        Ok(())
    }
}

/// The histograms, all of the same schema and zero bucket, so that a chunk can hold them.
fn histograms(mut series: Series, reset: CounterReset) -> Vec<(Timestamp, Histogram)> {
    let mut all: Vec<&mut Totals> = series.iter_mut().map(|(_, totals)| totals).collect();
    unify(&mut all);
    let sample = |(time, totals): (i64, Totals)| (Timestamp(time), totals.into_histogram(reset));
    series.into_iter().map(sample).collect()
}
