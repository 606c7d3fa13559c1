//! The values of byte string columns: PLAIN, DELTA_LENGTH_BYTE_ARRAY, DELTA_BYTE_ARRAY, and dictionaries.
//!
//! ```text
//! PLAIN   (u32 little-endian length, bytes)*
//! ```
//! The delta encodings are told in [`crate::format::delta`], dictionary ids in [`crate::format::ids`].

use std::ops::Range;

use bytes::Bytes;

use super::{
    delta,
    fault::Fault,
    page::{Encoding, Page},
};

/// The most bytes of a page's values when shared prefixes are written out.
const MAX_UNSHARED: usize = 256 << 20;

/// Byte strings that lie in one piece of memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct ByteArrays {
    data: Bytes,
    spans: Vec<Range<u32>>,
}

/// The distinct values of a label's column in a row group.
#[derive(Clone, Debug, Default)]
pub struct Dictionary {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl ByteArrays {
    /// Decodes the `count` values of a page that is not of dictionary ids.
    pub(crate) fn decode(page: &Page, count: usize) -> Result<Self, Fault> {
        let data = &page.data;
        match page.encoding {
            Encoding::Plain => plain(data, count),
            Encoding::DeltaLength => delta_length(data, count),
            Encoding::DeltaByteArray => delta_byte_array(data, count),
            Encoding::Dictionary => {
                Err(Fault::new(0, "expected values, found ids of a dictionary"))
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Their size in bytes, with that of the page.
    pub(crate) fn memory_size(&self) -> usize {
        self.data.len() + size_of_val(self.spans.as_slice())
    }

    /// The value at `i`, if there is one.
    pub(crate) fn get(&self, i: usize) -> Option<&[u8]> {
        self.data.get(place(self.spans.get(i)?))
    }

    /// The value at `i`, without a copy, if there is one.
    pub(crate) fn slice(&self, i: usize) -> Option<Bytes> {
        let span = place(self.spans.get(i)?);
        (span.end <= self.data.len()).then(|| self.data.slice(span))
    }

    /// The values of rows, which are empty where `present` is false.
    pub(crate) fn spread(self, present: impl Iterator<Item = bool>) -> Self {
        let mut spans = self.spans.into_iter();
        let spans = present
            .map(|present| present.then(|| spans.next()).flatten().unwrap_or(0..0))
            .collect();
        Self {
            data: self.data,
            spans,
        }
    }

    /// The values of ids.
    pub(crate) fn of_ids(&self, ids: &[u32]) -> Result<Self, Fault> {
        let spans = ids
            .iter()
            .map(|id| {
                let span = usize::try_from(*id).ok().and_then(|id| self.spans.get(id));
                span.cloned().ok_or_else(|| {
                    Fault::new(
                        0,
                        format!(
                            "dictionary id: expected one below {}, found {id}",
                            self.spans.len()
                        ),
                    )
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            data: self.data.clone(),
            spans,
        })
    }
}

fn place(span: &Range<u32>) -> Range<usize> {
    span.start as usize..span.end as usize
}

/// Pages have at most `i32::MAX` bytes, so offsets in them fit.
fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn plain(data: &Bytes, count: usize) -> Result<ByteArrays, Fault> {
    expect_plain(data, count)?;
    let mut spans = Vec::with_capacity(count);
    each_plain(data, count, |start, value| {
        spans.push(narrow(start)..narrow(start + value.len()));
    })?;
    Ok(ByteArrays {
        data: data.clone(),
        spans,
    })
}

/// Fails if there is no room for the lengths of `count` values.
fn expect_plain(data: &[u8], count: usize) -> Result<(), Fault> {
    if count.saturating_mul(4) > data.len() {
        return Err(Fault::new(
            0,
            format!("expected {count} values, found {} bytes", data.len()),
        ));
    }
    Ok(())
}

/// Calls `take` with each of `count` PLAIN values and where in `data` it lies.
#[inline]
fn each_plain(data: &[u8], count: usize, mut take: impl FnMut(usize, &[u8])) -> Result<(), Fault> {
    let mut at = 0usize;
    for _ in 0..count {
        let start = at + 4;
        let value = data
            .get(at..)
            .and_then(|rest| rest.split_first_chunk::<4>())
            .and_then(|(len, rest)| rest.get(..u32::from_le_bytes(*len) as usize))
            .ok_or_else(|| Fault::new(at, "value ends early"))?;
        take(start, value);
        at = start + value.len();
    }
    Ok(())
}

fn delta_length(data: &Bytes, count: usize) -> Result<ByteArrays, Fault> {
    let (lengths, mut at) = delta::lengths(data, count)?;
    let mut spans = Vec::with_capacity(lengths.len());
    for len in lengths {
        let end = at.saturating_add(len as usize);
        if end > data.len() {
            return Err(Fault::new(
                at,
                format!("expected a value of {len} bytes, found {}", data.len() - at),
            ));
        }
        spans.push(narrow(at)..narrow(end));
        at = end;
    }
    Ok(ByteArrays {
        data: data.clone(),
        spans,
    })
}

fn delta_byte_array(data: &Bytes, count: usize) -> Result<ByteArrays, Fault> {
    let (prefixes, suffixes_at) = delta::lengths(data, count)?;
    let suffixes = delta_length(&data.slice(suffixes_at..), count)
        .map_err(|fault| fault.within(suffixes_at))?;
    let mut out = Vec::with_capacity(data.len());
    let mut spans: Vec<Range<u32>> = Vec::with_capacity(count);
    let mut last = 0..0usize;
    for (i, prefix) in prefixes.iter().enumerate() {
        let (prefix, suffix) = (*prefix as usize, suffixes.get(i).unwrap_or_default());
        if prefix > last.len() {
            return Err(Fault::new(
                0,
                format!(
                    "prefix: expected at most the {} bytes of the value before, found {prefix}",
                    last.len()
                ),
            ));
        }
        // A value that equals the one before, or begins it, needs no bytes of its own.
        if suffix.is_empty() {
            last.end = last.start + prefix;
        } else {
            if out.len() + prefix + suffix.len() > MAX_UNSHARED {
                return Err(Fault::new(
                    0,
                    format!("page: expected at most {MAX_UNSHARED} bytes of values, found more"),
                ));
            }
            let start = out.len();
            out.extend_from_within(last.start..last.start + prefix);
            out.extend_from_slice(suffix);
            last = start..out.len();
        }
        spans.push(narrow(last.start)..narrow(last.end));
    }
    Ok(ByteArrays {
        data: out.into(),
        spans,
    })
}

impl Dictionary {
    /// The values of a dictionary page.
    pub(crate) fn decode(page: &Page) -> Result<Self, Fault> {
        if page.encoding == Encoding::Plain {
            return Self::plain(&page.data, page.values);
        }
        let values = ByteArrays::decode(page, page.values)?;
        let mut dictionary = Self::with_capacity(values.len(), page.data.len());
        for i in 0..values.len() {
            dictionary.push(values.get(i).unwrap_or_default())?;
        }
        Ok(dictionary)
    }

    /// Like [`plain`], without a span for each value: a question about one series reads the whole dictionary.
    fn plain(data: &[u8], count: usize) -> Result<Self, Fault> {
        expect_plain(data, count)?;
        let mut dictionary = Self::with_capacity(count, data.len() - 4 * count);
        each_plain(data, count, |_, value| {
            dictionary.bytes.extend_from_slice(value);
            dictionary.ends.push(narrow(dictionary.bytes.len()));
        })?;
        Ok(dictionary)
    }

    fn with_capacity(values: usize, bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            ends: Vec::with_capacity(values),
        }
    }

    /// The number of values; ids are below it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The value of `id`.
    #[must_use]
    pub fn get(&self, id: usize) -> Option<&[u8]> {
        let end = *self.ends.get(id)? as usize;
        let start = match id.checked_sub(1) {
            Some(before) => *self.ends.get(before)? as usize,
            None => 0,
        };
        self.bytes.get(start..end)
    }

    /// The values in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let end = *end as usize;
            let value = self.bytes.get(start..end).unwrap_or_default();
            start = end;
            value
        })
    }

    /// Adds a value, as from a page of values instead of ids, and returns its id.
    pub(crate) fn push(&mut self, value: &[u8]) -> Result<u32, Fault> {
        let id = u32::try_from(self.ends.len())
            .ok()
            .filter(|id| *id < u32::MAX);
        let end = u32::try_from(self.bytes.len() + value.len()).ok();
        let (Some(id), Some(end)) = (id, end) else {
            return Err(Fault::new(
                0,
                "label: expected at most 4 GiB of values, found more",
            ));
        };
        self.bytes.extend_from_slice(value);
        self.ends.push(end);
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(encoding: Encoding, data: &[u8]) -> Page {
        Page {
            values: 0,
            encoding,
            levels: None,
            data: Bytes::copy_from_slice(data),
        }
    }

    fn values(arrays: &ByteArrays) -> Vec<&[u8]> {
        (0..arrays.len()).map(|i| arrays.get(i).unwrap()).collect()
    }

    #[test]
    fn plain_values_are_read_and_cut_ones_refused() {
        let bytes = [1, 0, 0, 0, b'a', 0, 0, 0, 0, 2, 0, 0, 0, b'b', b'c'];
        let arrays = ByteArrays::decode(&page(Encoding::Plain, &bytes), 3).unwrap();
        assert_eq!(values(&arrays), [b"a".as_slice(), b"", b"bc"]);
        assert!(ByteArrays::decode(&page(Encoding::Plain, &bytes[..14]), 3).is_err());
        assert!(ByteArrays::decode(&page(Encoding::Plain, &bytes), 4).is_err());
    }

    #[test]
    fn prefixes_are_taken_from_the_value_before() {
        // "abc", "abd", "abd", "ab": prefixes 0 2 3 2, suffixes "abc" "d" "" "".
        let bytes = [
            0x80,
            0x01,
            0x04,
            0x04,
            0x00,
            0x01,
            0x02,
            0,
            0,
            0, // 0, then 2, 1, -1: least −1, width 2
            0x0b | 0x30,
            0,
            0,
            0,
            0,
            0,
            0,
            0, // 3, 2, 0
            0x80,
            0x01,
            0x04,
            0x04,
            0x06,
            0x03,
            0x02,
            0,
            0,
            0, // 3, then −2, −1, 0: least −2
            0x24,
            0,
            0,
            0,
            0,
            0,
            0,
            0, // 0, 1, 2
            b'a',
            b'b',
            b'c',
            b'd',
        ];
        let mut bytes = bytes.to_vec();
        // Bits of 3, 2, 0 at two each are 0b00_10_11.
        bytes[10] = 0b00_10_11;
        let arrays = ByteArrays::decode(&page(Encoding::DeltaByteArray, &bytes), 4).unwrap();
        assert_eq!(values(&arrays), [b"abc".as_slice(), b"abd", b"abd", b"ab"]);
    }

    #[test]
    fn a_dictionary_gives_values_by_id() {
        let bytes = [1, 0, 0, 0, b'a', 2, 0, 0, 0, b'b', b'c'];
        let mut page = page(Encoding::Plain, &bytes);
        page.values = 2;
        let mut dictionary = Dictionary::decode(&page).unwrap();
        assert_eq!(dictionary.push(b"d").unwrap(), 2);
        // Values need not be UTF-8.
        assert_eq!(dictionary.push(b"\xffA").unwrap(), 3);
        let values: Vec<&[u8]> = dictionary.iter().collect();
        assert_eq!(values, [&b"a"[..], b"bc", b"d", b"\xffA"]);
        assert_eq!(dictionary.get(1), Some(&b"bc"[..]));
        assert_eq!(dictionary.get(4), None);

        page.data.truncate(bytes.len() - 1);
        assert!(Dictionary::decode(&page).is_err());
        page.values = 3;
        assert!(Dictionary::decode(&page).is_err());
    }
}
