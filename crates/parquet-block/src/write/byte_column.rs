//! Columns of byte strings, one for each row: chunks, lists of columns, hashes.

use std::ops::Range;

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

    /// Bytes that they take.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<usize>()
    }

    fn start(&self, row: usize) -> usize {
        let before = row.checked_sub(1).and_then(|before| self.ends.get(before));
        before.copied().unwrap_or_default()
    }

    /// The bytes of rows, together.
    fn bytes_of(&self, rows: &Range<usize>) -> &[u8] {
        self.bytes
            .get(self.start(rows.start)..self.start(rows.end))
            .unwrap_or_default()
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
    strings: &ByteStrings,
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
    strings: &ByteStrings,
    rows: &Range<usize>,
    encoding: Encoding,
    compression: Compression,
) -> Result<Page, Error> {
    let mut body = Vec::with_capacity(strings.bytes_of(rows).len() + rows.len() * 2 + 32);
    let values = strings.values_of(rows);
    let id = match encoding {
        Encoding::DeltaLength => {
            let lengths: Vec<u32> = values.map(|value| length(value.len())).collect();
            delta::encode_lengths(&lengths, &mut body);
            body.extend_from_slice(strings.bytes_of(rows));
            page::DELTA_LENGTH_BYTE_ARRAY
        }
        Encoding::DeltaByteArray => {
            delta::encode_byte_arrays(values, &mut body);
            page::DELTA_BYTE_ARRAY
        }
    };
    let contents = page::DataPage {
        rows: rows.len(),
        nulls: 0,
        encoding: id,
        levels: &[],
        values: &body,
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

    fn strings(lengths: &[usize]) -> ByteStrings {
        let mut strings = ByteStrings::default();
        for len in lengths {
            strings.push(&vec![b'x'; *len]);
        }
        strings
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
        assert!(strings.values_of(&(1..3)).eq([&b""[..], b"c"]));
        assert_eq!(strings.bytes_of(&(0..2)), b"ab");
    }
}
