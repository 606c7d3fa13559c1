//! The page indexes of a column chunk: where its pages are, and what their values lie between. The `parquet` crate
//! decodes them, and what they say is checked here.
//!
//! A file with the key-value `varve_checksums` has, after all page indexes, what a page's own checksum does not cover:
//!
//! ```text
//! start u32     of each column chunk, in the order of the row groups, and of the end: how many checksums lie before
//! checksum u32  of a column chunk: the CRC-32 of the header of the dictionary page, if there is one;
//!               of the header of each data page; of the bloom filter, if there is one
//! ```
//! All numbers are little-endian.

use std::ops::Range;

use parquet::{
    basic::Type,
    file::page_index::{column_index::ColumnIndexMetaData, index_reader},
};

use super::{
    fault::Fault,
    thrift::{COLUMN_INDEX, OFFSET_INDEX},
    varint,
};

/// A data page of a column chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageLocation {
    /// Its range in the file, header included.
    pub(crate) bytes: Range<u64>,
    /// Its rows, counted within the row group.
    pub(crate) rows: Range<u32>,
    /// CRC-32 of its header, if the file has it.
    pub(crate) header_crc: Option<u32>,
}

/// The pages of a column chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OffsetIndex {
    /// The data pages.
    pub(crate) pages: Vec<PageLocation>,
    /// CRC-32 of the header of the dictionary page, if the file has it.
    pub(crate) dictionary_crc: Option<u32>,
    /// CRC-32 of the bloom filter, if the file has it.
    pub(crate) bloom_crc: Option<u32>,
}

/// The index entry of one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageBounds<'a> {
    /// Whether all its values are null.
    pub(crate) all_null: bool,
    pub(crate) min: &'a [u8],
    pub(crate) max: &'a [u8],
    /// The number of null values, if the writer states it.
    pub(crate) nulls: Option<u64>,
}

/// The index entries of a column chunk's pages.
#[derive(Debug)]
pub(crate) struct ColumnIndex(ColumnIndexMetaData);

/// Decodes an offset index whose pages lie within `chunk` and together hold rows 0 to `rows`; `is_listed`: see
/// [`super::footer::Footer`].
pub(crate) fn decode_offset_index(
    bytes: &[u8],
    chunk: &Range<u64>,
    rows: u32,
    is_listed: bool,
) -> Result<OffsetIndex, Fault> {
    check_count(bytes)?;
    if !is_listed {
        OFFSET_INDEX.check(bytes)?;
    }
    let index = index_reader::decode_offset_index(bytes)?;
    let mut pages: Vec<PageLocation> = Vec::with_capacity(index.page_locations().len());
    for page in index.page_locations() {
        let (after, last_first) = pages
            .last()
            .map_or((chunk.start, 0), |last| (last.bytes.end, last.rows.start));
        let bytes = place(page.offset, page.compressed_page_size)
            .filter(|place| place.start >= after && place.end <= chunk.end);
        let Some(bytes) = bytes else {
            let reason = format!(
                "page: expected within bytes {after} to {}, found {} bytes at byte {}",
                chunk.end, page.compressed_page_size, page.offset
            );
            return Err(Fault::new(0, reason));
        };
        let first = u32::try_from(page.first_row_index).unwrap_or(u32::MAX);
        if first < last_first || first > rows || (pages.is_empty() && first != 0) {
            let reason =
                format!("first row of a page: expected from {last_first} to {rows}, found {first}");
            return Err(Fault::new(0, reason));
        }
        if let Some(last) = pages.last_mut() {
            last.rows.end = first;
        }
        pages.push(PageLocation {
            bytes,
            rows: first..rows,
            header_crc: None,
        });
    }
    if pages.is_empty() && rows > 0 {
        let reason = format!("offset index: expected pages of {rows} rows, found none");
        return Err(Fault::new(0, reason));
    }
    Ok(OffsetIndex {
        pages,
        ..OffsetIndex::default()
    })
}

/// The range of a page, if it is not empty.
fn place(offset: i64, size: i32) -> Option<Range<u64>> {
    let (start, len) = (u64::try_from(offset).ok()?, u64::try_from(size).ok()?);
    let end = start.checked_add(len)?;
    (start < end).then_some(start..end)
}

/// Checks the number of pages in an offset index: the crate reserves memory for them before it reads them.
fn check_count(bytes: &[u8]) -> Result<(), Fault> {
    // The first byte begins the list of pages, the second has its length.
    let [_, head, rest @ ..] = bytes else {
        return Err(Fault::new(0, "offset index ends early"));
    };
    let mut rest = rest;
    let count = match head >> 4 {
        15 => varint::take(&mut rest),
        short => Some(u64::from(short)),
    };
    // A page takes seven bytes at least.
    match count {
        Some(count) if count.saturating_mul(7) <= bytes.len() as u64 => Ok(()),
        _ => {
            let count = count.map_or("too many".to_owned(), |count| count.to_string());
            let reason = format!(
                "offset index: expected as many pages as fit {} bytes, found {count}",
                bytes.len()
            );
            Err(Fault::new(1, reason))
        }
    }
}

impl OffsetIndex {
    /// The range of the dictionary page, if there is one before the data pages of a column chunk at `chunk`.
    pub(crate) fn dictionary(&self, chunk: &Range<u64>) -> Option<Range<u64>> {
        let first = self.pages.first()?.bytes.start;
        (chunk.start < first).then_some(chunk.start..first)
    }

    /// Takes the checksums of a column chunk at `chunk`.
    pub(crate) fn set_checksums(
        &mut self,
        checksums: &[[u8; 4]],
        chunk: &Range<u64>,
        has_bloom_filter: bool,
    ) -> Result<(), Fault> {
        let has_dictionary = self.dictionary(chunk).is_some();
        let others = usize::from(has_dictionary) + usize::from(has_bloom_filter);
        if checksums.len() != self.pages.len() + others {
            let reason = format!(
                "checksums: expected those of {} data pages and {others} other parts, found {}",
                self.pages.len(),
                checksums.len()
            );
            return Err(Fault::new(0, reason));
        }
        let mut checksums = checksums.iter().map(|bytes| u32::from_le_bytes(*bytes));
        if has_dictionary {
            self.dictionary_crc = checksums.next();
        }
        for page in &mut self.pages {
            page.header_crc = checksums.next();
        }
        self.bloom_crc = checksums.next();
        Ok(())
    }
}

/// The checksums of the `chunk`th of `chunks` column chunks; `None` if the table is damaged.
pub(crate) fn checksums_of(table: &[u8], chunk: usize, chunks: usize) -> Option<&[[u8; 4]]> {
    let (numbers, []) = table.as_chunks::<4>() else {
        return None;
    };
    let (starts, checksums) = numbers.split_at_checked(chunks.checked_add(1)?)?;
    let start = |chunk: usize| usize::try_from(u32::from_le_bytes(*starts.get(chunk)?)).ok();
    checksums.get(start(chunk)?..start(chunk.checked_add(1)?)?)
}

/// Decodes a column index of `pages` pages; `is_listed`: see [`super::footer::Footer`].
pub(crate) fn decode_column_index(
    bytes: &[u8],
    pages: usize,
    is_listed: bool,
) -> Result<ColumnIndex, Fault> {
    if !is_listed {
        COLUMN_INDEX.check(bytes)?;
    }
    let index = index_reader::decode_column_index(bytes, Type::BYTE_ARRAY)?;
    if index.num_pages() == pages as u64 {
        Ok(ColumnIndex(index))
    } else {
        let found = index.num_pages();
        let reason = format!("column index: expected {pages} pages, found {found}");
        Err(Fault::new(0, reason))
    }
}

impl ColumnIndex {
    /// The index entry of the `i`th page.
    pub(crate) fn get(&self, i: usize) -> Option<PageBounds<'_>> {
        let Self(ColumnIndexMetaData::BYTE_ARRAY(index)) = self else {
            return None;
        };
        if i as u64 >= self.0.num_pages() {
            return None;
        }
        let nulls = index.null_count(i);
        Some(PageBounds {
            all_null: self.0.is_null_page(i),
            min: index.min_value(i).unwrap_or_default(),
            max: index.max_value(i).unwrap_or_default(),
            nulls: nulls.and_then(|nulls| u64::try_from(nulls).ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages as (offset, size, first row), encoded as Parquet does.
    fn offset_index(pages: &[(u8, u8, u8)]) -> Vec<u8> {
        let mut bytes = vec![0x19, u8::try_from(pages.len() << 4).unwrap() | 0x0c];
        for (offset, size, row) in pages {
            bytes.extend([0x16, offset * 2, 0x15, size * 2, 0x16, row * 2, 0x00]);
        }
        bytes.push(0);
        bytes
    }

    #[test]
    fn checksums_are_of_each_page_and_filter_or_refused() {
        let index = |checksums: &[[u8; 4]]| {
            let bytes = offset_index(&[(10, 4, 0), (14, 6, 7)]);
            let mut index = decode_offset_index(&bytes, &(4..20), 9, false)?;
            index.set_checksums(checksums, &(4..20), true)?;
            Ok::<_, Fault>(index)
        };
        let table: Vec<u8> = [0, 0, 4, 1, 2, 3, 4_u32]
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        assert_eq!(checksums_of(&table, 0, 2), Some(&[][..]));
        let crcs = checksums_of(&table, 1, 2).unwrap();
        let whole = index(crcs).unwrap();
        assert_eq!((whole.dictionary_crc, whole.bloom_crc), (Some(1), Some(4)));
        let headers: Vec<_> = whole.pages.iter().map(|page| page.header_crc).collect();
        assert_eq!(headers, [Some(2), Some(3)]);
        for wrong in [&crcs[..3], &[]] {
            let error = index(wrong).unwrap_err().to_string();
            assert!(error.contains("2 data pages and 2 other parts"), "{error}");
        }
        for (wrong, chunk) in [
            (&table[..27], 1),
            (&table[..24], 1),
            (&table[..8], 0),
            (&table, 2),
        ] {
            assert_eq!(checksums_of(wrong, chunk, 2), None);
        }
    }

    #[test]
    fn an_offset_index_that_claims_more_pages_than_it_has_bytes_is_refused() {
        let mut bytes = vec![0x19, 0xfc];
        varint::put(&mut bytes, 1 << 31);
        bytes.extend([0; 8]);
        for is_listed in [false, true] {
            let error = decode_offset_index(&bytes, &(4..20), 9, is_listed).unwrap_err();
            assert!(
                error
                    .to_string()
                    .contains("as many pages as fit 15 bytes, found 2147483648"),
                "{error}"
            );
        }
    }

    #[test]
    fn pages_follow_one_another_and_share_out_the_rows() {
        let bytes = offset_index(&[(4, 10, 0), (14, 6, 7)]);
        let index = decode_offset_index(&bytes, &(4..20), 9, false).unwrap();
        assert_eq!(
            index.pages,
            [
                PageLocation {
                    bytes: 4..14,
                    rows: 0..7,
                    header_crc: None,
                },
                PageLocation {
                    bytes: 14..20,
                    rows: 7..9,
                    header_crc: None,
                },
            ]
        );
    }

    #[test]
    fn pages_that_overlap_or_leave_their_chunk_are_refused() {
        for (bad, chunk, rows) in [
            (vec![(4, 10, 0), (13, 6, 7)], 4..20, 9),
            (vec![(4, 10, 0)], 4..13, 9),
            (vec![(3, 10, 0)], 4..20, 9),
            (vec![(4, 10, 1)], 4..20, 9),
            (vec![(4, 10, 0), (14, 6, 10)], 4..20, 9),
            (vec![(4, 0, 0)], 4..20, 9),
            (vec![], 4..20, 9),
        ] {
            let bytes = offset_index(&bad);
            assert!(
                decode_offset_index(&bytes, &chunk, rows, false).is_err(),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_column_index_has_an_entry_for_each_page() {
        // One page: not all null, bounds "a" and "b", ascending, two nulls.
        let bytes = [
            0x19, 0x11, 0x02, 0x19, 0x18, 0x01, b'a', 0x19, 0x18, 0x01, b'b', 0x15, 0x02, 0x19,
            0x16, 0x04, 0x00,
        ];
        assert_eq!(
            decode_column_index(&bytes, 1, false).unwrap().get(0),
            Some(PageBounds {
                all_null: false,
                min: b"a",
                max: b"b",
                nulls: Some(2)
            })
        );
        assert!(decode_column_index(&bytes, 2, false).is_err());
    }
}
