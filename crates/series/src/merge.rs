//! Puts the series of several sources together: in order, and those with equal labels made one.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    mem, vec,
};

/// A series that can be merged with others: labels, and what is sent besides.
pub trait Mergeable {
    /// Compares the labels of two series.
    fn cmp_labels(&self, other: &Self) -> Ordering;

    /// Adds what is sent of another series with the same labels.
    fn join(&mut self, other: Self);

    /// Puts what was joined in order; nothing is joined from then on.
    fn finish(&mut self);
}

/// A k-way merge that is fed batch by batch.
///
/// Each input's series ascend by labels; equal ones may follow each other. What comes out ascends strictly.
#[derive(Debug)]
pub struct Merge<T> {
    /// What is left of each input's last batch.
    rest: Vec<vec::IntoIter<T>>,
    /// The first series of each input that has one.
    heads: BinaryHeap<Reverse<Head<T>>>,
    /// Inputs that have nothing at hand, and have not ended.
    waiting: Vec<usize>,
    /// A series that others may have to be added to.
    open: Option<T>,
}

#[derive(Debug)]
struct Head<T> {
    series: T,
    input: usize,
}

impl<T: Mergeable> Merge<T> {
    /// A merge of so many inputs, of which nothing is known yet.
    #[must_use]
    pub fn new(inputs: usize) -> Self {
        let mut rest = Vec::new();
        rest.resize_with(inputs, || Vec::new().into_iter());
        Self {
            rest,
            heads: BinaryHeap::with_capacity(inputs),
            waiting: (0..inputs).collect(),
            open: None,
        }
    }

    /// Inputs without which the merge cannot go on, ascending. Those that are not fed have ended.
    pub fn take_waiting(&mut self) -> Vec<usize> {
        let mut waiting = mem::take(&mut self.waiting);
        waiting.sort_unstable();
        waiting
    }

    /// Gives the next series of an input. Without series, it waits for more.
    pub fn feed(&mut self, input: usize, batch: Vec<T>) {
        if let Some(rest) = self.rest.get_mut(input) {
            *rest = batch.into_iter();
            self.advance(input);
        }
    }

    /// The next series, `max` at most. Fewer if an input waits, or at the end.
    pub fn take(&mut self, max: usize) -> Vec<T> {
        let mut out = Vec::new();
        while out.len() < max && self.waiting.is_empty() {
            let Some(Reverse(Head { series, input })) = self.heads.pop() else {
                out.extend(self.open.take().map(finish));
                break;
            };
            self.advance(input);
            match &mut self.open {
                Some(open) if open.cmp_labels(&series).is_eq() => open.join(series),
                open => out.extend(open.replace(series).map(finish)),
            }
        }
        out
    }

    /// Whether everything was taken, if no input waits.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.heads.is_empty() && self.open.is_none()
    }

    fn advance(&mut self, input: usize) {
        match self.rest.get_mut(input).and_then(Iterator::next) {
            Some(series) => self.heads.push(Reverse(Head { series, input })),
            None => self.waiting.push(input),
        }
    }
}

fn finish<T: Mergeable>(mut series: T) -> T {
    series.finish();
    series
}

impl<T: Mergeable> Ord for Head<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        let labels = self.series.cmp_labels(&other.series);
        labels.then(self.input.cmp(&other.input))
    }
}

impl<T: Mergeable> PartialOrd for Head<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Mergeable> PartialEq for Head<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T: Mergeable> Eq for Head<T> {}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use model::Labels;
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    struct Series {
        labels: Labels,
        times: Vec<i64>,
    }

    impl Mergeable for Series {
        fn cmp_labels(&self, other: &Self) -> Ordering {
            self.labels.cmp(&other.labels)
        }

        fn join(&mut self, other: Self) {
            self.times.extend(other.times);
        }

        fn finish(&mut self) {
            self.times.sort_unstable();
            self.times.dedup();
        }
    }

    fn series(name: u8, times: &[i64]) -> Series {
        Series {
            labels: Labels::from_pairs([("__name__", format!("m{name:02}"))]),
            times: times.to_vec(),
        }
    }

    /// Feeds the inputs' batches as the merge asks for them and takes `max` at a time.
    fn merged(inputs: Vec<Vec<Vec<Series>>>, max: usize) -> Vec<Series> {
        let mut inputs: Vec<VecDeque<_>> = inputs.into_iter().map(VecDeque::from).collect();
        let mut merge = Merge::new(inputs.len());
        let mut out = Vec::new();
        loop {
            for input in merge.take_waiting() {
                if let Some(batch) = inputs[input].pop_front() {
                    merge.feed(input, batch);
                }
            }
            let some = merge.take(max);
            assert!(some.len() <= max);
            out.extend(some);
            if merge.is_done() {
                return out;
            }
        }
    }

    #[test]
    fn equal_series_become_one_across_blocks_and_batches() {
        let out = merged(
            vec![
                vec![
                    vec![series(1, &[5])],
                    vec![series(1, &[7]), series(3, &[5])],
                ],
                vec![vec![], vec![series(1, &[5, 6])], vec![series(2, &[5])]],
            ],
            10,
        );
        assert_eq!(
            out,
            [series(1, &[5, 6, 7]), series(2, &[5]), series(3, &[5])]
        );
    }

    #[test]
    fn without_inputs_there_is_nothing() {
        assert_eq!(merged(Vec::new(), 1), []);
        assert_eq!(merged(vec![vec![], vec![vec![]]], 1), []);
    }

    type Drawn = Vec<Vec<(u8, i64)>>;

    /// For each input: batches of (name, time), names ascending.
    fn inputs() -> impl Strategy<Value = Vec<Drawn>> {
        let input = prop::collection::vec((0_u8..12, 0_i64..6), 0..30).prop_flat_map(|mut all| {
            all.sort_unstable();
            (Just(all), 1_usize..8)
        });
        let batches = input.prop_map(|(all, size)| all.chunks(size).map(<[_]>::to_vec).collect());
        prop::collection::vec(batches, 0..5)
    }

    proptest! {
        #[test]
        fn a_merge_is_a_sort_that_joins_equal_labels(drawn in inputs(), max in 1_usize..9) {
            let mut expected: BTreeMap<Labels, Vec<i64>> = BTreeMap::new();
            for (name, time) in drawn.iter().flatten().flatten() {
                expected.entry(series(*name, &[]).labels).or_default().push(*time);
            }
            let expected: Vec<_> = expected.into_iter().map(|(labels, mut times)| {
                times.sort_unstable();
                times.dedup();
                (labels, times)
            }).collect();
            let inputs = drawn.into_iter().map(|batches| {
                let batch = |all: Vec<(u8, i64)>| all.into_iter().map(|(n, t)| series(n, &[t])).collect();
                batches.into_iter().map(batch).collect()
            }).collect();
            let out: Vec<_> = merged(inputs, max).into_iter().map(|s| {
                (s.labels, s.times)
            }).collect();
            prop_assert_eq!(out, expected);
        }
    }
}
