//! Merges the series of several blocks: in order, and equal ones into one.

use std::{cmp::Reverse, collections::BinaryHeap, mem, vec};

use super::{Series, chunks::arrange};

/// A k-way merge that is fed batch by batch.
///
/// The series of an input ascend by labels; equal ones may follow each other. The output ascends strictly.
#[derive(Debug)]
pub(crate) struct Merge {
    /// The rest of each input's last batch.
    rest: Vec<vec::IntoIter<Series>>,
    /// The first series of each input that has one.
    heads: BinaryHeap<Reverse<Head>>,
    /// Inputs that need a batch and have not ended.
    waiting: Vec<usize>,
    /// The last series, which equal ones of other inputs may still extend.
    open: Option<Series>,
}

#[derive(Debug)]
struct Head {
    series: Series,
    input: usize,
}

impl Merge {
    /// A merge of so many inputs, none of which has a batch yet.
    pub(crate) fn new(inputs: usize) -> Self {
        let mut rest = Vec::new();
        rest.resize_with(inputs, || Vec::new().into_iter());
        Self {
            rest,
            heads: BinaryHeap::with_capacity(inputs),
            waiting: (0..inputs).collect(),
            open: None,
        }
    }

    /// The inputs that need a batch, ascending. An input that gets none has ended.
    pub(crate) fn take_waiting(&mut self) -> Vec<usize> {
        let mut waiting = mem::take(&mut self.waiting);
        waiting.sort_unstable();
        waiting
    }

    /// Gives an input its next batch. After an empty batch it waits for another.
    pub(crate) fn feed(&mut self, input: usize, batch: Vec<Series>) {
        if let Some(rest) = self.rest.get_mut(input) {
            *rest = batch.into_iter();
            self.advance(input);
        }
    }

    /// The next series, at most `max`; fewer if an input waits, or at the end.
    pub(crate) fn take(&mut self, max: usize) -> Vec<Series> {
        let mut out = Vec::new();
        while out.len() < max && self.waiting.is_empty() {
            let Some(Reverse(Head { series, input })) = self.heads.pop() else {
                out.extend(self.open.take().map(Self::finish));
                break;
            };
            self.advance(input);
            match &mut self.open {
                Some(open) if open.labels == series.labels => open.chunks.extend(series.chunks),
                open => out.extend(open.replace(series).map(Self::finish)),
            }
        }
        out
    }

    /// Whether all series were taken, if no input waits.
    pub(crate) fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.heads.is_empty() && self.open.is_none()
    }

    fn advance(&mut self, input: usize) {
        match self.rest.get_mut(input).and_then(Iterator::next) {
            Some(series) => self.heads.push(Reverse(Head { series, input })),
            None => self.waiting.push(input),
        }
    }

    fn finish(mut series: Series) -> Series {
        arrange(&mut series.chunks);
        series
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let labels = self.series.labels.cmp(&other.series.labels);
        labels.then(self.input.cmp(&other.input))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use bytes::Bytes;
    use model::{Labels, Timestamp};
    use proptest::prelude::*;

    use super::*;
    use crate::series::{Encoded, Samples, SeriesChunk, chunks::Coding};

    fn series(name: u8, times: &[i64]) -> Series {
        let chunk = |at: &i64| SeriesChunk {
            min: Timestamp(*at),
            max: Timestamp(*at),
            samples: Samples::Raw(Encoded {
                coding: Coding::Xor,
                data: Bytes::from(at.to_string()),
            }),
        };
        Series {
            labels: Labels::from_pairs([("__name__", format!("m{name:02}"))]),
            chunks: times.iter().map(chunk).collect(),
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

    /// Per input: batches of (name, time), names ascending.
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
                (s.labels, s.chunks.iter().map(|c| c.min.0).collect::<Vec<_>>())
            }).collect();
            prop_assert_eq!(out, expected);
        }
    }
}
