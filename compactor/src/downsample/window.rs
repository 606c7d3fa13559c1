//! Thanos's rules of time: which window a sample is in, and where a chunk ends.

/// Windows that a downsampled chunk has on average, at most.
const WINDOWS_PER_CHUNK: usize = 140;
/// The most samples of a batch, so that a chunk can count its windows and two values more.
const LONGEST_BATCH: usize = 65_000;

/// The last millisecond of the window of `width` that `time` is in.
pub(super) fn window_end(time: i64, width: i64) -> i64 {
    let start = time.saturating_sub(time.rem_euclid(width));
    start.saturating_add(width - 1)
}

/// How many chunks `samples` over `span` milliseconds are to become, when there are windows of `to`
/// for samples that are expected every `from`.
pub(super) fn chunk_count(span: i64, from: i64, to: i64, samples: usize) -> usize {
    let most = (span / to) as f64;
    let fullness = samples as f64 / (span as f64 / from as f64);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of windows, which is not negative; casts saturate"
    )]
    let windows = (most * fullness.min(1.0)) as usize;
    windows.saturating_add(1) / (WINDOWS_PER_CHUNK + 1) + 1
}

/// After how many samples a batch ends with its window, of `samples` raw ones from `first` to `last`.
pub(super) fn batch_size(first: i64, last: i64, width: i64, samples: usize) -> usize {
    /// How far apart raw samples are thought to be.
    const RAW: i64 = 60 * 1000;
    let chunks = chunk_count(last.saturating_sub(first), RAW, width, samples);
    (samples / chunks + 1).min(LONGEST_BATCH)
}

/// How many of `times`, which do not go back, are up to `end`. It is fast where they are about as many as are
/// `usual`.
pub(super) fn count_until(times: &[i64], end: i64, usual: usize) -> usize {
    let mut count = usual.min(times.len());
    while count > 0 && times.get(count - 1).is_some_and(|time| *time > end) {
        count -= 1;
    }
    while times.get(count).is_some_and(|time| *time <= end) {
        count += 1;
    }
    count
}

/// The window that is open.
#[derive(Debug)]
pub(super) struct Windows {
    width: i64,
    end: Option<i64>,
    last: i64,
}

/// Samples on their way into one downsampled chunk.
#[derive(Debug)]
pub(super) struct Batch {
    width: i64,
    size: usize,
    taken: usize,
    /// Where it ends, once it has its size.
    end: Option<i64>,
}

impl Windows {
    pub(super) fn new(width: i64) -> Self {
        Self {
            width,
            end: None,
            last: i64::MIN,
        }
    }

    /// Takes a sample in. Where it is the first of a window, gives the time of the window before.
    #[inline]
    pub(super) fn enter(&mut self, time: i64) -> Option<i64> {
        self.last = time;
        if self.end.is_some_and(|end| time <= end) {
            return None;
        }
        self.end.replace(window_end(time, self.width))
    }

    /// Ends the open window. Its time is no later than the last sample: if it ended in the middle of
    /// a window, the next chunk has a sample of the same window.
    pub(super) fn close(&mut self) -> Option<i64> {
        self.end.take().map(|end| end.min(self.last))
    }
}

impl Batch {
    pub(super) fn new(width: i64, size: usize) -> Self {
        Self {
            width,
            size,
            taken: 0,
            end: None,
        }
    }

    /// Takes a sample in; says whether it is the first of another batch.
    #[inline]
    pub(super) fn enter(&mut self, time: i64) -> bool {
        let is_next = self.end.is_some_and(|end| time > end);
        if is_next {
            self.taken = 0;
            self.end = None;
        }
        self.taken += 1;
        if self.taken == self.size {
            self.end = Some(window_end(time, self.width));
        }
        is_next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_with_the_millisecond_before_the_next_on_either_side_of_1970() {
        for (time, end) in [
            (0, 99),
            (99, 99),
            (100, 199),
            (-1, -1),
            (-100, -1),
            (-101, -101),
        ] {
            assert_eq!(window_end(time, 100), end, "{time}");
        }
    }

    #[test]
    fn chunks_are_as_many_as_keep_them_at_140_windows_on_average() {
        const MINUTE: i64 = 60_000;
        for (windows, samples, chunks) in [
            (0, 1, 1),
            (139, 695, 1),
            (139, 100_000, 1),
            (140, 700, 2),
            (280, 1400, 2),
            (281, 100_000, 3),
            // Half of the time is empty.
            (280, 700, 2),
            (278, 690, 1),
        ] {
            let found = chunk_count(windows * 5 * MINUTE, MINUTE, 5 * MINUTE, samples);
            assert_eq!(found, chunks, "{samples} samples in {windows} windows");
        }
    }

    #[test]
    fn times_up_to_the_end_of_a_window_are_counted_whatever_was_usual() {
        let times = [1, 1, 2, 5, 5, 5, 9];
        for usual in 0..10 {
            for end in 0..11 {
                let expected = times.iter().filter(|time| **time <= end).count();
                assert_eq!(count_until(&times, end, usual), expected, "{end}, {usual}");
            }
        }
        assert_eq!(count_until(&[], 5, 3), 0);
    }

    #[test]
    fn the_last_window_has_the_time_of_the_last_sample() {
        let mut windows = Windows::new(100);
        let times = [10, 99, 100, 320];
        assert_eq!(
            times.map(|time| windows.enter(time)),
            [None, None, Some(99), Some(199)]
        );
        assert_eq!((windows.close(), windows.close()), (Some(320), None));
    }

    #[test]
    fn a_batch_has_its_size_and_then_the_rest_of_the_window() {
        let mut batch = Batch::new(100, 2);
        let times = [10, 20, 30, 99, 100, 450, 460];
        let begins = times.map(|time| batch.enter(time));
        assert_eq!(begins, [false, false, false, false, true, false, false]);
    }
}
