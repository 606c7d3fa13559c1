//! A page: some entries in order, and where each starts.
//!
//! ```text
//! 0      1    kind: 2 a leaf of symbols, 4 of names, 6 of values; one more for a directory of such
//! 1      12   in a leaf of symbols only: be32 number of the first, be64 its offset in the index
//!        …    entries
//!        n×2  be16 where each starts in the page; be32 in a page of more than 65,535 bytes
//!        4    be32 n, how many
//! end−4  4    be32 crc32 of all before it
//!
//! entries
//! symbol     string, as in the index: the bytes of a leaf are those of the index from the offset on
//! name       string name, uvarint how many values, uvarint offset and length of the root page of the values
//! value      string value, uvarint offset of its postings in the index, uvarint their length
//! directory  uvarint offset and length of a page, then what it begins with:
//!            of symbols uvarint number of the first, uvarint its offset in the index;
//!            of names and values a string that is after all in the page before, and not after any in this one
//! ```

use std::ops::Range;

use bytes::Bytes;

use crate::codec::{CRC_LEN, Fault, Input};

/// A page is closed before it exceeds this size.
pub(super) const FULL: usize = 16 << 10;
/// Count and checksum.
const END: usize = 4 + CRC_LEN;
/// The largest page whose offsets are be16.
const NARROW: usize = u16::MAX as usize;

/// The contents of the leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(in super::super) enum Tree {
    Symbols = 2,
    Names = 4,
    Values = 6,
}

/// The range of a page in the header file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct PageRange {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// A page that was read.
#[derive(Clone, Debug)]
pub(in super::super) struct Page {
    bytes: Bytes,
    range: PageRange,
    /// The start of the offsets of entries in the page.
    offsets_start: usize,
    count: usize,
}

/// A page being written.
#[derive(Debug, Default)]
pub(super) struct PageBuilder {
    body: Vec<u8>,
    starts: Vec<u32>,
}

impl Tree {
    pub(super) const fn leaf(self) -> u8 {
        self as u8
    }

    pub(super) const fn directory(self) -> u8 {
        self as u8 + 1
    }
}

impl PageRange {
    /// A page that ends at or before `limit`.
    pub(super) fn new(start: u64, len: u64, limit: u64) -> Result<Self, Fault> {
        match start.checked_add(len) {
            Some(end) if end <= limit => Ok(Self { start, end }),
            _ => Err(Fault::Bad {
                expected: "a page before those that name it",
                found: start,
            }),
        }
    }

    pub(super) const fn len(self) -> u64 {
        self.end - self.start
    }

    pub(super) const fn range(self) -> Range<u64> {
        self.start..self.end
    }
}

impl Page {
    /// Reads `bytes` as the page at `range`.
    pub(super) fn new(bytes: Bytes, range: PageRange) -> Result<Self, Fault> {
        let too_small = Fault::End {
            missing: (1 + END).saturating_sub(bytes.len()) as u64,
        };
        let end = bytes.len().checked_sub(END).ok_or(too_small)?;
        let count = bytes.get(end..).and_then(|end| end.first_chunk());
        let count = u32::from_be_bytes(*count.ok_or(too_small)?);
        let offsets_start = usize::try_from(count)
            .ok()
            .and_then(|count| Some((count, count.checked_mul(width(bytes.len()))?)))
            .and_then(|(count, taken)| Some((count, end.checked_sub(taken)?)));
        let (count, offsets_start) = offsets_start
            .filter(|(_, offsets_start)| *offsets_start > 0)
            .ok_or(Fault::Bad {
                expected: "a number of entries that fits",
                found: count.into(),
            })?;
        Ok(Self {
            bytes,
            range,
            offsets_start,
            count,
        })
    }

    pub(super) fn kind(&self) -> u8 {
        self.bytes.first().copied().unwrap_or_default()
    }

    pub(super) const fn range(&self) -> PageRange {
        self.range
    }

    /// The number of entries.
    pub(in super::super) const fn count(&self) -> usize {
        self.count
    }

    /// Reads the range of another page in an entry of this one.
    pub(in super::super) fn child_in(&self, entry: &mut Input<'_>) -> Result<PageRange, Fault> {
        PageRange::new(entry.uvarint()?, entry.uvarint()?, self.range.start)
    }

    /// An entry.
    #[inline]
    pub(in super::super) fn entry(&self, at: usize) -> Result<Input<'_>, Fault> {
        let bad = Fault::Bad {
            expected: "the offset of an entry",
            found: at as u64,
        };
        let start = self.offset(at).ok_or(bad)?;
        let end = if at + 1 < self.count {
            self.offset(at + 1).ok_or(bad)?
        } else {
            self.offsets_start
        };
        let entry = self.bytes.get(start..end).ok_or(bad)?;
        Ok(Input::new(entry, self.range.start + start as u64))
    }

    /// The number of entries before the first one for which `before` is false.
    pub(in super::super) fn partition(
        &self,
        before: impl Fn(&mut Input<'_>) -> Result<bool, Fault>,
    ) -> Result<usize, Fault> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if before(&mut self.entry(middle)?)? {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// In a leaf of symbols: the number of the first, and its offset in the index.
    pub(in super::super) fn first_symbol(&self) -> Result<(u32, u64), Fault> {
        let mut input = Input::new(self.bytes.get(1..self.offsets_start).unwrap_or_default(), 0);
        Ok((input.be32()?, input.be64()?))
    }

    /// In a leaf of symbols: the one that starts so many bytes behind the first.
    pub(in super::super) fn symbol_behind(&self, bytes: u64) -> Option<usize> {
        let wanted = usize::try_from(bytes).ok()?.checked_add(self.offset(0)?)?;
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.offset(middle)?.cmp(&wanted) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The start of an entry in the page.
    #[inline]
    fn offset(&self, at: usize) -> Option<usize> {
        if at >= self.count {
            return None;
        }
        if width(self.bytes.len()) == 2 {
            let offset = self
                .bytes
                .get(self.offsets_start + 2 * at..)?
                .first_chunk()?;
            Some(usize::from(u16::from_be_bytes(*offset)))
        } else {
            let offset = self
                .bytes
                .get(self.offsets_start + 4 * at..)?
                .first_chunk()?;
            usize::try_from(u32::from_be_bytes(*offset)).ok()
        }
    }
}

impl PageBuilder {
    /// Starts a page of this kind, with the bytes before its entries.
    pub(super) fn begin(&mut self, kind: u8, prefix: &[u8]) {
        self.starts.clear();
        self.body.clear();
        self.body.push(kind);
        self.body.extend_from_slice(prefix);
    }

    pub(super) fn count(&self) -> usize {
        self.starts.len()
    }

    /// Whether an entry fits in the page.
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.body.len() + len + 2 * (self.starts.len() + 1) + END <= FULL
    }

    /// Adds an entry.
    pub(super) fn push(&mut self, entry: &[u8]) {
        // The contents of a page come from one section, whose length is a be32.
        let start = u32::try_from(self.body.len()).unwrap_or(u32::MAX);
        self.starts.push(start);
        self.body.extend_from_slice(entry);
    }

    /// The bytes of the page, which is empty afterwards.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let mut page = std::mem::take(&mut self.body);
        let wide = page.len() + 2 * self.starts.len() + END > NARROW;
        for start in &self.starts {
            match u16::try_from(*start) {
                Ok(start) if !wide => page.extend(start.to_be_bytes()),
                _ => page.extend(start.to_be_bytes()),
            }
        }
        let count = u32::try_from(self.starts.len()).unwrap_or(u32::MAX);
        page.extend(count.to_be_bytes());
        page.extend(crc32c::crc32c(&page).to_be_bytes());
        self.starts.clear();
        page
    }
}

/// The bytes of an entry's offset.
const fn width(page: usize) -> usize {
    if page > NARROW { 4 } else { 2 }
}
