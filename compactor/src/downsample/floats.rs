//! Five-minute aggregates of floats.

use model::{Resolution, STALE_NAN};
use tsdb::{Chunk, DownsampledChunk, Floats, decode_xor_at};

use super::{
    DownsampleError,
    columns::{Columns, Window, greater, lesser},
    counter::Counter,
    window::{batch_size, count_until, window_end},
};

const WIDTH: i64 = Resolution::FiveMinutes.millis();
/// Samples of a series that are kept as they are counted, so that most are decoded once: 1 MiB.
const KEPT: usize = 1 << 16;

/// Downsamples raw floats; its memory is used again.
#[derive(Debug, Default)]
pub(super) struct RawFloats {
    floats: Floats,
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
    /// Samples of the window before.
    usual: usize,
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
    nan: Nan,
}

/// Whether some floats may be NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nan {
    None,
    Some,
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
        let Some(survey) = survey(chunks, keep, &mut self.floats)? else {
            return Ok(());
        };
        let mut open = Open {
            size: batch_size(survey.first, survey.last, WIDTH, survey.samples),
            taken: 0,
            end: None,
            usual: 0,
            window: Window::EMPTY,
            counter: Counter::default(),
            last_time: i64::MIN,
            columns: &mut self.columns,
            out,
        };
        open.columns.clear();
        if keep {
            let (times, values) = part(&self.floats, 0, survey.samples);
            open.add(times, values, survey.nan)?;
        } else {
            let mut last = i64::MIN;
            for chunk in chunks {
                let (count, nan) = read(chunk, 0, &mut last, &mut self.floats)?;
                let (times, values) = part(&self.floats, 0, count);
                open.add(times, values, nan)?;
            }
        }
        open.finish()
    }
}

/// Counts the samples; with `keep` all of them are in `floats` then.
fn survey(
    chunks: &[Chunk],
    keep: bool,
    floats: &mut Floats,
) -> Result<Option<Survey>, DownsampleError> {
    let mut survey: Option<Survey> = None;
    let mut last = i64::MIN;
    for chunk in chunks {
        let start = survey.filter(|_| keep).map_or(0, |survey| survey.samples);
        let (count, nan) = read(chunk, start, &mut last, floats)?;
        let (times, _) = part(floats, start, count);
        let (Some(first), Some(last)) = (times.first(), times.last()) else {
            continue;
        };
        let survey = survey.get_or_insert(Survey {
            samples: 0,
            first: *first,
            last: *last,
            nan: Nan::None,
        });
        survey.samples += count;
        survey.last = *last;
        if nan == Nan::Some {
            survey.nan = nan;
        }
    }
    Ok(survey)
}

/// Some of the samples.
fn part(floats: &Floats, start: usize, count: usize) -> (&[i64], &[f64]) {
    let range = start..start + count;
    (
        floats.timestamps.get(range.clone()).unwrap_or_default(),
        floats.values.get(range).unwrap_or_default(),
    )
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

/// Reads a chunk to the place `start` of `floats`, but for what [`forward`] leaves out; says how many samples these
/// are. Most chunks have nothing of it, which is seen fast.
fn read(
    chunk: &Chunk,
    start: usize,
    last: &mut i64,
    floats: &mut Floats,
) -> Result<(usize, Nan), DownsampleError> {
    let count = decode_xor_at(&chunk.data, start, floats).map_err(DownsampleError::of(chunk))?;
    let (times, values) = part(floats, start, count);
    let any_nan = values.iter().fold(false, |any, v| any | v.is_nan());
    let starts_late = times.first().is_some_and(|first| first < last);
    if !any_nan && !starts_late && times.is_sorted() {
        *last = times.last().copied().unwrap_or(*last);
        return Ok((count, Nan::None));
    }
    let read = Floats {
        timestamps: times.to_vec(),
        values: values.to_vec(),
    };
    let slots = floats.timestamps.iter_mut().zip(&mut floats.values);
    let mut kept = 0;
    for ((t, v), (time, value)) in slots.skip(start).zip(forward(&read, last)) {
        (*t, *v) = (time, value);
        kept += 1;
    }
    Ok((kept, Nan::Some))
}

impl Open<'_> {
    /// Takes in samples whose times do not go back.
    fn add(
        &mut self,
        mut times: &[i64],
        mut values: &[f64],
        nan: Nan,
    ) -> Result<(), DownsampleError> {
        // Not in memory meanwhile, where one is written by parts and read as a whole, which takes long.
        let (mut window, mut counter) = (self.window, self.counter);
        while let Some(first) = times.first() {
            let end = match self.end {
                Some(end) if *first <= end => end,
                _ => {
                    self.end_window(&window, &mut counter)?;
                    window = Window::EMPTY;
                    *self.end.insert(window_end(*first, WIDTH))
                }
            };
            let len = count_until(times, end, self.usual);
            self.usual = len;
            let Some((times_in, times_after)) = times.split_at_checked(len) else {
                break;
            };
            let Some((values_in, values_after)) = values.split_at_checked(len) else {
                break;
            };
            self.taken += len;
            if nan == Nan::Some {
                // A NaN counts for where a batch ends, and for nothing else.
                for (time, value) in times_in.iter().zip(values_in) {
                    if !value.is_nan() {
                        self.begin(*time, *value);
                        add_all(&mut window, &mut counter, &[*value]);
                        self.last_time = *time;
                    }
                }
            } else if let (Some(last), Some(value)) = (times_in.last(), values_in.first()) {
                self.begin(*first, *value);
                add_all(&mut window, &mut counter, values_in);
                self.last_time = *last;
            }
            (times, values) = (times_after, values_after);
        }
        (self.window, self.counter) = (window, counter);
        Ok(())
    }

    /// A counter begins with its first value as it was.
    #[inline]
    fn begin(&mut self, time: i64, value: f64) {
        if self.columns.counter.is_empty() {
            self.columns.counter_times.push(time);
            self.columns.counter.push(value);
        }
    }

    #[inline(always)]
    fn end_window(
        &mut self,
        window: &Window,
        counter: &mut Counter,
    ) -> Result<(), DownsampleError> {
        let Some(time) = self.end.take() else {
            return Ok(());
        };
        if window.count > 0.0 {
            self.columns.push(time, window, counter.total());
        }
        if self.taken >= self.size {
            self.end_batch(counter.last())?;
            *counter = Counter::default();
        }
        Ok(())
    }

    /// Ends the open window and the batch.
    fn finish(mut self) -> Result<(), DownsampleError> {
        let (window, mut counter) = (self.window, self.counter);
        self.end_window(&window, &mut counter)?;
        self.end_batch(counter.last())
    }

    /// `last` is the counter's last value as it was.
    fn end_batch(&mut self, last: Option<f64>) -> Result<(), DownsampleError> {
        self.taken = 0;
        let columns = &mut *self.columns;
        // The time of the last window is no later than the last sample.
        for times in [&mut columns.times, &mut columns.counter_times] {
            if let Some(time) = times.last_mut() {
                *time = self.last_time.min(*time);
            }
        }
        columns.counter_times.extend(columns.times.last());
        columns.counter.extend(last);
        self.out.extend(columns.encode()?);
        columns.clear();
        Ok(())
    }
}

#[inline]
fn add_all(window: &mut Window, counter: &mut Counter, values: &[f64]) {
    let mut state = counter.state();
    for value in values {
        window.sum += value;
        window.min = lesser(window.min, *value);
        window.max = greater(window.max, *value);
        state = Counter::step(state, *value);
    }
    window.count += values.len() as f64;
    *counter = Counter::grown(state);
}
