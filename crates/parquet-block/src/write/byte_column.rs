//! Columns of byte strings, one for each row: chunks, lists of columns, hashes.

use std::ops::Range;

use bytes::Bytes;
use model::Ragged;
use rayon::prelude::*;

use super::options::PageOptions;
use crate::{
    error::Error,
    format::{
        delta,
        file::{ByteEncoding, ColumnKind},
        page::{Compression, DataPage, EncodedColumn, EncodedPage},
    },
};

/// Up to how many bytes the options may make pages: their sizes are 32-bit integers.
const MAX_PAGE: usize = 256 << 20;

/// A byte string that lies in a buffer.
#[derive(Clone, Debug)]
pub struct SharedValue<'a> {
    /// The buffer, which is kept for as long as something of it is wanted.
    pub buffer: &'a Bytes,
    /// Where the byte string is in it; if that is beyond the buffer, the byte string is empty.
    pub range: Range<usize>,
}

/// Byte strings in the buffers in which they were made. Pages that are stored as they are share them, too.
#[derive(Debug, Default)]
pub(super) struct SharedStrings {
    pieces: Vec<Bytes>,
    /// Where each piece ends, counted over all of them.
    piece_ends: Vec<usize>,
    /// Where each string ends, counted likewise.
    ends: Vec<usize>,
    /// What will be the last piece: a buffer, and what of it.
    open: Option<(Bytes, Range<usize>)>,
}

impl From<Ragged<u8>> for SharedStrings {
    /// Strings that were made one after the other, to be encoded.
    fn from(strings: Ragged<u8>) -> Self {
        let (bytes, ends) = strings.into_parts();
        Self {
            piece_ends: vec![bytes.len()],
            pieces: vec![bytes.into()],
            ends,
            open: None,
        }
    }
}

impl AsRef<[u8]> for SharedValue<'_> {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(self.range.clone()).unwrap_or_default()
    }
}

impl SharedStrings {
    /// Adds a string. Those that follow one another in their buffer make one piece.
    pub(super) fn push(&mut self, value: &SharedValue<'_>) {
        let SharedValue { buffer, range } = value;
        let len = value.as_ref().len();
        self.ends.push(self.size_of_values().saturating_add(len));
        if len == 0 {
            return;
        }
        match &mut self.open {
            // As long as it is held here, no other buffer is at its place.
            Some((open, piece))
                if open.as_ptr() == buffer.as_ptr()
                    && open.len() == buffer.len()
                    && piece.end == range.start =>
            {
                piece.end = range.end;
            }
            _ => {
                self.close();
                self.open = Some((Bytes::clone(buffer), range.clone()));
            }
        }
    }

    /// The same, to be encoded.
    pub(super) fn freeze(mut self) -> Self {
        self.close();
        self
    }

    fn close(&mut self) {
        if let Some((buffer, piece)) = self.open.take() {
            let before = self.piece_ends.last().copied().unwrap_or_default();
            self.piece_ends.push(before + piece.len());
            self.pieces.push(buffer.slice(piece));
        }
    }

    fn size_of_values(&self) -> usize {
        self.ends.last().copied().unwrap_or_default()
    }

    /// Bytes that they take.
    pub(super) fn size(&self) -> usize {
        self.size_of_values() + self.ends.len() * size_of::<usize>()
    }

    fn start(&self, row: usize) -> usize {
        let before = row.checked_sub(1).and_then(|before| self.ends.get(before));
        before.copied().unwrap_or_default()
    }

    /// The bytes of rows, piece by piece.
    fn bytes_of(&self, rows: &Range<usize>) -> Vec<Bytes> {
        let (mut start, end) = (self.start(rows.start), self.start(rows.end));
        let first = self.piece_ends.partition_point(|ends| *ends <= start);
        let mut bytes = Vec::new();
        for (piece, piece_end) in self.pieces.iter().zip(&self.piece_ends).skip(first) {
            if start >= end {
                break;
            }
            // Ends ascend, and none is beyond the last piece.
            let from = start - (piece_end - piece.len());
            let to = piece.len() - (piece_end - end.min(*piece_end));
            bytes.push(piece.slice(from..to));
            start = *piece_end;
        }
        bytes
    }

    /// The lengths of rows.
    fn lengths_of(&self, rows: &Range<usize>) -> impl Iterator<Item = usize> {
        let mut start = self.start(rows.start);
        let ends = self.ends.get(rows.clone()).unwrap_or_default();
        ends.iter().map(move |end| {
            let len = end - start;
            start = *end;
            len
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

/// Encodes a column of strings that are frozen.
pub(super) fn encode(
    strings: &SharedStrings,
    encoding: ByteEncoding,
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
    strings: &SharedStrings,
    rows: &Range<usize>,
    encoding: ByteEncoding,
    compression: Compression,
) -> Result<EncodedPage, Error> {
    let mut made = Vec::new();
    let (lengths, bytes) = (strings.lengths_of(rows), strings.bytes_of(rows));
    let rest = match encoding {
        ByteEncoding::Lengths => {
            let lengths: Vec<u32> = lengths.map(length).collect();
            delta::encode_lengths(&lengths, &mut made);
            bytes
        }
        ByteEncoding::Prefixes => {
            let all = bytes.concat();
            let mut rest = all.as_slice();
            let values = lengths.map(|len| {
                let (value, after) = rest.split_at_checked(len).unwrap_or_default();
                rest = after;
                value
            });
            delta::encode_byte_arrays(values, &mut made);
            Vec::new()
        }
    };
    let contents = DataPage {
        rows: rows.len(),
        nulls: 0,
        encoding: ColumnKind::Bytes(encoding).encoding(),
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

    fn strings(lengths: &[usize]) -> SharedStrings {
        let mut strings = Ragged::default();
        for len in lengths {
            strings.push(vec![b'x'; *len]);
        }
        strings.into()
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
    fn values_are_those_that_were_pushed_and_make_a_piece_where_they_follow_one_another() {
        let buffers = [Bytes::from_static(b"abcdef"), Bytes::from_static(b"gh")];
        let mut strings = SharedStrings::default();
        for (buffer, range) in [
            (0, 0..2),
            (0, 2..2),
            (0, 2..3),
            // Something is left out.
            (0, 4..6),
            (1, 0..2),
            (1, 2..2),
            // Beyond the buffer.
            (1, 2..3),
            (0, 6..6),
        ] {
            let buffer = &buffers[buffer];
            strings.push(&SharedValue { buffer, range });
        }
        let strings = strings.freeze();
        assert_eq!(strings.pieces, ["abc", "ef", "gh"]);
        let whole = 0..8;
        let lengths: Vec<usize> = strings.lengths_of(&whole).collect();
        assert_eq!(lengths, [2, 0, 1, 2, 2, 0, 0, 0]);
        assert_eq!(strings.bytes_of(&whole), ["abc", "ef", "gh"]);
        assert_eq!(strings.bytes_of(&(1..4)), ["c", "ef"]);
        assert_eq!(strings.bytes_of(&(3..4)), ["ef"]);
        assert_eq!(strings.bytes_of(&(0..2)), ["ab"]);
        assert!(strings.bytes_of(&(5..8)).is_empty());
    }
}
