//! Symbols by their numbers, from the pages of a header.

use model::Labels;

use super::{
    header::IndexHeader,
    header_file::{Page, PageReader},
};
use crate::{
    codec::Fault,
    error::{Error, Result},
    refs::{SeriesEntry, SymbolRef},
};

/// Pages that a reader has at hand before it begins anew.
const AT_HAND: usize = 512;

/// All symbols of an index, in order.
#[derive(Clone, Debug)]
pub struct Symbols {
    pages: Leaves,
    count: usize,
}

/// Reads the symbols of a header, and has at hand the pages that it has read: 8 MiB of them, or what one series needs.
#[derive(Debug)]
pub struct SymbolReader<'a> {
    header: &'a IndexHeader,
    reader: PageReader<'a>,
    pages: Leaves,
}

/// Leaves of symbols, in order.
#[derive(Clone, Debug, Default)]
struct Leaves {
    /// Number of the first symbol of each.
    firsts: Vec<u32>,
    leaves: Vec<Page>,
}

impl Symbols {
    /// Takes all at hand.
    pub(crate) fn new(header: &IndexHeader) -> Result<Self> {
        let mut pages = Leaves::default();
        let reader = header.reader();
        for leaf in header.symbol_pages()? {
            pages
                .insert(leaf.clone())
                .map_err(|fault| reader.fault(&leaf, fault))?;
        }
        let count = header.symbol_count();
        Ok(Self { pages, count })
    }

    /// How many symbols there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The text of a symbol; empty for a reference that is not of this index. The references in a
    /// [`SeriesEntry`] are checked when it is read.
    #[must_use]
    pub fn get(&self, symbol: SymbolRef) -> &[u8] {
        let text = self.pages.text(symbol.0).ok().flatten();
        text.unwrap_or_default()
    }

    /// The symbols in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let leaves = self.pages.leaves.iter();
        leaves.flat_map(|leaf| {
            (0..leaf.count()).filter_map(|at| leaf.entry(at).and_then(|mut e| e.string()).ok())
        })
    }
}

impl<'a> SymbolReader<'a> {
    pub(super) fn new(header: &'a IndexHeader) -> Self {
        Self {
            header,
            reader: header.reader(),
            pages: Leaves::default(),
        }
    }

    /// The text of a symbol.
    ///
    /// # Errors
    /// When the index has no such symbol, or a page cannot be read or is damaged.
    pub fn text(&mut self, symbol: SymbolRef) -> Result<&[u8]> {
        self.make_room();
        if self.pages.text(symbol.0).ok().flatten().is_none() {
            self.load(symbol)?;
        }
        let text = self.pages.text(symbol.0).ok().flatten();
        Ok(text.unwrap_or_default())
    }

    /// The labels of a series. One with an empty value is left out, which means the same.
    ///
    /// # Errors
    /// As [`SymbolReader::text`].
    pub fn labels(&mut self, entry: &SeriesEntry) -> Result<Labels> {
        self.make_room();
        loop {
            let mut missing = None;
            let mut text = |symbol: SymbolRef| match self.pages.text(symbol.0) {
                Ok(Some(text)) => Some(text),
                Ok(None) | Err(_) => {
                    missing = Some(symbol);
                    None
                }
            };
            let labels = entry.labels.iter();
            let labels = labels.map_while(|(name, value)| Some((text(*name)?, text(*value)?)));
            let labels = Labels::from_sorted(labels.filter(|(_, value)| !value.is_empty()));
            match missing {
                None => return Ok(labels),
                Some(symbol) => self.load(symbol)?,
            }
        }
    }

    fn make_room(&mut self) {
        if self.pages.leaves.len() >= AT_HAND {
            self.pages = Leaves::default();
        }
    }

    /// Takes the page of a symbol at hand, which has it from then on.
    fn load(&mut self, symbol: SymbolRef) -> Result<()> {
        let count = self.header.symbol_count();
        if symbol.0 as usize >= count {
            let expected = format!("one of {count} symbols");
            let at = self.header.toc().symbols;
            let found = symbol.0.to_string();
            return Err(Error::corrupt(super::FILE, at, expected, found));
        }
        let leaf = self.header.symbol_page(&mut self.reader, symbol.0)?;
        let missing = Fault::Bad {
            expected: "a symbol",
            found: symbol.0.into(),
        };
        let inserted = self.pages.insert(leaf.clone());
        let found = inserted.and_then(|()| self.pages.text(symbol.0)?.ok_or(missing).map(|_| ()));
        found.map_err(|fault| self.reader.fault(&leaf, fault))
    }
}

impl Leaves {
    fn insert(&mut self, leaf: Page) -> Result<(), Fault> {
        let (first, _) = leaf.first_symbol()?;
        let at = self.firsts.partition_point(|other| *other < first);
        if self.firsts.get(at) == Some(&first) {
            return Ok(());
        }
        self.firsts.insert(at, first);
        self.leaves.insert(at, leaf);
        Ok(())
    }

    /// The text of a symbol, if its page is here.
    #[inline]
    fn text(&self, number: u32) -> Result<Option<&[u8]>, Fault> {
        let after = self.firsts.partition_point(|first| *first <= number);
        let found = after.checked_sub(1).and_then(|at| {
            let (first, leaf) = self.firsts.get(at).zip(self.leaves.get(at))?;
            Some(((number - first) as usize, leaf))
        });
        match found {
            Some((at, leaf)) if at < leaf.count() => leaf.entry(at)?.string().map(Some),
            _ => Ok(None),
        }
    }
}
