//! One-hour aggregates of the five-minute aggregates of native histograms.

use model::{Aggregate, Histogram, Resolution, Timestamp};
use tsdb::{AggregateChunk, DownsampledChunk, decode_histograms};

use super::{
    DownsampleError,
    float_hours::{FloatHours, Fold, groups},
    histogram_chunk::{HistogramChunk, Series},
    histograms::forward,
    scale::{Scale, runs},
    totals::{Growth, Totals},
    window::Windows,
};

/// Appends to `out` what becomes of these chunks, which are of histograms and in order of time.
pub(super) fn downsample(
    chunks: &[DownsampledChunk],
    floats: &mut FloatHours,
    out: &mut Vec<DownsampledChunk>,
) -> Result<(), DownsampleError> {
    let mut scales = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let mut samples = read(chunk, Aggregate::Counter, &mut { i64::MIN })?;
        if samples.is_empty() {
            samples = read(chunk, Aggregate::Sum, &mut { i64::MIN })?;
        }
        scales.push(samples.first().map(|(_, first)| Scale::of(first)));
    }
    for (range, scale) in runs(&scales) {
        let is_gauge = scale.is_some_and(|scale| scale.is_gauge);
        for group in groups(chunks.get(range).unwrap_or_default())? {
            let made = HistogramChunk {
                count: floats.fold(group, Aggregate::Count, Fold::SUM)?.clone(),
                sum: sums(group)?,
                counter: counters(group)?,
            };
            made.encode(is_gauge, out)?;
        }
    }
    Ok(())
}

fn counters(group: &[DownsampledChunk]) -> Result<Series, DownsampleError> {
    let mut windows = Windows::new(Resolution::OneHour.millis());
    let mut growth = Growth::default();
    let (mut out, mut last) = (Series::new(), i64::MIN);
    for chunk in group {
        for (time, histogram) in read(chunk, Aggregate::Counter, &mut last)? {
            let ended = windows.enter(time.0);
            out.extend(ended.zip(growth.total().cloned()));
            let reset = histogram.reset;
            growth.add(Totals::from(histogram), reset);
        }
    }
    out.extend(windows.close().zip(growth.total().cloned()));
    Ok(out)
}

fn sums(group: &[DownsampledChunk]) -> Result<Series, DownsampleError> {
    let mut windows = Windows::new(Resolution::OneHour.millis());
    let mut sum: Option<Totals> = None;
    let (mut out, mut last) = (Series::new(), i64::MIN);
    for chunk in group {
        for (time, histogram) in read(chunk, Aggregate::Sum, &mut last)? {
            if let Some(end) = windows.enter(time.0) {
                out.extend(sum.take().map(|sum| (end, sum)));
            }
            let totals = Totals::from(histogram);
            match &mut sum {
                Some(sum) => sum.add(&totals),
                none => *none = Some(totals),
            }
        }
    }
    out.extend(windows.close().zip(sum));
    Ok(out)
}

/// One aggregate of histograms; none where there is no such aggregate.
fn read(
    chunk: &DownsampledChunk,
    aggregate: Aggregate,
    last: &mut i64,
) -> Result<Vec<(Timestamp, Histogram)>, DownsampleError> {
    let Some(AggregateChunk { encoding, data }) = chunk.get(aggregate) else {
        return Ok(Vec::new());
    };
    let samples = decode_histograms(*encoding, data);
    let mut samples = samples.map_err(DownsampleError::of_downsampled(chunk))?;
    forward(&mut samples, last);
    Ok(samples)
}
