//! What is kept of an index to answer which series match: symbols and the postings offset table.

use std::ops::Range;

use bytes::Bytes;
use model::Matcher;

use super::{
    FILE, MAGIC, SERIES_ALIGN,
    plan::PostingsPlan,
    postings_table::{LabelValues, PostingsTable},
    series::{self, SymbolNames},
    symbols::Symbols,
    toc::Toc,
};
use crate::{
    codec::Input,
    error::{Error, Result},
    refs::{Fetched, SeriesEntry, SeriesRef, SymbolRef},
};

/// One symbol in so many (a power of two) has its place remembered.
const SAMPLE_SHIFT: u32 = 3;

/// The parts of an index that are needed before any series is read.
///
/// It is the bytes of the two sections, checked, with the places of some of their entries. For an
/// index in a bucket: fetch [`Toc::range`], decode it, fetch [`Toc::header_ranges`], decode those.
#[derive(Clone, Debug)]
pub struct IndexHeader {
    toc: Toc,
    version: u8,
    symbols: Symbols,
    table: PostingsTable,
}

impl IndexHeader {
    /// Reads the header from the bytes of [`Toc::header_ranges`].
    ///
    /// # Errors
    /// When a section is damaged, or the version is none of 1, 2 and 3.
    pub fn decode(toc: Toc, head: &[u8], symbols: Bytes, postings_table: Bytes) -> Result<Self> {
        Self::decode_sampled(toc, head, &symbols, &postings_table, SAMPLE_SHIFT)
    }

    /// As [`IndexHeader::decode`], with the place of one symbol in `1 << shift` remembered.
    pub(crate) fn decode_sampled(
        toc: Toc,
        head: &[u8],
        symbols: &Bytes,
        postings_table: &Bytes,
        shift: u32,
    ) -> Result<Self> {
        let version = decode_head(head)?;
        Ok(Self {
            symbols: Symbols::decode(symbols, toc.symbols, shift)?,
            table: PostingsTable::decode(postings_table, &toc)?,
            toc,
            version,
        })
    }

    /// The version of the index: 1, 2 or 3.
    #[must_use]
    pub fn version(&self) -> u8 {
        self.version
    }

    /// The table of contents.
    #[must_use]
    pub fn toc(&self) -> &Toc {
        &self.toc
    }

    /// The symbols.
    #[must_use]
    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// The text of a symbol.
    ///
    /// # Errors
    /// When the index has no such symbol.
    pub fn symbol(&self, symbol: SymbolRef) -> Result<&str> {
        self.symbols.lookup(symbol).ok_or_else(|| {
            let expected = format!("one of {} symbols", self.symbols.len());
            Error::corrupt(FILE, self.toc.symbols, expected, symbol.0.to_string())
        })
    }

    /// The label names in order.
    pub fn label_names(&self) -> impl Iterator<Item = &str> {
        self.table.names()
    }

    /// The values of one label, in order; none for a name that no series has.
    #[must_use]
    pub fn label_values(&self, name: &str) -> LabelValues<'_> {
        LabelValues::new(self.table.entries(name, ""))
    }

    /// How many values a label has.
    #[must_use]
    pub fn label_value_count(&self, name: &str) -> usize {
        self.table.count(name)
    }

    /// Where in the index the postings of a label value are. Both empty: those of all series.
    #[must_use]
    pub fn postings_range(&self, name: &str, value: &str) -> Option<Range<u64>> {
        self.table.postings(name, value)
    }

    /// Where in the index the postings of each value of a label are, in the order of the values.
    pub(crate) fn postings_ranges(&self, name: &str) -> impl Iterator<Item = Range<u64>> {
        self.table.entries(name, "").map(|(_, range)| range)
    }

    /// What to read for the series that all matchers match; without any, all series.
    ///
    /// A series without a label has the empty value for it, as everywhere in Prometheus.
    #[must_use]
    pub fn select(&self, matchers: &[Matcher]) -> PostingsPlan {
        PostingsPlan::new(&self.table, matchers)
    }

    /// What to read for one series that is guessed to take up to `max_size` bytes.
    #[must_use]
    pub fn series_range(&self, series: SeriesRef, max_size: u64) -> Range<u64> {
        let section = self.toc.series_range();
        let start = self.series_offset(series).min(section.end);
        start..start.saturating_add(max_size).min(section.end)
    }

    /// Reads a series from bytes that start where [`IndexHeader::series_range`] does; they may go
    /// on behind it.
    ///
    /// # Errors
    /// When the series is damaged, or `series` is none.
    pub fn decode_series(&self, bytes: &[u8], series: SeriesRef) -> Result<Fetched<SeriesEntry>> {
        let mut entry = SeriesEntry::default();
        Ok(match self.decode_series_into(bytes, series, &mut entry)? {
            Fetched::Done(()) => Fetched::Done(entry),
            Fetched::Short { needed } => Fetched::Short { needed },
        })
    }

    /// As [`IndexHeader::decode_series`], into an entry whose memory is used again. Unless it
    /// returns [`Fetched::Done`], what is in the entry is unspecified.
    ///
    /// # Errors
    /// When the series is damaged, or `series` is none.
    pub fn decode_series_into(
        &self,
        bytes: &[u8],
        series: SeriesRef,
        entry: &mut SeriesEntry,
    ) -> Result<Fetched<()>> {
        let section = self.toc.series_range();
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
        let names = if self.version == 1 {
            SymbolNames::Offset
        } else {
            SymbolNames::Position
        };
        series::decode(bytes, offset, section.end, (&self.symbols, names), entry)
    }

    /// Where a series starts in the index.
    #[must_use]
    pub fn series_offset(&self, series: SeriesRef) -> u64 {
        if self.version == 1 {
            u64::from(series.0)
        } else {
            u64::from(series.0) * SERIES_ALIGN
        }
    }

    /// Bytes held on the heap.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.symbols.heap_size() + self.table.heap_size()
    }
}

fn decode_head(head: &[u8]) -> Result<u8> {
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

/// Magic and version of the indexes that are written here.
pub(super) fn encode_head() -> [u8; 5] {
    let [a, b, c, d] = MAGIC.to_be_bytes();
    [a, b, c, d, 2]
}
