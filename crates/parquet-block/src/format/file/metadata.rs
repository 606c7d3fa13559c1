//! The metadata of a column and of its chunks, at the end of a file.

use super::column::{Column, ColumnKind};
use crate::format::{
    bounds::Bounds,
    page::{EncodedColumn, EncodedPage, Encoding, PageKind},
    thrift::ThriftWriter,
};

const BYTE_ARRAY: i32 = 6;
const ZSTD: i32 = 6;
const UTF8: i32 = 0;
const REQUIRED: i32 = 0;
const OPTIONAL: i32 = 1;
/// The encoding of definition levels.
const RLE: i32 = 3;

/// The range of a column chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) start: u64,
    pub(super) compressed: u64,
    pub(super) uncompressed: u64,
    /// The offset and size of its bloom filter.
    pub(super) bloom_filter: Option<(u64, usize)>,
}

/// `SchemaElement` of a column.
pub(super) fn schema_element(t: &mut ThriftWriter, column: &Column) {
    t.i32(1, BYTE_ARRAY);
    match column.kind {
        ColumnKind::Strings => {
            t.i32(3, OPTIONAL);
            t.binary(4, column.name.as_bytes());
            t.i32(6, UTF8);
            t.structure(10, |t| t.structure(1, |_| ()));
        }
        ColumnKind::Bytes(_) => {
            t.i32(3, REQUIRED);
            t.binary(4, column.name.as_bytes());
        }
    }
}

/// `ColumnMetaData`.
pub(super) fn column_metadata(column: &Column, encoded: &EncodedColumn, place: &Place) -> Vec<u8> {
    let dictionary = encoded.dictionary.as_ref();
    let of_values = column.kind.encoding().id();
    let encodings = match column.kind {
        ColumnKind::Strings => vec![Encoding::Plain.id(), RLE, of_values],
        ColumnKind::Bytes(_) => vec![of_values],
    };
    ThriftWriter::of(|t| {
        t.i32(1, BYTE_ARRAY);
        t.i32s(2, &encodings);
        t.binaries(3, [column.name.as_bytes()].into_iter());
        t.i32(4, ZSTD);
        t.long(5, encoded.rows() as u64);
        t.long(6, place.uncompressed);
        t.long(7, place.compressed);
        let dictionary_size = dictionary.map_or(0, |page| page.len());
        t.long(9, place.start + dictionary_size as u64);
        if dictionary.is_some() {
            t.long(11, place.start);
        }
        t.structure(12, |t| statistics(t, encoded));
        let data = (PageKind::Data, of_values, encoded.pages.len());
        let dictionary = dictionary.map(|_| (PageKind::Dictionary, Encoding::Plain.id(), 1));
        let pages: Vec<_> = dictionary.into_iter().chain([data]).collect();
        t.structures(13, pages.into_iter(), |t, (kind, encoding, count)| {
            t.i32(1, kind.id());
            t.i32(2, encoding);
            t.size(3, count);
        });
        if let Some((start, len)) = place.bloom_filter {
            t.long(14, start);
            t.size(15, len);
        }
    })
}

fn statistics(t: &mut ThriftWriter, encoded: &EncodedColumn) {
    t.long(3, encoded.nulls() as u64);
    if let Some(bounds) = &encoded.bounds {
        t.binary(5, &bounds.max);
        t.binary(6, &bounds.min);
        t.bool(7, bounds.max_exact);
        t.bool(8, bounds.min_exact);
    }
}

/// `ColumnIndex`. Pages of byte strings have empty bounds, as parquet-common writes them: readers demand an index of
/// every column, and such bounds would be of no use.
pub(super) fn column_index(pages: &[EncodedPage]) -> Vec<u8> {
    let bound_of = |of: fn(&Bounds) -> &Vec<u8>| {
        pages.iter().map(move |page| {
            let bound = page.bounds.as_ref().map(of);
            bound.map_or(&[][..], |bound| bound.as_slice())
        })
    };
    ThriftWriter::of(|t| {
        t.bools(1, pages.iter().map(|page| page.nulls == page.rows));
        t.binaries(2, bound_of(|bounds| &bounds.min));
        t.binaries(3, bound_of(|bounds| &bounds.max));
        t.i32(4, boundary_order(pages));
        t.longs(5, pages.iter().map(|page| page.nulls as u64));
    })
}

/// 1 if the bounds of pages with values ascend, 2 if they descend, 0 otherwise.
fn boundary_order(pages: &[EncodedPage]) -> i32 {
    let bounds = || pages.iter().filter_map(|page| page.bounds.as_ref());
    let mins = || bounds().map(|bounds| &bounds.min);
    let maxes = || bounds().map(|bounds| &bounds.max);
    if pages
        .iter()
        .any(|page| page.bounds.is_none() && page.nulls < page.rows)
    {
        0
    } else if mins().is_sorted() && maxes().is_sorted() {
        1
    } else if mins().is_sorted_by(|a, b| a >= b) && maxes().is_sorted_by(|a, b| a >= b) {
        2
    } else {
        0
    }
}

/// The checksums of what has none in Parquet; `page_index` draws them.
pub(super) fn checksums(encoded: &EncodedColumn) -> Vec<u32> {
    let headers = encoded.all_pages().map(|page| page.header_crc);
    let filter = encoded.bloom_filter.as_deref().map(crc32fast::hash);
    headers.chain(filter).collect()
}

/// `OffsetIndex`.
pub(super) fn offset_index(encoded: &EncodedColumn, place: &Place) -> Vec<u8> {
    let dictionary = encoded.dictionary.as_ref();
    let mut offset = place.start + dictionary.map_or(0, |page| page.len()) as u64;
    let mut row = 0;
    ThriftWriter::of(|t| {
        t.structures(1, encoded.pages.iter(), |t, page| {
            t.long(1, offset);
            t.size(2, page.len());
            t.long(3, row);
            offset += page.len() as u64;
            row += page.rows as u64;
        });
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page with these bounds; one of nulls if there are none.
    fn page(bounds: Option<(&str, &str)>) -> EncodedPage {
        EncodedPage {
            rows: 1,
            nulls: usize::from(bounds.is_none()),
            bounds: bounds.map(|(min, max)| Bounds::of(min.as_bytes(), max.as_bytes())),
            ..EncodedPage::default()
        }
    }

    #[test]
    fn pages_of_nulls_do_not_count_in_the_order_of_bounds() {
        let order = |bounds: &[Option<(&str, &str)>]| {
            let pages: Vec<EncodedPage> = bounds.iter().copied().map(page).collect();
            boundary_order(&pages)
        };
        assert_eq!(order(&[Some(("a", "b")), None, Some(("b", "c"))]), 1);
        assert_eq!(order(&[None, Some(("b", "c")), Some(("a", "b"))]), 2);
        assert_eq!(order(&[Some(("a", "d")), Some(("b", "c"))]), 0);
        assert_eq!(order(&[None, None]), 1);
        let mut unknown = page(Some(("a", "b")));
        unknown.bounds = None;
        assert_eq!(boundary_order(&[unknown]), 0);
    }
}
