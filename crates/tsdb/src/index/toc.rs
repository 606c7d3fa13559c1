//! The table of contents at the end of the index.
//!
//! ```text
//! 0   be64  start of the symbols
//! 8   be64  start of the series
//! 16  be64  start of the label indices
//! 24  be64  start of the label index table
//! 32  be64  start of the postings
//! 40  be64  start of the postings offset table
//! 48  be32  crc32 of the above
//! ```

use std::ops::Range;

use super::{FILE, HEAD_LEN};
use crate::{
    codec::{CRC_LEN, Input, check_crc},
    error::{Error, Result},
};

/// Where the sections of an index start, as offsets in bytes. Some may be empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Toc {
    /// The symbols.
    pub symbols: u64,
    /// The series.
    pub series: u64,
    /// The label indices, which nobody reads.
    pub label_indices: u64,
    /// The table of the label indices.
    pub label_index_table: u64,
    /// The postings.
    pub postings: u64,
    /// The postings offset table.
    pub postings_table: u64,
    /// The table of contents itself.
    pub end: u64,
}

/// What to fetch for an [`crate::IndexHeader`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRanges {
    /// Magic and version.
    pub head: Range<u64>,
    /// The symbols.
    pub symbols: Range<u64>,
    /// The postings offset table.
    pub postings_table: Range<u64>,
}

const SECTIONS_LEN: usize = 6 * 8;

impl Toc {
    /// Length of the table of contents.
    pub const LEN: u64 = (SECTIONS_LEN + CRC_LEN) as u64;

    /// Where the table of contents is in an index of `index_size` bytes.
    #[must_use]
    pub const fn range(index_size: u64) -> Range<u64> {
        index_size.saturating_sub(Self::LEN)..index_size
    }

    /// Reads the table of contents: the bytes of [`Toc::range`].
    ///
    /// # Errors
    /// When the bytes are no table of contents, or it points outside of the index.
    pub fn decode(bytes: &[u8], index_size: u64) -> Result<Self> {
        let end = Self::range(index_size).start;
        if bytes.len() as u64 != Self::LEN || end < HEAD_LEN {
            let expected = format!("an index of at least {} bytes", HEAD_LEN + Self::LEN);
            let found = format!("one of {index_size}, {} given", bytes.len());
            return Err(Error::corrupt(FILE, end, expected, found));
        }
        let mut input = Input::new(bytes, end);
        let mut toc = Self {
            end,
            ..Self::default()
        };
        let read = |input: &mut Input<'_>, toc: &mut Self| {
            toc.symbols = input.be64()?;
            toc.series = input.be64()?;
            toc.label_indices = input.be64()?;
            toc.label_index_table = input.be64()?;
            toc.postings = input.be64()?;
            toc.postings_table = input.be64()?;
            input.be32()
        };
        let stored = read(&mut input, &mut toc)
            .map_err(|fault| input.error(FILE, "the table of contents", fault))?;
        let summed = bytes.get(..SECTIONS_LEN).unwrap_or_default();
        check_crc(FILE, end + 48, "the table of contents", summed, stored)?;
        toc.check(index_size)?;
        Ok(toc)
    }

    /// What to fetch next.
    #[must_use]
    pub fn header_ranges(&self) -> HeaderRanges {
        HeaderRanges {
            head: 0..HEAD_LEN,
            symbols: self.symbols..self.section_end(self.symbols),
            postings_table: self.postings_table..self.section_end(self.postings_table),
        }
    }

    /// Where the series are.
    #[must_use]
    pub fn series_range(&self) -> Range<u64> {
        self.series..self.section_end(self.series)
    }

    /// The encoded table of contents.
    pub(super) fn encode(&self) -> Vec<u8> {
        let sections = [
            self.symbols,
            self.series,
            self.label_indices,
            self.label_index_table,
            self.postings,
            self.postings_table,
        ];
        let mut out: Vec<u8> = sections.iter().flat_map(|s| s.to_be_bytes()).collect();
        out.extend(crc32c::crc32c(&out).to_be_bytes());
        out
    }

    /// The start of the next section after `offset`.
    pub(super) fn section_end(&self, offset: u64) -> u64 {
        self.sections()
            .into_iter()
            .map(|(_, start)| start)
            .filter(|start| *start > offset)
            .min()
            .unwrap_or(self.end)
            .min(self.end)
    }

    fn sections(&self) -> [(&'static str, u64); 6] {
        [
            ("symbols", self.symbols),
            ("series", self.series),
            ("label indices", self.label_indices),
            ("label index table", self.label_index_table),
            ("postings", self.postings),
            ("postings offset table", self.postings_table),
        ]
    }

    fn check(&self, index_size: u64) -> Result<()> {
        for (i, (name, start)) in (0_u64..).zip(self.sections()) {
            // An unused section has the offset 0; these three are always there.
            let used = matches!(name, "symbols" | "series" | "postings offset table");
            if start > self.end || (used && start < HEAD_LEN) {
                let expected =
                    format!("the start of the {name} within the index of {index_size} bytes");
                let at = self.end + 8 * i;
                return Err(Error::corrupt(FILE, at, expected, start.to_string()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toc() -> Toc {
        Toc {
            symbols: 5,
            series: 100,
            label_indices: 300,
            label_index_table: 400,
            postings: 304,
            postings_table: 400,
            end: 500,
        }
    }

    #[test]
    fn a_table_of_contents_is_read_back() {
        let bytes = toc().encode();
        assert_eq!(Toc::range(552), 500..552);
        assert_eq!(Toc::decode(&bytes, 552).unwrap(), toc());
        assert_eq!(
            toc().header_ranges(),
            HeaderRanges {
                head: 0..5,
                symbols: 5..100,
                postings_table: 400..500
            }
        );
        assert_eq!(toc().series_range(), 100..300);
    }

    #[test]
    fn a_section_outside_of_the_index_is_an_error() {
        let bytes = Toc {
            postings: 501,
            ..toc()
        }
        .encode();
        let error = Toc::decode(&bytes, 552).unwrap_err();
        assert_eq!(
            error.to_string(),
            "index at byte 532: expected the start of the postings within the index of 552 bytes, \
             found 501"
        );
    }

    #[test]
    fn an_index_shorter_than_its_table_of_contents_is_an_error() {
        assert_eq!(Toc::range(10), 0..10);
        assert!(Toc::decode(&[0; 10], 10).is_err());
    }
}
