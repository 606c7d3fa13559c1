//! The symbols: each label name and value of the block, once, sorted.
//!
//! ```text
//! be32   length of what follows, without the checksum
//! be32   how many
//! string the symbols, in byte order
//! be32   crc32 of the count and the symbols
//! ```

use bytes::Bytes;

use super::FILE;
use crate::{
    codec::{CRC_LEN, Fault, Input, check_crc},
    error::{Error, Result},
    refs::SymbolRef,
};

/// The sorted symbols of an index.
///
/// They stay as the bytes of the file, with the offset of every `1 << shift`th beside them.
#[derive(Clone, Debug)]
pub struct Symbols {
    /// The symbols, one behind the other, without the head of the section.
    bytes: Bytes,
    /// Offset in the file of `bytes`.
    base: u64,
    count: u32,
    /// Offset in `bytes` of every `1 << shift`th symbol.
    samples: Vec<u32>,
    shift: u32,
}

/// Length and count.
const HEAD: u64 = 8;

impl Symbols {
    /// Reads the section that starts at `offset` of the index. All is checked here, once: the
    /// checksum, the order, that each is UTF-8.
    pub(super) fn decode(section: &Bytes, offset: u64, shift: u32) -> Result<Self> {
        let mut input = Input::new(section, offset);
        let fail = |input: &Input<'_>, fault| input.error(FILE, "the symbols", fault);
        let len = input.be32().map_err(|fault| fail(&input, fault))?;
        let body = input
            .take(u64::from(len))
            .map_err(|fault| fail(&input, fault))?;
        let stored = input.be32().map_err(|fault| fail(&input, fault))?;
        check_crc(
            FILE,
            offset + 4 + u64::from(len),
            "the symbols",
            body,
            stored,
        )?;

        let mut input = Input::new(body, offset + 4);
        let count = input.be32().map_err(|fault| fail(&input, fault))?;
        if u64::from(count) > input.len() as u64 {
            let expected = format!("at most {} symbols", input.len());
            return Err(Error::corrupt(
                FILE,
                offset + 4,
                expected,
                count.to_string(),
            ));
        }
        let base = input.offset();
        let mut samples = Vec::with_capacity((count as usize >> shift) + 1);
        let mut previous: Option<&str> = None;
        for i in 0..count {
            let at = input.offset();
            if i & ((1 << shift) - 1) == 0 {
                // The section's length is a be32, so an offset in it fits.
                samples.push(u32::try_from(at - base).unwrap_or(u32::MAX));
            }
            let symbol = input.string().map_err(|fault| fail(&input, fault))?;
            if previous.is_some_and(|previous| previous >= symbol) {
                let expected = format!("a symbol after {:?}", previous.unwrap_or_default());
                return Err(Error::corrupt(FILE, at, expected, format!("{symbol:?}")));
            }
            previous = Some(symbol);
        }
        let start = usize::try_from(HEAD).unwrap_or_default();
        let end = section.len().min(start - CRC_LEN + body.len());
        Ok(Self {
            bytes: section.slice(start..end),
            base,
            count,
            samples,
            shift,
        })
    }

    /// How many symbols there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The text of a symbol; empty for a reference that is not of this index. The references in a
    /// [`crate::SeriesEntry`] are checked when it is read.
    #[must_use]
    pub fn get(&self, symbol: SymbolRef) -> &str {
        self.lookup(symbol).unwrap_or_default()
    }

    /// The text of a symbol, if the index has it.
    #[must_use]
    pub fn lookup(&self, symbol: SymbolRef) -> Option<&str> {
        let skipped = symbol.0 & ((1 << self.shift) - 1);
        let mut input = (symbol.0 < self.count).then(|| self.sampled(symbol.0))??;
        for _ in 0..skipped {
            input.string_bytes().ok()?;
        }
        input.string().ok()
    }

    /// The reference of a text, if the index has it.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<SymbolRef> {
        let at = |sample: u32| self.get(SymbolRef(sample << self.shift));
        let (mut low, mut high) = (0, u32::try_from(self.samples.len()).unwrap_or(u32::MAX));
        while low < high {
            let middle = low + (high - low) / 2;
            if at(middle) <= text {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let first = low.checked_sub(1)? << self.shift;
        let mut input = self.sampled(first)?;
        for i in first..self.count {
            match input.string_bytes().ok()?.cmp(text.as_bytes()) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Some(SymbolRef(i)),
                std::cmp::Ordering::Greater => break,
            }
        }
        None
    }

    /// The symbols in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut input = Input::new(&self.bytes, self.base);
        (0..self.count).map_while(move |_| input.string().ok())
    }

    /// Bytes held on the heap.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.bytes.len() + self.samples.capacity() * size_of::<u32>()
    }

    /// The symbol that an index of version 1 names by its offset in the file.
    pub(super) fn at_offset(&self, offset: u32) -> Result<SymbolRef, Fault> {
        let bad = Fault::Bad {
            expected: "the offset of a symbol",
            found: u64::from(offset),
        };
        let wanted = u64::from(offset).checked_sub(self.base).ok_or(bad)?;
        let sample = self.samples.partition_point(|s| u64::from(*s) <= wanted);
        let first = u32::try_from(sample).ok().and_then(|s| s.checked_sub(1));
        let first = first.ok_or(bad)? << self.shift;
        let mut input = self.sampled(first).ok_or(bad)?;
        for i in first..self.count {
            if input.offset() - self.base == wanted {
                return Ok(SymbolRef(i));
            }
            if input.offset() - self.base > wanted || input.string_bytes().is_err() {
                break;
            }
        }
        Err(bad)
    }

    /// Stands at the last sampled symbol that is not after `symbol`.
    fn sampled(&self, symbol: u32) -> Option<Input<'_>> {
        let start = *self.samples.get((symbol >> self.shift) as usize)?;
        let bytes = self.bytes.get(start as usize..)?;
        Some(Input::new(bytes, self.base + u64::from(start)))
    }
}
