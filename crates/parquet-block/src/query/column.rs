//! One column of one row group: its pages, and their values once the bytes are there.

use std::{borrow::Borrow, ops::Range};

use bytes::Bytes;

use super::lookup::Supply;
use crate::{
    error::Error,
    format::{
        decoded::PageRole,
        fault::Fault,
        footer::Footer,
        hybrid::Hybrid,
        ids::{IdPage, NULL},
        metadata::{ColumnChunk, Repetition},
        page::{Encoding, Page},
        page_index::PageLocation,
        row_ranges::RowRanges,
        values::{ByteArrays, Dictionary},
    },
};

/// The pages of a column of a row group.
#[derive(Clone, Debug)]
pub(crate) struct ColumnPages {
    pub(crate) group: usize,
    pub(crate) column: usize,
    /// The dictionary page.
    pub(crate) dictionary: Option<Range<u64>>,
    /// CRC-32 of the header of the dictionary page, if the file has it.
    dictionary_crc: Option<u32>,
    /// CRC-32 of the bloom filter, if the file has it.
    pub(crate) bloom_crc: Option<u32>,
    /// The wanted data pages.
    pub(crate) pages: Vec<PageLocation>,
}

impl ColumnPages {
    /// No page of a column.
    pub(crate) fn none(group: usize, column: usize) -> Self {
        Self {
            group,
            column,
            dictionary: None,
            dictionary_crc: None,
            bloom_crc: None,
            pages: Vec::new(),
        }
    }

    /// All pages of a column.
    pub(crate) fn of(footer: &Footer, group: usize, column: usize) -> Result<Self, Error> {
        let index = footer.offset_index(group, column)?;
        let (_, chunk) = footer.chunk(group, column)?;
        Ok(Self {
            group,
            column,
            dictionary: index.dictionary(&chunk.pages),
            dictionary_crc: index.dictionary_crc,
            bloom_crc: index.bloom_crc,
            pages: index.pages,
        })
    }

    /// Keeps the pages that hold some of `rows`.
    pub(crate) fn retain(&mut self, rows: &RowRanges) {
        self.pages.retain(|page| rows.overlaps(&page.rows));
        if self.pages.is_empty() {
            self.dictionary = None;
        }
    }

    /// The dictionary and the pages, as ranges of the file.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<u64>> {
        let pages = self.pages.iter().map(|page| page.bytes.clone());
        self.dictionary.iter().cloned().chain(pages)
    }

    /// As [`Self::ranges`], with the checksums of the headers if the file has them.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&Range<u64>, u32)> {
        let pages = self.pages.iter().map(|page| (&page.bytes, page.header_crc));
        let dictionary = self
            .dictionary
            .iter()
            .map(|range| (range, self.dictionary_crc));
        let all = dictionary.chain(pages);
        all.filter_map(|(range, crc)| Some((range, crc?)))
    }

    /// Bytes of the dictionary and the pages.
    pub(crate) fn size(&self) -> u64 {
        self.ranges().map(|range| range.end - range.start).sum()
    }

    /// The dictionary of a label's column; empty if it has none.
    pub(crate) fn dictionary(&self, footer: &Footer, supply: &Supply) -> Result<Dictionary, Error> {
        self.decode_dictionary(footer, supply, Dictionary::decode)
    }

    fn decode_dictionary<T: Default>(
        &self,
        footer: &Footer,
        supply: &Supply,
        decode: impl FnOnce(&Page) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        let Some(range) = &self.dictionary else {
            return Ok(T::default());
        };
        let (_, chunk) = footer.chunk(self.group, self.column)?;
        let bytes = supplied(supply, range)?;
        footer
            .page(range, bytes, PageRole::Dictionary, || {
                Page::dictionary(bytes, chunk, self.dictionary_crc)
            })
            .and_then(|page| decode(&page))
            .map_err(|fault| footer.damaged(range.start, fault))
    }

    /// The rows of one page of a label's column; the first `stored` values of `dictionary` are those of the dictionary
    /// page.
    pub(crate) fn id_page(
        &self,
        footer: &Footer,
        location: &PageLocation,
        bytes: &Bytes,
        dictionary: &mut Dictionary,
        stored: usize,
    ) -> Result<IdPage, Error> {
        self.data_page(footer, location, bytes)?
            .and_then(|page| IdPage::decode(page, dictionary, stored))
            .map_err(|fault| footer.damaged(location.bytes.start, fault))
    }

    /// The ids of `rows` of a label's column, and their dictionary. Rows of unwanted pages have no value.
    pub(crate) fn ids(
        &self,
        footer: &Footer,
        supply: &Supply,
        rows: &RowRanges,
    ) -> Result<(Dictionary, Vec<u32>), Error> {
        let mut dictionary = self.dictionary(footer, supply)?;
        let stored = dictionary.len();
        let mut ids = Vec::with_capacity(rows.len());
        self.read_ids(footer, rows, &mut ids, |_, location| {
            let bytes = supplied(supply, &location.bytes)?;
            self.id_page(footer, location, bytes, &mut dictionary, stored)
        })?;
        Ok((dictionary, ids))
    }

    /// Puts the ids of `rows` into `ids`, which is empty. `page` decodes a page, given with its index among the wanted
    /// ones. Rows of other pages have no value.
    pub(crate) fn read_ids<P: Borrow<IdPage>>(
        &self,
        footer: &Footer,
        rows: &RowRanges,
        ids: &mut Vec<u32>,
        mut page: impl FnMut(usize, &PageLocation) -> Result<P, Error>,
    ) -> Result<(), Error> {
        let span = rows.span().unwrap_or_default();
        let mut done = span.start;
        let before = self.pages.partition_point(|page| page.rows.end <= done);
        for (place, location) in self.pages.iter().enumerate().skip(before) {
            if location.rows.start >= span.end {
                break;
            }
            let gap = rows.within(done..location.rows.start).len();
            ids.resize(ids.len() + gap, NULL);
            done = location.rows.end;
            page(place, location)?
                .borrow()
                .read(&rows_of_page(rows, &location.rows), ids)
                .map_err(|fault| footer.damaged(location.bytes.start, fault))?;
        }
        ids.resize(rows.len(), NULL);
        Ok(())
    }

    /// The dictionary of a column of byte strings; empty if it has none.
    pub(crate) fn byte_dictionary(
        &self,
        footer: &Footer,
        supply: &Supply,
    ) -> Result<ByteArrays, Error> {
        self.decode_dictionary(footer, supply, |page| ByteArrays::decode(page, page.values))
    }

    /// The byte strings of one page, one for each row; a null is an empty one.
    pub(crate) fn byte_page(
        &self,
        footer: &Footer,
        location: &PageLocation,
        bytes: &Bytes,
        dictionary: &ByteArrays,
    ) -> Result<ByteArrays, Error> {
        self.data_page(footer, location, bytes)?
            .and_then(|page| byte_rows(&page, dictionary))
            .map_err(|fault| footer.damaged(location.bytes.start, fault))
    }

    /// A data page, decompressed.
    fn data_page(
        &self,
        footer: &Footer,
        location: &PageLocation,
        bytes: &Bytes,
    ) -> Result<Result<Page, Fault>, Error> {
        let (chunk, repetition) = self.kind(footer)?;
        let role = PageRole::Data {
            rows: location.rows.len(),
            optional: repetition == Repetition::Optional,
        };
        Ok(footer.page(&location.bytes, bytes, role, || {
            Page::data(bytes, chunk, repetition, location)
        }))
    }

    fn kind<'a>(&self, footer: &'a Footer) -> Result<(&'a ColumnChunk, Repetition), Error> {
        let (_, chunk) = footer.chunk(self.group, self.column)?;
        match footer.columns().get(self.column) {
            Some(column) if column.byte_array => Ok((chunk, column.repetition)),
            Some(column) => Err(footer.invalid(format!(
                "column {:?}: expected byte strings, found another type",
                column.name
            ))),
            None => Err(footer.invalid(format!("column {} is missing", self.column))),
        }
    }
}

/// The bytes of `range`, which the lookup asked for.
pub(crate) fn supplied<'a>(supply: &'a Supply, range: &Range<u64>) -> Result<&'a Bytes, Error> {
    supply.get(range).ok_or_else(|| Error::Supply {
        found: None,
        range: range.clone(),
    })
}

/// The part of `rows` in a page, counted within it.
pub(crate) fn rows_of_page(rows: &RowRanges, page: &Range<u32>) -> RowRanges {
    rows.within(page.clone())
        .iter()
        .map(|range| range.start - page.start..range.end - page.start)
        .collect()
}

fn byte_rows(page: &Page, dictionary: &ByteArrays) -> Result<ByteArrays, Fault> {
    let mut levels = match &page.levels {
        Some(levels) => Some(Hybrid::new(levels, 1)?),
        None => None,
    };
    let present = match &mut levels {
        Some(levels) => levels.clone().count_ones(page.values)?,
        None => page.values,
    };
    let values = if page.encoding == Encoding::Dictionary {
        let (width, ids) = page.data.split_first().unwrap_or((&0, &[]));
        let mut out = Vec::new();
        Hybrid::new(ids, *width)?.read(present, &mut out)?;
        dictionary.of_ids(&out)?
    } else {
        ByteArrays::decode(page, present)?
    };
    match levels {
        Some(mut levels) if present < page.values => {
            let mut rows = Vec::new();
            levels.read(page.values, &mut rows)?;
            Ok(values.spread(rows.iter().map(|level| *level != 0)))
        }
        _ => Ok(values),
    }
}
