//! Writes an index of version 2, section by section. Only symbols and postings are held in memory.

use std::{
    fs::File,
    hash::BuildHasher,
    io::{BufWriter, Write},
    path::PathBuf,
};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use model::Quoted;

use super::{FILE, SERIES_ALIGN, header::encode_head, series, toc::Toc};
use crate::{
    codec::{CRC_LEN, Input, put_string, put_uvarint},
    error::{Error, Result},
    refs::{ChunkMeta, SymbolRef},
};

/// Name and value of a label.
type Label = (SymbolRef, SymbolRef);

/// Postings start at multiples of this.
const POSTINGS_ALIGN: u64 = 4;

/// An index being written.
pub(crate) struct IndexWriter {
    path: PathBuf,
    out: BufWriter<File>,
    /// Bytes written.
    at: u64,
    toc: Toc,
    symbols: SymbolTable,
    postings: HashMap<Label, Vec<u32>>,
    /// The postings of all series.
    all: Vec<u32>,
    /// The labels of the last series.
    last: Vec<Label>,
    longest_series: u64,
    body: Vec<u8>,
    record: Vec<u8>,
}

/// The symbols, found by their numbers and by their text.
struct SymbolTable {
    /// The section of the index.
    section: Vec<u8>,
    /// Where each is in the section.
    starts: Vec<u32>,
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl IndexWriter {
    /// Starts the index at `path` with its symbols, which must come in order, each once.
    pub(crate) fn create<S: AsRef<[u8]>>(
        path: PathBuf,
        symbols: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        let symbols = SymbolTable::new(symbols)?;
        let file = File::create(&path).map_err(Error::io(&path))?;
        let mut writer = Self {
            path,
            out: BufWriter::with_capacity(1 << 18, file),
            at: 0,
            toc: Toc::default(),
            symbols,
            postings: HashMap::new(),
            all: Vec::new(),
            last: Vec::new(),
            longest_series: 0,
            body: Vec::new(),
            record: Vec::new(),
        };
        writer.write(&encode_head())?;
        writer.toc.symbols = writer.at;
        let section = std::mem::take(&mut writer.symbols.section);
        writer.write(&section)?;
        writer.symbols.section = section;
        writer.toc.series = writer.at;
        Ok(writer)
    }

    /// The symbol of a text.
    pub(crate) fn symbol(&self, text: &[u8]) -> Result<SymbolRef> {
        self.symbols.find(text).ok_or_else(|| Error::UnknownSymbol {
            symbol: Quoted(text).to_string(),
        })
    }

    /// Whether a series with these labels may follow the last one.
    pub(crate) fn check_order(&self, labels: &[Label]) -> Result<()> {
        let count = self.symbols.starts.len();
        if let Some(unknown) = labels
            .iter()
            .flat_map(|(name, value)| [name, value])
            .find(|symbol| symbol.0 as usize >= count)
        {
            return Err(Error::UnknownSymbol {
                symbol: format!("number {} of {count}", unknown.0),
            });
        }
        // Symbols are in order, so the order of positions is the order of texts.
        if !labels.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(Error::OutOfOrder {
                what: "label",
                previous: "the label before".to_owned(),
                found: self.text(labels),
            });
        }
        if labels <= self.last.as_slice() {
            return Err(Error::OutOfOrder {
                what: "series",
                previous: self.text(&self.last),
                found: self.text(labels),
            });
        }
        Ok(())
    }

    /// Adds a series; [`IndexWriter::check_order`] has been asked.
    pub(crate) fn add_series(&mut self, labels: &[Label], chunks: &[ChunkMeta]) -> Result<()> {
        self.pad(SERIES_ALIGN)?;
        let too_large = Error::TooLarge {
            file: FILE.to_owned(),
            what: "series",
            size: self.at,
            limit: u64::from(u32::MAX) * SERIES_ALIGN,
        };
        let reference = u32::try_from(self.at / SERIES_ALIGN).map_err(|_| too_large)?;
        let mut record = std::mem::take(&mut self.record);
        record.clear();
        series::encode(labels, chunks, &mut self.body, &mut record);
        self.write(&record)?;
        self.longest_series = self.longest_series.max(record.len() as u64);
        self.record = record;

        for label in labels {
            self.postings.entry(*label).or_default().push(reference);
        }
        self.all.push(reference);
        self.last.clear();
        self.last.extend_from_slice(labels);
        Ok(())
    }

    /// The longest series so far, in bytes.
    pub(crate) fn longest_series(&self) -> u64 {
        self.longest_series
    }

    /// Writes the rest and makes it durable.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.toc.label_indices = self.at;
        self.toc.postings = self.at;
        self.pad(POSTINGS_ALIGN)?;
        let mut labels: Vec<Label> = self.postings.keys().copied().collect();
        labels.sort_unstable();

        let mut table = Vec::new();
        table.extend_from_slice(&[0; 4]);
        let count = checked_u32("number of label values", labels.len() as u64 + 1)?;
        table.extend_from_slice(&count.to_be_bytes());
        let all = std::mem::take(&mut self.all);
        self.write_postings(None, &all, &mut table)?;
        for label in labels {
            let refs = self.postings.remove(&label).unwrap_or_default();
            self.write_postings(Some(label), &refs, &mut table)?;
        }

        self.toc.label_index_table = self.at;
        self.toc.postings_table = self.at;
        seal(&mut table, "postings offset table")?;
        self.write(&table)?;
        let toc = self.toc.encode();
        self.write(&toc)?;
        let file = self.out.into_inner().map_err(|error| Error::Io {
            path: self.path.clone(),
            source: error.into_error(),
        })?;
        file.sync_all().map_err(Error::io(&self.path))
    }

    /// Writes the series that have a label, or all, and where they are.
    fn write_postings(
        &mut self,
        label: Option<Label>,
        refs: &[u32],
        table: &mut Vec<u8>,
    ) -> Result<()> {
        let text = |symbol| self.symbols.get(symbol);
        let (name, value) = label.map_or(Default::default(), |(n, v)| (text(n), text(v)));
        put_uvarint(table, 2);
        put_string(table, name);
        put_string(table, value);
        put_uvarint(table, self.at);

        let mut record = std::mem::take(&mut self.record);
        record.clear();
        record.extend_from_slice(&[0; 4]);
        let count = checked_u32("number of series", refs.len() as u64)?;
        record.extend_from_slice(&count.to_be_bytes());
        record.extend(refs.iter().flat_map(|reference| reference.to_be_bytes()));
        seal(&mut record, "postings")?;
        self.write(&record)?;
        self.record = record;
        Ok(())
    }

    fn pad(&mut self, align: u64) -> Result<()> {
        const ZEROS: [u8; 16] = [0; 16];
        let missing = self.at.next_multiple_of(align) - self.at;
        let missing = usize::try_from(missing).unwrap_or_default();
        self.write(ZEROS.get(..missing).unwrap_or_default())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.at += bytes.len() as u64;
        self.out.write_all(bytes).map_err(Error::io(&self.path))
    }

    fn text(&self, labels: &[Label]) -> String {
        let text = |symbol| self.symbols.get(symbol);
        let pairs = labels.iter().map(|(n, v)| (text(*n), text(*v)));
        model::Labels::from_sorted(pairs).to_string()
    }
}

impl SymbolTable {
    fn new<S: AsRef<[u8]>>(symbols: impl IntoIterator<Item = S>) -> Result<Self> {
        let (section, starts) = encode_symbols(symbols)?;
        let mut table = Self {
            section,
            starts,
            numbers: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        };
        let mut numbers = HashTable::with_capacity(table.starts.len());
        for number in (0..).take(table.starts.len()) {
            let hash = |number: &u32| table.hasher.hash_one(table.get(SymbolRef(*number)));
            numbers.insert_unique(hash(&number), number, hash);
        }
        table.numbers = numbers;
        Ok(table)
    }

    /// The text of a symbol; empty if there is no such.
    fn get(&self, symbol: SymbolRef) -> &[u8] {
        let start = self.starts.get(symbol.0 as usize);
        let bytes = start.and_then(|start| self.section.get(*start as usize..));
        let mut input = Input::new(bytes.unwrap_or_default(), 0);
        input.string().unwrap_or_default()
    }

    fn find(&self, text: &[u8]) -> Option<SymbolRef> {
        let same = |number: &u32| self.get(SymbolRef(*number)) == text;
        let found = self.numbers.find(self.hasher.hash_one(text), same)?;
        Some(SymbolRef(*found))
    }
}

/// The section of the symbols, and where in it each is.
fn encode_symbols<S: AsRef<[u8]>>(
    symbols: impl IntoIterator<Item = S>,
) -> Result<(Vec<u8>, Vec<u32>)> {
    let mut section = vec![0; 8];
    let mut starts = Vec::new();
    let mut previous: Option<S> = None;
    for symbol in symbols {
        let text = symbol.as_ref();
        if let Some(previous) = previous.as_ref().map(AsRef::as_ref)
            && previous >= text
        {
            return Err(Error::OutOfOrder {
                what: "symbol",
                previous: Quoted(previous).to_string(),
                found: Quoted(text).to_string(),
            });
        }
        // A longer section is refused below.
        starts.push(u32::try_from(section.len()).unwrap_or(u32::MAX));
        put_string(&mut section, text);
        previous = Some(symbol);
    }
    let count = checked_u32("number of symbols", starts.len() as u64)?;
    if let Some(place) = section.get_mut(4..8) {
        place.copy_from_slice(&count.to_be_bytes());
    }
    seal(&mut section, "symbols")?;
    Ok((section, starts))
}

/// Fills in the length at the start of a section and appends its checksum.
fn seal(section: &mut Vec<u8>, what: &'static str) -> Result<()> {
    let body = section.get(CRC_LEN..).unwrap_or_default();
    let len = checked_u32(what, body.len() as u64)?;
    let crc = crc32c::crc32c(body);
    if let Some(place) = section.first_chunk_mut() {
        *place = len.to_be_bytes();
    }
    section.extend_from_slice(&crc.to_be_bytes());
    Ok(())
}

fn checked_u32(what: &'static str, size: u64) -> Result<u32> {
    u32::try_from(size).map_err(|_| Error::TooLarge {
        file: FILE.to_owned(),
        what,
        size,
        limit: u64::from(u32::MAX),
    })
}
