//! Sections of an index, made of what a test draws, and what a header made of them has to say.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::Path,
    sync::Arc,
};

use model::{MatchOp, Matcher};
use tsdb::{
    Fetched, HeaderFile, HeaderIdentity, HeaderWriter, IndexHeader, Result, SeriesEntry, SeriesRef,
    SymbolRef, Toc,
};

/// Where the symbols are.
const SYMBOLS: u64 = 5;
/// Bytes of the series.
const SERIES: u64 = 10 << 20;
/// Bytes of the postings of each label.
const POSTINGS: u64 = 20;
pub(crate) const STAMP: u64 = 0x5eed;

/// The parts of an index that a header is made of.
pub(crate) struct Drawn {
    pub(crate) version: u8,
    pub(crate) toc: Toc,
    pub(crate) symbols: Vec<u8>,
    pub(crate) table: Vec<u8>,
    /// Where each symbol is in the index.
    offsets: Vec<u64>,
    texts: Vec<String>,
    /// The postings of each name and value.
    postings: BTreeMap<(String, String), Range<u64>>,
}

/// A name with its values, how many there are, and where their postings are.
type Name = (String, Vec<String>, u64, Vec<Range<u64>>);

/// All that a header says.
#[derive(Debug, PartialEq)]
pub(crate) struct Said {
    symbols: Vec<String>,
    names: Vec<Name>,
    /// Of values and others, one by one.
    single: Vec<Option<Range<u64>>>,
    /// Of the first values of each name: what is to be read for them, for all others, and for those like them.
    selected: Vec<Vec<Range<u64>>>,
    /// The symbols of a series that has all.
    series: Vec<(SymbolRef, SymbolRef)>,
}

impl Drawn {
    /// An index of series that have these labels. That of version 1 has its table in no order.
    pub(crate) fn new(version: u8, labels: &BTreeSet<(String, String)>) -> Self {
        let texts: BTreeSet<&String> = labels.iter().flat_map(|(n, v)| [n, v]).collect();
        let texts: Vec<String> = texts.into_iter().cloned().collect();
        let mut body = Vec::new();
        let mut offsets = Vec::new();
        for text in &texts {
            offsets.push(SYMBOLS + 8 + body.len() as u64);
            string(&mut body, text);
        }
        let symbols = section(texts.len(), &body);
        let series = SYMBOLS + symbols.len() as u64;
        let start = series + SERIES;
        let all = (String::new(), String::new());
        let mut order: Vec<_> = std::iter::once(all).chain(labels.iter().cloned()).collect();
        if version == 1 {
            // By their second half first: postings lie in the order of the table, which is none.
            order.sort_by_key(|(name, value)| {
                (value.chars().rev().collect::<String>(), name.clone())
            });
        }
        let places = (0_u64..).map(|i| start + POSTINGS * i..start + POSTINGS * (i + 1));
        let postings: Vec<_> = order.into_iter().zip(places).collect();
        let mut body = Vec::new();
        for ((name, value), place) in &postings {
            body.push(2);
            string(&mut body, name);
            string(&mut body, value);
            uvarint(&mut body, place.start);
        }
        let table = section(postings.len(), &body);
        let postings_table = start + POSTINGS * postings.len() as u64;
        let toc = Toc {
            symbols: SYMBOLS,
            series,
            label_indices: 0,
            label_index_table: 0,
            postings: start,
            postings_table,
            end: postings_table + table.len() as u64,
        };
        Self {
            version,
            toc,
            symbols,
            table,
            offsets,
            texts,
            postings: postings.into_iter().collect(),
        }
    }

    pub(crate) fn head(&self) -> [u8; 5] {
        [0xba, 0xaa, 0xd7, 0x00, self.version]
    }

    pub(crate) fn identity(&self) -> HeaderIdentity {
        HeaderIdentity {
            index_size: self.toc.end + Toc::LEN,
            stamp: STAMP,
        }
    }

    pub(crate) fn in_memory(&self) -> Result<IndexHeader> {
        IndexHeader::decode(self.toc, &self.head(), &self.symbols, &self.table)
    }

    /// The bytes of a header file, made of pieces of the sections.
    pub(crate) fn file(&self, piece: usize) -> Result<Vec<u8>> {
        let path = Path::new("header");
        let mut writer = HeaderWriter::new(Vec::new(), path, self.toc, STAMP, &self.head())?;
        for piece in [&self.symbols[..], &self.table].concat().chunks(piece) {
            writer.push(piece)?;
        }
        Ok(writer.finish()?.0)
    }

    pub(crate) fn open(&self, path: &Path) -> Result<IndexHeader> {
        let file = HeaderFile::open(path, self.identity())?;
        Ok(IndexHeader::new(file.root().clone(), Arc::new(file)))
    }

    fn names(&self) -> BTreeSet<&str> {
        let names = self.postings.keys().map(|(name, _)| name.as_str());
        names.filter(|name| !name.is_empty()).collect()
    }

    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, Range<u64>)> + 'a {
        let own = self.postings.range((name.to_owned(), String::new())..);
        let own = own.take_while(move |((n, _), _)| n == name);
        own.map(|((_, value), place)| (value.as_str(), place.clone()))
    }

    /// Some that there are and some that there are not.
    fn singles(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        let step = self.postings.len() / 200 + 1;
        for (name, value) in self.postings.keys().step_by(step) {
            all.push((name.clone(), value.clone()));
            all.push((name.clone(), format!("{value}x")));
            all.push((format!("{name}x"), value.clone()));
            all.push((value.clone(), name.clone()));
        }
        all
    }

    fn questions(&self) -> Vec<(&str, Condition, String)> {
        let mut all = Vec::new();
        for name in self.names() {
            let values: Vec<&str> = self.of(name).map(|(value, _)| value).collect();
            for at in [0, values.len() / 2, values.len() - 1] {
                let value = values[at];
                let prefix = value.chars().take(2).collect::<String>();
                all.push((name, Condition::Is, value.to_owned()));
                all.push((name, Condition::IsNot, value.to_owned()));
                if !prefix.is_empty() {
                    all.push((name, Condition::StartsWith, prefix));
                }
            }
            let some = values[values.len() / 2..].iter().take(50);
            let some: Vec<&str> = some.filter(|v| v.len() < 1000).copied().collect();
            if !some.is_empty() {
                all.push((name, Condition::OneOf, some.join("|")));
            }
        }
        all
    }

    /// What a header has to say.
    pub(crate) fn expected(&self) -> Said {
        let names = self.names().into_iter().map(|name| {
            let values: Vec<String> = self.of(name).map(|(value, _)| value.to_owned()).collect();
            let ranges = self.of(name).map(|(_, place)| place).collect();
            (name.to_owned(), values.clone(), values.len() as u64, ranges)
        });
        let singles = self.singles().into_iter();
        let selected = self
            .questions()
            .into_iter()
            .map(|(name, condition, operand)| {
                let own = self
                    .of(name)
                    .filter(|(value, _)| condition.takes(value, &operand));
                let all =
                    (condition == Condition::IsNot).then(|| self.of("").map(|(_, place)| place));
                joined(own.map(|(_, place)| place), all.into_iter().flatten())
            });
        Said {
            symbols: self.texts.clone(),
            names: names.collect(),
            single: singles
                .map(|key| self.postings.get(&key).cloned())
                .collect(),
            selected: selected.collect(),
            series: (0..self.texts.len() as u32 / 2)
                .map(|i| (SymbolRef(2 * i), SymbolRef(2 * i + 1)))
                .collect(),
        }
    }

    /// What a header says.
    pub(crate) fn asked(&self, header: &IndexHeader) -> Result<Said> {
        let mut reader = header.symbols();
        let mut symbols = Vec::new();
        // From the last one on, so that pages are not come upon in order.
        for number in (0..header.symbol_count() as u32).rev() {
            symbols.push(reader.text(SymbolRef(number))?.to_owned());
        }
        symbols.reverse();
        let mut names = Vec::new();
        for name in header.label_names()? {
            let values = header.label_values(&name)?;
            let count = header.label_value_count(&name)?;
            let ranges = header.postings_ranges(&name)?;
            let values = values.into_iter().map(text).collect();
            names.push((text(name), values, count, ranges));
        }
        let mut single = Vec::new();
        for (name, value) in self.singles() {
            single.push(header.postings_range(&name, &value)?);
        }
        let mut selected = Vec::new();
        for (name, condition, operand) in self.questions() {
            let plan = header.select(&[condition.matcher(name, &operand)])?;
            selected.push(plan.ranges());
        }
        Ok(Said {
            symbols: symbols.into_iter().map(text).collect(),
            names,
            single,
            selected,
            series: self.series(header)?.labels,
        })
    }

    /// A series whose labels are all symbols in pairs, as the index would store it.
    fn series(&self, header: &IndexHeader) -> Result<SeriesEntry> {
        let stored = |i: usize| match self.version {
            1 => self.offsets[i],
            _ => i as u64,
        };
        let pairs = self.texts.len() / 2;
        let mut body = Vec::new();
        uvarint(&mut body, pairs as u64);
        (0..2 * pairs).for_each(|i| uvarint(&mut body, stored(i)));
        body.push(0);
        let mut record = Vec::new();
        uvarint(&mut record, body.len() as u64);
        record.extend(&body);
        record.extend(crc32c::crc32c(&body).to_be_bytes());
        let reference = match self.version {
            1 => self.toc.series,
            _ => self.toc.series.div_ceil(16),
        };
        match header.decode_series(&record, SeriesRef(reference as u32)) {
            Ok(Fetched::Done(entry)) => Ok(entry),
            Ok(Fetched::Short { needed }) => panic!("{needed} of {}", record.len()),
            Err(error) => Err(error),
        }
    }
}

/// What is asked of values.
#[derive(Clone, Copy, PartialEq)]
enum Condition {
    Is,
    IsNot,
    StartsWith,
    OneOf,
}

impl Condition {
    /// Whether the postings of a value are read.
    fn takes(self, value: &str, operand: &str) -> bool {
        match self {
            Self::Is | Self::IsNot => value == operand,
            Self::StartsWith => value.starts_with(operand),
            Self::OneOf => operand.split('|').any(|one| one == value),
        }
    }

    fn matcher(self, name: &str, operand: &str) -> Matcher {
        let quoted = |text: &str| -> String {
            let plain = |c: char| c.is_alphanumeric() || c == '|';
            let escape = |c| {
                if plain(c) {
                    format!("{c}")
                } else {
                    format!("\\x{{{:x}}}", u32::from(c))
                }
            };
            text.chars().map(escape).collect()
        };
        let (op, operand) = match self {
            Self::Is => (MatchOp::Equal, operand.to_owned()),
            Self::IsNot => (MatchOp::NotEqual, operand.to_owned()),
            Self::StartsWith => (MatchOp::Regex, format!("{}.*", quoted(operand))),
            Self::OneOf => (MatchOp::Regex, quoted(operand)),
        };
        Matcher::new(op, name, operand).unwrap()
    }
}

/// Neighbours among `own` as one; then `all`.
fn joined(
    own: impl Iterator<Item = Range<u64>>,
    all: impl Iterator<Item = Range<u64>>,
) -> Vec<Range<u64>> {
    let mut places: Vec<_> = own.collect();
    places.sort_by_key(|place| place.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for place in places {
        match joined.last_mut() {
            Some(last) if last.end == place.start => last.end = place.end,
            _ => joined.push(place),
        }
    }
    joined.extend(all);
    joined
}

fn section(count: usize, entries: &[u8]) -> Vec<u8> {
    let mut body = (count as u32).to_be_bytes().to_vec();
    body.extend(entries);
    let mut out = (body.len() as u32).to_be_bytes().to_vec();
    out.extend(&body);
    out.extend(crc32c::crc32c(&body).to_be_bytes());
    out
}

fn string(out: &mut Vec<u8>, text: &str) {
    uvarint(out, text.len() as u64);
    out.extend(text.bytes());
}

fn uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}
