//! What is needed of an index to find matching series: a header file ([`super::header_file`]), or the same in memory.

use std::{
    ops::{ControlFlow, Range},
    sync::Arc,
};

use bytes::Bytes;
use model::Matcher;

use super::{
    FILE, MAGIC, SERIES_ALIGN,
    header_file::{HeaderPages, HeaderRoot, HeaderWriter, InMemory, Page, PageReader, Tree},
    label_table::LabelTable,
    plan::PostingsPlan,
    series,
    symbols::SymbolReader,
    toc::Toc,
};
use crate::{
    codec::{Fault, Input, Stop},
    error::{Error, Result},
    refs::{Fetched, SeriesEntry, SeriesRef, SymbolRef},
};

/// The parts of an index that are needed before any series is read: symbols, and the offsets of postings.
///
/// Its pages are read when needed. For an index in a bucket: fetch [`Toc::range`], decode it, and either open an
/// existing header file ([`crate::HeaderFile`]), or fetch [`Toc::header_ranges`] and build one ([`HeaderWriter`]).
#[derive(Clone, Debug)]
pub struct IndexHeader {
    pages: Arc<dyn HeaderPages>,
    root: HeaderRoot,
}

impl IndexHeader {
    /// The header with these pages. Nothing is read yet.
    #[must_use]
    pub fn new(root: HeaderRoot, pages: Arc<dyn HeaderPages>) -> Self {
        Self { pages, root }
    }

    /// The header for work that must not wait for a disk: where it needs a page that is not in memory it gives an error
    /// for which [`Error::would_block`] is true.
    #[must_use]
    pub fn in_memory(&self) -> Self {
        let pages = InMemory(Arc::clone(&self.pages));
        Self::new(self.root.clone(), Arc::new(pages))
    }

    /// Builds a header in memory from the bytes of [`Toc::header_ranges`].
    ///
    /// # Errors
    /// When a section is damaged, or the version is not 1, 2 or 3.
    pub fn decode(toc: Toc, head: &[u8], symbols: &[u8], postings_table: &[u8]) -> Result<Self> {
        let room = (symbols.len() + postings_table.len()) / 8 * 9;
        let out = Vec::with_capacity(room);
        let mut writer = HeaderWriter::new(out, FILE.as_ref(), toc, 0, head)?;
        writer.push(symbols)?;
        writer.push(postings_table)?;
        let (bytes, root) = writer.finish()?;
        Ok(Self::new(root, Arc::new(Bytes::from(bytes))))
    }

    /// The version of the index: 1, 2 or 3.
    #[must_use]
    pub fn version(&self) -> u8 {
        self.root.version
    }

    /// The table of contents.
    #[must_use]
    pub fn toc(&self) -> &Toc {
        &self.root.toc
    }

    /// The number of symbols.
    #[must_use]
    pub fn symbol_count(&self) -> usize {
        self.root.symbols as usize
    }

    /// A reader of symbols, which keeps the pages that it has read.
    #[must_use]
    pub fn symbols(&self) -> SymbolReader<'_> {
        SymbolReader::new(self)
    }

    /// The label names in order.
    ///
    /// # Errors
    /// When a page cannot be read, or is damaged.
    pub fn label_names(&self) -> Result<Vec<Vec<u8>>> {
        let mut names = Vec::new();
        self.table().each_name(&mut |name| {
            if !name.is_empty() {
                names.push(name.to_owned());
            }
        })?;
        Ok(names)
    }

    /// The values of one label, in order; none for an unknown name.
    ///
    /// # Errors
    /// When a page cannot be read, or is damaged.
    pub fn label_values(&self, name: impl AsRef<[u8]>) -> Result<Vec<Vec<u8>>> {
        let mut values = Vec::new();
        self.each_value(name.as_ref(), |value, _| values.push(value.to_owned()))?;
        Ok(values)
    }

    /// The number of a label's values.
    ///
    /// # Errors
    /// When a page cannot be read, or is damaged.
    pub fn label_value_count(&self, name: impl AsRef<[u8]>) -> Result<u64> {
        let found = self.table().name(name.as_ref())?;
        Ok(found.map_or(0, |name| name.values))
    }

    /// The range in the index of the postings of a label value. With an empty name and value: those of all series.
    ///
    /// # Errors
    /// When a page cannot be read, or is damaged.
    pub fn postings_range(
        &self,
        name: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<Option<Range<u64>>> {
        let mut table = self.table();
        match table.name(name.as_ref())? {
            Some(name) => table.postings(name, value.as_ref()),
            None => Ok(None),
        }
    }

    /// The ranges in the index of the postings of a label's values, in the order of the values.
    ///
    /// # Errors
    /// When a page cannot be read, or is damaged.
    pub fn postings_ranges(&self, name: impl AsRef<[u8]>) -> Result<Vec<Range<u64>>> {
        let mut ranges = Vec::new();
        self.each_value(name.as_ref(), |_, range| ranges.push(range))?;
        Ok(ranges)
    }

    /// The plan of what to read for the series that all matchers match; without any, for all series.
    ///
    /// A series without a label has the empty value for it, as everywhere in Prometheus.
    ///
    /// # Errors
    /// When a page cannot be read, or is damaged.
    pub fn select(&self, matchers: &[Matcher]) -> Result<PostingsPlan> {
        PostingsPlan::new(&mut self.table(), matchers)
    }

    /// The range to read for one series of an estimated size of up to `max_size` bytes.
    #[must_use]
    pub fn series_range(&self, series: SeriesRef, max_size: u64) -> Range<u64> {
        let section = self.toc().series_range();
        let start = self.series_offset(series).min(section.end);
        start..start.saturating_add(max_size).min(section.end)
    }

    /// Decodes a series from bytes that start at the range of [`IndexHeader::series_range`]; they may continue behind
    /// it.
    ///
    /// # Errors
    /// When the series is damaged, or `series` is not one.
    pub fn decode_series(&self, bytes: &[u8], series: SeriesRef) -> Result<Fetched<SeriesEntry>> {
        let mut entry = SeriesEntry::default();
        Ok(match self.decode_series_into(bytes, series, &mut entry)? {
            Fetched::Done(()) => Fetched::Done(entry),
            Fetched::Short { needed } => Fetched::Short { needed },
        })
    }

    /// As [`IndexHeader::decode_series`], into an entry whose memory is reused. Unless it returns [`Fetched::Done`],
    /// the contents of the entry are unspecified.
    ///
    /// # Errors
    /// When the series is damaged, or `series` is not one.
    pub fn decode_series_into(
        &self,
        bytes: &[u8],
        series: SeriesRef,
        entry: &mut SeriesEntry,
    ) -> Result<Fetched<()>> {
        let section = self.toc().series_range();
        let offset = self.series_offset(series);
        if !section.contains(&offset) {
            let expected = format!(
                "a series at {} to {}",
                section.start,
                section.end.saturating_sub(1)
            );
            let found = format!("reference {}", series.0);
            return Err(Error::corrupt(FILE, offset, expected, found));
        }
        if self.version() == 1 {
            let mut pages = self.reader();
            let symbol = |stored| self.symbol_at(&mut pages, stored);
            return series::decode(bytes, offset, section.end, symbol, entry);
        }
        let symbol = |stored| self.symbol_numbered(stored);
        series::decode(bytes, offset, section.end, symbol, entry)
    }

    /// The offset of a series in the index.
    #[must_use]
    pub fn series_offset(&self, series: SeriesRef) -> u64 {
        if self.version() == 1 {
            u64::from(series.0)
        } else {
            u64::from(series.0) * SERIES_ALIGN
        }
    }

    /// Bytes on the heap, without pages in a cache.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.pages.heap_size()
    }

    pub(super) fn reader(&self) -> PageReader<'_> {
        PageReader::new(&*self.pages)
    }

    /// Shows the values of a label in order, with the ranges of their postings.
    fn each_value(&self, name: &[u8], mut each: impl FnMut(&[u8], Range<u64>)) -> Result<()> {
        let mut table = self.table();
        let Some(name) = table.name(name)? else {
            return Ok(());
        };
        table.each_value(name, b"", &mut |value, range| {
            each(value, range);
            ControlFlow::Continue(())
        })
    }

    fn table(&self) -> LabelTable<'_> {
        LabelTable::new(self.reader(), self.root.name_root)
    }

    /// The leaf that has the symbol of this number, or would have it.
    pub(super) fn symbol_page(&self, pages: &mut PageReader<'_>, number: u32) -> Result<Page> {
        self.symbol_leaf(pages, |first, _| first <= u64::from(number))
    }

    /// All leaves of symbols, in order.
    pub(super) fn symbol_pages(&self) -> Result<Vec<Page>> {
        match self.root.symbol_root {
            Some(root) => self.reader().leaves(root, Tree::Symbols),
            None => Ok(Vec::new()),
        }
    }

    fn symbol_leaf(
        &self,
        pages: &mut PageReader<'_>,
        before: impl Fn(u64, u64) -> bool,
    ) -> Result<Page> {
        let root = self.root.symbol_root.ok_or_else(|| {
            let found = "a header without";
            Error::corrupt(self.pages.name(), 0, "symbols", found).of_header()
        })?;
        let begins = |entry: &mut Input<'_>| Ok(before(entry.uvarint()?, entry.uvarint()?));
        pages.leaf(root, Tree::Symbols, begins)
    }

    fn symbol_numbered(&self, stored: u32) -> Result<SymbolRef, Stop> {
        if stored < self.root.symbols {
            return Ok(SymbolRef(stored));
        }
        Err(Stop::Fault(Fault::Bad {
            expected: "a symbol of the index",
            found: u64::from(stored),
        }))
    }

    /// The symbol that an index of version 1 names by its offset in the file.
    fn symbol_at(&self, pages: &mut PageReader<'_>, offset: u32) -> Result<SymbolRef, Stop> {
        let bad = Fault::Bad {
            expected: "the offset of a symbol",
            found: u64::from(offset),
        };
        if self.root.symbols == 0 {
            return Err(bad.into());
        }
        let leaf = self.symbol_leaf(pages, |_, first| first <= u64::from(offset))?;
        let first = leaf.first_symbol();
        let (number, start) = first.map_err(|fault| pages.fault(&leaf, fault))?;
        let behind = u64::from(offset).checked_sub(start).ok_or(bad)?;
        let at = leaf.symbol_behind(behind).ok_or(bad)?;
        let at = u32::try_from(at).ok().and_then(|at| number.checked_add(at));
        Ok(SymbolRef(at.ok_or(bad)?))
    }
}

pub(super) fn decode_head(head: &[u8]) -> Result<u8> {
    let mut input = Input::new(head, 0);
    let read = |input: &mut Input<'_>| Ok((input.be32()?, input.byte()?));
    let (magic, version) =
        read(&mut input).map_err(|fault| input.error(FILE, "magic and version", fault))?;
    if magic != MAGIC {
        let expected = format!("magic {MAGIC:#010x}");
        return Err(Error::corrupt(FILE, 0, expected, format!("{magic:#010x}")));
    }
    if !(1..=3).contains(&version) {
        return Err(Error::Version {
            file: FILE.to_owned(),
            expected: "1, 2 or 3",
            found: version,
        });
    }
    Ok(version)
}

/// Magic and version of the indexes that Varve writes.
pub(super) fn encode_head() -> [u8; 5] {
    let [a, b, c, d] = MAGIC.to_be_bytes();
    [a, b, c, d, 2]
}
