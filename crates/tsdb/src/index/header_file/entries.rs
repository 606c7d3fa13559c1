//! Makes the entries of the two sections leaves of the header's trees.

use std::{fmt, io::Write};

use model::Quoted;

use super::{
    super::{FILE, HEAD_LEN, toc::Toc},
    HeaderRoot,
    page::{PageRange, Tree},
    tree_writer::{PagesOut, RANGE_LEN, TreeWriter, put_range},
};
use crate::{
    codec::{Fault, Input, Stop, put_string, put_uvarint},
    error::{Error, Result},
};

/// The symbols.
#[derive(Debug)]
pub(super) struct SymbolsOut {
    tree: TreeWriter,
    count: u32,
    last: Vec<u8>,
}

/// The entries of the postings offset table.
#[derive(Debug)]
pub(super) struct TableOut {
    names: TreeWriter,
    values: TreeWriter,
    /// The current name, whose values are being written.
    name: Option<Name>,
    /// The last written name.
    written: Vec<u8>,
    /// The last written value of that name.
    value: Vec<u8>,
    /// The last entry, whose postings end at the start of the next one's.
    last: Option<Entry>,
    /// All entries, if they are not in order.
    unsorted: Option<Vec<Entry>>,
    end: u64,
}

#[derive(Debug)]
struct Name {
    name: Vec<u8>,
    values: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    name: Vec<u8>,
    value: Vec<u8>,
    postings: u64,
}

impl SymbolsOut {
    /// Reads a symbol.
    pub(super) fn read<W: Write>(
        &mut self,
        input: &mut Input<'_>,
        out: &mut PagesOut<W>,
    ) -> Result<(), Stop> {
        let (offset, before) = (input.offset(), input.rest());
        let text = input.string()?;
        if self.count > 0 && self.last.as_slice() >= text {
            let expected = format!("a symbol after {}", Quoted(&self.last));
            return Err(Error::corrupt(FILE, offset, expected, Quoted(text).to_string()).into());
        }
        // As in the index, so that offsets of version 1 stay valid.
        let entry = before.get(..before.len() - input.len()).unwrap_or_default();
        let mut prefix = [0; 12];
        if let Some((number, place)) = prefix.split_first_chunk_mut() {
            *number = self.count.to_be_bytes();
            place.copy_from_slice(&offset.to_be_bytes());
        }
        let key = |key: &mut Vec<u8>| {
            put_uvarint(key, self.count.into());
            put_uvarint(key, offset);
        };
        self.tree.add(entry, key, &prefix, out)?;
        self.count += 1;
        self.last.clear();
        self.last.extend_from_slice(text);
        Ok(())
    }

    /// Writes the rest. Returns the number of symbols, and the root of their tree.
    pub(super) fn finish<W: Write>(
        &mut self,
        out: &mut PagesOut<W>,
    ) -> Result<(u32, Option<PageRange>)> {
        Ok((self.count, self.tree.finish(out)?))
    }
}

impl Default for SymbolsOut {
    fn default() -> Self {
        Self {
            tree: TreeWriter::new(Tree::Symbols),
            count: 0,
            last: Vec::new(),
        }
    }
}

impl TableOut {
    pub(super) fn new(root: &HeaderRoot) -> Self {
        Self {
            names: TreeWriter::new(Tree::Names),
            values: TreeWriter::new(Tree::Values),
            name: None,
            written: Vec::new(),
            value: Vec::new(),
            last: None,
            unsorted: (root.version == 1).then(Vec::new),
            end: root.toc.end,
        }
    }

    /// Reads an entry.
    pub(super) fn read<W: Write>(
        &mut self,
        input: &mut Input<'_>,
        out: &mut PagesOut<W>,
    ) -> Result<(), Stop> {
        let at = input.offset();
        let keys = input.uvarint()?;
        if keys != 2 {
            return Err(Fault::Bad {
                expected: "2 keys",
                found: keys,
            }
            .into());
        }
        let (name, value, postings) = (input.string()?, input.string()?, input.uvarint()?);
        if postings < HEAD_LEN || postings >= self.end {
            let expected = format!("an offset of postings below {}", self.end);
            return Err(Error::corrupt(FILE, at, expected, postings.to_string()).into());
        }
        let entry = Entry {
            name: name.to_owned(),
            value: value.to_owned(),
            postings,
        };
        if let Some(unsorted) = &mut self.unsorted {
            unsorted.push(entry);
            return Ok(());
        }
        if let Some(last) = self.last.take() {
            if last.key() >= entry.key() {
                let expected = format!("an entry after {last}");
                let found = entry.to_string();
                return Err(Error::corrupt(FILE, at, expected, found).into());
            }
            if last.postings >= postings {
                let expected = format!("an offset of postings after {}", last.postings);
                return Err(Error::corrupt(FILE, at, expected, postings.to_string()).into());
            }
            self.add(&last, postings, out)?;
        }
        self.last = Some(entry);
        Ok(())
    }

    /// Writes the rest. Returns the root of the tree of names.
    pub(super) fn finish<W: Write>(
        &mut self,
        toc: &Toc,
        out: &mut PagesOut<W>,
    ) -> Result<Option<PageRange>> {
        if let Some(mut entries) = self.unsorted.take() {
            self.add_unsorted(&mut entries, toc, out)?;
        }
        if let Some(last) = self.last.take() {
            self.add(&last, toc.section_end(last.postings), out)?;
        }
        self.close_name(out)?;
        self.names.finish(out)
    }

    fn add_unsorted<W: Write>(
        &mut self,
        entries: &mut [Entry],
        toc: &Toc,
        out: &mut PagesOut<W>,
    ) -> Result<()> {
        let mut starts: Vec<u64> = entries.iter().map(|entry| entry.postings).collect();
        starts.sort_unstable();
        let end = starts.last().map_or(0, |last| toc.section_end(*last));
        entries.sort_unstable_by(|a, b| a.key().cmp(&b.key()));
        let mut last: Option<&Entry> = None;
        for entry in &*entries {
            if last.is_some_and(|last| last.key() == entry.key()) {
                let expected =
                    format!("each of the {} pairs of name and value once", entries.len());
                let found = format!("{entry} again");
                return Err(Error::corrupt(FILE, toc.postings_table, expected, found));
            }
            let next = starts.partition_point(|start| *start <= entry.postings);
            let end = starts.get(next).copied().unwrap_or(end);
            self.add(entry, end, out)?;
            last = Some(entry);
        }
        Ok(())
    }

    /// Adds an entry whose postings end at `end`.
    fn add<W: Write>(&mut self, entry: &Entry, end: u64, out: &mut PagesOut<W>) -> Result<()> {
        if self
            .name
            .as_ref()
            .is_none_or(|name| name.name != entry.name)
        {
            self.close_name(out)?;
            self.name = Some(Name {
                name: entry.name.clone(),
                values: 0,
            });
            self.value.clear();
        }
        let mut bytes = Vec::with_capacity(entry.value.len() + RANGE_LEN);
        put_string(&mut bytes, &entry.value);
        put_uvarint(&mut bytes, entry.postings);
        put_uvarint(&mut bytes, end.saturating_sub(entry.postings));
        let separator = |key: &mut Vec<u8>| separate(&self.value, &entry.value, key);
        self.values.add(&bytes, separator, &[], out)?;
        self.value.clone_from(&entry.value);
        if let Some(name) = &mut self.name {
            name.values += 1;
        }
        Ok(())
    }

    /// Ends the tree of the last name's values.
    fn close_name<W: Write>(&mut self, out: &mut PagesOut<W>) -> Result<()> {
        let (Some(name), Some(root)) = (self.name.take(), self.values.finish(out)?) else {
            return Ok(());
        };
        let mut bytes = Vec::with_capacity(name.name.len() + RANGE_LEN);
        put_string(&mut bytes, &name.name);
        put_uvarint(&mut bytes, name.values);
        put_range(&mut bytes, root);
        let separator = |key: &mut Vec<u8>| separate(&self.written, &name.name, key);
        self.names.add(&bytes, separator, &[], out)?;
        self.written = name.name;
        Ok(())
    }
}

impl Entry {
    fn key(&self) -> (&[u8], &[u8]) {
        (&self.name, &self.value)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", Quoted(&self.name), Quoted(&self.value))
    }
}

/// Writes the shortest string that is after `before` and not after `first`.
fn separate(before: &[u8], first: &[u8], out: &mut Vec<u8>) {
    let same = before.iter().zip(first).take_while(|(a, b)| a == b).count();
    let shortest = first.get(..=same).unwrap_or(first);
    put_uvarint(out, shortest.len() as u64);
    out.extend_from_slice(shortest);
}
