//! The label names and values of a header, with the ranges of their postings.

use std::ops::{ControlFlow, Range};

use super::header_file::{PageRange, PageReader, Tree};
use crate::{
    codec::{Fault, Input},
    error::Result,
};

/// Looks up names and values; pages that it has just read are at hand.
#[derive(Debug)]
pub(super) struct LabelTable<'a> {
    pages: PageReader<'a>,
    root: Option<PageRange>,
}

/// A label name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    /// How many values it has.
    pub(super) values: u64,
    /// The root page of its values.
    root: PageRange,
}

/// Takes a value and the range of its postings, and says whether to go on.
type EachValue<'a> = dyn FnMut(&[u8], Range<u64>) -> ControlFlow<()> + 'a;

impl<'a> LabelTable<'a> {
    /// `root` is that of the names.
    pub(super) const fn new(pages: PageReader<'a>, root: Option<PageRange>) -> Self {
        Self { pages, root }
    }

    /// A name, if any series has it. The empty name is that of all series.
    pub(super) fn name(&mut self, name: &[u8]) -> Result<Option<Name>> {
        let Some(root) = self.root else {
            return Ok(None);
        };
        self.pages.find(root, Tree::Names, name, |entry, leaf| {
            Ok(Name {
                values: entry.uvarint()?,
                root: leaf.child_in(entry)?,
            })
        })
    }

    /// Where the postings of one value are.
    pub(super) fn postings(&mut self, name: Name, value: &[u8]) -> Result<Option<Range<u64>>> {
        let decode = |entry: &mut Input<'_>, _: &_| postings(entry);
        self.pages.find(name.root, Tree::Values, value, decode)
    }

    /// All names in order, the empty one included.
    pub(super) fn each_name(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        let Some(root) = self.root else {
            return Ok(());
        };
        self.pages.walk(root, Tree::Names, b"", &mut |name, _| {
            each(name);
            Ok(ControlFlow::Continue(()))
        })
    }

    /// The values of a name in order, with the ranges of their postings, from the last one on that is not after `from`.
    pub(super) fn each_value(
        &mut self,
        name: Name,
        from: &[u8],
        each: &mut EachValue<'_>,
    ) -> Result<()> {
        let pages = &mut self.pages;
        pages.walk(name.root, Tree::Values, from, &mut |value, entry| {
            Ok(each(value, postings(entry)?))
        })
    }
}

fn postings(entry: &mut Input<'_>) -> Result<Range<u64>, Fault> {
    let (start, len) = (entry.uvarint()?, entry.uvarint()?);
    let end = start.checked_add(len).ok_or(Fault::Overlong)?;
    Ok(start..end)
}
