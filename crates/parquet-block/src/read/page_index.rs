//! The page indexes of a column chunk: where its pages are, and what their values lie between.
//!
//! ```text
//! OffsetIndex  1: list<PageLocation { 1: i64 offset, 2: i32 size with header, 3: i64 first row }>
//! ColumnIndex  1: list<bool> null pages, 2: list<binary> lower bounds, 3: list<binary> upper bounds,
//!              4: i32 boundary order, 5: list<i64> null counts
//! ```
//! A file with the key-value `varve_checksums` has in each offset index what a page's own checksum does not cover:
//!
//! ```text
//! OffsetIndex  32767: binary { u32 little-endian CRC-32 of the header of the dictionary page, if there is one;
//!                              of the header of each data page; of the bloom filter, if there is one }
//! ```

use std::ops::Range;

use super::{
    fault::Fault,
    thrift::{Kind, Thrift},
};
use crate::schema::EXTENSION;

/// A data page of a column chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageLocation {
    /// Where it is in the file, header included.
    pub(crate) bytes: Range<u64>,
    /// Its rows, counted within the row group.
    pub(crate) rows: Range<u32>,
    /// CRC-32 of its header, where the file has it.
    pub(crate) header_crc: Option<u32>,
}

/// Where the pages of a column chunk are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OffsetIndex {
    /// The data pages.
    pub(crate) pages: Vec<PageLocation>,
    /// CRC-32 of the header of the dictionary page, where the file has it.
    pub(crate) dictionary_crc: Option<u32>,
    /// CRC-32 of the bloom filter, where the file has it.
    pub(crate) bloom_crc: Option<u32>,
}

/// What an offset index is of, as the metadata tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Described<'a> {
    /// Where the pages are, the dictionary's included.
    pub(crate) chunk: &'a Range<u64>,
    pub(crate) rows: u32,
    pub(crate) has_bloom_filter: bool,
    /// Whether there must be checksums.
    pub(crate) checksums: bool,
}

/// What is known of the values of one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageBounds<'a> {
    /// Whether all its values are null.
    pub(crate) all_null: bool,
    pub(crate) min: &'a [u8],
    pub(crate) max: &'a [u8],
    /// How many values are null, if the writer tells.
    pub(crate) nulls: Option<u64>,
}

/// Decodes an offset index whose pages lie within the column chunk and together hold all its rows.
pub(crate) fn decode_offset_index(
    bytes: &[u8],
    described: Described<'_>,
) -> Result<OffsetIndex, Fault> {
    let Described { chunk, rows, .. } = described;
    let mut thrift = Thrift::new(bytes);
    let mut pages: Vec<PageLocation> = Vec::new();
    let mut checksums = None;
    thrift.fields(|t, id, kind| match (id, kind) {
        (1, Kind::List) => {
            for _ in 0..t.list_of(Kind::Struct)? {
                let (bytes, first) = page_location(t)?;
                let (after, last_first) = pages
                    .last()
                    .map_or((chunk.start, 0), |last| (last.bytes.end, last.rows.start));
                if bytes.is_empty() || bytes.start < after || bytes.end > chunk.end {
                    return Err(t.fault(format!(
                        "page at {bytes:?}, expected within {after}..{}",
                        chunk.end
                    )));
                }
                let first = u32::try_from(first).unwrap_or(u32::MAX);
                if first < last_first || first > rows || (pages.is_empty() && first != 0) {
                    return Err(t.fault(format!(
                        "page begins with row {first} after row {last_first} of {rows}"
                    )));
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
            Ok(())
        }
        (EXTENSION, Kind::Binary) if described.checksums => {
            checksums = Some(t.binary()?);
            Ok(())
        }
        _ => t.skip(kind),
    })?;
    if pages.is_empty() && rows > 0 {
        return Err(thrift.fault(format!("offset index without pages for {rows} rows")));
    }
    let mut index = OffsetIndex {
        pages,
        ..OffsetIndex::default()
    };
    if described.checksums {
        index
            .set_checksums(checksums.unwrap_or_default(), described)
            .map_err(|reason| thrift.fault(reason))?;
    }
    Ok(index)
}

impl OffsetIndex {
    /// Where the dictionary page is, if there is one before the data pages of a column chunk at `chunk`.
    pub(crate) fn dictionary(&self, chunk: &Range<u64>) -> Option<Range<u64>> {
        let first = self.pages.first()?.bytes.start;
        (chunk.start < first).then_some(chunk.start..first)
    }

    fn set_checksums(&mut self, stored: &[u8], described: Described<'_>) -> Result<(), String> {
        let has_dictionary = self.dictionary(described.chunk).is_some();
        let others = usize::from(has_dictionary) + usize::from(described.has_bloom_filter);
        let (checksums, rest) = stored.as_chunks::<4>();
        if checksums.len() != self.pages.len() + others || !rest.is_empty() {
            return Err(format!(
                "checksums of {} bytes for {} data pages and {others} other parts",
                stored.len(),
                self.pages.len()
            ));
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

fn page_location(t: &mut Thrift<'_>) -> Result<(Range<u64>, u64), Fault> {
    let (mut offset, mut size, mut first_row) = (0, 0, 0);
    t.fields(|t, id, kind| {
        match (id, kind) {
            (1, Kind::I64) => offset = t.unsigned()?,
            (2, Kind::I32) => size = t.size()?,
            (3, Kind::I64) => first_row = t.unsigned()?,
            _ => t.skip(kind)?,
        }
        Ok(())
    })?;
    match offset.checked_add(size as u64) {
        Some(end) => Ok((offset..end, first_row)),
        None => Err(t.fault(format!("page at {offset} of {size} bytes"))),
    }
}

/// Decodes a column index of `pages` pages.
pub(crate) fn decode_column_index(
    bytes: &[u8],
    pages: usize,
) -> Result<Vec<PageBounds<'_>>, Fault> {
    let mut thrift = Thrift::new(bytes);
    let mut all_null = Vec::new();
    let (mut mins, mut maxes) = (Vec::new(), Vec::new());
    let mut nulls = Vec::new();
    thrift.fields(|t, id, kind| {
        match (id, kind) {
            (1, Kind::List) => {
                let (_, len) = t.list()?;
                for _ in 0..len {
                    all_null.push(t.bool_element()?);
                }
            }
            (2, Kind::List) => mins = binaries(t)?,
            (3, Kind::List) => maxes = binaries(t)?,
            (5, Kind::List) => {
                for _ in 0..t.list_of(Kind::I64)? {
                    nulls.push(t.unsigned()?);
                }
            }
            _ => t.skip(kind)?,
        }
        Ok(())
    })?;
    if all_null.len() != pages
        || mins.len() != pages
        || maxes.len() != pages
        || !(nulls.is_empty() || nulls.len() == pages)
    {
        return Err(thrift.fault(format!(
            "column index of {}, {}, {} and {} entries for {pages} pages",
            all_null.len(),
            mins.len(),
            maxes.len(),
            nulls.len()
        )));
    }
    let nulls = nulls.into_iter().map(Some).chain(std::iter::repeat(None));
    Ok(all_null
        .into_iter()
        .zip(mins)
        .zip(maxes)
        .zip(nulls)
        .map(|(((all_null, min), max), nulls)| PageBounds {
            all_null,
            min,
            max,
            nulls,
        })
        .collect())
}

fn binaries<'a>(t: &mut Thrift<'a>) -> Result<Vec<&'a [u8]>, Fault> {
    let len = t.list_of(Kind::Binary)?;
    let mut values = Vec::with_capacity(len);
    for _ in 0..len {
        values.push(t.binary()?);
    }
    Ok(values)
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

    fn described(chunk: &Range<u64>, rows: u32) -> Described<'_> {
        Described {
            chunk,
            rows,
            has_bloom_filter: false,
            checksums: false,
        }
    }

    #[test]
    fn checksums_are_of_each_page_and_filter_or_refused() {
        let of = |checksums: &[u8]| {
            let mut bytes = offset_index(&[(10, 4, 0), (14, 6, 7)]);
            bytes.pop();
            bytes.extend([0x08, 0xfe, 0xff, 0x03]);
            bytes.push(u8::try_from(checksums.len()).unwrap());
            bytes.extend(checksums);
            bytes.push(0);
            let described = Described {
                has_bloom_filter: true,
                checksums: true,
                ..described(&(4..20), 9)
            };
            decode_offset_index(&bytes, described)
        };
        let crcs: Vec<u8> = (1..=4_u32).flat_map(u32::to_le_bytes).collect();
        let index = of(&crcs).unwrap();
        assert_eq!((index.dictionary_crc, index.bloom_crc), (Some(1), Some(4)));
        let headers: Vec<_> = index.pages.iter().map(|page| page.header_crc).collect();
        assert_eq!(headers, [Some(2), Some(3)]);
        for wrong in [&crcs[..12], &crcs[..15], &[]] {
            let error = of(wrong).unwrap_err().to_string();
            assert!(error.contains("2 data pages and 2 other parts"), "{error}");
        }
        let without = offset_index(&[(4, 10, 0)]);
        let described = Described {
            checksums: true,
            ..described(&(4..20), 9)
        };
        decode_offset_index(&without, described).unwrap_err();
    }

    #[test]
    fn pages_follow_one_another_and_share_out_the_rows() {
        let bytes = offset_index(&[(4, 10, 0), (14, 6, 7)]);
        let index = decode_offset_index(&bytes, described(&(4..20), 9)).unwrap();
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
                decode_offset_index(&bytes, described(&chunk, rows)).is_err(),
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
            decode_column_index(&bytes, 1).unwrap(),
            [PageBounds {
                all_null: false,
                min: b"a",
                max: b"b",
                nulls: Some(2)
            }]
        );
        assert!(decode_column_index(&bytes, 2).is_err());
    }
}
