//! References of a block's series in the order of the output, in little memory.
//!
//! ```text
//! steps          every 256th reference, and where in `differences` the next begins
//! differences    varints: from one reference to the next, zigzag
//! ```
//! Series mostly follow one another as they do in the index, a few units of 16 bytes apart: one byte for each.

use std::ops::Range;

use tsdb::SeriesRef;

use super::SAMPLE_STEP;

/// References, in any order.
#[derive(Debug, Default)]
pub(super) struct Refs {
    len: usize,
    steps: Vec<(u32, usize)>,
    differences: Vec<u8>,
}

/// Gives references one after the other.
#[derive(Clone, Debug)]
pub(super) struct Iter<'a> {
    left: usize,
    /// The one to be given next.
    next: u32,
    differences: &'a [u8],
}

impl FromIterator<SeriesRef> for Refs {
    fn from_iter<T: IntoIterator<Item = SeriesRef>>(all: T) -> Self {
        let mut refs = Self::default();
        let mut before = 0;
        for SeriesRef(series) in all {
            if refs.len > 0 {
                put(&mut refs.differences, i64::from(series) - i64::from(before));
            }
            if refs.len.is_multiple_of(SAMPLE_STEP) {
                refs.steps.push((series, refs.differences.len()));
            }
            refs.len += 1;
            before = series;
        }
        refs.steps.shrink_to_fit();
        refs.differences.shrink_to_fit();
        refs
    }
}

impl Refs {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Those at some places.
    pub(super) fn iter(&self, places: Range<usize>) -> Iter<'_> {
        let step = places.start / SAMPLE_STEP;
        let (next, start) = self.steps.get(step).copied().unwrap_or_default();
        let mut iter = Iter {
            left: places.end.min(self.len).saturating_sub(step * SAMPLE_STEP),
            next,
            differences: self.differences.get(start..).unwrap_or_default(),
        };
        for _ in step * SAMPLE_STEP..places.start {
            iter.next();
        }
        iter
    }

    /// Every [`SAMPLE_STEP`]th but the first.
    pub(super) fn sample(&self) -> impl Iterator<Item = SeriesRef> {
        self.steps.iter().skip(1).map(|(next, _)| SeriesRef(*next))
    }
}

impl Iterator for Iter<'_> {
    type Item = SeriesRef;

    fn next(&mut self) -> Option<SeriesRef> {
        self.left = self.left.checked_sub(1)?;
        let series = self.next;
        let difference = take(&mut self.differences);
        self.next = u32::try_from(i64::from(series) + difference).unwrap_or(series);
        Some(SeriesRef(series))
    }
}

fn put(out: &mut Vec<u8>, difference: i64) {
    let mut rest = (difference << 1 ^ difference >> 63).cast_unsigned();
    while rest >= 0x80 {
        out.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.push(rest.to_le_bytes()[0]);
}

/// The next difference; 0 after the last.
fn take(bytes: &mut &[u8]) -> i64 {
    let (mut value, mut shift) = (0_u64, 0_u32);
    while let Some((byte, rest)) = bytes.split_first() {
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn references_are_those_that_were_put_in(
            all in prop::collection::vec(any::<u32>(), 0..700),
            start in 0..800_usize,
            len in 0..800_usize,
        ) {
            let refs: Refs = all.iter().copied().map(SeriesRef).collect();
            prop_assert_eq!(refs.len(), all.len());
            let (from, to) = (start.min(all.len()), (start + len).min(all.len()));
            let found: Vec<u32> = refs.iter(start..start + len).map(|series| series.0).collect();
            prop_assert_eq!(&found, &all[from..to]);
            let sample: Vec<u32> = refs.sample().map(|series| series.0).collect();
            let expected: Vec<u32> = all.iter().copied().step_by(SAMPLE_STEP).skip(1).collect();
            prop_assert_eq!(sample, expected);
        }
    }

    #[test]
    fn neighbours_take_a_byte_each() {
        let refs: Refs = (0..10_000).map(|i| SeriesRef(i * 6)).collect();
        assert_eq!(refs.differences.len(), 9_999);
    }
}
