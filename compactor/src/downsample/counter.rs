//! Counters: a growing value without its resets.

/// Sums the increases of a counter.
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

    /// What [`Counter::grown`] goes on from. Before the first value it is the total that no float is changed by when
    /// added to, and a value that no float is changed by when it is taken from.
    #[inline]
    pub(super) fn state(&self) -> (f64, f64) {
        self.last.map_or((-0.0, 0.0), |last| (self.total, last))
    }

    /// The counter after values, of which the last and the total are known.
    #[inline]
    pub(super) fn grown((total, last): (f64, f64)) -> Self {
        let last = Some(last);
        Self { total, last }
    }

    /// As [`Counter::add`], of a total and the last value, without a branch that random values would make slow.
    #[inline]
    pub(super) fn step((total, last): (f64, f64), value: f64) -> (f64, f64) {
        let before = if value < last { 0.0 } else { last };
        (total + (value - before), value)
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
    }

    #[test]
    fn a_step_is_what_adding_a_value_is_for_any_float() {
        let values = [
            -0.0,
            0.0,
            5.0,
            5.0,
            -3.0,
            f64::INFINITY,
            1e300,
            -1e300,
            5e-324,
        ];
        for start in 0..values.len() {
            let mut counter = Counter::default();
            let mut stepped = counter;
            for value in values.iter().cycle().skip(start).take(20) {
                counter.add(*value);
                stepped = Counter::grown(Counter::step(stepped.state(), *value));
                let bits = |counter: &Counter| (counter.total().to_bits(), counter.last());
                assert_eq!(bits(&stepped), bits(&counter));
            }
        }
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
