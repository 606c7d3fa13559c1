//! Counters: a value that grows, its resets taken out.

/// Adds up by how much a counter has grown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counter {
    total: f64,
    last: Option<f64>,
}

/// Reads the counters of downsampled chunks, one behind the other, as one that has no resets.
#[derive(Debug)]
pub(super) struct Unreset {
    counter: Counter,
    last_time: i64,
}

impl Counter {
    /// Takes in the next value; one that is less than the last is after a reset.
    #[inline]
    pub(super) fn add(&mut self, value: f64) {
        match self.last {
            None => self.total = value,
            Some(last) if value < last => self.total += value,
            Some(last) => self.total += value - last,
        }
        self.last = Some(value);
    }

    /// As [`Counter::add`] for each, without a branch that random values would make slow.
    #[inline]
    pub(super) fn add_all(&mut self, values: &[f64]) {
        let Some((first, rest)) = values.split_first() else {
            return;
        };
        self.add(*first);
        let (mut total, mut last) = (self.total, *first);
        for value in rest {
            let before = if *value < last { 0.0 } else { last };
            total += *value - before;
            last = *value;
        }
        (self.total, self.last) = (total, Some(last));
    }

    /// The first value and all that came after it.
    pub(super) fn total(&self) -> f64 {
        self.total
    }

    /// The last value as it was.
    pub(super) fn last(&self) -> Option<f64> {
        self.last
    }
}

impl Unreset {
    pub(super) fn new() -> Self {
        Self {
            counter: Counter::default(),
            last_time: i64::MIN,
        }
    }

    /// The counter after this sample; nothing where the sample says what the last one really was,
    /// is from before, or is NaN.
    pub(super) fn next(&mut self, time: i64, value: f64) -> Option<f64> {
        if value.is_nan() {
            return None;
        }
        let is_new = self.counter.last.is_none() || time > self.last_time;
        if is_new {
            self.last_time = time;
            self.counter.add(value);
            return Some(self.counter.total);
        }
        if time == self.last_time {
            self.counter.last = Some(value);
        }
        None
    }

    /// The last value as it was.
    pub(super) fn last(&self) -> Option<f64> {
        self.counter.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_a_reset_is_added() {
        let mut counter = Counter::default();
        for (value, total) in [(5.0, 5.0), (7.0, 7.0), (2.0, 9.0), (2.0, 9.0), (3.0, 10.0)] {
            counter.add(value);
            assert_eq!(counter.total(), total);
        }
        assert_eq!(counter.last(), Some(3.0));
        let mut all = Counter::default();
        all.add_all(&[]);
        all.add_all(&[5.0, 7.0, 2.0]);
        all.add_all(&[2.0, 3.0]);
        assert_eq!((all.total(), all.last()), (10.0, Some(3.0)));
    }

    #[test]
    fn between_chunks_the_last_value_as_it_was_tells_whether_there_was_a_reset() {
        let mut reader = Unreset::new();
        // The first chunk went 1, 4, 2 and the second goes 3, 9; the third begins again at 1.
        let samples = [
            (10, 1.0),
            (19, 6.0),
            (19, 2.0),
            (20, 3.0),
            (29, 9.0),
            (29, 9.0),
            (30, 1.0),
        ];
        let read = samples.map(|(time, value)| reader.next(time, value));
        let expected = [
            Some(1.0),
            Some(6.0),
            None,
            Some(7.0),
            Some(13.0),
            None,
            Some(14.0),
        ];
        assert_eq!(read, expected);
        assert_eq!(reader.last(), Some(1.0));
        assert_eq!(reader.next(40, f64::NAN), None);
        assert_eq!(reader.next(25, 100.0), None);
        assert_eq!(reader.last(), Some(1.0));
    }
}
