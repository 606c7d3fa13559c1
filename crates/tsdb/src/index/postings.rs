//! Postings: the series that have one label value.
//!
//! ```text
//! be32   length of what follows, without the checksum
//! be32   how many series
//! be32   each reference, ascending
//! be32   crc32 of the count and the references
//! ```

use super::FILE;
use crate::{
    codec::{Input, check_crc},
    error::{Error, Result},
    refs::SeriesRef,
};

/// One list of references, as it is in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Postings<'a>(&'a [[u8; 4]]);

impl<'a> Postings<'a> {
    /// Reads the list that starts at `offset` of the index.
    pub(crate) fn decode(bytes: &'a [u8], offset: u64) -> Result<Self> {
        let fail = |input: &Input<'_>, fault| input.error(FILE, "postings", fault);
        let mut input = section(bytes, offset)?;
        let count = input.be32().map_err(|fault| fail(&input, fault))?;
        let (refs, rest) = input.rest().as_chunks();
        if !rest.is_empty() || refs.len() as u64 != u64::from(count) {
            let expected = format!("{count} references of 4 bytes");
            let found = format!("{} bytes", input.len());
            return Err(Error::corrupt(FILE, offset + 8, expected, found));
        }
        Ok(Self(refs))
    }

    /// How many series.
    pub(crate) fn len(self) -> usize {
        self.0.len()
    }

    /// The references, ascending.
    pub(crate) fn iter(self) -> impl Iterator<Item = SeriesRef> + use<'a> {
        self.0.iter().map(|r| SeriesRef(u32::from_be_bytes(*r)))
    }

    /// Sets the mark of each of `series` that is in the list. Both are ascending; the longer one is
    /// leapt through.
    pub(crate) fn mark(self, series: &[SeriesRef], marks: &mut [bool]) {
        let (mut i, mut j) = (0, 0);
        while let (Some(ours), Some(theirs)) = (series.get(i), self.0.get(j)) {
            let theirs = SeriesRef(u32::from_be_bytes(*theirs));
            match ours.cmp(&theirs) {
                std::cmp::Ordering::Less => i = leap(series, i, |s| *s < theirs),
                std::cmp::Ordering::Greater => {
                    j = leap(self.0, j, |r| u32::from_be_bytes(*r) < ours.0);
                }
                std::cmp::Ordering::Equal => {
                    if let Some(mark) = marks.get_mut(i) {
                        *mark = true;
                    }
                    i += 1;
                    j += 1;
                }
            }
        }
    }
}

/// The body of a section or of a list in one: a length, so many bytes, and their checksum.
fn section(bytes: &[u8], offset: u64) -> Result<Input<'_>> {
    let what = "postings";
    let mut input = Input::new(bytes, offset);
    let fail = |input: &Input<'_>, fault| input.error(FILE, what, fault);
    let len = input.be32().map_err(|fault| fail(&input, fault))?;
    let body = input
        .take(u64::from(len))
        .map_err(|fault| fail(&input, fault))?;
    let stored = input.be32().map_err(|fault| fail(&input, fault))?;
    check_crc(FILE, offset + 4 + u64::from(len), what, body, stored)?;
    Ok(Input::new(body, offset + 4))
}

/// The first index after `from` for which `before` does not hold, in steps that double.
fn leap<T>(items: &[T], from: usize, before: impl Fn(&T) -> bool) -> usize {
    let (mut low, mut step) = (from + 1, 1);
    while items.get(low + step).is_some_and(&before) {
        low += step;
        step *= 2;
    }
    let high = items.len().min(low + step);
    let between = items.get(low..high).unwrap_or_default();
    low + between.partition_point(before)
}
