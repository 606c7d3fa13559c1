//! Columns of byte strings, one for each row: chunks, lists of columns, hashes.

use std::ops::Range;

use bytes::Bytes;
use rayon::prelude::*;

use super::{
    delta,
    options::PageOptions,
    page::{self, Compression, EncodedColumn, Page},
    schema::Encoding,
};
use crate::error::Error;

/// Up to how many bytes the options may make pages: their sizes are 32-bit integers.
const MAX_PAGE: usize = 256 << 20;

/// Byte strings one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct ByteStrings {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

/// Byte strings to which none is added. Pages that are stored as they are share the bytes.
#[derive(Debug)]
pub(super) struct Frozen {
    bytes: Bytes,
    /// Where each ends.
    ends: Vec<usize>,
}

impl ByteStrings {
    pub(super) fn push(&mut self, value: &[u8]) {
        // Grown by less than the double, which of a row group would be many megabytes for nothing.
        if self.bytes.capacity() - self.bytes.len() < value.len() {
            self.bytes
                .reserve_exact(value.len().max(self.bytes.len() / 8).max(1 << 10));
        }
        self.push_with(|bytes| bytes.extend_from_slice(value));
    }

    /// Adds what `write` appends.
    pub(super) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Makes room for as many as `other` has, and some more.
    pub(super) fn reserve_as(&mut self, other: &Self) {
        let more = |len: usize| len.saturating_add(len / 16);
        self.bytes.reserve_exact(more(other.bytes.len()));
        self.ends.reserve_exact(more(other.ends.len()));
    }

    /// The same, to be encoded.
    pub(super) fn freeze(self) -> Frozen {
        Frozen {
            bytes: self.bytes.into(),
            ends: self.ends,
        }
    }

    /// Bytes that they take.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<usize>()
    }
}

impl Frozen {
    fn start(&self, row: usize) -> usize {
        let before = row.checked_sub(1).and_then(|before| self.ends.get(before));
        before.copied().unwrap_or_default()
    }

    /// The bytes of rows, together.
    fn bytes_of(&self, rows: &Range<usize>) -> Bytes {
        // Ends ascend, and none is beyond the bytes.
        self.bytes
            .slice(self.start(rows.start)..self.start(rows.end))
    }

    /// The strings of rows, one by one.
    fn values_of(&self, rows: &Range<usize>) -> impl Iterator<Item = &[u8]> {
        let mut start = self.start(rows.start);
        let ends = self.ends.get(rows.clone()).unwrap_or_default();
        ends.iter().map(move |end| {
            let value = self.bytes.get(start..*end).unwrap_or_default();
            start = *end;
            value
        })
    }

    /// The rows of each page.
    fn cut(&self, options: &PageOptions) -> Vec<Range<usize>> {
        let (most, most_rows) = (options.bytes.min(MAX_PAGE), options.rows.max(1));
        let mut pages = Vec::new();
        let mut start = 0;
        for (row, end) in self.ends.iter().enumerate() {
            if row > start && (end - self.start(start) > most || row - start >= most_rows) {
                pages.push(start..row);
                start = row;
            }
        }
        if start < self.ends.len() {
            pages.push(start..self.ends.len());
        }
        pages
    }
}

/// Encodes a column.
pub(super) fn encode(
    strings: &Frozen,
    encoding: Encoding,
    options: &PageOptions,
    compression: Compression,
) -> Result<EncodedColumn, Error> {
    let pages = strings
        .cut(options)
        .into_par_iter()
        .map(|rows| encode_page(strings, &rows, encoding, compression))
        .collect::<Result<_, _>>()?;
    Ok(EncodedColumn {
        dictionary: None,
        pages,
        bounds: None,
        bloom_filter: None,
    })
}

fn encode_page(
    strings: &Frozen,
    rows: &Range<usize>,
    encoding: Encoding,
    compression: Compression,
) -> Result<Page, Error> {
    let mut made = Vec::new();
    let values = strings.values_of(rows);
    let (encoding, rest) = match encoding {
        Encoding::DeltaLength => {
            let lengths: Vec<u32> = values.map(|value| length(value.len())).collect();
            delta::encode_lengths(&lengths, &mut made);
            (page::DELTA_LENGTH_BYTE_ARRAY, strings.bytes_of(rows))
        }
        Encoding::DeltaByteArray => {
            delta::encode_byte_arrays(values, &mut made);
            (page::DELTA_BYTE_ARRAY, Bytes::new())
        }
    };
    let contents = page::DataPage {
        rows: rows.len(),
        nulls: 0,
        encoding,
        levels: &[],
        made: &made,
        values: rest,
        bounds: None,
    };
    contents.encode(compression)
}

/// A length, which the builder has seen to be a 32-bit integer.
fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(lengths: &[usize]) -> Frozen {
        let mut strings = ByteStrings::default();
        for len in lengths {
            strings.push(&vec![b'x'; *len]);
        }
        strings.freeze()
    }

    #[test]
    fn a_page_is_cut_before_it_gets_too_large_and_a_large_value_is_alone() {
        let options = |bytes, rows| PageOptions {
            bytes,
            rows,
            zstd_level: 1,
            least_saving: 0,
        };
        let of = |lengths: &[usize], bytes, rows| strings(lengths).cut(&options(bytes, rows));
        assert_eq!(of(&[4, 4, 4, 4, 1], 10, 99), [0..2, 2..5]);
        assert_eq!(of(&[4, 40, 4], 10, 99), [0..1, 1..2, 2..3]);
        assert_eq!(of(&[0, 0, 0], 10, 2), [0..2, 2..3]);
        assert_eq!(of(&[1, 1], 0, 0), [0..1, 1..2]);
        assert!(of(&[], 10, 2).is_empty());
    }

    #[test]
    fn values_are_those_that_were_pushed() {
        let mut strings = ByteStrings::default();
        for value in [&b"ab"[..], b"", b"c"] {
            strings.push(value);
        }
        let strings = strings.freeze();
        assert!(strings.values_of(&(1..3)).eq([&b""[..], b"c"]));
        assert_eq!(strings.bytes_of(&(0..2)), &b"ab"[..]);
    }
}
