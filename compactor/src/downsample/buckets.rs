//! The buckets of one side of a histogram.

use std::sync::Arc;

use model::Span;

/// Which buckets there are, and their counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Buckets {
    pub(super) spans: Arc<[Span]>,
    pub(super) counts: Vec<f64>,
}

impl Buckets {
    /// The buckets that have an index and a count each, in order of the indices.
    pub(super) fn from_pairs(pairs: impl IntoIterator<Item = (i64, f64)>) -> Self {
        let mut spans: Vec<Span> = Vec::new();
        let mut counts = Vec::new();
        // The index behind the last bucket.
        let mut end = 0;
        for (index, count) in pairs {
            match spans.last_mut() {
                Some(last) if index == end => last.length += 1,
                _ => spans.push(Span {
                    offset: offset(index - end),
                    length: 1,
                }),
            }
            end = index + 1;
            counts.push(count);
        }
        Self {
            spans: spans.into(),
            counts,
        }
    }

    /// Index and count of each bucket.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (i64, f64)> {
        let mut end = 0_i64;
        let indices = self.spans.iter().flat_map(move |span| {
            let start = end + i64::from(span.offset);
            end = start + i64::from(span.length);
            start..end
        });
        indices.zip(self.counts.iter().copied())
    }

    /// Whether the two have the same buckets.
    pub(super) fn have_layout_of(&self, other: &Self) -> bool {
        let same = Arc::ptr_eq(&self.spans, &other.spans) || self.spans == other.spans;
        same && self.counts.len() == other.counts.len()
    }

    /// Combines each bucket with that of `other`; where either lacks it, its count is zero.
    pub(super) fn combine(&mut self, other: &Self, op: fn(f64, f64) -> f64) {
        if self.have_layout_of(other) {
            for (own, count) in self.counts.iter_mut().zip(&other.counts) {
                *own = op(*own, *count);
            }
            return;
        }
        let before = std::mem::take(self);
        let mut own = before.pairs().peekable();
        let mut others = other.pairs().peekable();
        let next = std::iter::from_fn(|| {
            let index = match (own.peek(), others.peek()) {
                (Some((a, _)), Some((b, _))) => *a.min(b),
                (Some((index, _)), None) | (None, Some((index, _))) => *index,
                (None, None) => return None,
            };
            let a = own.next_if(|(a, _)| *a == index).map_or(0.0, |(_, n)| n);
            let b = others.next_if(|(b, _)| *b == index).map_or(0.0, |(_, n)| n);
            Some((index, op(a, b)))
        });
        *self = Self::from_pairs(next);
    }

    /// Buckets of a schema that is `steps` lower, each of `2^steps` of these.
    pub(super) fn coarser(&self, steps: u32) -> Self {
        let mut merged: Vec<(i64, f64)> = Vec::with_capacity(self.counts.len());
        for (index, count) in self.pairs() {
            let index = (index - 1).checked_shr(steps).unwrap_or(-1) + 1;
            match merged.last_mut() {
                Some((last, sum)) if *last == index => *sum += count,
                _ => merged.push((index, count)),
            }
        }
        Self::from_pairs(merged)
    }
}

/// A span's offset. Indices are far below what it can hold: the decoder of chunks sees to it.
fn offset(offset: i64) -> i32 {
    i32::try_from(offset).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(i64, f64)]) -> Buckets {
        Buckets::from_pairs(pairs.iter().copied())
    }

    #[test]
    fn buckets_side_by_side_share_a_span() {
        let made = buckets(&[(-3, 1.0), (-2, 2.0), (4, 3.0)]);
        let spans = [(-3, 2), (5, 1)].map(|(offset, length)| Span { offset, length });
        assert_eq!(*made.spans, spans);
        assert!(made.pairs().eq([(-3, 1.0), (-2, 2.0), (4, 3.0)]));
    }

    #[test]
    fn a_bucket_that_one_of_two_lacks_counts_as_zero() {
        let mut a = buckets(&[(1, 5.0), (2, 6.0), (9, 1.0)]);
        a.combine(&buckets(&[(0, 1.0), (2, 2.0)]), |a, b| a - b);
        assert_eq!(a, buckets(&[(0, -1.0), (1, 5.0), (2, 4.0), (9, 1.0)]));
    }

    #[test]
    fn a_lower_schema_joins_buckets_up_to_the_same_bound() {
        // The bucket 0 ends at 1, as in every schema; 1 and 2 end at 2 when joined.
        let fine = buckets(&[(-1, 1.0), (0, 2.0), (1, 4.0), (2, 8.0), (3, 16.0)]);
        assert_eq!(fine.coarser(1), buckets(&[(0, 3.0), (1, 12.0), (2, 16.0)]));
        assert_eq!(fine.coarser(2), buckets(&[(0, 3.0), (1, 28.0)]));
    }
}
