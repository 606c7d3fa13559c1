//! Five-minute aggregates of floats.

use model::{Resolution, STALE_NAN};
use tsdb::{Chunk, DownsampledChunk, Floats, decode_xor};

use super::{
    DownsampleError,
    columns::{Columns, Window},
    counter::Counter,
    window::{batch_size, window_end},
};

const WIDTH: i64 = Resolution::FiveMinutes.millis();
/// Samples of a series that are kept as they are counted, so that most are decoded once: 1 MiB.
const KEPT: usize = 1 << 16;

/// Downsamples raw floats; its memory is used again.
#[derive(Debug, Default)]
pub(super) struct RawFloats {
    chunk: Floats,
    kept: Floats,
    columns: Columns,
}

/// What is open while samples come in.
struct Open<'a> {
    /// Samples after which a batch ends with its window.
    size: usize,
    /// Samples of the batch, NaN among them.
    taken: usize,
    /// Where the open window ends.
    end: Option<i64>,
    window: Window,
    counter: Counter,
    /// Time of the last sample that is not NaN.
    last_time: i64,
    columns: &'a mut Columns,
    out: &'a mut Vec<DownsampledChunk>,
}

/// How many samples there are, and from when to when.
#[derive(Clone, Copy, Debug)]
struct Survey {
    samples: usize,
    first: i64,
    last: i64,
}

impl RawFloats {
    /// Appends to `out` what becomes of these chunks, which hold floats and are in order of time.
    pub(super) fn downsample(
        &mut self,
        chunks: &[Chunk],
        out: &mut Vec<DownsampledChunk>,
    ) -> Result<(), DownsampleError> {
        let mut counted = 0;
        for chunk in chunks {
            counted += usize::from(chunk.num_samples().map_err(DownsampleError::of(chunk))?);
        }
        let keep = counted <= KEPT;
        let Some(survey) = self.survey(chunks, keep)? else {
            return Ok(());
        };
        let mut open = Open {
            size: batch_size(survey.first, survey.last, WIDTH, survey.samples),
            taken: 0,
            end: None,
            window: Window::EMPTY,
            counter: Counter::default(),
            last_time: i64::MIN,
            columns: &mut self.columns,
            out,
        };
        open.columns.clear();
        if keep {
            open.add(&self.kept.timestamps, &self.kept.values)?;
        } else {
            let mut last = i64::MIN;
            for chunk in chunks {
                decode_xor(&chunk.data, &mut self.chunk).map_err(DownsampleError::of(chunk))?;
                keep_forward(&mut self.chunk, &mut last);
                open.add(&self.chunk.timestamps, &self.chunk.values)?;
            }
        }
        open.end_window()?;
        open.end_batch()
    }

    /// Counts the samples, and keeps them where there is room.
    fn survey(&mut self, chunks: &[Chunk], keep: bool) -> Result<Option<Survey>, DownsampleError> {
        self.kept.timestamps.clear();
        self.kept.values.clear();
        let mut survey: Option<Survey> = None;
        let mut last = i64::MIN;
        for chunk in chunks {
            decode_xor(&chunk.data, &mut self.chunk).map_err(DownsampleError::of(chunk))?;
            keep_forward(&mut self.chunk, &mut last);
            let times = &self.chunk.timestamps;
            let (Some(first), Some(last)) = (times.first(), times.last()) else {
                continue;
            };
            let survey = survey.get_or_insert(Survey {
                samples: 0,
                first: *first,
                last: *last,
            });
            survey.samples += times.len();
            survey.last = *last;
            if keep {
                self.kept.timestamps.extend_from_slice(times);
                self.kept.values.extend_from_slice(&self.chunk.values);
            }
        }
        Ok(survey)
    }
}

/// All samples.
pub(super) fn samples(floats: &Floats) -> impl Iterator<Item = (i64, f64)> {
    let times = floats.timestamps.iter().copied();
    times.zip(floats.values.iter().copied())
}

/// The samples but for stale markers, and for those that go back behind `last` in time.
pub(super) fn forward<'a>(
    floats: &'a Floats,
    last: &'a mut i64,
) -> impl Iterator<Item = (i64, f64)> + 'a {
    samples(floats).filter(move |(time, value)| {
        let counts = *time >= *last && value.to_bits() != STALE_NAN;
        if counts {
            *last = *time;
        }
        counts
    })
}

/// Leaves out what [`forward`] leaves out. Most chunks have nothing of it, which is seen fast.
fn keep_forward(floats: &mut Floats, last: &mut i64) {
    let any_stale = |any, value: &f64| any | (value.to_bits() == STALE_NAN);
    let stale = floats.values.iter().fold(false, any_stale);
    let times = &floats.timestamps;
    let starts_late = times.first().is_some_and(|first| first < last);
    if !stale && !starts_late && times.is_sorted() {
        *last = times.last().copied().unwrap_or(*last);
        return;
    }
    let kept: (Vec<i64>, Vec<f64>) = forward(floats, last).unzip();
    (floats.timestamps, floats.values) = kept;
}

impl Open<'_> {
    fn add(&mut self, mut times: &[i64], mut values: &[f64]) -> Result<(), DownsampleError> {
        while let Some(first) = times.first() {
            let end = match self.end {
                Some(end) if *first <= end => end,
                _ => {
                    self.end_window()?;
                    *self.end.insert(window_end(*first, WIDTH))
                }
            };
            let len = times.iter().position(|time| *time > end);
            let len = len.unwrap_or(times.len());
            let Some((times_in, times_after)) = times.split_at_checked(len) else {
                break;
            };
            let Some((values_in, values_after)) = values.split_at_checked(len) else {
                break;
            };
            self.taken += len;
            if values_in.iter().fold(false, |any, v| any | v.is_nan()) {
                // A NaN counts for where a batch ends, and for nothing else.
                for (time, value) in times_in.iter().zip(values_in) {
                    if !value.is_nan() {
                        self.add_in_window(*time, *time, &[*value]);
                    }
                }
            } else if let Some(last) = times_in.last() {
                self.add_in_window(*first, *last, values_in);
            }
            (times, values) = (times_after, values_after);
        }
        Ok(())
    }

    #[inline]
    fn add_in_window(&mut self, first: i64, last: i64, values: &[f64]) {
        if self.columns.counter.is_empty() {
            self.columns.counter_times.push(first);
            self.columns.counter.extend(values.first());
        }
        let mut window = self.window;
        for value in values {
            window.add(*value);
        }
        self.window = window;
        self.counter.add_all(values);
        self.last_time = last;
    }

    fn end_window(&mut self) -> Result<(), DownsampleError> {
        let Some(time) = self.end.take() else {
            return Ok(());
        };
        let window = std::mem::replace(&mut self.window, Window::EMPTY);
        if window.count > 0.0 {
            let columns = &mut *self.columns;
            columns.times.push(time);
            columns.count.push(window.count);
            columns.sum.push(window.sum);
            columns.min.push(window.min);
            columns.max.push(window.max);
            columns.counter_times.push(time);
            columns.counter.push(self.counter.total());
        }
        if self.taken >= self.size {
            self.end_batch()?;
        }
        Ok(())
    }

    fn end_batch(&mut self) -> Result<(), DownsampleError> {
        self.taken = 0;
        let counter = std::mem::take(&mut self.counter);
        let columns = &mut *self.columns;
        // The time of the last window is no later than the last sample.
        for times in [&mut columns.times, &mut columns.counter_times] {
            if let Some(time) = times.last_mut() {
                *time = self.last_time.min(*time);
            }
        }
        columns.counter_times.extend(columns.times.last());
        columns.counter.extend(counter.last());
        self.out.extend(columns.encode()?);
        columns.clear();
        Ok(())
    }
}
