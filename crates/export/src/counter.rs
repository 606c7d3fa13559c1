//! Makes the counter aggregate of downsampled chunks a counter that never falls.
//!
//! Within a chunk, resets are added up already. Each chunk begins with the value as scraped. The last sample stands
//! twice, the second time with the value as scraped: the next chunk begins after a reset if its first value is less
//! than that. Source: Thanos, `pkg/compact/downsample`, the iterator that applies counter resets.

/// The counter of one series, from chunk to chunk.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    time: i64,
    /// The value to compare the next one with.
    value: f64,
    total: f64,
}

impl Counter {
    /// The value of the next sample with all resets added up; `None` for a repeated sample.
    pub(crate) fn next(&mut self, time: i64, value: f64) -> Option<f64> {
        let Some(last) = &mut self.last else {
            self.last = Some(Last {
                time,
                value,
                total: value,
            });
            return Some(value);
        };
        if time <= last.time {
            if time == last.time {
                last.value = value;
            }
            return None;
        }
        let increase = if value < last.value {
            value
        } else {
            value - last.value
        };
        *last = Last {
            time,
            value,
            total: last.total + increase,
        };
        Some(last.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_between_two_chunks_is_seen_by_the_value_that_stands_twice() {
        let mut counter = Counter::default();
        // Scraped: 5, 9, reset, 3 | 2 (reset), 4. The first chunk ends at 12 = 9 + 3, then says 3.
        let chunks = [(10, 5.0), (20, 12.0), (20, 3.0), (30, 2.0), (40, 4.0)];
        let totals: Vec<_> = chunks
            .iter()
            .map(|&(time, value)| counter.next(time, value))
            .collect();
        assert_eq!(
            totals,
            [Some(5.0), Some(12.0), None, Some(14.0), Some(16.0)]
        );
    }

    #[test]
    fn without_a_reset_between_them_chunks_go_on_from_the_value_as_scraped() {
        let mut counter = Counter::default();
        let chunks = [(10, 5.0), (20, 12.0), (20, 3.0), (30, 6.0)];
        let last = chunks
            .iter()
            .filter_map(|&(time, value)| counter.next(time, value))
            .last();
        assert_eq!(last, Some(15.0));
    }
}
