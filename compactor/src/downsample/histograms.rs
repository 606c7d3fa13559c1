//! Five-minute aggregates of native histograms.

use model::{Histogram, Resolution, Timestamp};
use tsdb::{Chunk, DownsampledChunk, decode_histograms};

use super::{
    DownsampleError,
    histogram_chunk::HistogramChunk,
    scale::{Scale, runs},
    totals::{Growth, Totals},
    window::{Batch, Windows, batch_size},
};

/// What is open while samples come in.
struct Open<'a> {
    is_gauge: bool,
    batch: Batch,
    windows: Windows,
    count: f64,
    sum: Option<Totals>,
    growth: Growth,
    made: HistogramChunk,
    out: &'a mut Vec<DownsampledChunk>,
}

/// How many samples a chunk has but for stale markers, and from when to when.
#[derive(Clone, Copy)]
struct Survey {
    samples: usize,
    first: i64,
    last: i64,
}

/// Appends to `out` what becomes of these chunks, which hold histograms and are in order of time.
///
/// Each is decoded twice, since a series' histograms may be too large to keep.
pub(super) fn downsample(
    chunks: &[Chunk],
    out: &mut Vec<DownsampledChunk>,
) -> Result<(), DownsampleError> {
    let (mut scales, mut surveys) = (Vec::new(), Vec::new());
    let mut last = i64::MIN;
    for chunk in chunks {
        let samples = decode(chunk, &mut last)?;
        let mut survey = None;
        for (time, _) in &samples {
            let survey = survey.get_or_insert(Survey {
                samples: 0,
                first: time.0,
                last: time.0,
            });
            survey.samples += 1;
            survey.last = time.0;
        }
        scales.push(samples.first().map(|(_, first)| Scale::of(first)));
        surveys.push(survey);
    }
    for (range, scale) in runs(&scales) {
        let surveys = surveys.get(range.clone()).unwrap_or_default();
        let chunks = chunks.get(range).unwrap_or_default();
        if let (Some(scale), Some(survey)) = (scale, whole(surveys)) {
            downsample_run(chunks, scale, survey, out)?;
        }
    }
    Ok(())
}

fn downsample_run(
    chunks: &[Chunk],
    scale: &Scale,
    survey: Survey,
    out: &mut Vec<DownsampledChunk>,
) -> Result<(), DownsampleError> {
    let width = Resolution::FiveMinutes.millis();
    let mut open = Open {
        is_gauge: scale.is_gauge,
        batch: Batch::new(
            width,
            batch_size(survey.first, survey.last, width, survey.samples),
        ),
        windows: Windows::new(width),
        count: 0.0,
        sum: None,
        growth: Growth::default(),
        made: HistogramChunk::default(),
        out,
    };
    let mut last = i64::MIN;
    for chunk in chunks {
        for (time, histogram) in decode(chunk, &mut last)? {
            open.add(time.0, histogram)?;
        }
    }
    open.end_batch()
}

/// All surveys as one.
fn whole(surveys: &[Option<Survey>]) -> Option<Survey> {
    surveys.iter().flatten().copied().reduce(|a, b| Survey {
        samples: a.samples + b.samples,
        first: a.first,
        last: b.last,
    })
}

/// The histograms but for stale markers, and for those that go back behind `last` in time.
fn decode(chunk: &Chunk, last: &mut i64) -> Result<Vec<(Timestamp, Histogram)>, DownsampleError> {
    let samples = decode_histograms(chunk.encoding, &chunk.data);
    let mut samples = samples.map_err(DownsampleError::of(chunk))?;
    forward(&mut samples, last);
    Ok(samples)
}

/// Leaves out stale markers, and histograms that go back behind `last` in time.
pub(super) fn forward(samples: &mut Vec<(Timestamp, Histogram)>, last: &mut i64) {
    samples.retain(|(time, histogram)| {
        let counts = time.0 >= *last && !histogram.is_stale();
        if counts {
            *last = time.0;
        }
        counts
    });
}

impl Open<'_> {
    fn add(&mut self, time: i64, histogram: Histogram) -> Result<(), DownsampleError> {
        // One whose sum is NaN counts for where a batch ends, and for nothing else.
        if self.batch.enter(time) {
            self.end_batch()?;
        }
        if histogram.sum.is_nan() {
            return Ok(());
        }
        if let Some(end) = self.windows.enter(time) {
            self.end_window(end);
        }
        let reset = histogram.reset;
        let totals = Totals::from(histogram);
        self.count += 1.0;
        match &mut self.sum {
            Some(sum) => sum.add(&totals),
            none => *none = Some(totals.clone()),
        }
        self.growth.add(totals, reset);
        Ok(())
    }

    fn end_window(&mut self, time: i64) {
        let made = &mut self.made;
        made.count.timestamps.push(time);
        made.count.values.push(std::mem::take(&mut self.count));
        made.sum.extend(self.sum.take().map(|sum| (time, sum)));
        let total = self.growth.total();
        made.counter
            .extend(total.map(|total| (time, total.clone())));
    }

    fn end_batch(&mut self) -> Result<(), DownsampleError> {
        let Some(time) = self.windows.close() else {
            return Ok(());
        };
        self.end_window(time);
        self.growth = Growth::default();
        std::mem::take(&mut self.made).encode(self.is_gauge, self.out)
    }
}
