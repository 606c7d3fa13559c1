//! The postings offset table: where the postings of each label name and value are.
//!
//! ```text
//! be32      length of what follows, without the checksum
//! be32      how many entries
//! entries   uvarint 2, string name, string value, uvarint offset of the postings in the index
//! be32      crc32 of the count and the entries
//! ```
//! Entries are sorted by name and value, and the postings lie in the same order. The entry of the
//! empty name and value is for all series. Version 1 has the entries in any order.

use std::{cmp::Ordering, ops::Range};

use bytes::Bytes;

use super::{FILE, HEAD_LEN, toc::Toc};
use crate::{
    codec::{Fault, Input, check_crc, put_string, put_uvarint},
    error::{Error, Result},
};

/// One entry in this many has its place remembered, and so the first of each name.
const SAMPLED: u32 = 32;

/// The table as the bytes of the file, with the places of some entries beside them.
#[derive(Clone, Debug)]
pub(super) struct PostingsTable {
    /// The entries, sorted.
    bytes: Bytes,
    /// Sorted.
    names: Vec<Name>,
    /// Offsets in `bytes` of the first, 33rd, 65th… entry of each name.
    samples: Vec<u32>,
    /// Starts of all postings in ascending order, where that is not the order of the entries.
    starts: Option<Vec<u64>>,
    /// End of the last postings.
    end: u64,
}

/// The entries of one label name.
#[derive(Clone, Copy, Debug)]
struct Name {
    /// First entry in `bytes`.
    start: u32,
    /// End of the last entry in `bytes`.
    end: u32,
    /// Index of the first entry in `samples`.
    sample: u32,
    /// How many values.
    values: u32,
}

/// The values of one label name, in order. See [`crate::IndexHeader::label_values`].
#[derive(Clone, Debug)]
pub struct LabelValues<'a>(Entries<'a>);

/// The value and the place of the postings of each entry of one name.
#[derive(Clone, Debug)]
pub(super) struct Entries<'a> {
    table: Option<&'a PostingsTable>,
    input: Input<'a>,
    /// Where the name's entries end.
    end: u64,
    current: Option<Entry<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry<'a> {
    /// Offset in the bytes.
    at: u64,
    name: &'a str,
    value: &'a str,
    postings: u64,
}

impl PostingsTable {
    /// Reads the section. Each entry is checked here, once.
    pub(super) fn decode(section: &Bytes, toc: &Toc) -> Result<Self> {
        let offset = toc.postings_table;
        let what = "the postings offset table";
        let mut input = Input::new(section, offset);
        let fail = |input: &Input<'_>, fault| input.error(FILE, what, fault);
        let len = input.be32().map_err(|fault| fail(&input, fault))?;
        let body = input
            .take(u64::from(len))
            .map_err(|fault| fail(&input, fault))?;
        let stored = input.be32().map_err(|fault| fail(&input, fault))?;
        check_crc(FILE, offset + 4 + u64::from(len), what, body, stored)?;

        let mut input = Input::new(body, offset + 4);
        let count = input.be32().map_err(|fault| fail(&input, fault))?;
        let entries = section.slice_ref(input.rest());
        let base = input.offset();
        Self::index(&entries, base, count, toc)
    }

    fn index(bytes: &Bytes, base: u64, count: u32, toc: &Toc) -> Result<Self> {
        let mut table = Self {
            bytes: bytes.clone(),
            names: Vec::new(),
            samples: Vec::new(),
            starts: None,
            end: 0,
        };
        let (mut sorted, mut rising) = (true, true);
        let mut previous: Option<Entry<'_>> = None;
        let mut last = 0;
        let mut input = Input::new(bytes, 0);
        for _ in 0..count {
            let entry = Entry::read(&mut input).map_err(|fault| {
                let at = Input::new(input.rest(), base + input.offset());
                at.error(FILE, "an entry of the postings offset table", fault)
            })?;
            if entry.postings < HEAD_LEN || entry.postings >= toc.end {
                let expected = format!("an offset of postings below {}", toc.end);
                let found = entry.postings.to_string();
                return Err(Error::corrupt(FILE, base + entry.at, expected, found));
            }
            sorted &= previous.is_none_or(|p| (p.name, p.value) < (entry.name, entry.value));
            rising &= previous.is_none_or(|p| p.postings < entry.postings);
            last = last.max(entry.postings);
            if sorted {
                table.push(
                    previous.is_some_and(|p| p.name == entry.name),
                    &entry,
                    &input,
                );
            }
            previous = Some(entry);
        }
        if !input.is_empty() {
            let expected = format!("the end of the {count} entries of the postings offset table");
            let found = format!("{} bytes more", input.len());
            return Err(Error::corrupt(FILE, base + input.offset(), expected, found));
        }
        if !sorted {
            return Self::index(&sort(bytes, base, count)?, base, count, toc);
        }
        table.end = toc.section_end(last);
        if !rising {
            table.starts = Some(starts(bytes));
        }
        table.names.shrink_to_fit();
        table.samples.shrink_to_fit();
        Ok(table)
    }

    /// Takes note of an entry that has just been read from `input`.
    fn push(&mut self, same_name: bool, entry: &Entry<'_>, input: &Input<'_>) {
        // The section's length is a be32, so every offset in it fits.
        let fit = |offset: u64| u32::try_from(offset).unwrap_or(u32::MAX);
        if !same_name {
            self.names.push(Name {
                start: fit(entry.at),
                end: fit(entry.at),
                sample: fit(self.samples.len() as u64),
                values: 0,
            });
        }
        if let Some(name) = self.names.last_mut() {
            if name.values % SAMPLED == 0 {
                self.samples.push(fit(entry.at));
            }
            name.values += 1;
            name.end = fit(input.offset());
        }
    }

    /// The label names in order, without the empty one.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.names.iter().filter_map(|name| self.entry(name.start));
        names
            .map(|entry| entry.name)
            .filter(|name| !name.is_empty())
    }

    /// The entries of a name; of those, the first ones that come before `from` may be left out.
    pub(super) fn entries(&self, name: &str, from: &str) -> Entries<'_> {
        self.find(name)
            .and_then(|name| {
                let start = self.sample_before(&name, from)?;
                let mut input = self.input(start)?;
                let current = Entry::read(&mut input).ok();
                Some(Entries {
                    table: Some(self),
                    input,
                    end: u64::from(name.end),
                    current,
                })
            })
            .unwrap_or(Entries {
                table: None,
                input: Input::new(&[], 0),
                end: 0,
                current: None,
            })
    }

    /// Where the postings of one value are.
    pub(super) fn postings(&self, name: &str, value: &str) -> Option<Range<u64>> {
        self.entries(name, value)
            .find(|(v, _)| *v >= value)
            .filter(|(v, _)| *v == value)
            .map(|(_, range)| range)
    }

    /// How many values a name has.
    pub(super) fn count(&self, name: &str) -> usize {
        self.find(name).map_or(0, |name| name.values as usize)
    }

    /// Bytes held on the heap.
    pub(super) fn heap_size(&self) -> usize {
        let starts = self.starts.as_ref().map_or(0, Vec::capacity);
        self.bytes.len()
            + self.names.capacity() * size_of::<Name>()
            + self.samples.capacity() * size_of::<u32>()
            + starts * size_of::<u64>()
    }

    fn find(&self, name: &str) -> Option<Name> {
        let of = |n: &Name| self.entry(n.start).map_or("", |entry| entry.name);
        let found = self.names.binary_search_by(|n| of(n).cmp(name)).ok()?;
        self.names.get(found).copied()
    }

    /// The last remembered entry of `name` whose value is not after `value`, else its first.
    fn sample_before(&self, name: &Name, value: &str) -> Option<u32> {
        let first = name.sample as usize;
        let count = name.values.div_ceil(SAMPLED) as usize;
        let samples = self.samples.get(first..first + count)?;
        let before = samples.partition_point(|at| {
            self.entry(*at)
                .is_some_and(|entry| entry.value.cmp(value) != Ordering::Greater)
        });
        samples.get(before.saturating_sub(1)).copied()
    }

    fn entry(&self, at: u32) -> Option<Entry<'_>> {
        Entry::read(&mut self.input(at)?).ok()
    }

    fn input(&self, at: u32) -> Option<Input<'_>> {
        Some(Input::new(self.bytes.get(at as usize..)?, u64::from(at)))
    }

    /// Where the postings of `entry` end: where the next ones start.
    fn end_of(&self, entry: &Entry<'_>, next: Option<&Entry<'_>>) -> u64 {
        let next = match &self.starts {
            None => next.map(|next| next.postings),
            Some(starts) => {
                let after = starts.partition_point(|start| *start <= entry.postings);
                starts.get(after).copied()
            }
        };
        next.unwrap_or(self.end)
    }
}

impl<'a> Entry<'a> {
    fn read(input: &mut Input<'a>) -> Result<Self, Fault> {
        let at = input.offset();
        let keys = input.uvarint()?;
        if keys != 2 {
            return Err(Fault::Bad {
                expected: "2 keys",
                found: keys,
            });
        }
        Ok(Self {
            at,
            name: input.string()?,
            value: input.string()?,
            postings: input.uvarint()?,
        })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a str, Range<u64>);

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.current.take()?;
        let next = Entry::read(&mut self.input).ok();
        let range = entry.postings..self.table?.end_of(&entry, next.as_ref());
        self.current = next.filter(|next| next.at < self.end);
        Some((entry.value, range))
    }
}

impl<'a> LabelValues<'a> {
    pub(super) fn new(entries: Entries<'a>) -> Self {
        Self(entries)
    }
}

impl<'a> Iterator for LabelValues<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.0.next().map(|(value, _)| value)
    }
}

fn all<'a>(bytes: &'a Bytes) -> impl Iterator<Item = Entry<'a>> {
    let mut input = Input::new(bytes, 0);
    std::iter::from_fn(move || Entry::read(&mut input).ok())
}

fn starts(bytes: &Bytes) -> Vec<u64> {
    let mut starts: Vec<u64> = all(bytes).map(|entry| entry.postings).collect();
    starts.sort_unstable();
    starts
}

/// The same entries, sorted and each once.
fn sort(bytes: &Bytes, base: u64, count: u32) -> Result<Bytes> {
    let mut entries: Vec<Entry<'_>> = all(bytes).collect();
    entries.sort_unstable_by_key(|entry| (entry.name, entry.value));
    let mut out = Vec::with_capacity(bytes.len());
    for pair in entries.windows(2) {
        if let [a, b] = pair
            && (a.name, a.value) == (b.name, b.value)
        {
            let expected = format!("each of the {count} pairs of name and value once");
            let found = format!("{}={:?} again", b.name, b.value);
            return Err(Error::corrupt(FILE, base + a.at.max(b.at), expected, found));
        }
    }
    for entry in entries {
        put_uvarint(&mut out, 2);
        put_string(&mut out, entry.name);
        put_string(&mut out, entry.value);
        put_uvarint(&mut out, entry.postings);
    }
    Ok(out.into())
}
