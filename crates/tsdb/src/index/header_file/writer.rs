//! Writes a header file from the two sections of an index, as they arrive.

use std::{io::Write, path::Path};

use super::{
    super::{
        FILE,
        header::decode_head,
        toc::{HeaderRanges, Toc},
    },
    HeaderIdentity, HeaderRoot, encode_head,
    entries::{SymbolsOut, TableOut},
    section::Section,
    tree_writer::PagesOut,
};
use crate::{
    codec::{Fault, Input},
    error::Result,
};

/// A header file in progress. A page of each level and the last entry are in memory; of an index of version 1 also the
/// postings offset table, which is not sorted there.
#[derive(Debug)]
pub struct HeaderWriter<W> {
    out: PagesOut<W>,
    root: HeaderRoot,
    ranges: HeaderRanges,
    /// Bytes of the section still to come.
    left: u64,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Symbols(Section, SymbolsOut),
    Table(Section, Box<TableOut>),
    Done,
}

impl<W: Write> HeaderWriter<W> {
    /// Starts a header in `out`, for the index with this table of contents and these first bytes
    /// ([`HeaderRanges::head`]). `path` is for errors.
    ///
    /// # Errors
    /// When the version of the index is not 1, 2 or 3, or writing fails.
    pub fn new(out: W, path: &Path, toc: Toc, stamp: u64, head: &[u8]) -> Result<Self> {
        let version = decode_head(head)?;
        let ranges = toc.header_ranges();
        let mut out = PagesOut::new(out, path);
        out.write(&encode_head())?;
        let identity = HeaderIdentity {
            index_size: toc.end + Toc::LEN,
            stamp,
        };
        let symbols = SymbolsOut::default();
        let section = Section::new("the symbols", ranges.symbols.start);
        Ok(Self {
            left: ranges.symbols.end - ranges.symbols.start,
            root: HeaderRoot {
                identity,
                toc,
                version,
                symbols: 0,
                symbol_root: None,
                name_root: None,
            },
            out,
            ranges,
            stage: Stage::Symbols(section, symbols),
        })
    }

    /// Takes the next bytes of the index: those of [`HeaderRanges::symbols`], then those of
    /// [`HeaderRanges::postings_table`], in pieces of any size.
    ///
    /// # Errors
    /// When a section is damaged, or writing fails.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        loop {
            let own = usize::try_from(self.left)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            let (own, rest) = bytes.split_at_checked(own).unwrap_or((bytes, &[]));
            self.left -= own.len() as u64;
            let out = &mut self.out;
            match &mut self.stage {
                Stage::Symbols(section, symbols) => {
                    section.push(own, |input| symbols.read(input, out))?;
                }
                Stage::Table(section, table) => {
                    section.push(own, |input| table.read(input, out))?;
                }
                Stage::Done => return Ok(()),
            }
            if self.left > 0 {
                return Ok(());
            }
            self.next()?;
            bytes = rest;
        }
    }

    /// Writes the rest; returns the output, and the start of a search.
    ///
    /// # Errors
    /// When a part of the sections is missing, or writing fails.
    pub fn finish(mut self) -> Result<(W, HeaderRoot)> {
        match &self.stage {
            Stage::Symbols(section, _) | Stage::Table(section, _) => {
                section.finish()?;
                // The section ended before its range did.
                let missing = Fault::End { missing: self.left };
                let at = Input::new(&[], self.ranges.postings_table.end);
                return Err(at.error(FILE, "the sections that a header is made of", missing));
            }
            Stage::Done => {}
        }
        let tail = self.root.encode();
        self.out.write(&tail)?;
        Ok((self.out.finish()?, self.root))
    }

    /// From a section that has come to the next one.
    fn next(&mut self) -> Result<()> {
        match &mut self.stage {
            Stage::Symbols(section, symbols) => {
                section.finish()?;
                (self.root.symbols, self.root.symbol_root) = symbols.finish(&mut self.out)?;
                let range = self.ranges.postings_table.clone();
                let section = Section::new("the postings offset table", range.start);
                self.left = range.end - range.start;
                self.stage = Stage::Table(section, TableOut::new(&self.root).into());
            }
            Stage::Table(section, table) => {
                section.finish()?;
                self.root.name_root = table.finish(&self.root.toc, &mut self.out)?;
                self.stage = Stage::Done;
            }
            Stage::Done => {}
        }
        Ok(())
    }
}
